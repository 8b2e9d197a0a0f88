"""Unbiased CKA: how two matrices relate the channels, whatever was done to their outputs.

For attention whose blocks were retrained: query and key matrices may have their heads renumbered
or rotated, and still relate the channels of the residual stream as they did.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Numbers = NDArray[np.float64]


def unbiased_cka(ours: Array, theirs: Array) -> float:
    """Return the unbiased linear centred kernel alignment of two sets of channels.

    Parameters
    ----------
    ours, theirs : (n, p) and (n, q) arrays
        One row for each channel (a query or key matrix transposed); channels correspond, columns
        need not: any rotation of the columns changes nothing. n of 4 or more.

    Returns
    -------
    float
        1 for equal relations, around 0 for independent ones; slightly negative is possible. 0
        where either has no variation.

    Notes
    -----
    HSIC after Song et al. (2012, eq. 5), as the alignment of Kornblith et al. (2019) in the
    unbiased form; on weights it is the UCKA of AWM (arXiv 2510.06738). Where the channels were
    aligned on data of the same models it has **no valid p-value**: independent models reach z = 13
    under the published null. It is shown beside the same number for an alignment on deranged
    tokens, and is a lead at most.
    """
    left, right = _kernel(ours), _kernel(theirs)
    scale = _hsic(left, left) * _hsic(right, right)
    return _hsic(left, right) / math.sqrt(scale) if scale > 0 else 0.0


def _kernel(values: Array) -> Numbers:
    rows = values.astype(np.float64)
    kernel: Numbers = rows @ rows.T
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _hsic(left: Numbers, right: Numbers) -> float:
    n = len(left)
    both = float((left * right).sum())
    sums = float(left.sum() * right.sum()) / ((n - 1) * (n - 2))
    cross = 2.0 / (n - 2) * float(left.sum(axis=0) @ right.sum(axis=1))
    return (both + sums - cross) / (n * (n - 3))
