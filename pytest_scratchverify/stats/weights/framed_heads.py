"""Heads of a layer matched within a frame, by what their keys read and by what their values do.

Where a frame was fitted to the heads of other layers, the two tables of a copied head find the
same partner; those of strangers agree as two shuffled packs of cards do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.assignment import best_permutation
from pytest_scratchverify.stats.weights.cross_view_matching import SUSPICIOUS
from pytest_scratchverify.stats.weights.residual_frame import Frame, Layer
from pytest_scratchverify.stats.weights.shuffled_cards import cards_pvalue

Array = NDArray[np.float32]

REFLECTIONS = 64  # draws of the pair under its null, for the mean of heads


def agreed_heads(ours: Layer, theirs: Layer, frame: Frame) -> tuple[int, int, float] | None:
    """Count the heads that keys and values match alike; None where they cannot be matched.

    Returns
    -------
    (agreed, heads, chance) or None
        `chance` is how many of strangers would agree, measured on the pair where it matters.
    """
    left = [_crossed(heads.tables(frame.ours)) for heads in ours]
    right = [_crossed(heads.tables(frame.theirs)) for heads in theirs]
    sizes = {len(side) for side in (*left, *right)}
    if len(left) != 2 or len(right) != 2 or len(sizes) > 1 or min(sizes) < 2:
        return None  # latent attention has one table for all heads
    size = sizes.pop()
    agreed, chance = _agreed(left, right), 1.0
    if cards_pvalue(agreed, [size]) < SUSPICIOUS:
        chance = _mean_of_reflections(left, right)
    return agreed, size, chance


def heads_pvalue(agreed: int, sizes: Sequence[int], chance: float) -> float:
    """Return P(so many agree): as shuffled cards, or by the measured mean where that is more.

    A count whose factorial moments are at most the powers of its mean, as those of cards are, is
    k or more with probability mean**k / k! at most.
    """
    pvalue = cards_pvalue(agreed, sizes)
    if chance <= len(sizes) or agreed <= 0:
        return pvalue
    return max(pvalue, math.exp(min(0.0, agreed * math.log(chance) - math.lgamma(agreed + 1))))


def _crossed(tables: Array) -> Array:
    """Flatten tables less their mean, of length one, without what no reflection changes."""
    rank = tables.shape[1]
    rows = (tables - tables.mean(axis=0)) * (1 - np.eye(rank, dtype=np.float32))
    flat = rows.reshape(len(tables), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    found: Array = flat / np.where(norms > 0, norms, 1)
    return found


def _agreed(ours: Sequence[Array], theirs: Sequence[Array]) -> int:
    one, two = (best_permutation(a @ b.T) for a, b in zip(ours, theirs, strict=True))
    return int(np.count_nonzero(one == two))


def _mean_of_reflections(ours: Sequence[Array], theirs: Sequence[Array]) -> float:
    """Return the mean agreement, three standard errors up, with the frame's signs drawn anew."""
    rank = math.isqrt(theirs[0].shape[1])
    rng = np.random.default_rng(rank)
    total = 0
    for _ in range(REFLECTIONS):
        signs = rng.choice(np.array([-1, 1], np.float32), rank)
        turned = np.outer(signs, signs).ravel()
        total += _agreed(ours, [table * turned for table in theirs])
    return max(1.0, (total + 3 * math.sqrt(total)) / REFLECTIONS)
