"""The verdict as one self-contained HTML page, and as a fragment for pytest-html's report.

Readable without JavaScript, without network, in light and dark, and on paper. The page holds
every language, of which one is shown; which, a link decides, and the part of the address that
comes after ``#``. Everything that
comes from a model's files is escaped by jinja2.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.text import Text, below_floor
from pytest_scratchverify.core.visible import visible, visible_document
from pytest_scratchverify.report import headline, nearest, terms, wording
from pytest_scratchverify.report.family import families_of
from pytest_scratchverify.report.figures import (
    Rendered,
    Shared,
    Undrawn,
    available,
    run_figures,
    shared_figures,
)
from pytest_scratchverify.report.figures.family_tree import FamilyTree
from pytest_scratchverify.report.figures.known_pairs import together
from pytest_scratchverify.report.figures.lineage import Lineage, lineage_of
from pytest_scratchverify.report.figures.rendering import data_of
from pytest_scratchverify.report.language import NAMES, translate
from pytest_scratchverify.report.pytest_html import page_words
from pytest_scratchverify.verdict.run import Run

PAGE_BYTES = 1_950_000  # a page stays below two megabytes
MOST_NAMED = 10  # figures that could not be drawn; a foreign run may hold thousands
TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> Any:
    # jinja2 comes with pytest-html anyway; autoescape is what a report of untrusted files needs.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("pytest_scratchverify.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "statistic_name": terms.statistic_name,
        "relation_text": terms.relation_text,
        "status_text": terms.status_text,
        "named": terms.named,
    }
    environment.tests["below_floor"] = below_floor
    return environment


def _visible_value(value: object) -> object:
    """Make each value of a template visible and bounded; what is markup already is ours."""
    return visible(value) if type(value) is str else value


def _context(run: Run, language: str) -> dict[str, Any]:
    def t(text: Text) -> str:
        return translate(text, language)

    def say(template: str, **params: object) -> str:
        return translate(Text(template, **params), language)

    return {
        "run": run,
        "t": t,
        "say": say,
        "w": wording,
        "h": headline,
        "near": nearest,
        "language": language,
        "date": today(),
    }


def today() -> str:
    """Return the day on which a page is made, in UTC; SOURCE_DATE_EPOCH names another.

    It is of the page: a run holds no date, so that equal runs are equal bytes.
    """
    named = os.environ.get("SOURCE_DATE_EPOCH", "")
    at = datetime.fromtimestamp(int(named), UTC) if named.isdigit() else datetime.now(UTC)
    return at.date().isoformat()


def render_html(run: Run, language: str) -> str:
    """Return the whole page in every language, `language` first; a link leads to the other.

    Where the words alone would make the page too large, it is in `language` only and says so.
    """
    languages = [language, *(name for name in NAMES if name != language)]
    lineage = lineage_of(run.findings) if len(run.models) > 1 else None
    bare = _page(run, languages, lineage, Pictures())
    if len(bare.encode()) > PAGE_BYTES:
        languages = [language]
        bare = _page(run, languages, lineage, Pictures())
    if not available():
        return bare
    room = PAGE_BYTES - len(bare.encode())
    return _page(run, languages, lineage, _pictures(run, languages, lineage, room))


@dataclass(frozen=True, slots=True)
class Pictures:
    """The figures of a page: shapes once, and by model and language what shows them.

    `left_out` counts those that would make the page too large, `undrawn` names those whose data
    cannot be read.
    """

    shapes: tuple[str, ...] = ()
    drawn: Mapping[str, Sequence[Mapping[str, Rendered]]] = field(default_factory=dict)
    of_all: Sequence[Mapping[str, Rendered]] = ()
    of_families: Sequence[Mapping[str, Rendered]] = ()
    left_out: int = 0
    undrawn: Sequence[Undrawn] = ()

    def of(self, language: str) -> dict[str, list[Rendered]]:
        """Return each model's figures in a language."""
        return {m: [figure[language] for figure in found] for m, found in self.drawn.items()}


def _page(run: Run, languages: Sequence[str], lineage: Lineage | None, pictures: Pictures) -> str:
    from markupsafe import Markup  # noqa: PLC0415 - jinja2's own

    drawable = any(True for finding in run.findings for _ in data_of(finding))
    body = _environment().get_template("body.html.j2")
    halves = []
    for language in languages:
        context = _context(run, language) | {
            "drawn": pictures.of(language),
            "drawn_of_all": [figure[language] for figure in pictures.of_all],
            "lineage": lineage,
            "drawn_of_families": [figure[language] for figure in pictures.of_families],
            "families": families_of(run.findings),
            "left_out": pictures.left_out,
            "undrawn": [f"{it.kind} ({it.finding})" for it in pictures.undrawn[:MOST_NAMED]],
            "drawable": drawable,
            "with_figures": available(),
            "names": NAMES,
            "languages": languages,
            "at": f"{language}-",
        }
        halves.append((language, Markup(body.render(context))))  # noqa: S704 - escaped above
    script = _script() if len(run.models) > 1 else ""
    page: str = (
        _environment()
        .get_template("verdict.html.j2")
        .render(
            run=run,
            halves=halves,
            titles=[translate(Text("Verdict"), language) for language in languages],
            language=languages[0],
            shapes=Markup("\n".join(pictures.shapes)),  # noqa: S704 - of report/figures
            script=Markup(script),  # noqa: S704 - a file of this package
            script_digest=b64encode(sha256(script.encode()).digest()).decode(),
        )
    )
    return visible_document(page)


@cache
def _script() -> str:
    return (TEMPLATES / "sort.js").read_text("utf-8")


def _pictures(run: Run, languages: Sequence[str], lineage: Lineage | None, room: int) -> Pictures:
    """Draw the figures of every model, as long as there is room; count the others."""
    shapes: list[str] = []
    drawn: dict[str, list[Mapping[str, Rendered]]] = {}
    of_all: list[Mapping[str, Rendered]] = []
    of_families: list[Mapping[str, Rendered]] = []
    undrawn: list[Undrawn] = []
    left_out = 0
    told = (family.figure for family in families_of(run.findings))
    beside = (*(lineage.figures if lineage else ()), *(data for data in told if data is not None))
    for figure in run_figures(beside, languages):
        if isinstance(figure, Undrawn):
            undrawn.append(figure)
            continue
        shapes.append(figure.shapes)
        is_family = next(iter(figure.by_language.values())).kind == FamilyTree.kind
        (of_families if is_family else of_all).append(figure.by_language)
        room -= _cost(figure)
    for finding in together(sorted(run.findings, key=_interest)):
        if room <= 0:
            left_out += sum(1 for _ in data_of(finding))
            continue
        for figure in shared_figures(finding, languages):
            if isinstance(figure, Undrawn):
                undrawn.append(figure)
                continue
            cost = _cost(figure)
            if cost > room:
                left_out += 1
                room = 0  # nothing less telling takes its place
                continue
            room -= cost
            shapes.append(figure.shapes)
            drawn.setdefault(finding.model, []).append(figure.by_language)
    return Pictures(tuple(shapes), drawn, of_all, of_families, left_out, undrawn)


FRAME_BYTES = 500  # what a page puts around one figure, and one more entry of its contents


def _cost(figure: Shared) -> int:
    own = figure.by_language.values()
    said = sum(len(f"{f.svg}{f.title}{f.caption}".encode()) + FRAME_BYTES for f in own)
    return len(figure.shapes.encode()) + said


def _interest(finding: Finding) -> tuple[bool, bool, bool, bool, int, str]:
    """Draw first what accuses or clears weights, so that a full page lacks the least of it."""
    gains = finding.method.startswith("weights.layernorm")  # alone they decide nothing
    weights = finding.method.startswith("weights")
    place = [*Component].index(finding.component)
    trained = finding.component.is_trained
    return (gains, not finding.derived, not weights, not trained, place, finding.id)


def verdict_fragment(run: Run, language: str, counted: str = "") -> str:
    """Return the verdict part alone, with its style scoped, to stand in pytest-html's page.

    `counted` says how many tests ended how, in words.
    """
    context = _context(run, language) | {"counts": counted, "words": page_words(language)}
    text: str = _environment().get_template("fragment.html.j2").render(context)
    return visible_document(text)
