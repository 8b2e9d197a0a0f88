"""What a drawing is: a function that draws, and the words around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_scratchverify.core.text import Text

Data = Mapping[str, Any]


class Say(Protocol):
    """Say a template in the report's language."""

    def __call__(self, template: str, /, **params: object) -> str:
        """Return the sentence."""
        ...


@dataclass(frozen=True, slots=True)
class Drawing:
    """One kind of figure.

    Attributes
    ----------
    title : Text
        What is shown, in a few words.
    draw : callable
        Draws data into a matplotlib Figure with the colours of `style`; raises KeyError,
        TypeError or ValueError for data that are not of its kind.
    caption : callable
        From data to a sentence or two: what to see, and what the figure does not show.
    alt : callable
        From data to what a reader who sees no figure must know of it.
    size : pair of float
        Width and height in inches, at 72 units of SVG an inch.
    """

    title: Text
    draw: Callable[[Any, Data, Say], None]
    caption: Callable[[Data], Text]
    alt: Callable[[Data], Text]
    size: tuple[float, float] = (7.6, 3.4)
