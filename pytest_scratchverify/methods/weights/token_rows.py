"""Rows of embedding tables, token by token where the vocabularies differ.

Row 17 of two embedding tables is the same token only under one tokenizer. Where tokens have
other numbers, rows are brought together by what the tokens say, on a sample of the shared
ones that is the same for every pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.http.ranges import DEFAULT_GAP
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.reading import Checkpoint, Ledger, Sides
from pytest_scratchverify.tensors.slices import Block, Matrix, Slot
from pytest_scratchverify.tokenizer.keys import common
from pytest_scratchverify.tokenizer.open import open_tokenizer

Array = NDArray[np.float32]

TOKENS = 512
SAME = 0.99
KIND = {Component.EMBEDDINGS: "embed", Component.LM_HEAD: "head"}


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Which rows of two tables stand for the same tokens.

    `same_numbers` says that tokens have one numbering, so that whole blocks can be read;
    None that the tokenizers could not be read, so that nobody knows.
    """

    ours: NDArray[np.intp]
    theirs: NDArray[np.intp]
    shared: int
    same_numbers: bool | None


def token_rows(ours: ArtifactStore, theirs: ArtifactStore) -> TokenRows:
    """Find the shared tokens of two models and their rows."""
    nothing = np.empty(0, np.intp)
    try:
        mine, other = open_tokenizer(ours)[0], open_tokenizer(theirs)[0]
    except Unavailable:
        return TokenRows(nothing, nothing, 0, None)
    shared = common(mine.keys, other.keys)
    sample = shared.first(TOKENS)
    left, right = sample.ids_a.astype(np.intp), sample.ids_b.astype(np.intp)
    known = (left >= 0) & (right >= 0)
    left, right = left[known], right[known]
    same = bool(len(left)) and float(np.mean(left == right)) >= SAME
    return TokenRows(left, right, len(shared.keys), same)


def read_token_rows(
    sides: Sides, component: Component, rows: TokenRows, budget: int | None
) -> Mapping[tuple[Slot, int], tuple[Array, Array]]:
    """Read the rows of shared tokens of both tables, as many as the budget allows."""
    slot = Slot(component.value, KIND[component])
    mine, other = (c.inventory.matrices.get(slot) for c in (sides.ours, sides.theirs))
    if mine is None or other is None or mine.cols != other.cols:
        return {}
    inside = (rows.ours < mine.rows) & (rows.theirs < other.rows)
    inside &= _spread(rows, max(1, DEFAULT_GAP // max(mine.row_bytes, other.row_bytes)), mine.rows)
    inside &= _held(sides.ours, mine, rows.ours) & _held(sides.theirs, other, rows.theirs)
    count = int(inside.sum())
    if budget is not None:
        count = min(count, budget // max(mine.row_bytes, other.row_bytes))
    if count < 16:
        return {}
    left = _rows(sides.ours, mine, rows.ours[inside][:count], sides.ledgers[0])
    right = _rows(sides.theirs, other, rows.theirs[inside][:count], sides.ledgers[1])
    return {(slot, 0): (left, right)}


def _spread(rows: TokenRows, gap: int, size: int) -> NDArray[np.bool_]:
    """Keep tokens that lie apart in both large tables: what lies between would be read too."""
    kept = np.ones(len(rows.ours), bool)
    if size < 64 * gap:
        return kept
    chosen: list[tuple[int, int]] = []
    for number, (a, b) in enumerate(zip(rows.ours, rows.theirs, strict=True)):
        kept[number] = all(abs(a - x) > gap and abs(b - y) > gap for x, y in chosen)
        if kept[number]:
            chosen.append((int(a), int(b)))
    return kept


def _held(checkpoint: Checkpoint, matrix: Matrix, ids: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Say which rows can be read at all: a fingerprint holds some only."""
    return np.array([checkpoint.holds(Block(matrix, int(row), int(row) + 1)) for row in ids], bool)


def _rows(checkpoint: Checkpoint, matrix: Matrix, ids: NDArray[np.intp], ledger: Ledger) -> Array:
    blocks = [Block(matrix, int(row), int(row) + 1) for row in ids]
    return np.concatenate(checkpoint.read(blocks, ledger))
