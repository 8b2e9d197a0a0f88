"""Anchored matching: neurons by relative representations, in any basis and order.

Rotate the residual stream, renumber neurons, rescale them, put new embeddings on top: nothing
is in its place, and no table of tokens is left to align on. What no such disguise changes are
the angles among the neurons of a layer. They give every neuron a description by which a first
matching is made; matched neurons are *anchors*, and the angles to them describe the neurons of
every *other* layer, in any basis and any width. Whether the gate and the up matrix of those
layers, described so, match neuron i to the same neuron j is then a question about weights that
the anchors were not fitted to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations_with_replacement
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.assignment import best_permutation
from pytest_scratchverify.stats.weights.centring import unit_rows

Array = NDArray[np.float32]
Order = NDArray[np.intp]
Views = Sequence[Array]  # [gate, up, down'] of one layer or expert: rows are neurons

K = TypeVar("K")

QUANTILES = 24
REFINEMENTS = 8


@dataclass(frozen=True)
class Anchors:
    """Unit vectors of the same neurons in two networks, (k, d_A) and (k, d_B).

    What is multiplied of them, and with a layer, is kept: layers are asked by the same anchors
    one after the other.
    """

    ours: Array
    theirs: Array
    _kept: dict[tuple[str, int], tuple[Array, Array]] = field(default_factory=dict, repr=False)

    @cached_property
    def across(self) -> Array:
        """Products of the anchors of either network, (d_A, d_B)."""
        return np.asarray(self.ours.T @ self.theirs)

    @cached_property
    def own(self) -> tuple[Array, Array]:
        """Products of the anchors of each network alone, (d_A, d_A) and (d_B, d_B)."""
        return self.ours.T @ self.ours, self.theirs.T @ self.theirs

    def seen_across(self, rows: Array) -> Array:
        """Return neurons of A as unit vectors of the anchors, multiplied into B's stream."""

        def made() -> Array:
            return np.asarray(rows @ self.across / _norms(rows, self.own[0])[:, None])

        return self._once("ours", rows, made)

    def lengths(self, rows: Array) -> Array:
        """Return how long neurons of B are as the anchors describe them; 1 for nothing."""
        return self._once("theirs", rows, lambda: _norms(rows, self.own[1]))

    def _once(self, side: str, rows: Array, made: Callable[[], Array]) -> Array:
        key = side, id(rows)
        if key not in self._kept:
            self._kept[key] = rows, made()  # with the rows, so that no others get their id
        return self._kept[key][1]


@dataclass(frozen=True, slots=True)
class Matched:
    """Two layers' neurons and the matching that was found: row i of A is row order[i] of B.

    `score` is the mean similarity of matched neurons: comparable among layers of equal views.
    """

    ours: Views
    theirs: Views
    order: Order
    score: float


def invariants(views: Views, rows: Order | None = None) -> Array:
    """Describe every neuron by its angles to the others: no basis, no numbering, no scale.

    Parameters
    ----------
    views : sequence of (n, d) arrays
        Matrices whose row i belongs to neuron i. The first has a sign of its own (a gate);
        the others may be negated together (up and down), and are described so that it does
        not matter.
    rows : (m,) array of int, optional
        The neurons to be described, by their angles to all; all of them without it.

    Returns
    -------
    (n, f) array, or (m, f)
        Quantiles over all other neurons of products of cosines, standardised over neurons.
    """
    unit = [unit_rows(view) for view in views]
    asked = np.arange(len(unit[0])) if rows is None else rows
    some = unit if rows is None else [view[rows] for view in unit]
    tables = [some[a] @ unit[b].T for a, b in combinations_with_replacement(range(len(unit)), 2)]
    signed = [tables[0], *(table**2 for table in tables[1:])]
    if len(unit) == 3:
        gate_up, gate_down, up_up, up_down, down_down = tables[1:]
        down_up = some[2] @ unit[1].T
        signed += [up_up * down_down, gate_up * gate_down, up_down * down_up]
    return np.concatenate([_described(table, asked) for table in signed], axis=1)


def _described(table: Array, own: Order) -> Array:
    """Describe rows by their quantiles; column `own` of each is the neuron itself."""
    size = len(table)
    is_other = np.ones(table.shape, dtype=bool)
    is_other[np.arange(size), own] = False
    others = table[is_other].reshape(size, -1)
    itself = table[np.arange(size), own][:, None]
    columns = np.concatenate([_quantiles(others), itself], axis=1)
    spread = columns.std(axis=0)
    # All quantiles together weigh as much as the neuron's angle between its own two vectors;
    # a column that is constant (a vector's angle to itself) weighs nothing.
    weight = np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0)
    weight[:QUANTILES] /= np.sqrt(QUANTILES)
    standard: Array = ((columns - columns.mean(axis=0)) * weight).astype(np.float32)
    return standard


def _quantiles(rows: Array) -> Array:
    """Return `QUANTILES` quantiles of every row, interpolated, as `numpy.quantile` does.

    Sorting whole rows of float32 is several times faster than its partitions.
    """
    ordered = np.sort(rows, axis=1)
    place = np.linspace(0, rows.shape[1] - 1, QUANTILES)
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, rows.shape[1] - 1)
    part = (place - low).astype(np.float32)
    found: Array = ordered[:, low] + part * (ordered[:, high] - ordered[:, low])
    return found


def match_by_invariants(ours: Array, theirs: Array) -> tuple[Order, float]:
    """Match described neurons; return the matching and the mean squared distance in it."""
    distance = (
        (ours**2).sum(1)[:, None] + (theirs**2).sum(1)[None] - 2 * (ours @ theirs.T)
    ) / ours.shape[1]
    order = best_permutation(-distance)
    known = order >= 0
    return order, float(distance[known, order[known]].mean())


def anchors_of(matched: Sequence[Matched]) -> Anchors:
    """Take all matched neurons as anchors, and settle the signs of those that have none."""
    ours: list[Array] = []
    theirs: list[Array] = []
    for pair in matched:
        known = pair.order >= 0
        ours.append(unit_rows(pair.ours[0])[known])
        theirs.append(unit_rows(pair.theirs[0])[pair.order[known]])
    gates = Anchors(np.concatenate(ours), np.concatenate(theirs))
    for pair in matched:
        known = pair.order >= 0
        for mine, other in zip(pair.ours[1:], pair.theirs[1:], strict=True):
            left, right = unit_rows(mine)[known], unit_rows(other)[pair.order[known]]
            along = ((left @ gates.ours.T) * (right @ gates.theirs.T)).sum(axis=1)
            ours.append(left * np.where(along < 0, -1, 1)[:, None].astype(np.float32))
            theirs.append(right)
    return Anchors(np.concatenate(ours), np.concatenate(theirs))


def similarities(ours: Views, theirs: Views, anchors: Anchors) -> list[Array]:
    """Return cosines between neurons of two layers as the anchors describe them, view by view.

    Of more anchors than the residual streams are wide, their products are taken once: what the
    neurons are multiplied with then is as wide as the streams, and the cosines are the same.
    """
    left, right = anchors.ours, anchors.theirs
    if _is_cheaper_by_products(ours, theirs, anchors):
        return [
            anchors.seen_across(mine) @ other.T / anchors.lengths(other)[None]
            for mine, other in zip(ours, theirs, strict=False)
        ]
    return [
        unit_rows(mine @ left.T) @ unit_rows(other @ right.T).T
        for mine, other in zip(ours, theirs, strict=True)
    ]


def _norms(rows: Array, products: Array) -> Array:
    """Return the lengths of `rows` times anchors whose `products` are given; 1 for nothing."""
    squares = np.einsum("ij,ij->i", rows @ products, rows)
    norms: Array = np.sqrt(np.maximum(squares, 0), dtype=np.float32)
    return np.where(norms > 0, norms, np.float32(1))


def _is_cheaper_by_products(ours: Views, theirs: Views, anchors: Anchors) -> bool:
    """Count the multiplications of either way."""
    count, wide, wide_too = len(anchors.ours), anchors.ours.shape[1], anchors.theirs.shape[1]
    direct, products = 0, count * (wide * wide_too + wide**2 + wide_too**2)
    for mine, other in zip(ours, theirs, strict=True):
        direct += count * (len(mine) * wide + len(other) * wide_too + len(mine) * len(other))
        products += len(mine) * wide * (wide + wide_too) + len(other) * wide_too**2
        products += len(mine) * len(other) * wide_too
    return bool(products < direct)


def refine(ours: Views, theirs: Views, order: Order) -> Matched:
    """Improve a matching of one layer with itself as the anchor, until it stays as it is."""
    matched = Matched(ours, theirs, order, 0.0)
    for _ in range(REFINEMENTS):
        total = _joint(similarities(ours, theirs, anchors_of([matched])))
        better = best_permutation(total)
        known = better >= 0
        score = float(total[known, better[known]].mean()) / len(ours)
        same = bool((better == matched.order).all())
        matched = Matched(ours, theirs, better, score)
        if same:
            break
    return matched


def _joint(found: Sequence[Array]) -> Array:
    """Add up the views; those that may be negated together count by the size of their sum."""
    if len(found) == 1:
        return found[0]
    total: Array = found[0] + np.abs(np.sum(found[1:], axis=0))
    return total


def agreement(ours: Views, theirs: Views, anchors: Anchors, *, signed: bool = True) -> Order:
    """Match the neurons of a layer twice by views that share no weight; keep what agrees.

    Parameters
    ----------
    ours, theirs : sequences of (n, d) arrays
        Two views of a layer that `anchors` was not fitted to.
    anchors : Anchors
        From other layers.
    signed : bool
        Whether the first view has a sign of its own.

    Returns
    -------
    (n,) array of int
        The partner on which both matchings agree, -1 elsewhere. Between unrelated networks about
        one neuron in the whole layer agrees by chance.
    """
    first, second = similarities(ours[:2], theirs[:2], anchors)
    one = best_permutation(first if signed else np.abs(first))
    two = best_permutation(np.abs(second))
    return np.where((one == two) & (one >= 0), one, -1)


def disguised(blocks: Mapping[K, Views], rng: np.random.Generator) -> dict[K, list[Array]]:
    """Rotate, permute and rescale a network's blocks: what a control must see through.

    All blocks get one rotation; neurons are renumbered in each, and what they read and write is
    rescaled, with signs, so that the network computes what it did.
    """
    width = next(iter(blocks.values()))[0].shape[1]
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0].astype(np.float32)
    found: dict[K, list[Array]] = {}
    for key, views in blocks.items():
        size = len(views[0])
        order = rng.permutation(size)
        factor = (np.exp(rng.normal(0, 0.5, size)) * rng.choice([-1, 1], size))[:, None]
        scales = (np.ones_like(factor), factor, 1 / factor)
        found[key] = [
            ((view * scale) @ turn)[order].astype(np.float32)
            for view, scale in zip(views, scales, strict=False)
        ]
    return found
