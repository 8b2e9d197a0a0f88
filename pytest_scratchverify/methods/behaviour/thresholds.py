"""Decision thresholds of the behaviour method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pytest_scratchverify.methods.thresholds import Thresholds


@dataclass(frozen=True, kw_only=True)
class BehaviourThresholds(Thresholds):
    """Read from suites/calibration/behaviour.json, which tools/calibrate/behaviour.py writes.

    Shares are of probes (0 to 1). `least_excess_distance` is the smallest effect that counts, by
    the name of a test of distances; `least_excess_next_token` that of likeness of next tokens,
    by what is known of them.
    """

    method: ClassVar[str] = "behaviour"

    alpha: float
    usable_share: float
    fallback_share: float
    least_excess: float
    least_excess_distance: Mapping[str, float]
    least_excess_next_token: Mapping[str, float]
    next_token_same: float
    next_token_fallback: float
    power_share: float
    fewest_shared: int
    top_two_share: float
    fewest_identity: int
    identity_allowed: float
    cutoff_alpha: float
    cutoff_fall: float
