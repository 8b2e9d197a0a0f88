"""Whether two saves of one repository are the same weights in different precision.

Repositories of GGUF hold one model in twenty quantisations. A few rows of every layer tell whether
all of them are: places that the weights' own headers decide, so that nobody knows them beforehand
and only a copy of everything agrees everywhere.
"""

from __future__ import annotations

from enum import Enum, auto
from zlib import crc32

import numpy as np

from pytest_scratchverify.stats.weights.centring import cosine
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import ReadLog, open_checkpoint

ALIKE = 0.8  # cosine of rows: two bits a weight leave .9, and strangers' rows have 0
ROWS = 4  # of a matrix


class Sameness(Enum):
    """What rows of two saves say; of a save that is decoded in part no more than that part."""

    SAME = auto()
    OTHER = auto()
    UNDECODED = auto()


def same_weights(ours: ArtifactStore, other: ArtifactStore) -> Sameness:
    """Compare rows of one matrix a layer and of all tables, at places that the headers draw.

    What is in one of the two only, and is not known to be undecoded, makes them other weights.
    Raises `Unavailable` where either cannot be read.
    """
    one, two = open_checkpoint(ours), open_checkpoint(other)
    left, right = one.inventory, two.inventory
    undecoded = bool(left.unsupported or right.unsupported)
    shared = left.matrices.keys() & right.matrices.keys()
    if not shared or (not undecoded and left.matrices.keys() != right.matrices.keys()):
        return Sameness.OTHER
    seed = f"{one.index_record.digest}{two.index_record.digest}"
    rng = np.random.default_rng(crc32(seed.encode()))
    mine: list[Block] = []
    theirs: list[Block] = []
    for slots in _by_layer([slot for slot in shared if left.matrices[slot].rows > 1]):
        slot = slots[rng.integers(len(slots))]
        a, b = left.matrices[slot], right.matrices[slot]
        if (a.rows, a.cols) != (b.rows, b.cols):
            return Sameness.OTHER
        start = int(rng.integers(max(1, a.rows - ROWS)))
        stop = min(a.rows, start + ROWS)
        mine.append(Block(a, start, stop))
        theirs.append(Block(b, start, stop))
    pairs = zip(one.read(mine, ReadLog()), two.read(theirs, ReadLog()), strict=True)
    if not all(cosine(a, b) >= ALIKE for a, b in pairs):
        return Sameness.OTHER
    return Sameness.UNDECODED if undecoded else Sameness.SAME


def _by_layer(slots: list[Slot]) -> list[list[Slot]]:
    """Sort places by component, layer and expert."""
    found: dict[tuple[str, int, str], list[Slot]] = {}
    for slot in sorted(slots):
        found.setdefault((slot.component, slot.layer, slot.expert), []).append(slot)
    return [*found.values()]
