"""Residual frames: a few directions of one residual stream laid on those of another, unlabelled.

What the heads of a layer read fills some directions of the residual stream more than others. The
sums over heads of what their keys read, and of what their values read (`head_reads`), are
positive semidefinite matrices C of the stream's width, in which no head has a number. Two
networks are one in another basis if one rotation R carries each C of the first into that of the
second. Noise adds to a C what is nearly a multiple of the identity, so its leading directions
outlast much noise, rounding and pruning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.anchored_matching import Anchors
from pytest_scratchverify.stats.weights.assignment import best_permutation
from pytest_scratchverify.stats.weights.head_reads import HeadReads

Array = NDArray[np.float32]
Double = NDArray[np.float64]
Layer = Sequence[HeadReads]  # what the keys and what the values of one layer read

RANKS = (16, 32, 64)  # directions, from coarse to fine
FIRST = (16, 8)  # directions of the first fits
LOOK = 10  # steps after which the best starts are known
KEPT = 4
GOOD = 0.9
ROUNDS = 12  # of subspace iteration
SPARE = 32  # directions beside those that are kept, for its convergence
STEPS = 100
SETTLED = 1e-6


@dataclass(frozen=True, slots=True)
class Frame:
    """Orthonormal directions of two residual streams, (d_A, r) and (d_B, r), one to one.

    `score` says how alike the two networks are along them, by what the frame was fitted to; the
    sign of all directions together is unknown.
    """

    ours: Array = field(repr=False)
    theirs: Array = field(repr=False)
    score: float

    @property
    def anchors(self) -> Anchors:
        """The directions as rows, one to one."""
        return Anchors(self.ours.T, self.theirs.T)


@dataclass(frozen=True, slots=True)
class Leading:
    """The leading directions of some layers, (d, r), and the C within them, (m, r, r)."""

    basis: Array
    inner: Double


def leading(layers: Sequence[Layer]) -> Leading:
    """Find the directions that the heads of `layers` use most, by subspace iteration."""
    parts = [heads for layer in layers for heads in layer]
    width = parts[0].width
    rank = min(RANKS[-1], max(2, width // 2))
    rng = np.random.default_rng(width)  # a start; what it converges to does not depend on it
    basis: Array = rng.normal(size=(width, min(width, rank + SPARE))).astype(np.float32)
    for _ in range(ROUNDS):
        total = np.sum([heads.times(basis) for heads in parts], axis=0)
        basis = np.linalg.qr(total)[0].astype(np.float32)
    inner = np.array([heads.within(basis) for heads in parts])
    inner /= np.einsum("mii->m", inner)[:, None, None]
    _, turn = np.linalg.eigh(inner.sum(axis=0))
    turn = turn[:, ::-1][:, :rank]
    return Leading((basis @ turn).astype(np.float32), turn.T @ inner @ turn)


def fit_frame(ours: Leading, theirs: Leading, *, drawn: int = 0) -> Frame:
    """Find the rotation that carries each matrix of one network into that of the other.

    Parameters
    ----------
    ours, theirs : Leading
        Of as many layers, in the same order.
    drawn : int
        How many rotations the first fits start from beside matched directions.

    Returns
    -------
    Frame

    Notes
    -----
    Directions are matched by how much of each C lies along them, their signs by what the C have
    between two of them (synchronisation by the leading eigenvector), and the rotation is improved
    by the polar factor of sum_m C_A Q C_B until it stays: each step increases the sum of inner
    products of Q' C_A Q and C_B (orthogonal Procrustes, Schoenemann 1966, of a quadratic form).
    Few directions come first, twice as many start from them.
    """
    most = min(len(ours.basis.T), len(theirs.basis.T))
    found = [
        _grown(ours.inner, theirs.inner, turn) for turn in _starts(ours.inner, theirs.inner, drawn)
    ]
    turn, score = max(found, key=lambda item: item[1])
    return Frame((ours.basis[:, :most] @ turn).astype(np.float32), theirs.basis[:, :most], score)


def _starts(ours: Double, theirs: Double, drawn: int) -> list[Double]:
    """Return the best fits of few directions, from directions matched and from drawn rotations."""
    found: list[Double] = []
    for rank in sorted({min(rank, ours.shape[1], theirs.shape[1]) for rank in FIRST}):
        mine, other = (_traceless(side[:, :rank, :rank]) for side in (ours, theirs))
        rng = np.random.default_rng(rank)
        starts = [
            _by_diagonals(ours[:, :rank, :rank], theirs[:, :rank, :rank]),
            _with_signs(ours[:, :rank, :rank], theirs[:, :rank, :rank], np.arange(rank)),
            *(np.linalg.qr(rng.normal(size=(rank, rank)))[0] for _ in range(drawn)),
        ]
        tried = sorted((_improved(mine, other, s, LOOK) for s in starts), key=lambda item: -item[1])
        fits = [_improved(mine, other, turn, STEPS) for turn, _ in tried[:KEPT]]
        turn, score = max(fits, key=lambda item: item[1])
        found.append(turn)
        if score >= GOOD:
            break
    return found


def _grown(ours: Double, theirs: Double, turn: Double) -> tuple[Double, float]:
    """Let a fit of a few directions grow to all of them, twice as many each time."""
    score = 0.0
    most = min(ours.shape[1], theirs.shape[1])
    for rank in sorted({min(rank, most) for rank in (len(turn), *RANKS, most)}):
        if rank < len(turn):
            continue
        start = np.zeros((rank, rank))
        start[: len(turn), : len(turn)] = turn
        left, right = (_traceless(side[:, :rank, :rank]) for side in (ours, theirs))
        turn, score = _improved(left, right, start, STEPS)
    return turn, score


def _by_diagonals(mine: Double, other: Double) -> Double:
    """Match directions by the shares of every C that lie along them."""
    ours, theirs = (np.log(np.einsum("mii->im", side) + 1e-12) for side in (mine, other))
    spread = np.concatenate([ours, theirs]).std(axis=0) + 1e-12
    apart = (((ours[:, None] - theirs[None]) / spread) ** 2).mean(axis=2)
    return _with_signs(mine, other, best_permutation((-apart).astype(np.float32)))


def _with_signs(mine: Double, other: Double, order: NDArray[np.intp]) -> Double:
    """Return the signed permutation in which direction i of A is `order[i]` of B."""
    size = len(order)
    inverse = np.argsort(order)
    left, right = _correlations(mine[:, inverse][:, :, inverse]), _correlations(other)
    alike = (left * right).sum(axis=0)
    signs = np.where(np.linalg.eigh(alike)[1][:, -1] < 0, -1.0, 1.0)
    for _ in range(STEPS):
        better = np.where(alike @ signs < 0, -1.0, 1.0)
        if (better == signs).all():
            break
        signs = better
    turn = np.zeros((size, size))
    turn[inverse, np.arange(size)] = signs
    return turn


def _correlations(inner: Double) -> Double:
    """Scale every C to ones on its diagonal, and leave the diagonal out."""
    scale = np.sqrt(np.maximum(np.einsum("mii->mi", inner), 1e-12))
    found: Double = inner / (scale[:, :, None] * scale[:, None, :])
    found *= 1 - np.eye(inner.shape[1])
    return found


def _improved(left: Double, right: Double, turn: Double, steps: int) -> tuple[Double, float]:
    """Improve a rotation until it stays; return it and its mean cosine over the C."""
    best, score = turn, -1.0
    for _ in range(steps):
        carried = (left @ turn @ right).sum(axis=0)
        found = float((carried * turn).sum()) / len(left)
        if found - score < SETTLED:
            break
        best, score = turn, found
        u, _, v = np.linalg.svd(carried)
        turn = u @ v
    return best, score


def _traceless(inner: Double) -> Double:
    """Take the multiple of the identity out of every C, and scale it to length one."""
    size = inner.shape[1]
    apart = inner - np.einsum("mii->m", inner)[:, None, None] / size * np.eye(size)
    norms = np.linalg.norm(apart, axis=(1, 2))
    found: Double = apart / np.where(norms > 0, norms, 1)[:, None, None]
    return found
