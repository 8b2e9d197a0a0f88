"""A run as its JSON document, the one that every other report can be made of later."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

from pytest_scratchverify.core.visible import visible_json
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.serialization import run_to_json


def render_json(run: Run, _language: str) -> str:
    """Return the run as JSON; its language is English, its texts keep their templates.

    Findings are written one by one: as objects, those of ten thousand pairs fill a gigabyte.
    """
    rest = _json(run_to_json(replace(run, findings=())))
    before, empty, after = rest.partition('\n "findings": []')
    if not run.findings:
        return f"{rest}\n"
    assert empty  # noqa: S101 - a key of the document, and no text holds a new line
    alone = (
        run_to_json(replace(run, findings=(one,), models=()))["findings"] for one in run.findings
    )
    findings = ",\n ".join(_json(one)[2:-2].replace("\n", "\n ") for one in alone)
    return f'{before}\n "findings": [\n {findings}\n ]{after}\n'


def run_sha256(run: Run) -> str:
    """Return the sha256 of the file that ``--verdict-json`` writes of a run."""
    return sha256(render_json(run, "en").encode()).hexdigest()


def _json(value: object) -> str:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return visible_json(text)
