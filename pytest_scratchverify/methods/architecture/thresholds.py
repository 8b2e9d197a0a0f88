"""Decision thresholds of the architecture method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_scratchverify.methods.thresholds import Thresholds


@dataclass(frozen=True, kw_only=True)
class ArchitectureThresholds(Thresholds):
    """Read from suites/calibration/architecture.json, which tools/calibrate/architecture.py writes.

    `quantiles` are those of the Gower distances of `pairs` catalogued designs of different
    developers.
    """

    method: ClassVar[str] = "architecture"

    near: float
    parameter_tolerance: float
    quantiles: tuple[tuple[float, float], ...]
    pairs: int

    @classmethod
    def fields_of(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the file's thresholds, with the population's quantiles and size."""
        population = data["population"]
        quantiles = [(float(share), value) for share, value in population["quantiles"].items()]
        return {**data["thresholds"], "quantiles": quantiles, "pairs": population["pairs"]}

    def share_as_near(self, distance: float) -> float:
        """Return the share of foreign pairs at most this far apart, as an upper bound."""
        return next((q for q, value in self.quantiles if value >= distance), 1.0)
