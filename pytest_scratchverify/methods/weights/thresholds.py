"""Decision thresholds of the weights method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.thresholds import Thresholds
from pytest_scratchverify.stats.weights.direction import OrderWeights

# Share of neurons recognised by frames from which it is descent: between a student of hidden states
# (.034) and a renumbered descendant of 64 channels (.26), both trained (`benchmarks.framed_kin`).
FRAMES_INHERITED = 0.15
# Chosen, not calibrated: a forger must not be cleared by what he leaves to be compared.
UNPLACED = 0.01  # of a component's parameters may be of unknown name or dtype, or second in a place


@dataclass(frozen=True, kw_only=True)
class WeightsThresholds(Thresholds):
    """Read from suites/calibration/weights.json, which tools/calibrate/weights.py writes.

    `shared` and `derived` are aligned cosines by component: below the first a relation is
    not called one, from the second on it is called descent where the norm gains say so too, and
    what lies between is as alike as twins from one seed are. Without the gains' word descent
    is called from `derived_alone` on.
    """

    method: ClassVar[str] = "weights"

    alpha: float
    undecided: float
    tests: int
    shared: Mapping[str, float]
    derived: Mapping[str, float]
    derived_alone: float
    gains_learned: float
    gains_pvalue: float
    agreement_none: float
    agreement_inherited: float
    aligned_agreement: float
    aligned_table: float
    aligned_attention: float
    growth: float
    channels_alike: float
    table_in_basis: float
    angles_shared: float
    merge_related: float
    merge_share: float
    merge_mixture: float
    merge_explained: float
    layer_share: float
    fine_tune: float
    pruned_zeros: float
    dilution: tuple[float, ...]
    direction: OrderWeights

    @property
    def merge_drift(self) -> float:
        """How far training goes along two models' difference, in parts of how far across it.

        A model trained on what another was trained on, in its order, and a checkpoint on the way
        to another, explain drift^2 / (1 + drift^2) of their distance by it: `merge_explained`
        lies above what was measured of such.
        """
        return math.sqrt(self.merge_explained / (1 - self.merge_explained))

    def shared_from(self, component: Component) -> float:
        """Return the aligned cosine from which a relation counts."""
        return self.shared[component.value]

    def derived_from(self, component: Component) -> float:
        """Return the aligned cosine from which a relation is descent."""
        return self.derived[component.value]
