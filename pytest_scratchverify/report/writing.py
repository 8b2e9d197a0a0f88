"""Write a run to the files that were asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_scratchverify.core.visible import visible_json
from pytest_scratchverify.report.badge import render_badge_json, render_badge_svg
from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.report.sarif import render_sarif
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.serialization import run_to_json


def render_json(run: Run, _language: str) -> str:
    """Return the run as JSON; its language is English, its texts keep their templates."""
    document = run_to_json(run)
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return visible_json(text) + "\n"


RENDERERS: Mapping[str, Callable[[Run, str], str]] = {
    "json": render_json,
    "md": render_markdown,
    "html": render_html,
    "sarif": render_sarif,
    "badge.json": render_badge_json,
    "badge.svg": render_badge_svg,
}


STANDARD_OUTPUT = Path("-")


def write_reports(run: Run, paths: Mapping[str, Path | None], language: str) -> None:
    """Render each report that has a path; missing folders are made, and ``-`` is printed."""
    for name, path in paths.items():
        if path == STANDARD_OUTPUT:
            sys.stdout.write(RENDERERS[name](run, language))
        elif path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(RENDERERS[name](run, language), "utf-8")
