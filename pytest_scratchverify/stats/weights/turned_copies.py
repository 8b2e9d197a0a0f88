"""Copies of a matrix that were turned by a rotation: invariants, and whether two views agree.

A random rotation of what a block reads, writes or has between leaves no number where it was and
changes no norm. What it leaves is known: of a matrix A turned on its input side the inner products
of rows, of one turned on its output side those of columns, of one turned on both the singular
values. Among several candidates the one whose invariants are most alike is the origin; that two
tensors which training treats apart name the same one is chance with a known probability.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MOST_SIDE = 96  # rows or columns whose inner products are compared
TINY = 1e-12


def _as_stored(matrix: Array) -> Array:
    found: Array = (matrix - matrix.mean(axis=1, keepdims=True)).ravel()
    return found


def _inner_products(matrix: Array) -> Array:
    part = matrix[:MOST_SIDE]
    gram = part @ part.T
    found: Array = gram[np.triu_indices(len(part), 1)]
    return found


def _columns(matrix: Array) -> Array:
    part = matrix[:, :MOST_SIDE]
    gram = part.T @ part
    found: Array = gram[np.triu_indices(part.shape[1], 1)]
    return found


def _singular_values(matrix: Array) -> Array:
    found: Array = np.linalg.svd(matrix, compute_uv=False)
    return found


# What is compared, in the order in which it says most: numbers as they lie, then what is left by a
# rotation of the inputs, of the outputs, of both. All but the first two need the whole matrix.
VIEWS: Mapping[str, Callable[[Array], Array]] = {
    "as stored": _as_stored,
    "inputs turned": _inner_products,
    "outputs turned": _columns,
    "both turned": _singular_values,
}


def view_similarity(ours: Sequence[Array], theirs: Sequence[Array], view: str) -> Array:
    """Return the cosines (n, m) of one view of n matrices and m candidates, doubly centred.

    What all matrices of one kind have in common is taken out first, so that none is the nearest
    of everything.
    """
    look = VIEWS[view]
    left, right = (np.stack([look(matrix) for matrix in side]) for side in (ours, theirs))
    if view != "as stored":  # of strangers too, the spectra and norms of one kind are alike
        left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    left, right = (
        side / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), TINY)
        for side in (left, right)
    )
    found: Array = left @ right.T
    return found


def agreement_pvalue(agreed: int, asked: int, candidates: int) -> float:
    """Return P(K >= agreed) where each of `asked` picks one of `candidates` blindly."""
    from scipy.stats import binom  # noqa: PLC0415 - half a second to import

    if asked < 1 or candidates < 2:
        return 1.0
    return float(binom.sf(agreed - 1, asked, 1 / candidates))
