"""What the weights test would have found: the suspect's own slices, diluted with noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.slices import Slot
from pytest_scratchverify.methods.weights_calibration import WeightsCalibration
from pytest_scratchverify.methods.weights_measure import Batch, Measure
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.model.evidence import Power
from pytest_scratchverify.model.text import Text
from pytest_scratchverify.stats.dilution import DilutionCurve, dilution_curve

Array = NDArray[np.float32]

DRAWS = 20


def curve(component: Component, probe: Batch, numbers: WeightsCalibration) -> DilutionCurve:
    """Measure at which cosine with its parent a descendant of these slices is found."""
    pieces = [piece for piece, pair in sorted(probe.items()) if len(pair[0]) > 1]
    originals = [probe[piece][0] for piece in pieces]
    bar = numbers.shared_from(component)

    def detects(slices: Sequence[Array]) -> bool:
        batch: dict[tuple[Slot, int], tuple[Array, Array]] = {
            piece: (a, b) for piece, a, b in zip(pieces, originals, slices, strict=True)
        }
        taken = Measure(component, matching=False)
        taken.add(batch)
        found = taken.result(halves=False)
        significant = numbers.tests * found.pvalue <= numbers.alpha
        return significant and (found.similarity or 0.0) >= 0.9 * bar

    shares = [share for share in numbers.dilution if share >= bar]
    return dilution_curve(
        originals, detects, np.random.default_rng(519), draws=DRAWS, shares=shares
    )


def power_of(found: DilutionCurve | None) -> Power | None:
    """Say it in words; None where nothing would have been found."""
    if found is None or found.minimum_detectable_effect is None or found.power is None:
        return None
    effect, power = found.minimum_detectable_effect, found.power
    return Power(
        minimum_detectable_effect=effect,
        power=power,
        description=Text(
            "weights as weakly inherited as cosine {effect}, in their order, would have been"
            " found with probability {power}; a copy whose channels were renumbered together with"
            " new embeddings, or rotated, would not",
            effect=effect,
            power=power,
        ),
    )
