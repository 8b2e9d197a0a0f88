"""Controls and power of recognition by residual frames: copies of known truth, made of own slices.

The basis is changed by renumbering channels and turning their signs. What a frame rests on does
not change under any rotation (`tests/stats/weights/test_residual_frame.py`), a general one of a
wide stream costs minutes, and without any the search would start where the copy is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.evidence import Control
from pytest_scratchverify.methods.weights.controls import DENSE, shipped
from pytest_scratchverify.methods.weights.framed_basis import FramedBasis
from pytest_scratchverify.methods.weights.thresholds import FRAMES_INHERITED, WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_matching import Views
from pytest_scratchverify.stats.weights.framed_recognition import (
    Network,
    Sampled,
    recognise_by_frames,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.power_by_dilution import Promise, diluted, promised
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]

DRAWS = 8
HEAD = 16  # rows of a head in the models whose slices are shipped


@cache
def known_framed(alpha: float, share: float) -> tuple[Control, Control]:
    """Recognise a known descendant, renumbered, and not an unrelated model, renumbered alike."""
    parent, child, unrelated = DENSE
    found = []
    for name, kind in ((child, "positive"), (unrelated, "negative")):
        ours, theirs = _shipped_network(name), _shipped_network(parent)
        rng = np.random.default_rng(20261126)
        match = recognise_by_frames(renumbered(ours, rng), theirs) if ours and theirs else None
        passed = None
        if match is not None:
            passed = (match.pvalue <= alpha and match.effect >= share) is (kind == "positive")
        value = None if match is None else match.effect
        found.append(
            Control(kind=kind, pair=(parent, name), passed=passed, value=value, disguised=True)
        )
    return found[0], found[1]


def _shipped_network(name: str) -> Network | None:
    slices, blocks = shipped(name), shipped(f"{name}.blocks")
    if slices is None or blocks is None:
        return None
    parts = {slot: values for side in (slices, blocks) for (slot, _), values in side.slices.items()}
    heads, neurons = {}, {}
    for slot, values in parts.items():
        if slot.kind not in ("k", "gate"):
            continue
        names = ("k", "v", "norm_in") if slot.kind == "k" else ("gate", "up", "norm_post")
        one, two, gains = (parts[Slot(slot.component, name, slot.layer)] for name in names)
        rows = one * gains[0], two * gains[0]
        if slot.kind == "k":
            cut = (len(values) // HEAD, HEAD, values.shape[1])
            heads[slot.layer] = [HeadReads(row.reshape(cut)) for row in rows]
        else:
            neurons[slot.layer, slot.expert] = Sampled(rows, len(values))
    return Network(heads, neurons)


def renumbered(network: Network, rng: np.random.Generator) -> Network:
    """Renumber heads, neurons and channels: samples of a block have few neurons in common then.

    The others are strangers of the same lengths: rows whose channels changed their signs.
    """
    width = next(iter(network.heads.values()))[0].width
    channels = rng.permutation(width)
    signs = rng.choice(np.array([-1, 1], np.float32), width)
    heads = {}
    for number, layer in network.heads.items():
        order = rng.permutation(layer[0].heads)
        heads[number] = [replace(one, rows=one.rows[order][..., channels] * signs) for one in layer]
    neurons = {}
    for key in sorted(network.neurons):
        block = _resampled(network.neurons[key], rng)
        neurons[key] = Sampled([view[:, channels] * signs for view in block.views], block.total)
    places = {
        n: replace(one, rows=one.rows[..., channels] * signs) for n, one in network.places.items()
    }
    return Network(heads, neurons, places)


def _resampled(block: Sampled, rng: np.random.Generator) -> Sampled:
    size = len(block.views[0])
    order = rng.permutation(size)
    strangers = np.flatnonzero(rng.random(size) >= size / block.total)
    views: list[Array] = []
    signs = rng.choice(np.array([-1, 1], np.float32), (len(strangers), block.views[0].shape[1]))
    for view in block.views:
        taken = view[order]
        taken[strangers] *= signs
        views.append(taken)
    return Sampled(views, block.total)


def power_of_frames(framed: FramedBasis | None, thresholds: WeightsThresholds) -> Promise | None:
    """Measure at which cosine a copy of all that was read is recognised in any order and basis.

    None where no such copy is, or nothing was asked by frames.
    """
    if framed is None or not framed.network.neurons:
        return None
    rng = np.random.default_rng(521)
    own = framed.network

    def detects(share: float) -> bool:
        copy = renumbered(faint(own, share, rng), rng)
        match = recognise_by_frames(copy, own, moved=False)
        if match is None:
            return False
        pvalue = thresholds.tests * framed.tried * match.pvalue
        return pvalue <= thresholds.alpha and match.effect >= FRAMES_INHERITED

    shares = [s for s in thresholds.dilution if s >= thresholds.agreement_inherited]
    return promised(shares, detects, DRAWS, read=len(own.heads), blocks=framed.deep)


def faint(network: Network, share: float, rng: np.random.Generator) -> Network:
    """Mix all rows with noise of their own size, so that `share` is the cosine with them."""

    def mixed(views: Views) -> list[Array]:
        return [diluted(view, share, rng) for view in views]

    heads = {
        number: [replace(one, rows=diluted(one.rows, share, rng)) for one in layer]
        for number, layer in sorted(network.heads.items())
    }
    blocks = sorted(network.neurons.items())
    neurons = {key: Sampled(mixed(one.views), one.total) for key, one in blocks}
    places = {
        number: replace(one, rows=diluted(one.rows, share, rng))
        for number, one in sorted(network.places.items())
    }
    return Network(heads, neurons, places)
