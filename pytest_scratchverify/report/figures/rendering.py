"""Draws what findings kept, one SVG each, the same bytes from the same numbers."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import StringIO
from typing import Any

from pytest_scratchverify.model.evidence import Finding
from pytest_scratchverify.model.text import Text
from pytest_scratchverify.report.figures.drawing import Data, Drawing, Say
from pytest_scratchverify.report.figures.registry import DRAWINGS
from pytest_scratchverify.report.figures.sources import picked
from pytest_scratchverify.report.figures.style import RC, finished
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.wording import COMPONENT_NAMES

NUMBERS = 5_000  # numbers in the data of one figure; a foreign run.json may hold anything


@dataclass(frozen=True, slots=True)
class Rendered:
    """A figure for a page: SVG text and the words around it, in the reader's language."""

    kind: str
    svg: str
    title: str
    caption: str
    method: str
    reference: str | None
    component: Text | None = None


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
    """Draw the figures of one finding; data that are not what they should be give none."""
    for kind, data in kept(finding):
        drawn = _drawn(finding, kind, data, language)
        if drawn is not None:
            yield drawn


def _drawn(finding: Finding, kind: str, data: Data, language: str) -> Rendered | None:
    drawing = DRAWINGS[kind]

    def say(template: str, /, **params: object) -> str:
        return translate(Text(template, **params), language)

    name = "f" + hashlib.sha256(f"{finding.id} {kind}".encode()).hexdigest()[:10]
    try:
        svg = finished(
            _svg(drawing, data, say, name), name=name, alt=translate(drawing.alt(data), language)
        )
        caption = translate(drawing.caption(data), language)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError):
        return None
    return Rendered(
        kind=kind,
        svg=svg,
        title=translate(drawing.title, language),
        caption=caption,
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
