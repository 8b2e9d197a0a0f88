"""Draws what findings kept, one SVG each, the same bytes from the same numbers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from io import StringIO
from typing import Any

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.figures.drawing import Data, Drawing, Say
from pytest_scratchverify.report.figures.lineage import Lineage
from pytest_scratchverify.report.figures.registry import DRAWINGS
from pytest_scratchverify.report.figures.sources import picked
from pytest_scratchverify.report.figures.style import RC, finished, parted
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.wording import COMPONENT_NAMES

NUMBERS = 5_000  # numbers in the data of one figure; a foreign run.json may hold anything
FOREIGN = (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A figure for a page: SVG text and the words around it, in the reader's language."""

    kind: str
    svg: str
    title: str
    caption: str
    method: str
    reference: str | None = None
    component: Text | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """A figure for a page of several languages: shapes that stand once, and what uses them."""

    shapes: str
    by_language: Mapping[str, Rendered]


@cache
def available() -> bool:
    """Whether matplotlib is installed: the extra ``figures``."""
    return find_spec("matplotlib") is not None


def kept(finding: Finding) -> Iterator[tuple[str, Data]]:
    """Yield the figures whose data a finding holds and that there is a drawing for."""
    given = finding.details.get("figures")
    explicit = sorted(given.items()) if isinstance(given, dict) else []
    for kind, data in (*picked(finding), *explicit):
        if kind in DRAWINGS and isinstance(data, dict) and _count(data) <= NUMBERS:
            yield kind, data


def figures_of(finding: Finding, language: str) -> Iterator[Rendered]:
    """Draw the figures of one finding, each whole; data of another kind give none."""
    for kind, data in kept(finding):
        try:
            svg, caption = _whole(kind, data, language, _name(finding.id, kind))
        except FOREIGN:
            continue
        yield _of(finding, kind, language, (svg, caption))


def shared_figures(finding: Finding, languages: Sequence[str]) -> Iterator[Shared]:
    """Draw the figures of one finding, the shapes once and the words in each language."""
    for kind, data in kept(finding):
        drawn = draw_shared(kind, data, languages, finding.id)
        if drawn is not None:
            own = {at: _of(finding, kind, at, words) for at, words in drawn.own.items()}
            yield Shared(drawn.shapes, own)


def run_figures(found: Lineage, languages: Sequence[str]) -> list[Shared]:
    """Draw the figures of all models of a run, of which every pair was compared."""
    figures = []
    for kind, data in found.figures.items():
        drawn = draw_shared(kind, data, languages, "run")
        if drawn is not None:
            own = {at: _of_run(kind, at, words) for at, words in drawn.own.items()}
            figures.append(Shared(drawn.shapes, own))
    return figures


def _of_run(kind: str, language: str, drawn: tuple[str, str]) -> Rendered:
    return Rendered(
        kind=kind,
        svg=drawn[0],
        title=translate(DRAWINGS[kind].title, language),
        caption=drawn[1],
        method="weights.origin",
        component=COMPONENT_NAMES[Component.TEXT_DECODER],
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """Shapes, and for each language its element and its caption."""

    shapes: str
    own: Mapping[str, tuple[str, str]]


def draw_shared(kind: str, data: Data, languages: Sequence[str], seed: str) -> Drawn | None:
    """Draw data of a kind for a page of several languages; None for data of another kind.

    Laid out in English; `seed` makes the ids of the figure its own.
    """
    try:
        return _parts(kind, data, languages, _name(seed, kind))
    except FOREIGN:
        return None


def _parts(kind: str, data: Data, languages: Sequence[str], name: str) -> Drawn:
    drawing = DRAWINGS[kind]
    said: dict[str, Callable[[str], str]] = {}

    def say(template: str, /, **params: object) -> str:
        text = Text(template, **params)
        english = translate(text, "en")
        said[english] = partial(translate, text)
        return english

    parts = parted(
        _svg(drawing, data, say, name),
        name=name,
        alts={language: translate(drawing.alt(data), language) for language in languages},
        said=said,
    )
    caption = drawing.caption(data)
    return Drawn(
        parts.shapes,
        {at: (svg, translate(caption, at)) for at, svg in parts.by_language.items()},
    )


def _whole(kind: str, data: Data, language: str, name: str) -> tuple[str, str]:
    drawing = DRAWINGS[kind]

    def say(template: str, /, **params: object) -> str:
        return translate(Text(template, **params), language)

    alt = translate(drawing.alt(data), language)
    svg = finished(_svg(drawing, data, say, name), name=name, alt=alt)
    return svg, translate(drawing.caption(data), language)


def _name(seed: str, kind: str) -> str:
    return "f" + hashlib.sha256(f"{seed} {kind}".encode()).hexdigest()[:10]


def _of(finding: Finding, kind: str, language: str, drawn: tuple[str, str]) -> Rendered:
    return Rendered(
        kind=kind,
        svg=drawn[0],
        title=translate(DRAWINGS[kind].title, language),
        caption=drawn[1],
        method=finding.method,
        reference=finding.reference,
        component=COMPONENT_NAMES[finding.component],
    )


def _svg(drawing: Drawing, data: Data, say: Say, name: str) -> str:
    import matplotlib as mpl  # noqa: PLC0415 - an extra, and a second of import
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Hangul is not in the font that only measures
        mpl.rcdefaults()
        mpl.rcParams.update({**RC, "svg.hashsalt": name})
        figure = Figure(figsize=drawing.size, layout="constrained")
        FigureCanvasSVG(figure)
        drawing.draw(figure, data, say)
        page = StringIO()
        figure.savefig(page, format="svg", metadata={"Date": None, "Creator": None})
    return page.getvalue()


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_count(item) for item in value.values())
    if isinstance(value, list):
        return sum(_count(item) for item in value)
    return 1
