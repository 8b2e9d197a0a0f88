"""Which of two related decoders came first, by how their numbers moved: log odds and their parts.

Said beside a relation and never in its place: it neither accuses nor clears, and the relation
of a finding does not depend on it (`derivation_order` has the marks that it does depend on). For
a pair alone it presumes that one was made of the other; siblings are told by a third model, in
the family of a run (`report.family`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.derivation_order import MODEL, REFERENCE, UNKNOWN
from pytest_scratchverify.methods.weights.neurons import Batch
from pytest_scratchverify.stats.weights.direction import (
    Movement,
    OrderWeights,
    growth_of_gains,
    log_odds,
    marks_of,
    movement,
)

IN_PLACE, MOST_IN_PLACE = 0.3, 0.9  # cosine of a matrix, and the share of them that must have it


@dataclass(frozen=True, slots=True)
class Earlier:
    """The log odds that the reference came before the model, and what they rest on."""

    log_odds: float
    moved: Movement
    gains: float | None
    marked: bool
    weights: OrderWeights

    @property
    def earlier(self) -> str:
        """Which of the two came first, if one of them was made of the other."""
        if abs(self.log_odds) < self.weights.bar:
            return UNKNOWN
        return REFERENCE if self.log_odds > 0 else MODEL

    def to_json(self) -> dict[str, Json]:
        """Return what a finding keeps; `squares` are of the model, the reference, the product."""
        reference, model, product = self.moved.squares
        return {
            "earlier": self.earlier,
            "log_odds": round(self.log_odds, 3),
            "bar": self.weights.bar,
            "bar_of_root": self.weights.root,
            "wrong_pairs": self.weights.wrong_pairs,
            "wrong_roots": self.weights.wrong_roots,
            "marked": self.marked,
            "growth": _rounded(self.moved.growth),
            "growth_of_rows": _rounded(self.moved.growth_of_rows),
            "growth_of_gains": _rounded(self.gains),
            "squares": [model, reference, product],
        }


def earlier_of(compared: Compared, weights: OrderWeights) -> Earlier | None:
    """Tell the earlier of two decoders from the slices that a comparison kept; None without any."""
    if compared.measured.component is not Component.TEXT_DECODER:
        return None
    matrices = _layers(compared.sample)
    if not matrices:
        return None
    movements = [movement(theirs, ours) for ours, theirs in matrices]
    moved = reduce(add, movements)
    if np.mean([one.cosine >= IN_PLACE for one in movements]) < MOST_IN_PLACE:
        return None  # layers or channels were moved: what stands here is not the same matrix
    if not np.isfinite(moved.squares).all() or min(moved.squares[:2]) <= 0:
        return None
    gains = growth_of_gains((theirs, ours) for ours, theirs in compared.measured.gains)
    marks = marks_of([(theirs, ours) for ours, theirs in matrices])
    odds = log_odds((moved.growth, moved.growth_of_rows, gains), weights, marks)
    return Earlier(odds, moved, gains, marks.log_odds is not None, weights)


def came_first(found: Earlier | None) -> Text | None:
    """Say that the model lies before its reference, which whoever reads an accusation must know."""
    if found is None or found.earlier != MODEL:
        return None
    return Text(
        "By how weights grew, the model lies before the reference, if one of the two was made"
        " of the other: ask which took from which. An estimate that decides nothing; of such"
        " statements {wrong} % were wrong on models of known order.",
        wrong=round(100 * found.weights.wrong_pairs, 1),
    )


def details_of_order(found: Earlier | None) -> dict[str, Json]:
    """Return what a finding's details say of the order."""
    return {} if found is None else {"order": found.to_json()}


def _layers(sample: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the matrices of layers in the order of their places, the same for every pair."""
    return [
        pair
        for (slot, _), pair in sorted(sample.items())
        if slot.layer >= 0 and len(pair[0]) > 1 and pair[0].shape == pair[1].shape
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 3)
