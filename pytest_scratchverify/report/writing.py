"""Write a run to the files that were asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.report.badge import render_badge_json, render_badge_svg
from pytest_scratchverify.report.cyclonedx import render_cyclonedx
from pytest_scratchverify.report.eval_results import render_eval_results
from pytest_scratchverify.report.family import render_graphml, render_newick
from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.report.inspect_log import render_inspect_log
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.report.run_json import render_json
from pytest_scratchverify.report.sarif import render_sarif
from pytest_scratchverify.report.spdx import render_spdx
from pytest_scratchverify.verdict.run import Run

RENDERERS: Mapping[str, Callable[[Run, str], str]] = {
    "json": render_json,
    "md": render_markdown,
    "html": render_html,
    "sarif": render_sarif,
    "newick": render_newick,
    "graphml": render_graphml,
    "cyclonedx": render_cyclonedx,
    "spdx": render_spdx,
    "eval-results": render_eval_results,
    "inspect": render_inspect_log,
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
        try:
            text = RENDERERS[name](run, language)
        except ScratchError as error:  # a library that this format needs is not installed
            failed.append(f"{path} could not be written: {error}")
            continue
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
