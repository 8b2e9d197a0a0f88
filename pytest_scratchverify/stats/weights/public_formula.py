"""Matrices that a public formula gave: equal in models that have nothing in common.

The identity, cosine, sine and Hartley transforms, Hadamard matrices and sinusoids are used to
initialise projectors, residual branches and tables of positions. Whoever starts from one has its
rows and columns in its places, and training apart leaves them there. That is no one's property.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SIGNIFICANT = 6.0  # standard deviations of the cosine of independent numbers
SHOWN = 0.1  # cosine with a formula from which a matrix is said to follow it
MOST = 2**17  # numbers that are looked at, of as many rows as these are
ROUNDED = 2.0**-7  # of a number, that storing a formula in BF16 or more moves it at most
QUANTISED, LEVELS = 1 / 14, 256  # of the largest, with so few different numbers
TREND, SHUFFLES = 0.75, 16  # of the cosine, that no other order of the columns may reach
ALL_BUT = 1e-3  # of the numbers may lie elsewhere


def formula_of(matrix: Array, first_row: int = 0, whole_rows: int = 0) -> str | None:
    """Name the formula that a matrix follows, or None.

    Parameters
    ----------
    matrix : (n, d) array
        Rows `first_row` to `first_row` + n of a matrix of width d.
    first_row : int
        Where the rows stand.
    whole_rows : int
        How many rows the whole matrix has, on which the transposed transforms depend; 0 where
        these are its last ones.

    Returns
    -------
    str or None
        "identity", "cosine transform", "sine transform", "Hartley", "Hadamard" or "sinusoids".

    Notes
    -----
    The cosine with a fixed matrix has mean 0 and standard deviation 1 / sqrt(n d) for
    independent numbers; six of those and .1 are asked for, so that what training left of the
    formula is seen up to a noise of ten times its size. What the formula's columns in another order
    show as well is a trend along the rows.
    """
    name, similarity, template = _nearest(matrix, first_row, whole_rows)
    bar = max(SHOWN, SIGNIFICANT / math.sqrt(min(matrix.size, MOST)))
    if not similarity >= bar or _is_a_trend(matrix[: len(template)], template, similarity):
        return None
    return name


def is_formula_alone(matrix: Array, first_row: int = 0, whole_rows: int = 0) -> bool:
    """Whether all numbers of a matrix are a formula's, up to scale and rounding: none was learnt.

    Rows, or else columns, may have scales of their own, as an orthonormal transform's first has.
    Arguments as in `formula_of`.
    """
    _, similarity, template = _nearest(matrix, first_row, whole_rows)
    values = matrix[: len(template)]
    return similarity >= SHOWN and (
        _is_scaled(values, template) or _is_scaled(values.T, template.T)
    )


def _is_a_trend(matrix: Array, template: Array, similarity: float) -> bool:
    """Whether a formula with its columns in any other order is nearly as alike.

    Tokens stand in the order of their frequency, so heads and tables have trends along their
    rows, and slow sinusoids have nothing else.
    """
    rng = np.random.default_rng(template.shape[1])
    values = (matrix - matrix.mean()).ravel()
    bar = TREND * similarity * float(np.linalg.norm(values))
    drawn = (template[:, rng.permutation(template.shape[1])].ravel() for _ in range(SHUFFLES))
    return any(abs(float(shuffled @ values)) >= bar for shuffled in drawn)


def _nearest(matrix: Array, first_row: int, whole_rows: int) -> tuple[str, float, Array]:
    """Return the formula most alike to a matrix, the size of the cosine, and its rows."""
    whole = whole_rows or first_row + len(matrix)
    matrix = matrix[: max(2, MOST // matrix.shape[1])]
    rows, cols = matrix.shape
    if cols > MOST or min(rows, cols) < 2:
        return "", 0.0, matrix[:0]
    names, templates = _templates(rows, cols, first_row, whole)
    values = (matrix - matrix.mean()).ravel()
    size = float(np.linalg.norm(values))
    found = np.abs(templates @ values) / (size or 1.0)
    best = int(found.argmax())
    return names[best], float(found[best]), templates[best].reshape(rows, cols)


def _is_scaled(values: Array, template: Array) -> bool:
    """Whether every row is a multiple of the template's plus a constant, up to rounding."""
    mine = values - values.mean(axis=1, keepdims=True)
    other = template - template.mean(axis=1, keepdims=True)
    sizes = (other**2).sum(axis=1, keepdims=True)
    scales = (mine * other).sum(axis=1, keepdims=True) / np.maximum(sizes, 1e-30)
    rest = np.abs(mine - scales * other)
    largest = float(np.abs(values).max())
    if len(np.unique(values)) <= LEVELS and float(rest.max()) <= QUANTISED * largest:
        return True
    off = rest > ROUNDED * np.abs(values) + 1e-5 * largest
    return float(off.mean()) <= ALL_BUT


@lru_cache(maxsize=8)
def _templates(rows: int, cols: int, first_row: int, whole: int) -> tuple[tuple[str, ...], Array]:
    """Return the names and the rows of all formulas, flat, centred and of length one."""
    i = np.arange(first_row, first_row + rows)[:, None].astype(np.float64)
    j = np.arange(cols)[None].astype(np.float64)
    rates = 10000.0 ** (-2 * (j // 2) / cols)
    blocks = 10000.0 ** (-(j % ((cols + 1) // 2)) / max(1, cols // 2))
    halves = np.where(j < (cols + 1) // 2, np.sin(i * blocks), np.cos(i * blocks))
    signs = np.bitwise_count(i.astype(np.int64) & j.astype(np.int64)) % 2
    turns = 2 * np.pi * (i * j % max(whole, cols)) / max(whole, cols)
    tables = {
        "identity": (i % cols == j % max(whole, 1)).astype(np.float64),
        "cosine transform": np.cos(np.pi * i * (j + 0.5) / cols),
        "cosine transform, transposed": np.cos(np.pi * j * (i + 0.5) / max(whole, 1)),
        "sine transform": np.sin(np.pi * (i + 1) * (j + 0.5) / cols),
        "sine transform, transposed": np.sin(np.pi * (j + 1) * (i + 0.5) / max(whole, 1)),
        "Hartley": np.cos(turns) + np.sin(turns),
        "Hadamard": 1.0 - 2.0 * signs,
        "sinusoids": np.where(j % 2 == 0, np.sin(i * rates), np.cos(i * rates)),
        "sinusoids, in halves": halves,
    }
    flat = np.stack([(table - table.mean()).ravel() for table in tables.values()])
    sizes = np.linalg.norm(flat, axis=1, keepdims=True)
    return tuple(tables), (flat / np.where(sizes > 0, sizes, 1)).astype(np.float32)
