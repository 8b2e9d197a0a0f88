"""Partners for norm gains that names leave alone, of which no shape tells one from another.

They are brought together by a part of their channels, and that part is left out of whatever is
compared afterwards (`stats.weights.gain_pairs`): a place then holds a view of the others. Where a
name tells one side's place, the whole vectors stand there too, as what the matrix behind them
reads, which is no comparison of gains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.formats.row_order import PickedColumns, PlainRows
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.gain_pairs import (
    Channels,
    follows_its_number,
    pair_gains,
)
from pytest_scratchverify.tensors.inventory import (
    Inventory,
    Matrix,
    Slot,
    is_residual_gain,
    is_unnamed,
)
from pytest_scratchverify.tensors.matrices import GAIN, WHOLE
from pytest_scratchverify.tensors.plan import Block, in_order
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog

Array = NDArray[np.float32]

MOST = 256  # vectors of either model
BUDGET = 2_000_000  # bytes of either model


@dataclass(frozen=True, slots=True)
class _Gain:
    """A vector, and its numbers."""

    matrix: Matrix
    values: Array

    @property
    def is_named(self) -> bool:
        return not is_unnamed(self.matrix.slot.kind)


@dataclass(frozen=True, slots=True)
class _Move:
    matrix: Matrix
    slot: Slot
    held_out: Channels | None


def with_gains_paired(
    ours: Checkpoint, theirs: Checkpoint, logs: tuple[ReadLog, ReadLog]
) -> tuple[Checkpoint, Checkpoint]:
    """Return both checkpoints with a partner for every norm gain that can be given one.

    Nothing changes where the tables know the gains of both. Raises `Unavailable` where they cannot
    be read.
    """
    sides = _free(ours.inventory, theirs.inventory), _free(theirs.inventory, ours.inventory)
    if not (all(sides) and any(is_unnamed(m.slot.kind) for side in sides for m in side)):
        return ours, theirs
    read = [_read(c, m, log) for c, m, log in zip((ours, theirs), sides, logs, strict=True)]
    moves: tuple[list[_Move], list[_Move]] = ([], [])
    for mine, other, held_out in _pairs(*read):
        slot = _common_slot(mine.matrix.slot, other.matrix.slot)
        for side, gain in zip(moves, (mine, other), strict=True):
            side.append(_Move(gain.matrix, slot, held_out))
    if not moves[0]:
        return ours, theirs
    return (
        ours.with_inventory(_moved(ours.inventory, moves[0])),
        theirs.with_inventory(_moved(theirs.inventory, moves[1])),
    )


def _free(inventory: Inventory, other: Inventory) -> list[Matrix]:
    """Return the gains of the text that have no partner, or one by a name that tells no layer."""
    found = [
        matrix
        for slot, matrix in inventory.of(Component.TEXT_DECODER).items()
        if is_residual_gain(slot)
        and matrix.rows == 1
        and (slot not in other.matrices or (is_unnamed(slot.kind) and slot.layer < 0))
    ]
    return in_order(found)


def _read(checkpoint: Checkpoint, gains: Sequence[Matrix], log: ReadLog) -> list[_Gain]:
    """Read gains up to the budget, and leave out unnamed vectors that may be none."""
    blocks: list[Block] = []
    spent = 0
    for matrix in gains[:MOST]:
        block = Block(matrix, 0, 1)
        if spent + block.nbytes <= BUDGET and checkpoint.holds(block):
            blocks.append(block)
            spent += block.nbytes
    values = checkpoint.read(blocks, log)
    found = [_Gain(block.matrix, value[0]) for block, value in zip(blocks, values, strict=True)]
    return [gain for gain in found if gain.is_named or not _may_be_computed(gain.values)]


def _may_be_computed(values: Array) -> bool:
    return not is_degenerate(values) and follows_its_number(values)


def _pairs(
    ours: Sequence[_Gain], theirs: Sequence[_Gain]
) -> Iterator[tuple[_Gain, _Gain, Channels | None]]:
    """Yield pairs of one length, each with the channels that were not paired by.

    Nothing is left out of vectors that do not vary, which no test looks at: these are dealt in
    their order.
    """
    for width in sorted({len(gain.values) for gain in (*ours, *theirs)}):
        sides = [[g for g in side if len(g.values) == width] for side in (ours, theirs)]
        left, right = ([g for g in side if not is_degenerate(g.values)] for side in sides)
        # What names tell of both needs no numbers.
        asked = np.array([[not (a.is_named and b.is_named) for b in right] for a in left])
        found = pair_gains([g.values for g in left], [g.values for g in right], asked)
        for a, b in found.pairs if found is not None else ():
            yield left[a], right[b], found.held_out if found is not None else None
        flat = [[g for g in side if is_degenerate(g.values)] for side in sides]
        for mine, other in zip(*flat, strict=False):
            if not (mine.is_named and other.is_named):
                yield mine, other, None


def _common_slot(ours: Slot, theirs: Slot) -> Slot:
    """Return the place that one has by its name, else one of both their names."""
    for slot in (theirs, ours):
        if not is_unnamed(slot.kind):
            return slot
    names = [slot.kind.removeprefix(GAIN) for slot in (ours, theirs)]
    layer = [str(ours.layer)] if ours.layer >= 0 else []
    return replace(theirs, kind=GAIN + "=".join([*names, *layer]))


def _view(matrix: Matrix, held_out: Channels | None) -> Matrix:
    """Return the channels of a vector that were not paired by."""
    if held_out is None:
        return matrix
    inner = matrix.codec or PlainRows(matrix.info, (1, matrix.cols), matrix.scale)
    codec = PickedColumns(inner, held_out)
    return replace(matrix, cols=len(held_out), codec=codec, scale=None, fixed=codec.fixed)


def _moved(inventory: Inventory, moves: Sequence[_Move]) -> Inventory:
    gone = {id(move.matrix) for move in moves}
    matrices = {s: m for s, m in inventory.matrices.items() if id(m) not in gone}
    placed = dict(inventory.placed)
    for move in moves:
        slot, matrix = move.slot, move.matrix
        matrices[slot] = replace(_view(matrix, move.held_out), slot=slot)
        if move.held_out is not None and not is_unnamed(slot.kind):
            whole = replace(slot, kind=WHOLE + slot.kind)
            matrices[whole] = replace(matrix, slot=whole)
        if is_unnamed(matrix.slot.kind):
            placed[matrix.info.name] = slot
    return replace(inventory, matrices=matrices, placed=placed)
