"""Centring, norms and cosines of matrices: what every statistic here starts with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

DEGENERATE = 1e-6


def is_degenerate(values: Array) -> bool:
    """Whether a tensor says nothing: constant, two-valued, or with anything not finite.

    Norm gains that were folded into the next matrix (all ones), masks and zeroed experts are
    equal in models that have nothing in common.
    """
    flat = values.ravel()
    if flat.size < 2 or not np.isfinite(flat).all():
        return True
    spread = float(flat.std())
    if spread == 0.0 or spread < DEGENERATE * abs(float(flat.mean())):
        return True
    sample = flat[:: 1 + flat.size // (1 << 16)]  # evenly: the first rows of a table may be padding
    others = sample[sample != sample[0]]
    return not len(others) or not bool((others != others[0]).any())  # two values at most


def is_fixed_basis(table: Array) -> bool:
    """Whether all rows that are not zero have one length, as sines and cosines of positions do.

    Such a table was computed by a formula (Vaswani et al., arXiv 1706.03762) and is equal in
    models that have nothing in common; learnt rows differ in length by far more than rounding.
    """
    norms = np.linalg.norm(table, axis=1)
    norms = norms[norms > 0]
    return len(norms) > 1 and float(norms.std()) < 1e-3 * float(norms.mean())


def centred(matrix: Array) -> Array:
    """Subtract row means and column means and add the grand mean.

    A mean that all entries share is what made independent norms look 99 % alike.
    """
    rows = matrix.mean(axis=1, keepdims=True)
    columns = matrix.mean(axis=0, keepdims=True)
    return np.asarray(matrix - rows - columns + matrix.mean(), matrix.dtype)


def unit_rows(matrix: Array) -> Array:
    """Scale rows to length one; a row of zeros stays."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.where(norms > 0, norms, 1), matrix.dtype)


def cosine(left: Array, right: Array) -> float:
    """Cosine of two arrays as vectors; 0 where one of them is zero."""
    size = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return float(np.vdot(left, right)) / size if size else 0.0


def centred_cosine(left: Array, right: Array) -> float:
    """Cosine of two matrices after double centring, or of two vectors after centring."""
    if left.ndim == 1 or left.shape[0] == 1:
        return cosine(left - left.mean(), right - right.mean())
    return cosine(centred(left), centred(right))
