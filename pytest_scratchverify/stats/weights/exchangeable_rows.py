"""Exchangeable rows: which rows of two matrices carry numbers that chance alone gave out.

An assignment asks whether part i of one network is part i of another. Rows of zeros (padding,
pruned and dead neurons) and rows that another row repeats have no answer: which of the equal
ones is matched is the solver's choice, and where they stand is a convention of whoever padded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.centring import centred, unit_rows

Array = NDArray[np.float32]
Rows = NDArray[np.intp]

ALIKE = 0.9  # cosine from which two rows of one matrix are one row and its repeat
MOST_COMPARED = 4096  # rows, up to which repeats are told by cosine; beyond, by equality


def repeats(views: Sequence[Array]) -> Rows:
    """Say of every row how many rows are alike to it, itself included; 0 for all but the first.

    Parameters
    ----------
    views : sequence of (n, d) arrays
        Matrices whose row i belongs to part i.

    Returns
    -------
    (n,) array of int
        k for the first of k alike rows, 0 for its repeats and for rows that are zero in any view.

    Notes
    -----
    A function of the matrices' rows that follows them under every renumbering up to which of
    some alike rows is the first. Rows are compared as `row_similarity` does, doubly centred, so
    that rows near zero, which only show what all others have in common, count as alike.
    """
    size = len(views[0])
    zero = np.any([~view.any(axis=1) for view in views], axis=0)
    labels = _labels(views) if size > 1 else np.zeros(size, np.intp)
    _, first, inverse, counts = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    found = np.zeros(size, np.intp)
    found[first] = counts[inverse[first]]
    found[zero] = 0
    return found


def _labels(views: Sequence[Array]) -> Rows:
    size = len(views[0])
    if size > MOST_COMPARED:
        rows = [b"".join(view[i].tobytes() for view in views) for i in range(size)]
        known: dict[bytes, int] = {}
        return np.array([known.setdefault(row, i) for i, row in enumerate(rows)], np.intp)
    alike = np.zeros((size, size), np.float32)
    for view in views:
        unit = unit_rows(centred(view))
        alike += unit @ unit.T / len(views)
    np.fill_diagonal(alike, 0)
    near = alike >= ALIKE
    if not near.any():
        return np.arange(size)
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - slow to import

    labels: Rows = connected_components(near, directed=False)[1].astype(np.intp)
    return labels


def exchangeable(ours: Sequence[Array], theirs: Sequence[Array]) -> list[Rows]:
    """Split equally numbered rows into groups within which every renumbering is as likely.

    Parameters
    ----------
    ours, theirs : sequences of (n, d) arrays
        The views of both networks; widths may differ.

    Returns
    -------
    list of index arrays
        Rows of one multiplicity in either network; zero rows, repeats and groups of one are left
        out. Between independent networks the assignment within a group is a uniform permutation,
        given where zeros and repeats stand: that is what a convention fixes, and it is not
        counted.
    """
    mine, other = repeats(ours), repeats(theirs)
    usable = (mine > 0) & (other > 0)
    kinds = sorted(set(zip(mine[usable].tolist(), other[usable].tolist(), strict=True)))
    groups = [np.flatnonzero((mine == a) & (other == b)) for a, b in kinds]
    return [group for group in groups if len(group) > 1]


def distinct_rows(views: Sequence[Array]) -> Rows:
    """Return the rows that are neither zero nor the repeat of an earlier one."""
    return np.flatnonzero(repeats(views) > 0)
