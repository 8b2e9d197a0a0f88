"""The verdict as one self-contained HTML page, and as a fragment for pytest-html's report.

Readable without JavaScript, without network, in light and dark, and on paper. Everything that
comes from a model's files is escaped by jinja2.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pytest_scratchverify.model.run import Run
from pytest_scratchverify.model.text import Text
from pytest_scratchverify.report import wording
from pytest_scratchverify.report.language import translate


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

    return {"run": run, "t": t, "say": say, "w": wording, "language": language}


def render_html(run: Run, language: str) -> str:
    """Return the whole page."""
    page: str = _environment().get_template("verdict.html.j2").render(_context(run, language))
    return page


def verdict_fragment(run: Run, language: str) -> str:
    """Return the verdict part alone, with its style scoped, to stand in another page."""
    text: str = _environment().get_template("fragment.html.j2").render(_context(run, language))
    return text
