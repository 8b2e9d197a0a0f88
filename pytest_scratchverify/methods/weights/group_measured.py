"""What measuring one tensor group leaves: it crosses between machines, and is joined in order.

Sums over channels may be joined before, in any order and by whoever has them: they are exact.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.methods.weights.equal_numbers import EqualNumbers
from pytest_scratchverify.methods.weights.formulas import Formulas
from pytest_scratchverify.methods.weights.measure import Similar
from pytest_scratchverify.methods.weights.neurons import Piece, Sketched
from pytest_scratchverify.methods.weights.roles_in_place import RoleSums
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSums
from pytest_scratchverify.tensors.finite import BrokenNumbers
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.reading import ReadLog

Array = NDArray[np.float32]


@dataclass(slots=True)
class Sums:
    """Sums over channels of one group or of several: of both halves, and of every role."""

    halves: list[ChannelSums | None]
    roles: RoleSums

    def join(self, other: Sums) -> None:
        """Add the sums of other groups: exactly, in any order."""
        for number, sums in enumerate(other.halves):
            mine = self.halves[number]
            if mine is None or sums is None:
                self.halves[number] = mine or deepcopy(sums)
            else:
                mine.join(sums)
        self.roles.join(other.roles)


@dataclass(frozen=True, slots=True)
class DrawnNeurons:
    """The neurons of one group in their places, as counted if its draw is none seen before."""

    draw: Sketched
    counted: list[tuple[int, int, tuple[int, ...]]]  # the half, fixed points, sizes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gate that could be matched with its up matrix, whole."""

    slot: Slot
    rows: int
    draw: Sketched


@dataclass(slots=True, kw_only=True)
class GroupMeasured:
    """All of it; of weights it holds norm gains only.

    `sums` may be those of several groups, or None where another group's hold them. What another
    process read for it is in `logs`, `broken` and `files`.
    """

    similar: list[Similar]
    gains: list[tuple[Array, Array]]
    equal: EqualNumbers
    formulas: Formulas
    moved: list[tuple[float, int]]
    elements: int
    zeros: list[int]
    beyond: set[str]
    drawn: list[DrawnNeurons]
    candidates: list[Candidate]
    pieces: list[tuple[Piece, int, int]]  # finite ones that a sample may hold, rows, elements
    sums: Sums | None
    logs: tuple[ReadLog, ReadLog] | None = None
    broken: tuple[BrokenNumbers, BrokenNumbers] | None = None
    files: frozenset[tuple[str, str]] = frozenset()
