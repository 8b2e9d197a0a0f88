"""The verdict as one self-contained HTML page, and as a fragment for pytest-html's report.

Readable without JavaScript, without network, in light and dark, and on paper. Everything that
comes from a model's files is escaped by jinja2.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pytest_scratchverify.model.evidence import Finding
from pytest_scratchverify.model.run import Run
from pytest_scratchverify.model.text import Text
from pytest_scratchverify.report import headline, wording
from pytest_scratchverify.report.figures import Rendered, available, figures_of
from pytest_scratchverify.report.figures.rendering import kept
from pytest_scratchverify.report.language import translate

FIGURE_CHARACTERS = 1_000_000  # of SVG in one page, which stays below two megabytes


@cache
def _environment() -> Any:
    # jinja2 comes with pytest-html anyway; autoescape is what a report of untrusted files needs.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("pytest_scratchverify.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _context(run: Run, language: str) -> dict[str, Any]:
    def t(text: Text) -> str:
        return translate(text, language)

    def say(template: str, **params: object) -> str:
        return translate(Text(template, **params), language)

    return {"run": run, "t": t, "say": say, "w": wording, "h": headline, "language": language}


def render_html(run: Run, language: str) -> str:
    """Return the whole page."""
    drawn, left_out = _figures(run, language)
    context = _context(run, language) | {
        "drawn": drawn,
        "left_out": left_out,
        "drawable": any(True for finding in run.findings for _ in kept(finding)),
        "with_figures": available(),
    }
    page: str = _environment().get_template("verdict.html.j2").render(context)
    return page


def _figures(run: Run, language: str) -> tuple[dict[str, list[Rendered]], int]:
    """Draw the figures of every model, as long as the page stays small; count the others."""
    drawn: dict[str, list[Rendered]] = {}
    if not available():
        return drawn, 0
    size = left_out = 0
    for finding in sorted(run.findings, key=_interest):
        if size > FIGURE_CHARACTERS:
            left_out += sum(1 for _ in kept(finding))
            continue
        for figure in figures_of(finding, language):
            size += len(figure.svg)
            drawn.setdefault(finding.model, []).append(figure)
    return drawn, left_out


def _interest(finding: Finding) -> tuple[bool, bool, bool, str]:
    """Draw first what accuses or clears weights, so that a full page lacks the least of it."""
    trained = finding.component.is_trained
    return (not finding.derived, not finding.method.startswith("weights"), not trained, finding.id)


def verdict_fragment(run: Run, language: str) -> str:
    """Return the verdict part alone, with its style scoped, to stand in another page."""
    text: str = _environment().get_template("fragment.html.j2").render(_context(run, language))
    return text
