"""Package URLs (purl) of models on the hub: ``pkg:huggingface/org/name@commit``."""

from __future__ import annotations

import re
from urllib.parse import quote

from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.spec import same_name, split_quantisation
from pytest_scratchverify.verdict.run import Run

HUB = "https://huggingface.co"
_ON_A_HUB = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


class PackageUrls:
    """The purls of a run's models and references, from what was read of them."""

    def __init__(self, run: Run) -> None:
        self._folders: set[str] = set()
        self._revisions: dict[str, set[str]] = {}
        for finding in run.findings:
            for record in finding.artifacts:
                name = same_name(record.repo)
                if record.source is Source.FOLDER:
                    self._folders.add(name)
                if record.revision:
                    self._revisions.setdefault(name, set()).add(record.revision)

    def of(self, name: str) -> str | None:
        """Return the purl of a model or reference; None for a folder or a file.

        The version is the commit that was read, and is left out where none was.
        """
        repo, _ = split_quantisation(name)
        if not _ON_A_HUB.fullmatch(repo) or same_name(repo) in self._folders:
            return None
        revisions = sorted(self._revisions.get(same_name(repo), ()))
        version = f"@{quote(revisions[0].lower(), safe='')}" if revisions else ""
        path = "/".join(quote(part, safe="") for part in repo.split("/"))
        return f"pkg:huggingface/{path}{version}"
