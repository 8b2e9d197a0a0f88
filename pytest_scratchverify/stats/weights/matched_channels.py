"""Correspondence of the channels of two residual streams, by anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_scratchverify.stats.weights.anchored_matching import Anchors
from pytest_scratchverify.stats.weights.assignment import best_permutation
from pytest_scratchverify.stats.weights.centring import unit_rows

WIDEST = 4096  # channels that an assignment is asked about


@dataclass(frozen=True, slots=True)
class Channels:
    """How the channels of two residual streams correspond, by anchors.

    `alike` is the mean cosine of matched channels over the anchors, `fixed_share` the
    share of channels that are matched to their own number.
    """

    alike: float
    fixed_share: float


def matched_channels(anchors: Anchors) -> Channels | None:
    """Match channels one to one: near 1 if they were permuted at most, low if rotated.

    None where the widths differ or are more than an assignment can take.
    """
    width = anchors.ours.shape[1]
    if width != anchors.theirs.shape[1] or width > WIDEST:
        return None
    cosines = np.abs(unit_rows(anchors.ours.T.copy()) @ unit_rows(anchors.theirs.T.copy()).T)
    order = best_permutation(cosines)
    own = np.arange(width)
    return Channels(float(cosines[own, order].mean()), float(np.mean(order == own)))
