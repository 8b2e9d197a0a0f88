"""Pieces at which both models follow one public formula: kept out of statistics, and named.

Where nothing but the formula is in the numbers, equal ones are no copy either. Where training left
more in them, equal ones are: nobody trains into the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.methods.weights.neurons import Batch, Piece
from pytest_scratchverify.stats.weights.anchored_search import Key
from pytest_scratchverify.stats.weights.public_formula import formula_of, is_formula_alone
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]


@dataclass(slots=True)
class Formulas:
    """Accumulates the slots at which both sides follow one formula.

    `names` are the formulas by slot, `followed` the slots whose numbers hold more than one.
    """

    names: dict[str, str] = field(default_factory=dict)
    _followed: set[str] = field(default_factory=set)

    def add(self, matrices: Batch, whole_rows: Mapping[Slot, int]) -> dict[Piece, bool]:
        """Return the pieces that follow a formula, and whether there is nothing else in both."""
        found: dict[Piece, bool] = {}
        for piece, (ours, theirs) in matrices.items():
            slot, start = piece
            place = (start, whole_rows.get(slot, 0))
            name = formula_of(ours, *place)
            if name is None or name != formula_of(theirs, *place):
                continue
            self.names[str(slot)] = name
            found[piece] = is_formula_alone(ours, *place) and is_formula_alone(theirs, *place)
            if not found[piece]:
                self._followed.add(str(slot))
        return found

    def join(self, other: Formulas) -> None:
        """Take in slots that were looked at elsewhere."""
        self.names |= other.names
        self._followed |= other._followed

    @property
    def followed(self) -> frozenset[str]:
        """The slots that were trained away from their formula."""
        return frozenset(self._followed)


def blocks_of_formulas(
    ours: Mapping[Key, Sequence[Array]], theirs: Mapping[Key, Sequence[Array]]
) -> tuple[set[Key], set[Key]]:
    """Return the blocks, of either model, that follow a formula which blocks of both follow.

    The first two matrices of a block decide. What only one of the two models follows is no
    common property, and leaves nothing out: nobody hides a copy by adding a formula to it.
    """
    named = [
        {key: {formula_of(v) for v in block[:2]} - {None} for key, block in side.items()}
        for side in (ours, theirs)
    ]
    common = set().union(*named[0].values()) & set().union(*named[1].values())
    return (
        {key for key, names in named[0].items() if names & common},
        {key for key, names in named[1].items() if names & common},
    )
