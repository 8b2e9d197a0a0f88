"""Figure data: typed where a method measures them, JSON where they travel, typed where drawn.

A method leaves numbers, never a picture: a few hundred at most. matplotlib is an extra and stays
in `report.figures`, which draws an object of each class below `FigureData` by its `kind`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, ClassVar, Self

from pytest_scratchverify.core.json_values import Json, to_builtin


@dataclass(frozen=True, slots=True)
class Figure:
    """The data of one figure as a finding carries them: the kind of drawing, and its JSON."""

    kind: str
    data: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", to_builtin(self.data))


class FigureDataError(ValueError):
    """The JSON of a figure is not of the class that draws its kind."""


class FigureData:
    """Base of the frozen dataclasses that methods leave for drawings.

    Attributes
    ----------
    kind : str
        Names the drawing in `report.figures.registry`; one class each.
    """

    __slots__ = ()
    kind: ClassVar[str]

    @property
    def drawable(self) -> bool:
        """Whether there is enough to draw: too little is no error, and makes no figure."""
        return True

    def to_json(self) -> Figure:
        """Return the data as a finding carries them."""
        return Figure(self.kind, asdict(self))  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Self:
        """Read what `to_json` wrote. Raises `FigureDataError` for data of another form."""
        try:
            found: Self = _converter().structure(data, cls)
        except Exception as error:  # cattrs passes on whatever a foreign value raises
            raise FigureDataError(f"no data of {cls.kind}: {error}") from error
        return found


@cache
def _converter() -> Any:
    from cattrs import Converter  # noqa: PLC0415 - 90 ms that collection need not pay

    return Converter(forbid_extra_keys=True, detailed_validation=False)
