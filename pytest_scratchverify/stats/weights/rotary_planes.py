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
    left, right = (
        [_Stored.of(side, neighbours=n) for n in (False, True)] for side in (ours, theirs)
    )
    sizes = {planes.shape[1] for stored in (left[0], right[0]) for planes in stored.planes.values()}
    if len(sizes) != 1 or not ours or not theirs:
        return None
    found = [_named(one, other, moved=moved) for one, other in product(left, right)]
    _, best = max(found, key=lambda item: item[0])
    if len(best.ours) < FEWEST_PLANES:
        return None
    return PlaneFit(_frame(best.ours, best.theirs), best.layers)


@dataclass(frozen=True, slots=True)
class _Stored:
    """The planes of each layer's heads, (heads, n, 2, width), and what describes each head."""

    planes: Mapping[int, Array]
    signatures: Mapping[int, Array]

    @classmethod
    def of(cls, side: Mapping[int, HeadReads], *, neighbours: bool) -> _Stored:
        """Cut the keys of every layer, stored as neighbouring rows or as two halves."""
        planes = {n: _planes(heads, neighbours=neighbours) for n, heads in side.items()}
        return cls(planes, _signatures(planes))


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
    if not raw:
        return {}
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


def _named(ours: _Stored, theirs: _Stored, *, moved: bool) -> tuple[float, _Named]:
    """Match layers and heads; return how alike matched heads are, and their planes."""
    left, right = ours.signatures, theirs.signatures
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
    size = next(iter(ours.planes.values())).shape[1]
    taken = taken[: max(1, MOST_PLANES // size)]
    if not taken:
        nothing = np.empty((0, 2, 1), np.float32)
        return -2.0, _Named(nothing, nothing, layers)
    score = float(np.mean([item[0] for item in taken]))
    named = (
        np.concatenate([ours.planes[a][i] for _, a, i, _, _ in taken]),
        np.concatenate([theirs.planes[b][j] for _, _, _, b, j in taken]),
    )
    return score, _Named(*named, layers)


def _frame(ours: Array, theirs: Array) -> Frame:
    """Turn every plane of A to lie as that of B does, and take the rotation of all."""
    rows, before = (side.reshape(-1, side.shape[2]) for side in (theirs, ours))
    gram = rows @ rows.T
    angles = _angles(before @ before.T, gram)
    turned = (angles @ ours).astype(np.float32).reshape(before.shape)
    own = turned @ turned.T
    left, right = _axes(turned, own), _axes(rows, gram)
    u, _, v = np.linalg.svd((left.T @ turned.T) @ (rows @ right), full_matrices=False)
    apart = ~np.eye(len(rows), dtype=bool)
    score = float(np.corrcoef(own[apart], gram[apart])[0, 1])
    return Frame((left @ u).astype(np.float32), (right @ v.T).astype(np.float32), score)


def _angles(ours: Array, theirs: Array) -> Double:
    """Return the rotation of each plane that makes its products with all others most alike.

    `ours`, `theirs`: (2 n, 2 n) products of the rows of all planes.
    """
    count = len(ours) // 2
    shape = count, 2, count, 2
    mine, other = (gram.astype(np.float64).reshape(shape) for gram in (ours, theirs))
    form = np.empty((count, 2, count, 2))
    for (x, one), (y, two) in product(enumerate(AXES), repeat=2):
        carried = np.einsum("ac,kcmd,bd->kamb", one, mine, two, optimize=True)
        form[:, x, :, y] = np.einsum("kamb,kamb->km", other, carried)
    leading = np.linalg.eigh(form.reshape(2 * count, -1))[1][:, -1].reshape(count, 2)
    lengths = np.linalg.norm(leading, axis=1, keepdims=True)
    place = np.where(lengths > 0, leading / np.where(lengths > 0, lengths, 1), [1.0, 0.0])
    found: Double = np.einsum("kx,xab->kab", place, AXES)
    return found


def _axes(rows: Array, gram: Array) -> Array:
    """Return orthonormal directions of what rows span, (d, r), without those that hardly count.

    `gram` are the products of the rows.
    """
    values, vectors = np.linalg.eigh(gram.astype(np.float64))
    kept = values > SMALLEST * values[-1]
    found: Array = (rows.T @ (vectors[:, kept] / np.sqrt(values[kept]))).astype(np.float32)
    return found
