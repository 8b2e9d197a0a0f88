"""Statistical power of the weights test: the suspect's own slices, diluted with noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.core.evidence import Power
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.angles import compare_angles, takes_part
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.framed_power import power_of_frames
from pytest_scratchverify.methods.weights.measure import Measure
from pytest_scratchverify.methods.weights.neurons import Batch
from pytest_scratchverify.methods.weights.rotation_invariant import RotationInvariantMatch
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_matching import disguised
from pytest_scratchverify.stats.weights.anchored_search import HeldOut, described, recognise_one
from pytest_scratchverify.stats.weights.power_by_dilution import (
    PowerCurve,
    Promise,
    diluted,
    power_curve,
    promised,
)
from pytest_scratchverify.stats.weights.public_formula import formula_of
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]

DRAWS = 20
AGAIN = 512  # neurons of a layer, up to which matching is repeated for its power

HEADLINES = {
    "rotation_invariant": "weights as weakly inherited as cosine {effect}, in their order, would"
    " have been found with probability {power}; one whole block alone, in any other place, order"
    " or basis, from cosine {other} on, if it is among the {read} of {blocks} that were read:"
    " {hits} of {draws} such copies were found",
    "own number": "weights as weakly inherited as cosine {effect}, in their order, would have been"
    " found with probability {power}; one whole expert alone, under its own number, in any other"
    " order or basis, from cosine {other} on, if it is among the {read} of {blocks} that were"
    " read: {hits} of {draws} such copies were found; experts that were renumbered were not"
    " looked for",
    "frames": "weights as weakly inherited as cosine {effect}, in their order, would have been"
    " found with probability {power}; a copy of all layers whose channels were renumbered or"
    " rotated and whose neurons and heads were renumbered as well, from cosine {other} on: {hits}"
    " of {draws} such copies were found, by the keys and values of the {read} of {blocks} layers"
    " that were read and samples of neurons",
    "frames, own number": "weights as weakly inherited as cosine {effect}, in their order, would"
    " have been found with probability {power}; a copy of all layers whose channels were renumbered"
    " or rotated and whose neurons and heads were renumbered as well, from cosine {other} on:"
    " {hits} of {draws} such copies were found, by the keys and values of the {read} of {blocks}"
    " layers that were read and samples of neurons; experts that were renumbered were not looked"
    " for",
    "angles": "weights as weakly inherited as cosine {effect}, in their order, would have been"
    " found with probability {power}, and a copy of all that was read in another basis from cosine"
    " {other} on: {hits} of {draws} such copies were found; not one whose neurons were renumbered"
    " as well as its channels",
    "aligned": "weights as weakly inherited as cosine {effect}, in their order, would have been"
    " found with probability {power}; a copy whose channels were renumbered together with"
    " new embeddings, or rotated, would not",
    "in place": "weights as weakly inherited as cosine {effect}, in their order, would have been"
    " found with probability {power}; a copy whose channels were renumbered or rotated would not",
}


@dataclass(frozen=True, slots=True)
class PowerMeasured:
    """What the same bytes would have found: in place, one block in any basis, else by angles.

    `by_tokens` says that channels were aligned by the embeddings of shared tokens as well, which
    sees renumbered channels; wide tables are not (`alignment.WIDEST`).
    """

    curve: PowerCurve | None
    rotation_invariant: Promise | None
    angles: Promise | None
    frames: Promise | None = None
    by_tokens: bool = False


def measure_power(
    component: Component, compared: Compared, thresholds: WeightsThresholds
) -> PowerMeasured:
    """Measure what would have been found of a descendant of the suspect's own slices."""
    rotated = None if component in TOKEN_TABLES else compared.rotated
    block = _rotation_invariant(rotated, thresholds)
    own = component not in TOKEN_TABLES  # the decoder's frames say nothing of its tables
    frames = power_of_frames(compared.framed, thresholds) if own and block is None else None
    none = block is None and frames is None
    return PowerMeasured(
        _in_place(component, compared.sample, thresholds),
        block,
        _by_angles(component, compared.sample, thresholds) if none else None,
        frames,
        by_tokens=compared.aligned is not None,
    )


def _in_place(component: Component, sample: Batch, thresholds: WeightsThresholds) -> PowerCurve:
    """Measure at which cosine with its parent a descendant of these slices is found."""
    pieces = [piece for piece, pair in sorted(sample.items()) if len(pair[0]) > 1]
    originals = [sample[piece][0] for piece in pieces]
    bar = thresholds.shared_from(component)
    own = zip(pieces, originals, strict=True)
    learnt = {piece for piece, a in own if formula_of(a, piece[1]) is None}

    def detects(slices: Sequence[Array]) -> bool:
        batch: dict[tuple[Slot, int], tuple[Array, Array]] = {
            piece: (a, b) for piece, a, b in zip(pieces, originals, slices, strict=True)
        }
        level = thresholds.alpha / thresholds.tests
        return Measure(component).rejects(batch, level, 0.9 * bar, learnt)

    shares = [share for share in thresholds.dilution if share >= bar]
    return power_curve(originals, detects, np.random.default_rng(519), draws=DRAWS, shares=shares)


def _rotation_invariant(
    rotated: RotationInvariantMatch | None, thresholds: WeightsThresholds
) -> Promise | None:
    """Measure at which cosine one of the suspect's own blocks is recognised in another basis.

    The descendant that is promised has one copied block, and strangers in all other places: they
    cost the factor of Bonferroni and give no anchors. None where no block was looked at so, or
    they are too many to be matched again and again.
    """
    if rotated is None or max(len(views[0]) for views in rotated.views.values()) > AGAIN:
        return None
    rng = np.random.default_rng(519)
    keys, known = sorted(rotated.views), described(rotated.views)
    among = len(keys) * rotated.tried

    def recognised(found: HeldOut) -> bool:
        significant = thresholds.tests * found.pvalue <= thresholds.alpha
        return significant and found.share >= thresholds.agreement_inherited

    def detects(share: float) -> bool:
        key = keys[rng.integers(len(keys))]
        faint = {key: [diluted(view, share, rng) for view in rotated.views[key]]}
        copy = disguised(faint, rng)[key]
        return recognised(recognise_one(copy, rotated.views, known, among, recognised))

    shares = [s for s in thresholds.dilution if s >= thresholds.agreement_inherited]
    promise = promised(shares, detects, DRAWS, read=len(keys), blocks=rotated.blocks)
    return None if promise is None else replace(promise, renumbered=rotated.renumbered)


def _by_angles(
    component: Component, sample: Batch, thresholds: WeightsThresholds
) -> Promise | None:
    """Measure at which cosine the angles among the suspect's neurons still give a copy away."""
    rng = np.random.default_rng(520)
    own = {piece: a for piece, (a, _) in sample.items() if takes_part(piece[0])}

    def detects(share: float) -> bool:
        faint = {piece: (a, diluted(a, share, rng)) for piece, a in own.items()}
        found = compare_angles(faint, component)
        if found is None:
            return False
        significant = thresholds.tests * found.pvalue <= thresholds.alpha
        return significant and found.effect >= thresholds.angles_shared

    bar = thresholds.shared_from(component)
    return promised([s for s in thresholds.dilution if s >= bar], detects, DRAWS)


def power_of(found: PowerMeasured | None) -> Power | None:
    """Say it in words; None where nothing would have been found."""
    curve = found.curve if found else None
    if found is None or curve is None or curve.minimum_detectable_effect is None:
        return None
    if curve.power is None:
        return None
    effect, power = curve.minimum_detectable_effect, curve.power
    words: dict[str, object] = {"effect": effect, "power": power}
    key = "aligned" if found.by_tokens else "in place"
    promise = found.rotation_invariant or found.frames or found.angles
    if promise is not None:
        words |= {"other": promise.cosine, "hits": promise.hits, "draws": promise.draws}
        key = "angles"
    if promise is not None and promise is found.frames:
        words |= {"read": promise.read, "blocks": promise.blocks}
        key = "frames" if promise.renumbered else "frames, own number"
    elif promise is not None and promise is found.rotation_invariant:
        words |= {"read": promise.read, "blocks": promise.blocks}
        key = "rotation_invariant" if promise.renumbered else "own number"
    description = Text(HEADLINES[key], **words)
    return Power(minimum_detectable_effect=effect, power=power, description=description)
