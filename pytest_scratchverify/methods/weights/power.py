"""What the weights test would have found: the suspect's own slices, diluted with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Power
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.any_basis import InAnyBasis, compare_angles
from pytest_scratchverify.methods.weights.measure import Batch, Measure
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_matching import disguised
from pytest_scratchverify.stats.weights.anchored_search import anchored_match
from pytest_scratchverify.stats.weights.power_by_dilution import DilutionCurve, dilution_curve
from pytest_scratchverify.tensors.slices import Slot

Array = NDArray[np.float32]

DRAWS = 20
AGAIN = 512  # neurons of a layer, up to which matching is repeated for its power


def curve(component: Component, probe: Batch, numbers: WeightsThresholds) -> DilutionCurve:
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


def in_any_basis(basis: InAnyBasis | None, numbers: WeightsThresholds) -> float | None:
    """Measure at which cosine the suspect's own layers are recognised in another basis.

    None where they were not looked at so, or are too many to be matched again and again.
    """
    if basis is None or max(len(views[0]) for views in basis.views.values()) > AGAIN:
        return None
    rng = np.random.default_rng(519)
    for share in (s for s in numbers.dilution if s >= numbers.agreement_inherited):
        faint = {
            key: [diluted(view, share, rng) for view in views] for key, views in basis.views.items()
        }
        found = anchored_match(disguised(faint, rng), basis.views)
        significant = found is not None and numbers.tests * found.pvalue <= numbers.alpha
        if found is not None and significant and found.effect >= numbers.agreement_inherited:
            return share
    return None


def by_angles(component: Component, probe: Batch, numbers: WeightsThresholds) -> float | None:
    """Measure at which cosine the angles among the suspect's neurons still give a copy away."""
    rng = np.random.default_rng(520)
    for share in (s for s in numbers.dilution if s >= numbers.shared_from(component)):
        faint = {piece: (a, diluted(a, share, rng)) for piece, (a, _) in probe.items()}
        found = compare_angles(faint, component)
        if found is None:
            return None
        if numbers.tests * found.pvalue <= numbers.alpha and found.effect >= numbers.angles_shared:
            return share
    return None


def diluted(values: Array, share: float, rng: np.random.Generator) -> Array:
    """Mix weights with noise of their own size so that `share` is the cosine with the original."""
    noise = rng.standard_normal(values.shape, np.float32) * float(values.std())
    mixed: Array = (share * values + np.sqrt(1 - share**2) * noise).astype(np.float32)
    return mixed


@dataclass(frozen=True, slots=True)
class PowerMeasured:
    """What the same bytes would have found: in place, and from which cosines on otherwise."""

    curve: DilutionCurve | None
    any_basis: float | None
    angles: float | None


def power_of(found: PowerMeasured | None) -> Power | None:
    """Say it in words; None where nothing would have been found."""
    curve = found.curve if found else None
    if found is None or curve is None or curve.minimum_detectable_effect is None:
        return None
    if curve.power is None:
        return None
    effect, power = curve.minimum_detectable_effect, curve.power
    words = {"effect": effect, "power": power}
    if found.any_basis is not None:
        description = Text(
            "weights as weakly inherited as cosine {effect}, in their order, would have been"
            " found with probability {power}, and whole layers in any other order or basis from"
            " cosine {other} on",
            **words,
            other=found.any_basis,
        )
    elif found.angles is not None:
        description = Text(
            "weights as weakly inherited as cosine {effect}, in their order, would have been"
            " found with probability {power}, and a copy in another basis from cosine {other} on;"
            " not one whose neurons were renumbered as well as its channels",
            **words,
            other=found.angles,
        )
    else:
        description = Text(
            "weights as weakly inherited as cosine {effect}, in their order, would have been"
            " found with probability {power}; a copy whose channels were renumbered together with"
            " new embeddings, or rotated, would not",
            **words,
        )
    return Power(minimum_detectable_effect=effect, power=power, description=description)
