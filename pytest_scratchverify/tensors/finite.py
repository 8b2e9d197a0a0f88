"""Numbers that are none: NaN, infinity and what no weight can be, beside those that count.

One bad number hides no table and no layer. It is replaced by what its own row and column lead one
to expect, of the finite numbers of the same model: after centring that is zero, so it adds nothing
to a product with the other model, in whichever of the two it stands. Of a block that is mostly
bad nothing is measured, and it is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.tensors.plan import Block

Array = NDArray[np.float32]

MOST_BAD = 0.5  # of a block, beyond which it says nothing
HARMLESS = 0.01  # of the numbers that were read of a component, as for what met nothing

HEADLINES = {
    "share": "{share} % of the numbers that were read are not finite, or beyond any weight:"
    " {names}.",
    "lost": "These say nothing, because most of their numbers are not finite: {names}.",
}
LISTED = 10


def repaired(values: Array) -> tuple[Array, int]:
    """Replace numbers that are not finite by the expectation of row and column.

    Parameters
    ----------
    values : array of shape (rows, columns)

    Returns
    -------
    The array, unchanged where all is finite and all NaN where most is not, and how many of its
    numbers are not finite.
    """
    good = np.isfinite(values)
    bad = values.size - int(np.count_nonzero(good))
    if not bad:
        return values, 0
    if bad > MOST_BAD * values.size:
        return np.full_like(values, np.nan), bad
    kept = np.where(good, values, 0).astype(np.float64)
    grand = kept.sum() / good.sum()
    rows, columns = good.sum(axis=1, keepdims=True), good.sum(axis=0, keepdims=True)
    row = np.where(rows, kept.sum(axis=1, keepdims=True) / np.maximum(rows, 1), grand)
    if len(values) == 1:
        expected = np.broadcast_to(row, values.shape)
    else:
        column = np.where(columns, kept.sum(axis=0, keepdims=True) / np.maximum(columns, 1), grand)
        expected = row + column - grand
    return np.where(good, values, expected).astype(values.dtype), bad


@dataclass(slots=True)
class BrokenNumbers:
    """How many numbers of what was read of a model are none, by the place of their block."""

    _bad: dict[tuple[str, str, int, int, str, str], int] = field(default_factory=dict)
    _read: dict[tuple[str, str, int, int, str, str], int] = field(default_factory=dict)

    def note(self, block: Block, bad: int, size: int) -> None:
        """Count a block; one that is read twice counts once."""
        slot = block.matrix.slot
        # Experts of one stack, and queries and keys of one tensor, are blocks of one name.
        place = (slot.kind, slot.expert)
        key = (slot.component, block.matrix.info.name, block.start, block.stop, *place)
        self._read[key] = size
        if bad:
            self._bad[key] = bad

    def join(self, other: BrokenNumbers) -> None:
        """Take in what another process counted."""
        self._read |= other._read
        self._bad |= other._bad

    def names(self, component: Component) -> list[str]:
        """Name the tensors of a component in which numbers are none, sorted."""
        return sorted({key[1] for key in self._bad if key[0] == component.value})

    def reason(self, component: Component) -> Text | None:
        """Say why a component is not cleared by what is left; None where it is harmless."""
        read = {k: n for k, n in self._read.items() if k[0] == component.value}
        lost = {k[1] for k, n in self._bad.items() if k in read and n > MOST_BAD * read[k]}
        if lost:
            return Text(HEADLINES["lost"], names=sorted(lost)[:LISTED])
        bad = sum(n for key, n in self._bad.items() if key in read)
        if bad <= HARMLESS * sum(read.values()):
            return None
        share = round(100 * bad / sum(read.values()), 1)
        return Text(HEADLINES["share"], share=share, names=self.names(component)[:LISTED])
