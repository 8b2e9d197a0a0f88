"""What a drawing is: a function that draws, and the words around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pytest_scratchverify.core.figure import FigureData
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.figures.style import PAPER

DataT = TypeVar("DataT", bound=FigureData)


class Say(Protocol):
    """Say a template in the report's language."""

    def __call__(self, template: str, /, **params: object) -> str:
        """Return the sentence."""
        ...


@dataclass(frozen=True, slots=True)
class Drawing(Generic[DataT]):
    """One kind of figure.

    Attributes
    ----------
    data : type
        The class of its data, whose `kind` names it.
    title : Text
        What is shown, in a few words.
    draw : callable
        Draws data into a matplotlib Figure with the colours of `style`; raises ValueError or
        IndexError for numbers that make no such figure.
    caption : callable
        From data to a sentence or two: what to see, and what the figure does not show.
    alt : callable
        From data to what a reader who sees no figure must know of it.
    size : pair of float
        Width and height in inches, at 72 units of SVG an inch.
    """

    data: type[DataT]
    title: Text
    draw: Callable[[Any, DataT, Say], None]
    caption: Callable[[DataT], Text]
    alt: Callable[[DataT], Text]
    size: tuple[float, float] = (5.2, 3.0)  # 374 units: whole on a phone, two beside each other


def number_above(axes: Any, value: float, at: float, said: str, colour: str) -> None:
    """Write a number above its mark, on paper: no line of the figure runs through it."""
    axes.annotate(
        said,
        (value, at),
        xytext=(0, 9),
        ha="center",
        textcoords="offset points",
        color=colour,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
    )


def legend_above(axes: Any, columns: int) -> None:
    """Put the legend over the axes, so that no axis is longer than its data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.3)
