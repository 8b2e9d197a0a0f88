"""Package URLs (purl) of models on the hub: ``pkg:huggingface/org/name@commit``."""

from __future__ import annotations

import re
from urllib.parse import quote

from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.spec import same_name, split_quantisation
from pytest_scratchverify.verdict.run import Run

_ON_A_HUB = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def package_url(run: Run, name: str) -> str | None:
    """Return the purl of a model or reference of a run; None for a folder or a file.

    The version is the commit that was read, and is left out where none was.
    """
    repo, _ = split_quantisation(name)
    if not _ON_A_HUB.fullmatch(repo):
        return None
    read = [
        record
        for finding in run.findings
        for record in finding.artifacts
        if same_name(record.repo) == same_name(repo)
    ]
    if any(record.source is Source.FOLDER for record in read):
        return None
    revisions = sorted({record.revision for record in read if record.revision})
    version = f"@{quote(revisions[0].lower(), safe='')}" if revisions else ""
    return f"pkg:huggingface/{'/'.join(quote(part, safe='') for part in repo.split('/'))}{version}"
