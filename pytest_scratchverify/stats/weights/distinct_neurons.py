"""Distinct neurons of a gated block: split and repeated ones put together, those of zeros left out.

A neuron may be stored as several that read the same gate and share out what they do, with noise
that cancels in their sum; the network computes what it did, and no matching one to one finds
the neuron again. What the parts compute together does not depend on how it was shared out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.centring import unit_rows

Array = NDArray[np.float32]

PARALLEL = 0.98  # cosine of two gates from which they are one: BF16 leaves .99999, training apart


def distinct_neurons(views: Sequence[Array]) -> list[Array]:
    """Put neurons of parallel gates together, and leave out those that read or write nothing.

    Parameters
    ----------
    views : sequence of (n, d) arrays
        [gate, up, down'], [gate, up] or [fc1, fc2'] of one block: rows are neurons.

    Returns
    -------
    list of (m, d) arrays
        m <= n. Of a group with one gate, sum over k of up_k (x) down_k is what it computes: its
        best approximation by one neuron takes the group's place. Of two views the second is
        summed up.
    """
    alive = np.all([np.abs(view).sum(axis=1) > 0 for view in views], axis=0)
    rows = [np.asarray(view[alive], np.float32) for view in views]
    if len(rows[0]) < 2:
        return rows
    gates = unit_rows(rows[0])
    parallel = gates @ gates.T > PARALLEL
    if int(parallel.sum()) == len(gates):
        return rows
    first = _first_of_group(parallel)
    kept: list[list[Array]] = []
    for leader in np.unique(first):
        members = np.flatnonzero(first == leader)
        kept.append([view[members] for view in rows])
    together = [_together(group) for group in kept]
    return [np.stack(column).astype(np.float32) for column in zip(*together, strict=True)]


def _first_of_group(parallel: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return for every neuron the first one that its gate is parallel to: its group's name."""
    first: NDArray[np.intp] = parallel.argmax(axis=1)
    return first[first]


def _together(group: Sequence[Array]) -> list[Array]:
    gate = group[0].mean(axis=0)
    if len(group[0]) == 1:
        return [view[0] for view in group]
    if len(group) == 2:
        return [gate, group[1].sum(axis=0)]
    ups, downs = group[1], group[2]
    # Of sum up_k (x) down_k, which has a rank of at most the group's size.
    left, sizes, right = np.linalg.svd(ups.T, full_matrices=False)
    inner, values, out = np.linalg.svd((sizes[:, None] * right) @ downs, full_matrices=False)
    scale = np.sqrt(values[0])
    return [gate, (left @ inner[:, 0]) * scale, out[0] * scale]
