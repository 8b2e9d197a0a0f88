"""Write a run to the files that were asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.visible import visible_json
from pytest_scratchverify.report.badge import render_badge_json, render_badge_svg
from pytest_scratchverify.report.family import render_graphml, render_newick
from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.report.sarif import render_sarif
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


def _json(value: object) -> str:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return visible_json(text)


RENDERERS: Mapping[str, Callable[[Run, str], str]] = {
    "json": render_json,
    "md": render_markdown,
    "html": render_html,
    "sarif": render_sarif,
    "newick": render_newick,
    "graphml": render_graphml,
    "badge.json": render_badge_json,
    "badge.svg": render_badge_svg,
}


STANDARD_OUTPUT = Path("-")


def write_reports(run: Run, paths: Mapping[str, Path | None], language: str) -> None:
    """Render each report that has a path; missing folders are made, and ``-`` is printed.

    All that can be written is. Raises `ScratchError`, one line, for those that cannot.
    """
    failed = []
    for name, path in paths.items():
        if path is None:
            continue
        text = RENDERERS[name](run, language)
        if path == STANDARD_OUTPUT:
            sys.stdout.write(text)
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except (OSError, ValueError) as error:
            failed.append(f"{path} could not be written: {error}")
    if failed:
        raise ScratchError("; ".join(failed))
