"""Draws what findings kept, one SVG each, the same bytes from the same numbers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from io import StringIO
from typing import Any

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.figure import Figure, FigureData, FigureDataError
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.known_pairs import KnownRows
from pytest_scratchverify.report.figures.registry import DRAWINGS
from pytest_scratchverify.report.figures.style import RC, finished, parted
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.wording import COMPONENT_NAMES

MAX_LABEL = 200  # characters of a name in a figure
TREE = "newick"  # the names in it are bounded one by one, where they are read
NUMBERS = 5_000  # numbers in the data of one figure; a foreign run.json may hold anything
FOREIGN = (TypeError, ValueError, IndexError, OverflowError)  # of numbers that make no figure


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


@dataclass(frozen=True, slots=True)
class Undrawn:
    """A figure whose data cannot be read or drawn: a report says so."""

    kind: str
    finding: str


def data_of(finding: Finding) -> Iterator[tuple[str, FigureData | None]]:
    """Yield the kind and the data of a finding's figures; None where they cannot be read."""
    for figure in finding.figures:
        try:
            data = _read(figure)
            drawable = data.drawable
        except FOREIGN:
            yield figure.kind, None
        else:
            if drawable:
                yield figure.kind, data


def _read(figure: Figure) -> FigureData:
    drawing = DRAWINGS.get(figure.kind)
    if drawing is None or _count(figure.data) > NUMBERS:
        raise FigureDataError(f"no drawing of {figure.kind} for these data")
    values = {k: v if k == TREE else _visible(v) for k, v in figure.data.items()}
    data: FigureData = drawing.data.from_json(values)
    return data


def _visible(value: Json) -> Json:
    """Make every name in a figure's data visible, before anything is laid out."""
    if isinstance(value, Mapping):
        return {visible(key, MAX_LABEL): _visible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_visible(item) for item in value]
    return visible(value, MAX_LABEL) if isinstance(value, str) else value


def figures_of(finding: Finding, language: str) -> Iterator[Rendered | Undrawn]:
    """Draw the figures of one finding, each whole."""
    for kind, data in data_of(finding):
        try:
            if data is None:
                raise FigureDataError(kind)
            svg, caption = _whole(data, language, _name(finding.id, kind))
        except FOREIGN:
            yield Undrawn(kind, finding.id)
        else:
            yield _of(finding, data, language, (svg, caption))


def shared_figures(finding: Finding, languages: Sequence[str]) -> Iterator[Shared | Undrawn]:
    """Draw the figures of one finding, the shapes once and the words in each language."""
    for kind, data in data_of(finding):
        drawn = draw_shared(data, languages, finding.id) if data is not None else None
        if data is None or drawn is None:
            yield Undrawn(kind, finding.id)
        else:
            own = {at: _of(finding, data, at, words) for at, words in drawn.own.items()}
            yield Shared(drawn.shapes, own)


def run_figures(
    found: Iterable[FigureData], languages: Sequence[str]
) -> Iterator[Shared | Undrawn]:
    """Draw the figures of all models of a run, of which every pair was compared."""
    for number, data in enumerate(found):
        if not data.drawable:
            continue
        drawn = draw_shared(data, languages, f"run{number}" if number else "run")
        if drawn is None:
            yield Undrawn(data.kind, "run")
        else:
            own = {at: _of_run(data.kind, at, words) for at, words in drawn.own.items()}
            yield Shared(drawn.shapes, own)


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


def draw_shared(data: FigureData, languages: Sequence[str], seed: str) -> Drawn | None:
    """Draw data for a page of several languages; None for numbers that make no figure.

    Laid out in English; `seed` makes the ids of the figure its own.
    """
    try:
        return _parts(data, languages, _name(seed, data.kind))
    except FOREIGN:
        return None


def _parts(data: FigureData, languages: Sequence[str], name: str) -> Drawn:
    drawing = DRAWINGS[data.kind]
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


def _whole(data: FigureData, language: str, name: str) -> tuple[str, str]:
    drawing = DRAWINGS[data.kind]

    def say(template: str, /, **params: object) -> str:
        return translate(Text(template, **params), language)

    alt = translate(drawing.alt(data), language)
    svg = finished(_svg(drawing, data, say, name), name=name, alt=alt)
    return svg, translate(drawing.caption(data), language)


def _name(seed: str, kind: str) -> str:
    return "f" + hashlib.sha256(f"{seed} {kind}".encode("utf-8", "surrogatepass")).hexdigest()[:10]


def _of(finding: Finding, data: FigureData, language: str, drawn: tuple[str, str]) -> Rendered:
    of = [finding.component]
    if isinstance(data, KnownRows):
        of = [Component(name) for name in data.components if name in {*Component}] or of
    return Rendered(
        kind=data.kind,
        svg=drawn[0],
        title=translate(DRAWINGS[data.kind].title, language),
        caption=drawn[1],
        method=finding.method,
        reference=finding.reference,
        component=Text("{what}", what=[COMPONENT_NAMES[component] for component in of]),
    )


def _svg(drawing: Drawing[Any], data: FigureData, say: Say, name: str) -> str:
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
    if isinstance(value, Mapping):
        return sum(_count(item) for item in value.values())
    if isinstance(value, list):
        return sum(_count(item) for item in value)
    return 1
