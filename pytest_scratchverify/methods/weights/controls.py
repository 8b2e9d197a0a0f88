"""Positive and negative controls: pairs of known truth, measured by the code of the test.

A verdict stands on the test having found a descendant, and spared an unrelated model, a moment
before. The pairs are slices of small models that were trained for this (`tools/zoo/train`); the
suspect's own slices, permuted, show whether the test follows numbers or contents, and the
reference's, exchanged among equals, whether a convention explains what the pair has in common:
the first are the same at every call and test the installation, the last is made of the pair.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.core.evidence import Control
from pytest_scratchverify.methods.weights.measure import Measured, gains_of, measure
from pytest_scratchverify.methods.weights.neurons import Batch
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_matching import disguised
from pytest_scratchverify.stats.weights.anchored_search import Key, anchored_match
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity, gain_similarity
from pytest_scratchverify.tensors.control_slices import ControlSlices, load_control_slices
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]

FOLDER = Path(__file__).parents[2] / "catalog" / "fingerprints"
# Parent, descendant (continued pretraining at full rate), unrelated; by the kind of component.
DENSE = ("zoo-s0", "zoo-s0-cpt-long", "zoo-s1")
MIXTURE = ("zoo-moe0", "zoo-moe0-cpt-long", "zoo-moe1")
COMPOSITE = ("zoo-vl0", "zoo-vl0-finetune", "zoo-vl1")
TRIOS = {
    Component.ROUTER_EXPERTS: MIXTURE,
    Component.VISION_ENCODER: COMPOSITE,
    Component.PROJECTOR: COMPOSITE,
    # No audio tower was trained for this; a vision tower is made of the same blocks.
    Component.AUDIO_ENCODER: COMPOSITE,
}
GAIN_DRAWS = 999
STAND_INS = {Component.AUDIO_ENCODER: Component.VISION_ENCODER}


@cache
def shipped(name: str) -> ControlSlices | None:
    """Load a shipped fingerprint; None if the installation lacks it, which voids the run."""
    path = FOLDER / f"{name}.safetensors"
    return load_control_slices(path) if path.exists() else None


@cache
def known_pairs(component: Component, alpha: float) -> tuple[Control, Control]:
    """Measure the known descendant and the known unrelated model of the component's kind."""
    parent, child, unrelated = TRIOS.get(component, DENSE)
    stand_in = STAND_INS.get(component, component)
    positive = _measure_shipped(stand_in, parent, child)
    negative = _measure_shipped(stand_in, parent, unrelated)
    return (
        Control(
            kind="positive",
            pair=(parent, child),
            passed=None if positive is None else positive.pvalue <= alpha,
            value=None if positive is None else positive.similarity,
        ),
        Control(
            kind="negative",
            pair=(parent, unrelated),
            passed=None if negative is None else negative.pvalue > alpha,
            value=None if negative is None else negative.similarity,
        ),
    )


@cache
def _shipped_gains(one: str, two: str) -> GainSimilarity | None:
    gains = gains_of(_beside(Component.TEXT_DECODER, one, two))
    return gain_similarity(gains, np.random.default_rng(2026), GAIN_DRAWS) if gains else None


def known_gains(thresholds: WeightsThresholds) -> tuple[Control, Control]:
    """Compare the norm gains of a descendant, and of an unrelated model, with the parent's."""
    parent, child, unrelated = DENSE
    found = []
    for name, kind in ((child, "positive"), (unrelated, "negative")):
        gains = _shipped_gains(parent, name)
        passed = None
        if gains is not None:
            alike = (
                gains.effect >= thresholds.gains_learned and gains.pvalue <= thresholds.gains_pvalue
            )
            passed = alike is (kind == "positive")
        value = None if gains is None else gains.effect
        found.append(Control(kind=kind, pair=(parent, name), passed=passed, value=value))
    return found[0], found[1]


def _measure_shipped(component: Component, one: str, two: str) -> Measured | None:
    batch = _beside(component, one, two)
    return measure(component, [batch], matching=False, halves=False) if batch else None


def _beside(component: Component, one: str, two: str) -> Batch:
    left, right = shipped(one), shipped(two)
    return left.beside(right, component.value) if left and right else {}


@cache
def known_rotated(alpha: float, share: float) -> tuple[Control, Control]:
    """Rotate a known descendant, which must be recognised, and an unrelated model, which must not.

    Neurons are permuted and rescaled as well, in the same way; `share` of a layer's neurons
    is what recognition asks for.
    """
    parent, child, unrelated = DENSE
    found = []
    for name, kind in ((child, "positive"), (unrelated, "negative")):
        ours, theirs = _whole_blocks(name), _whole_blocks(parent)
        rng = np.random.default_rng(20260109)
        match = anchored_match(disguised(ours, rng), theirs) if ours and theirs else None
        passed = None
        if match is not None:
            recognised = match.pvalue <= alpha and match.effect >= share
            passed = recognised is (kind == "positive")
        value = None if match is None else match.effect
        found.append(
            Control(kind=kind, pair=(parent, name), passed=passed, value=value, disguised=True)
        )
    return found[0], found[1]


def _whole_blocks(name: str) -> dict[Key, list[Array]]:
    blocks = shipped(f"{name}.blocks")
    if blocks is None:
        return {}
    found: dict[Key, list[Array]] = {}
    for slot, _ in blocks.slices:
        if slot.kind != "gate":
            continue
        parts = {
            s.kind: values for (s, _), values in blocks.slices.items() if s.layer == slot.layer
        }
        gains = parts["norm_post"][0]
        views = [parts["gate"] * gains, parts["up"] * gains, parts["down"].T.copy()]
        found[slot.layer, slot.expert] = views
    return found


def self_permuted(
    component: Component, names: tuple[str, str], sample: Batch, thresholds: WeightsThresholds
) -> Control:
    """Permute a model's own slices: tests of aligned weights must find nothing.

    Where gate and up matrices are at hand whole, matching must find the neurons again. The
    suspect's slices are asked first. Where they break the control (neurons that are there twice
    do), the reference's answer for them, which the suspect cannot touch: the null needs one side
    alone whose numbers mean nothing. Where both fail, the control has failed. `names` are the
    suspect's and the reference's; whose slices were taken is the first of the control's pair.
    """
    found = []
    for side, name in enumerate(names):
        slices = {piece: (pair[side], pair[side]) for piece, pair in sample.items()}
        found.append(_renumbered(component, name, slices, thresholds))
        if found[-1].passed:
            return found[-1]
    return found[0]


def _renumbered(
    component: Component, name: str, sample: Batch, thresholds: WeightsThresholds
) -> Control:
    rng = np.random.default_rng(20260108)
    permuted, rows_only = _permuted(sample, rng)
    blind = measure(component, [permuted], matching=False, halves=False)
    seeing = measure(component, [rows_only], halves=False)
    passed = blind.pvalue > thresholds.alpha
    if seeing.agreement is not None and seeing.agreement.n >= 16:
        passed &= seeing.agreement.effect >= thresholds.agreement_inherited
    return Control(
        kind="self_permuted", pair=(name, "renumbered"), passed=passed, value=blind.similarity
    )


def deranged(
    component: Component, name: str, sample: Batch, thresholds: WeightsThresholds
) -> Control:
    """Exchange the reference's rows among equals in norm: what is left is no neuron's own.

    Rows of a layer change places with their neighbours in the order of their norms, gate and up
    alike, so that every order by size, every group and every class of rows stays what it was. A
    descendant is alike neuron by neuron and loses it. What keeps half of its likeness, and is
    still significant, is explained by the order of rows, and the control fails. Rows of a table
    are tokens, which have a meaning; there the channels, whose numbers are tested, change places.
    """
    if component in TOKEN_TABLES:
        moved = {k: (a, b[:, _neighbours((b**2).sum(axis=0))]) for k, (a, b) in sample.items()}
    else:
        moved = _exchanged(sample)
    found = measure(component, [moved], matching=False, halves=False)
    left, explained = found.similarity or 0.0, False
    if found.pvalue <= thresholds.alpha:
        whole = measure(component, [sample], matching=False, halves=False).similarity or 0.0
        explained = left >= whole / 2
    return Control(kind="deranged", pair=(name, "own rows"), passed=not explained, value=left)


def _exchanged(sample: Batch) -> dict[tuple[Slot, int], tuple[Array, Array]]:
    norms: dict[tuple[int, str, int, int], Array] = {}
    for (slot, start), (_, theirs) in sample.items():
        if len(theirs) > 1:
            key = (slot.layer, slot.expert, start, len(theirs))
            size = (theirs**2).sum(axis=1)
            norms[key] = norms[key] + size if key in norms else size
    found = {}
    for (slot, start), (ours, theirs) in sample.items():
        rows = norms.get((slot.layer, slot.expert, start, len(theirs)))
        moved = theirs if rows is None else theirs[_neighbours(rows)]
        found[slot, start] = (ours, moved)
    return found


def _neighbours(sizes: Array) -> NDArray[np.intp]:
    """Return an order in which every row has changed places with one next to it in size."""
    ranked = np.argsort(sizes, kind="stable")
    order = np.arange(len(sizes))
    paired = len(sizes) // 2 * 2
    order[ranked[:paired:2]], order[ranked[1:paired:2]] = ranked[1:paired:2], ranked[:paired:2]
    if paired < len(sizes):  # the last of an odd number takes part as well
        order[ranked[-1]], order[ranked[0]] = order[ranked[0]], ranked[-1]
    return order


def _permuted(
    sample: Batch, rng: np.random.Generator
) -> tuple[
    dict[tuple[Slot, int], tuple[Array, Array]], dict[tuple[Slot, int], tuple[Array, Array]]
]:
    columns: dict[int, NDArray[np.intp]] = {}
    rows: dict[tuple[int, str, int, int], NDArray[np.intp]] = {}
    both, only = {}, {}
    for piece, (ours, _) in sorted(sample.items()):
        slot, start = piece
        height, width = ours.shape
        if width not in columns:
            columns[width] = rng.permutation(width)
        key = (slot.layer, slot.expert, start, height)
        if key not in rows:
            rows[key] = rng.permutation(height)
        moved = ours[rows[key]]
        only[piece] = (ours, moved)
        both[piece] = (ours, moved[:, columns[width]])
    return both, only
