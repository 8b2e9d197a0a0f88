"""Masks of attention that checkpoints keep, and tensors of a mask's shape that are none.

GPT-2, GPT-Neo and GPT-J save the triangle that hides later tokens: ones and zeros, or zeros and
one very negative number, that change at most twice along a row. Weights of another model could
lie in its place under its name, so some rows are read, and what no mask has counts as compared
with nothing. Rows are drawn from a published seed, as the plan of slices is.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES
from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.tensors.plan import SEED
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog
from pytest_scratchverify.tensors.structure import probable_component

BUDGET = 1_000_000  # bytes of all masks together; a row of each at least
MOST_READ = 16_000_000  # beyond which nothing is read, and none is believed
ROWS = 16  # of one mask
HIDDEN = -1e3  # and below: what a mask adds where nobody may look
CHANGES = 2  # along a row: later tokens, and in a window those that are long gone
_WHOLE = {"BOOL": "u1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}


def mask_rows(info: TensorInfo, masks: int) -> list[ByteRange]:
    """Return the rows of a mask that are looked at, where a checkpoint has so many masks."""
    size = info.shape[-1]
    width = info.nbytes // max(1, math.prod(info.shape[:-1]))
    if not width or masks * width > MOST_READ:
        return []
    count = min(size, ROWS, max(1, BUDGET // (masks * width)))
    drawn = sorted({_draw(info.name, turn) % size for turn in range(count)})
    return [ByteRange(info.start + n * width, info.start + (n + 1) * width) for n in drawn]


def _draw(name: str, turn: int) -> int:
    digest = hashlib.blake2b(f"{SEED}|mask|{name}|{turn}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def without_false_masks(checkpoint: Checkpoint, log: ReadLog) -> Checkpoint:
    """Return the checkpoint in which whatever only has the shape of a mask is counted.

    Raises `Unavailable` where rows cannot be read.
    """
    inventory = checkpoint.inventory
    false = [info for info in inventory.masks if not _is_mask(checkpoint, info, log)]
    if not false:
        return checkpoint
    parameters, unplaced = dict(inventory.parameters), dict(inventory.unplaced)
    for info in false:
        key = probable_component(info.name).value
        parameters[key] = parameters.get(key, 0) + info.parameters
        unplaced[key] = unplaced.get(key, 0) + info.parameters
    named = tuple(sorted({*inventory.oversized, *(info.name for info in false)}))
    return checkpoint.with_inventory(
        replace(inventory, parameters=parameters, unplaced=unplaced, oversized=named, masks=())
    )


def _is_mask(checkpoint: Checkpoint, info: TensorInfo, log: ReadLog) -> bool:
    """Whether the rows that are read are those of a mask; what cannot be read is none."""
    dtype = NUMPY_DTYPES.get(info.dtype) or _WHOLE.get(info.dtype)
    if dtype is None:  # packed, as no mask is
        return False
    spans = mask_rows(info, len(checkpoint.inventory.masks))
    if not spans or not checkpoint.store.holds(info.file, spans):
        return False
    bodies = checkpoint.read_raw(info.file, spans, log)
    return all(is_mask_row(np.frombuffer(body, dtype)) for body in bodies)


def is_mask_row(values: NDArray[Any]) -> bool:
    """Whether a row holds a mask's numbers in a mask's order.

    Examples
    --------
    >>> is_mask_row(np.array([1, 1, 0, 0])), is_mask_row(np.array([1, 0, 1, 0, 1]))
    (True, False)

    """
    if np.count_nonzero(values[1:] != values[:-1]) > CHANGES:
        return False
    found = np.unique(values).astype(np.float64)
    return len(found) <= 2 and all(value in (0, 1) or value <= HIDDEN for value in found)
