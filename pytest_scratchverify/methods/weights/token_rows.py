"""Embedding rows of shared tokens, read of both token tables.

What is the same token is `tensors.token_rows`; here the rows are read, within a budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.stores.http.ranges import DEFAULT_GAP
from pytest_scratchverify.tensors.inventory import Matrix, Slot
from pytest_scratchverify.tensors.plan import Block, block_of
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog
from pytest_scratchverify.tensors.token_rows import TokenRows

Array = NDArray[np.float32]

FEWEST = 16  # tokens
FEWEST_OF_BLOCK = 256  # rows, of a block that is cut to a budget: channels are matched by them


def read_table(pair: ComponentPair, budget: int | None) -> tuple[Array, Array] | None:
    """Read rows of the same tokens of both models' embeddings or heads; None if it cannot be."""
    slot = pair.token_slot
    if slot not in pair.ours or slot not in pair.theirs:
        return None
    if pair.token_rows.same_numbers is False:
        found = read_token_rows(pair, budget)
    elif slot in pair.matrices:
        block = block_of(pair.ours[slot])
        if budget is not None and block.nbytes > budget:
            rows = (budget - block.matrix.fixed) // block.matrix.row_bytes
            if rows < FEWEST_OF_BLOCK:
                return None
            block = replace(block, stop=block.start + rows)
        found = next(iter(pair.checkpoints.batches([block])), {})
    else:
        return None
    return next(iter(found.values()), None)


def read_token_rows(
    pair: ComponentPair, budget: int | None
) -> Mapping[tuple[Slot, int], tuple[Array, Array]]:
    """Read the rows of shared tokens of both tables, as many as the budget allows."""
    slot, rows = pair.token_slot, pair.token_rows
    ours, theirs = pair.checkpoints.ours, pair.checkpoints.theirs
    mine, other = pair.ours.get(slot), pair.theirs.get(slot)
    if mine is None or other is None or mine.cols != other.cols:
        return {}
    dearest = max(mine.row_bytes, other.row_bytes)
    usable = (rows.ours < mine.rows) & (rows.theirs < other.rows)
    usable &= _held(ours, mine, rows.ours, usable) & _held(theirs, other, rows.theirs, usable)
    usable &= _spread(rows, max(1, DEFAULT_GAP // dearest), mine.rows, usable)
    count = int(usable.sum())
    if budget is not None:
        count = min(count, budget // dearest)
    if count < FEWEST:
        return {}
    pair.checkpoints.files.add((mine.info.file, other.info.file))
    left = _rows(ours, mine, rows.ours[usable][:count], pair.checkpoints.logs[0])
    right = _rows(theirs, other, rows.theirs[usable][:count], pair.checkpoints.logs[1])
    finite = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
    if int(finite.sum()) < FEWEST:
        return {}
    return {(slot, 0): (left[finite], right[finite])}


def _spread(rows: TokenRows, gap: int, size: int, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep tokens that lie apart in both large tables: what lies between would be read too."""
    apart = np.ones(len(rows.ours), bool)
    if size < 64 * gap:
        return apart
    chosen: list[tuple[int, int]] = []
    for number, (a, b) in enumerate(zip(rows.ours, rows.theirs, strict=True)):
        apart[number] = usable[number] and all(
            abs(a - x) > gap and abs(b - y) > gap for x, y in chosen
        )
        if apart[number]:
            chosen.append((int(a), int(b)))
    return apart


def _held(
    checkpoint: Checkpoint, matrix: Matrix, ids: NDArray[np.intp], usable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Say which rows can be read at all: a fingerprint holds some only."""
    blocks = (Block(matrix, int(row), int(row) + 1) for row in ids)
    held = (
        bool(asked) and checkpoint.holds(block) for block, asked in zip(blocks, usable, strict=True)
    )
    return np.fromiter(held, bool, len(ids))


def _rows(checkpoint: Checkpoint, matrix: Matrix, ids: NDArray[np.intp], log: ReadLog) -> Array:
    blocks = [Block(matrix, int(row), int(row) + 1) for row in ids]
    return np.concatenate(checkpoint.read(blocks, log))
