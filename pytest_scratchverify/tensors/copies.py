"""Tensors under two names: equal at the rows that a comparison reads, they are one.

Exports that keep both prefixes, tied tables that are stored twice, the two tables of tokens of T5:
a loader takes one, and it does not matter which. A name that no table knows is a second one where
it ends as a known one does. Whether they are equal is read, not believed:
at the rows that the plan reads first, as many of them as a small budget allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np

from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.roles import role_of
from pytest_scratchverify.checkpoint.stack_order import STACKS_OF_SOUND, STACKS_OF_TEXT
from pytest_scratchverify.core.component import TOKEN_TABLES
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.tensors.inventory import Inventory, Matrix, Slot
from pytest_scratchverify.tensors.plan import Block, block_of
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog
from pytest_scratchverify.tensors.structure import probable_component

BUDGET = 4_000_000  # bytes of either copy, all of them together
PREFIX = 4  # words in front of a name that may differ
WHOLE = 16_000_000  # bytes of such copies: they are read whole, since no comparison takes either
FEWEST = 2  # rows; with less of each, nothing is said of any
TABLE, HEAD = (Slot(component.value, kind) for component, kind in TOKEN_TABLES.items())


def without_copies(checkpoint: Checkpoint, log: ReadLog) -> Checkpoint:
    """Return the checkpoint with one place for what is stored twice and equal.

    What differs stays named in `Inventory.twice`. Raises `Unavailable` where rows cannot be read.
    """
    checkpoint = _without_namesakes(checkpoint, log)
    equal = _equal(checkpoint, log)
    return checkpoint.with_inventory(_merged(checkpoint.inventory, equal)) if equal else checkpoint


def copied_names(checkpoint: Checkpoint, log: ReadLog, *, tied: bool = False) -> frozenset[str]:
    """Name the tensors that are stored a second time, and equal at the rows that were read.

    Parameters
    ----------
    tied
        Whether the config says that the head is the table of embeddings: then one that is stored
        all the same, and equal, is a copy too.

    Raises `Unavailable` where rows cannot be read.
    """
    gone = _whole_names(checkpoint.inventory, _equal(checkpoint, log))
    gone |= {*_namesakes(checkpoint, log)}
    head = checkpoint.inventory.matrices.get(HEAD)
    table = checkpoint.inventory.matrices.get(TABLE)
    if tied and head and table and _alike_in_shape(head, table):
        gone |= {head.info.name} if _is_equal(checkpoint, table, head, BUDGET, log) else set()
    return frozenset(gone)


def _equal(checkpoint: Checkpoint, log: ReadLog) -> list[Matrix]:
    """Return the matrices for whose place there is another, equal one."""
    inventory = checkpoint.inventory
    doubles = [m for m in inventory.doubles if _alike_in_shape(m, inventory.matrices[m.slot])]
    share = BUDGET // max(1, len(doubles))
    return [m for m in doubles if _is_equal(checkpoint, inventory.matrices[m.slot], m, share, log)]


def _is_equal(
    checkpoint: Checkpoint, first: Matrix, second: Matrix, budget: int, log: ReadLog
) -> bool:
    block = _sampled(first, budget)
    other = Block(second, block.start, block.stop)
    if block.stop - block.start < min(FEWEST, second.rows):
        return False
    if not (checkpoint.holds(other) and checkpoint.holds(block)):
        return False
    left, right = checkpoint.read([block, other], log)
    return bool(np.array_equal(left, right, equal_nan=True))


def _without_namesakes(checkpoint: Checkpoint, log: ReadLog) -> Checkpoint:
    """Take away what is stored again under a name that no table knows."""
    gone = {*_namesakes(checkpoint, log)}
    if not gone:
        return checkpoint
    inventory = checkpoint.inventory
    with_slot = {m.info.name: m.slot for m in inventory.matrices.values() if m.info.name in gone}
    parameters, unplaced = Counter(inventory.parameters), Counter(inventory.unplaced)
    nameless = Counter(inventory.nameless)
    for name in gone:
        count = checkpoint.tensors[name].parameters
        role = None if name in inventory.unmapped else role_of(name)
        if name in with_slot:
            parameters[with_slot[name].component] -= count
        elif role is not None:
            parameters[role.component.value] -= count
        else:
            part = probable_component(name).value
            nameless[part] -= count
            unplaced[part] -= count
    kept = {s: m for s, m in inventory.matrices.items() if m.info.name not in gone}
    return checkpoint.with_inventory(
        replace(
            inventory,
            matrices=kept,
            parameters=+parameters,
            unplaced=+unplaced,
            nameless=+nameless,
            unmapped=tuple(name for name in inventory.unmapped if name not in gone),
        )
    )


def _namesakes(checkpoint: Checkpoint, log: ReadLog) -> list[str]:
    """Name the tensors of unknown names that are, number for number, one of a known name."""
    tensors, inventory = checkpoint.tensors, checkpoint.inventory
    elsewhere = {*inventory.placed, *inventory.oversized, *inventory.unsupported, *inventory.twice}
    derived = checkpoint.store.derived  # once a store, and not with every reference again
    if _OddStacks not in derived:
        derived[_OddStacks] = _OddStacks(_odd_stacks(tensors))
    odd = {*inventory.unmapped, *cast("_OddStacks", derived[_OddStacks])}
    unknown = odd - elsewhere - checkpoint.packed
    known = tensors.keys() - odd - checkpoint.packed
    if not unknown:
        return []
    lasts = {name.rpartition(".")[2] for name in unknown}  # which no end goes without
    alike = [name for name in known if name.rpartition(".")[2] in lasts]
    by_end = {end: name for name in sorted(alike, reverse=True) for end in _ends(name)}
    pairs: list[tuple[TensorInfo, TensorInfo]] = []
    for name in sorted(unknown):
        of = next((by_end[end] for end in _ends(name) if end in by_end), None)
        if of is None:
            continue
        one, other = tensors[name], tensors[of]
        if (one.dtype, one.shape) == (other.dtype, other.shape) and one.nbytes:
            pairs.append((one, other))
    if sum(one.nbytes for one, _ in pairs) > WHOLE:
        return []
    return [one.name for one, other in pairs if _same_bytes(checkpoint, one, other, log)]


class _OddStacks(frozenset[str]):
    """The names that `_odd_stacks` gives, as a store keeps them."""


def _odd_stacks(tensors: Iterable[str]) -> set[str]:
    """Name the tensors of stacks that no word tells apart, beside the first: shadows, averages."""
    sides: dict[str, set[str]] = {}
    for name in tensors:
        role = role_of(name)
        if role is not None and role.layer is not None:
            sides.setdefault(role.side, set()).add(name)
    odd = sorted(sides.keys() - {"", *STACKS_OF_TEXT, *STACKS_OF_SOUND})
    beside = odd if sides.keys() - {*odd} else odd[1:]
    return {name for side in beside for name in sides[side]}


def _ends(name: str) -> list[str]:
    """Return a name without its first words, the longest first: no number goes, and two stay."""
    words = name.split(".")
    first = next((n for n, word in enumerate(words) if word.isdecimal()), len(words))
    return [".".join(words[n:]) for n in range(min(PREFIX, first, len(words) - 2) + 1)]


def _same_bytes(checkpoint: Checkpoint, one: TensorInfo, other: TensorInfo, log: ReadLog) -> bool:
    """Whether two tensors of one size hold the same bytes, all of them."""
    bodies = []
    for info in (one, other):
        span = ByteRange(info.start, info.stop)
        if not checkpoint.store.holds(info.file, [span]):
            return False
        bodies += checkpoint.read_raw(info.file, [span], log)
    return bodies[0] == bodies[1]


def _alike_in_shape(left: Matrix, right: Matrix) -> bool:
    return (left.rows, left.cols) == (right.rows, right.cols)


def _sampled(matrix: Matrix, budget: int) -> Block:
    """Return the first of the rows that the plan reads, within a budget."""
    block = block_of(matrix)
    if matrix.fixed:
        return block if matrix.fixed <= budget else Block(matrix, block.start, block.start)
    rows = min(block.stop - block.start, budget // max(1, matrix.row_bytes))
    return Block(matrix, block.start, block.start + rows)


def _whole_names(inventory: Inventory, equal: list[Matrix]) -> set[str]:
    """Name the tensors whose every matrix in a place of another's has its equal."""
    found = Counter(matrix.info.name for matrix in equal)
    wanted = Counter(matrix.info.name for matrix in inventory.doubles)
    return {name for name, count in found.items() if count == wanted[name]}


def _merged(inventory: Inventory, equal: list[Matrix]) -> Inventory:
    """Count tensors whose every matrix has its equal once."""
    gone = _whole_names(inventory, equal)
    parameters, unplaced = dict(inventory.parameters), dict(inventory.unplaced)
    place: dict[str, Slot] = {m.info.name: m.slot for m in equal}
    stored = {m.info.name: m.info for m in equal}
    for name in gone:
        component, info = place[name].component, stored[name]
        parameters[component] -= info.parameters
        unplaced[component] -= info.parameters
    return replace(
        inventory,
        parameters=parameters,
        unplaced={name: count for name, count in unplaced.items() if count},
        twice=tuple(name for name in inventory.twice if name not in gone),
        doubles=tuple(m for m in inventory.doubles if m.info.name not in gone),
    )
