"""How many cards two independent shuffles of several packs put in one place: exact tails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray


def cards_pvalue(agreed: int, sizes: Sequence[int]) -> float:
    """Return P(K >= agreed) where two matchings of the heads of every layer are independent.

    The number of fixed points of uniform permutations (Montmort 1713), by convolution over
    layers: summed from the tail, so that it is exact where it is small.

    Examples
    --------
    >>> round(cards_pvalue(3, [3]), 4), round(cards_pvalue(1, [2]), 4)
    (0.1667, 0.5)
    """
    if agreed <= 0:
        return 1.0
    total = np.ones(1)
    for size in sizes:
        total = np.convolve(total, _cards(size))
    return min(1.0, float(total[agreed:].sum()))


@cache
def _cards(size: int) -> NDArray[np.float64]:
    """P(j fixed points) of a uniform permutation, j = 0 ... size."""
    left = [
        math.fsum((-1) ** i / math.factorial(i) for i in range(min(m, 20) + 1))
        for m in range(size + 1)
    ]
    return np.array([left[size - j] * math.exp(-math.lgamma(j + 1)) for j in range(size + 1)])
