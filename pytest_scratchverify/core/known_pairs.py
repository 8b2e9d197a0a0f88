"""Figure data of a measurement beside the same number on pairs of known truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pytest_scratchverify.core.evidence import Control
from pytest_scratchverify.core.figure import FigureData


@dataclass(frozen=True, slots=True)
class KnownPairs(FigureData):
    """An effect size and, by kind of control, the values of the same statistic.

    `name` is the statistic's; `interval` its confidence interval, where it has one.
    """

    kind: ClassVar[str] = "known_pairs"

    name: str
    observed: float
    positive: tuple[float, ...]
    negative: tuple[float, ...]
    self_permuted: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None


def control_values(
    controls: Iterable[Control], kind: str, *, disguised: bool = False
) -> tuple[float, ...]:
    """Return what controls of a kind measured, of disguised copies or of plain ones."""
    return tuple(
        control.value
        for control in controls
        if (control.kind, control.disguised) == (kind, disguised) and control.value is not None
    )


def known_pairs(
    name: str,
    observed: float | None,
    controls: Iterable[Control],
    *,
    interval: tuple[float, float] | None = None,
    disguised: bool = False,
) -> KnownPairs | None:
    """Set a value beside its controls; None without a value, a descendant or a stranger."""
    found = tuple(controls)
    positive, negative, permuted = (
        control_values(found, kind, disguised=disguised)
        for kind in ("positive", "negative", "self_permuted")
    )
    if observed is None or not (positive and negative):
        return None
    return KnownPairs(name, observed, positive, negative, permuted, interval)
