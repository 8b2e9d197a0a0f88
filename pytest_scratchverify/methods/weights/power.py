"""Statistical power of the weights test: the suspect's own slices, diluted with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.core.evidence import Power
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.angles import compare_angles
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.measure import Batch, Measure
from pytest_scratchverify.methods.weights.rotation_invariant import RotationInvariantMatch
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_matching import disguised
from pytest_scratchverify.stats.weights.anchored_search import anchored_match
from pytest_scratchverify.stats.weights.power_by_dilution import PowerCurve, diluted, power_curve
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]

DRAWS = 20
AGAIN = 512  # neurons of a layer, up to which matching is repeated for its power

HEADLINES = {
    "rotation_invariant": "weights as weakly inherited as cosine {effect}, in their order, would"
    " have been found with probability {power}, and whole layers in any other order or basis from"
    " cosine {other} on",
    "angles": "weights as weakly inherited as cosine {effect}, in their order, would have been"
    " found with probability {power}, and a copy in another basis from cosine {other} on;"
    " not one whose neurons were renumbered as well as its channels",
    "aligned": "weights as weakly inherited as cosine {effect}, in their order, would have been"
    " found with probability {power}; a copy whose channels were renumbered together with"
    " new embeddings, or rotated, would not",
}


@dataclass(frozen=True, slots=True)
class PowerMeasured:
    """What the same bytes would have found: in place, and from which cosines on otherwise."""

    curve: PowerCurve | None
    rotation_invariant: float | None
    angles: float | None


def measure_power(
    component: Component, compared: Compared, thresholds: WeightsThresholds
) -> PowerMeasured:
    """Measure what would have been found of a descendant of the suspect's own slices."""
    rotated = None if component in TOKEN_TABLES else compared.rotated
    return PowerMeasured(
        _in_place(component, compared.sample, thresholds),
        _rotation_invariant(rotated, thresholds),
        _by_angles(component, compared.sample, thresholds),
    )


def _in_place(component: Component, sample: Batch, thresholds: WeightsThresholds) -> PowerCurve:
    """Measure at which cosine with its parent a descendant of these slices is found."""
    pieces = [piece for piece, pair in sorted(sample.items()) if len(pair[0]) > 1]
    originals = [sample[piece][0] for piece in pieces]
    bar = thresholds.shared_from(component)

    def detects(slices: Sequence[Array]) -> bool:
        batch: dict[tuple[Slot, int], tuple[Array, Array]] = {
            piece: (a, b) for piece, a, b in zip(pieces, originals, slices, strict=True)
        }
        taken = Measure(component, matching=False)
        taken.add(batch)
        found = taken.result(halves=False)
        significant = thresholds.tests * found.pvalue <= thresholds.alpha
        return significant and (found.similarity or 0.0) >= 0.9 * bar

    shares = [share for share in thresholds.dilution if share >= bar]
    return power_curve(originals, detects, np.random.default_rng(519), draws=DRAWS, shares=shares)


def _rotation_invariant(
    rotated: RotationInvariantMatch | None, thresholds: WeightsThresholds
) -> float | None:
    """Measure at which cosine the suspect's own layers are recognised in another basis.

    None where they were not looked at so, or are too many to be matched again and again.
    """
    if rotated is None or max(len(views[0]) for views in rotated.views.values()) > AGAIN:
        return None
    rng = np.random.default_rng(519)
    for share in (s for s in thresholds.dilution if s >= thresholds.agreement_inherited):
        faint = {
            key: [diluted(view, share, rng) for view in views]
            for key, views in rotated.views.items()
        }
        found = anchored_match(disguised(faint, rng), rotated.views)
        significant = found is not None and thresholds.tests * found.pvalue <= thresholds.alpha
        if found is not None and significant and found.effect >= thresholds.agreement_inherited:
            return share
    return None


def _by_angles(component: Component, sample: Batch, thresholds: WeightsThresholds) -> float | None:
    """Measure at which cosine the angles among the suspect's neurons still give a copy away."""
    rng = np.random.default_rng(520)
    for share in (s for s in thresholds.dilution if s >= thresholds.shared_from(component)):
        faint = {piece: (a, diluted(a, share, rng)) for piece, (a, _) in sample.items()}
        found = compare_angles(faint, component)
        if found is None:
            return None
        significant = thresholds.tests * found.pvalue <= thresholds.alpha
        if significant and found.effect >= thresholds.angles_shared:
            return share
    return None


def power_of(found: PowerMeasured | None) -> Power | None:
    """Say it in words; None where nothing would have been found."""
    curve = found.curve if found else None
    if found is None or curve is None or curve.minimum_detectable_effect is None:
        return None
    if curve.power is None:
        return None
    effect, power = curve.minimum_detectable_effect, curve.power
    words: dict[str, object] = {"effect": effect, "power": power}
    key = "aligned"
    if found.rotation_invariant is not None:
        key, words["other"] = "rotation_invariant", found.rotation_invariant
    elif found.angles is not None:
        key, words["other"] = "angles", found.angles
    description = Text(HEADLINES[key], **words)
    return Power(minimum_detectable_effect=effect, power=power, description=description)
