"""Decision thresholds of the training-log method, and the null of what has no distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_scratchverify.core.evidence import Null
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.thresholds import Thresholds

ALPHA = 1e-3


@dataclass(frozen=True, kw_only=True)
class TrainingLogThresholds(Thresholds):
    """Read from suites/calibration/training_log.json, which tools/calibrate/training_log.py writes.

    `population` is the number of real logs that the thresholds rest on, `controls` the losses of
    a pair in the same data order and of one that is not.
    """

    method: ClassVar[str] = "training_log"

    first_loss_low: tuple[tuple[int, float], ...]  # up to a step, loss minus ln(vocabulary)
    first_loss_high: float
    unknown_vocabulary: float
    under_way_drop: float
    unit_drop: float
    unit_steps: int
    averaged: float
    noise_times_root_batch: float
    largest_batch: float  # tokens
    smooth_share: float
    power_law_explained: float
    stages_explained: float
    stages_continued: float
    schedule_error: float
    order_from_step: int
    order_span: int  # points
    same_order: float
    copy: float
    stretch: float
    order_alpha: float
    detour: float
    path_growth: float
    highest_utilisation: float
    population: int
    controls: Mapping[str, Any]
    planted: Mapping[str, Any]  # copies at other steps: noise, n, found, rows

    @classmethod
    def fields_of(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the file's thresholds, with the population's size and the control pairs."""
        population = len(data["population"])
        return {**data["thresholds"], "population": population, "controls": data["controls"],
                "planted": data["planted"]}  # fmt: skip

    def null(self) -> Null:
        """Return the null of what has no distribution: the genuine logs that were measured."""
        return Null(
            kind="reference_population",
            description=Text("Samples of real training logs: Pythia, OLMo-2, nanoGPT"),
            draws=self.population,
        )
