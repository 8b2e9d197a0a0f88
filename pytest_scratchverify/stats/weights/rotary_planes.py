"""Rotary planes: rows of the keys that have a place, laid on those of another network.

Rotary positions turn pairs of a key's rows by angles of their own. Whatever is done to a network
without changing what it computes, plane i of a head stays plane i: it may be turned within itself
and scaled, queries the other way, and heads exchanged; latent attention has such rows once a
layer. So the products between the planes of one head tell heads apart in any basis. Once heads
are found, all planes of all layers that were read have names in both networks: as many anchors as
rows, where matrices without names give a few leading directions (`residual_frame`). Products of
noisy rows keep what the rows have in common: at a cosine of .8 with the original .64, against
1 / sqrt(planes) of chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.assignment import best_permutation
from pytest_scratchverify.stats.weights.centring import unit_rows
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.residual_frame import Frame

Array = NDArray[np.float32]
Double = NDArray[np.float64]
Order = NDArray[np.intp]

MOST_PLANES = 512
FEWEST_PLANES = 16
SMALLEST = 1e-3  # share of the largest eigenvalue from which a direction of the rows counts
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])
AXES = np.stack([np.eye(2), TURN])


@dataclass(frozen=True, slots=True)
class PlaneFit:
    """A frame from named planes, and which layer of B each layer of A was taken for."""

    frame: Frame = field(repr=False)
    layers: Mapping[int, int]


def fit_planes(
    ours: Mapping[int, HeadReads], theirs: Mapping[int, HeadReads], *, moved: bool = True
) -> PlaneFit | None:
    """Lay the keys of one network on those of another, plane by plane.

    Parameters
    ----------
    ours, theirs : mapping of int to HeadReads
        What the keys of each layer read; rows without a place (`HeadReads.placed`) are left out.
    moved : bool
        Whether layers may have other numbers.

    Returns
    -------
    PlaneFit or None
        None where planes cannot correspond: unlike numbers in a head, or too few.

    Notes
    -----
    Heads are matched by the lengths of the products of their planes as complex vectors, z_i z_j*
    and z_i z_j', less the mean over heads: heads of one model are alike in how planes of low
    frequencies go together. The angle of every plane is the leading eigenvector of one quadratic
    form over all planes (angular synchronisation, Singer 2011), and the frame the polar factor
    of the aligned rows (orthogonal Procrustes, Schoenemann 1966). A model stores planes as
    neighbouring rows or as two halves: the way in which heads are most alike is taken. None of
    this looks at a neuron.
    """
    found: list[tuple[float, _Named]] = []
    for pairs in product((False, True), repeat=2):
        sides = [
            {n: _planes(heads, neighbours=each) for n, heads in side.items()}
            for side, each in zip((ours, theirs), pairs, strict=True)
        ]
        shapes = {planes.shape[1] for side in sides for planes in side.values()}
        if len(shapes) != 1 or min(map(len, sides)) == 0:
            return None
        found.append(_named(sides[0], sides[1], moved=moved))
    _, best = max(found, key=lambda item: item[0])
    if len(best.ours) < FEWEST_PLANES:
        return None
    return PlaneFit(_frame(best.ours, best.theirs), best.layers)


@dataclass(frozen=True, slots=True)
class _Named:
    """Planes of A and B under one name, (n, 2, d_A) and (n, 2, d_B)."""

    ours: Array
    theirs: Array
    layers: Mapping[int, int]


def _planes(heads: HeadReads, *, neighbours: bool) -> Array:
    """Return the planes of every head, (heads, n, 2, width), each of length one."""
    start, stop = heads.placed or (0, heads.rows.shape[1])
    rows = heads.rows[:, start : start + (stop - start) // 2 * 2]
    count, size, width = rows.shape
    cut = (
        rows.reshape(count, size // 2, 2, width)
        if neighbours
        else rows.reshape(count, 2, size // 2, width).swapaxes(1, 2)
    )
    norms = np.linalg.norm(cut, axis=(2, 3), keepdims=True)
    found: Array = np.ascontiguousarray(cut / np.where(norms > 0, norms, 1), np.float32)
    return found


def _signatures(side: Mapping[int, Array]) -> dict[int, Array]:
    """Describe every head by its planes' products: no basis, no angles; (heads, features)."""
    raw = {number: np.sqrt(_lengths(planes)) for number, planes in side.items()}
    mean = np.concatenate(list(raw.values())).mean(axis=0)
    if sum(map(len, raw.values())) == 1:
        mean = np.zeros_like(mean)
    return {number: unit_rows((rows - mean).astype(np.float32)) for number, rows in raw.items()}


def _lengths(planes: Array) -> Array:
    count, size, _, width = planes.shape
    rows = planes.reshape(count, 2 * size, width)
    grams = (rows @ rows.transpose(0, 2, 1)).reshape(count, size, 2, size, 2)
    one, two = grams[:, :, 0, :, 0], grams[:, :, 1, :, 1]
    right, left = grams[:, :, 0, :, 1], grams[:, :, 1, :, 0]
    above, with_own = np.triu_indices(size, 1), np.triu_indices(size)
    conjugate = np.hypot(one + two, left - right)[:, *above]
    plain = np.hypot(one - two, left + right)[:, *with_own]
    return np.concatenate([conjugate, plain], axis=1)


def _named(
    ours: Mapping[int, Array], theirs: Mapping[int, Array], *, moved: bool
) -> tuple[float, _Named]:
    """Match layers and heads; return how alike matched heads are, and their planes."""
    left, right = _signatures(ours), _signatures(theirs)
    mine, other = sorted(left), sorted(right)
    orders: dict[tuple[int, int], Order] = {}
    scores = np.full((len(mine), len(other)), -2.0, np.float32)
    for (i, a), (j, b) in product(enumerate(mine), enumerate(other)):
        if moved or a == b:
            alike = left[a] @ right[b].T
            orders[a, b] = order = best_permutation(alike)
            known = order >= 0
            scores[i, j] = alike[known, order[known]].mean()
    places = best_permutation(scores)
    layers = {
        a: other[places[i]]
        for i, a in enumerate(mine)
        if places[i] >= 0 and (a, other[places[i]]) in orders
    }
    taken = [(left[a][i] @ right[b][j], a, i, b, j) for a, b in layers.items()
             for i, j in enumerate(orders[a, b]) if j >= 0]  # fmt: skip
    taken.sort(key=lambda item: -item[0])
    size, width = next(iter(ours.values())).shape[1], next(iter(theirs.values())).shape[3]
    taken = taken[: max(1, MOST_PLANES // size)]
    score = float(np.mean([item[0] for item in taken])) if taken else -2.0
    if not taken:
        nothing = np.empty((0, 2, width), np.float32)
        return score, _Named(nothing, nothing, layers)
    planes = [np.concatenate([side[n][head] for n, head in chosen]) for side, chosen in (
        (ours, [(a, i) for _, a, i, _, _ in taken]),
        (theirs, [(b, j) for _, _, _, b, j in taken]),
    )]  # fmt: skip
    return score, _Named(planes[0], planes[1], layers)


def _frame(ours: Array, theirs: Array) -> Frame:
    """Turn every plane of A to lie as that of B does, and take the rotation of all."""
    rows = theirs.reshape(-1, theirs.shape[2])
    turned = (_angles(ours, theirs) @ ours).astype(np.float32).reshape(-1, ours.shape[2])
    left, right = _axes(turned), _axes(rows)
    u, _, v = np.linalg.svd((left.T @ turned.T) @ (rows @ right), full_matrices=False)
    grams = [side @ side.T for side in (turned, rows)]
    apart = ~np.eye(len(rows), dtype=bool)
    score = float(np.corrcoef(grams[0][apart], grams[1][apart])[0, 1])
    return Frame((left @ u).astype(np.float32), (right @ v.T).astype(np.float32), score)


def _angles(ours: Array, theirs: Array) -> Double:
    """Return the rotation of each plane that makes its products with all others most alike."""
    count = len(ours)
    mine, other = (
        (rows @ rows.T).astype(np.float64).reshape(count, 2, count, 2)
        for rows in (side.reshape(2 * count, -1) for side in (ours, theirs))
    )
    form = np.empty((count, 2, count, 2))
    for (x, one), (y, two) in product(enumerate(AXES), repeat=2):
        carried = np.einsum("ac,kcmd,bd->kamb", one, mine, two, optimize=True)
        form[:, x, :, y] = np.einsum("kamb,kamb->km", other, carried)
    leading = np.linalg.eigh(form.reshape(2 * count, -1))[1][:, -1].reshape(count, 2)
    lengths = np.linalg.norm(leading, axis=1, keepdims=True)
    place = np.where(lengths > 0, leading / np.where(lengths > 0, lengths, 1), [1.0, 0.0])
    found: Double = np.einsum("kx,xab->kab", place, AXES)
    return found


def _axes(rows: Array) -> Array:
    """Return orthonormal directions of what rows span, (d, r), without those that hardly count."""
    values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    kept = values > SMALLEST * values[-1]
    found: Array = (rows.T @ (vectors[:, kept] / np.sqrt(values[kept]))).astype(np.float32)
    return found
