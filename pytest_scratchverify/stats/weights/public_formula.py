"""Matrices that a public formula gave: equal in models that have nothing in common.

The identity, cosine transforms, Hadamard matrices and sinusoids are used to initialise
projectors, residual branches and tables of positions. Whoever starts from one has its rows and
columns in its places, and training apart leaves them there. That is no one's property.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.centring import cosine

Array = NDArray[np.float32]

SIGNIFICANT = 6.0  # standard deviations of the cosine of independent numbers
SHOWN = 0.1  # cosine with a formula from which a matrix is said to follow it
LARGEST = 2**15  # rows or columns that a formula is written out for
MOST = 2**17  # numbers that are looked at


def formula_of(matrix: Array, first_row: int = 0) -> str | None:
    """Name the formula that a matrix follows, or None.

    Parameters
    ----------
    matrix : (n, d) array
        Rows `first_row` to `first_row` + n of a matrix of width d.
    first_row : int
        Where the rows stand.

    Returns
    -------
    str or None
        "identity", "cosine transform", "Hadamard" or "sinusoids".

    Notes
    -----
    The cosine with a fixed matrix has mean 0 and standard deviation 1 / sqrt(n d) for
    independent numbers; six of those and .1 are asked for, so that what training left of the
    formula is seen up to a noise of ten times its size.
    """
    matrix = matrix[: max(2, MOST // matrix.shape[1])]
    rows, cols = matrix.shape
    if max(first_row + rows, cols) > LARGEST or min(rows, cols) < 2:
        return None
    bar = max(SHOWN, SIGNIFICANT / math.sqrt(rows * cols))
    values = matrix - matrix.mean()
    for name, template in _templates(rows, cols, first_row).items():
        if abs(cosine(values, template)) >= bar:
            return name
    return None


@lru_cache(maxsize=8)
def _templates(rows: int, cols: int, first_row: int) -> dict[str, Array]:
    i = np.arange(first_row, first_row + rows)[:, None].astype(np.float64)
    j = np.arange(cols)[None].astype(np.float64)
    rates = 10000.0 ** (-2 * (j // 2) / cols)
    blocks = 10000.0 ** (-(j % ((cols + 1) // 2)) / max(1, cols // 2))
    halves = np.where(j < (cols + 1) // 2, np.sin(i * blocks), np.cos(i * blocks))
    signs = np.bitwise_count(i.astype(np.int64) & j.astype(np.int64)) % 2
    tables = {
        "identity": (i == j).astype(np.float64),
        "cosine transform": np.cos(np.pi * i * (j + 0.5) / cols),
        "cosine transform, transposed": np.cos(np.pi * j * (i + 0.5) / max(rows, 1)),
        "Hadamard": 1.0 - 2.0 * signs,
        "sinusoids": np.where(j % 2 == 0, np.sin(i * rates), np.cos(i * rates)),
        "sinusoids, in halves": halves,
    }
    return {name: (t - t.mean()).astype(np.float32) for name, t in tables.items()}
