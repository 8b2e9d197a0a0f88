"""What attention heads read of the residual stream, in forms that nothing inside of a head changes.

Keys and values of a head are some rows X of the residual stream's width R. Renumbered heads
exchange their X, another basis turns each into X R. What may be done inside of a head, and undone
by what follows, turns X into A X: a rotation of rotary planes or of values, or any regular A where
the values' product with the outputs is all that counts. X' X keeps through a rotation, and the
projection onto the span of the rows, X' (X X')^-1 X, through every regular A.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Double = NDArray[np.float64]

RIDGE = 1e-4  # of the mean square of a head's rows: what is smaller is rounding


@dataclass(frozen=True)
class HeadReads:
    """One projection cut into heads, (heads, size, width); `spans` takes the projections onto them.

    Every head counts the same: its matrix has the trace one. `placed` are the rows of a head that
    positions turn pair by pair, first and last: all of them where it is None.
    """

    rows: Array
    spans: bool = False
    placed: tuple[int, int] | None = None

    @property
    def heads(self) -> int:
        """How many there are."""
        return len(self.rows)

    @property
    def width(self) -> int:
        """The residual stream's."""
        return int(self.rows.shape[-1])

    def as_spans(self) -> HeadReads:
        """Return the same heads by what their rows span."""
        return replace(self, spans=True)

    @cached_property
    def weights(self) -> Array:
        """(heads, size, size): a head's matrix is X' G X, G positive semidefinite."""
        grams = self.rows @ self.rows.transpose(0, 2, 1)
        size = grams.shape[1]
        squares = np.trace(grams, axis1=1, axis2=2)[:, None, None]
        one = np.eye(size, dtype=np.float32)
        scale = np.where(squares > 0, 1 / np.where(squares > 0, squares, 1), 0)
        if not self.spans:
            found: Array = (scale * one).astype(np.float32)
            return found
        inner = np.linalg.inv((grams * (scale * size) + RIDGE * one).astype(np.float64))
        spans: Array = (inner * scale).astype(np.float32)
        return spans

    def times(self, basis: Array) -> Array:
        """Return the sum of the heads' matrices times a (width, k) basis."""
        parts = self.weights @ (self.rows @ basis)
        found: Array = self.rows.reshape(-1, self.width).T @ parts.reshape(-1, basis.shape[1])
        return found

    def tables(self, basis: Array) -> Array:
        """Return (heads, k, k): every head's matrix within the span of a basis."""
        there = self.rows @ basis
        found: Array = there.transpose(0, 2, 1) @ (self.weights @ there)
        return found

    def within(self, basis: Array) -> Double:
        """Return the sum of the heads' matrices within the span of a basis, (k, k)."""
        found: Double = self.tables(basis).sum(axis=0).astype(np.float64)
        return found
