"""Whether two saves of one repository are the same weights in different precision.

Repositories of GGUF hold one model in twenty quantisations. A few rows of every layer tell whether
all of them are: places that the digests of the files decide where they are listed, else those of
the headers, so that whoever plants rows there moves the places.
"""

from __future__ import annotations

import hashlib
from enum import Enum, auto

import numpy as np

from pytest_scratchverify.stats.weights.centring import cosine
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog, open_checkpoint

ALIKE = 0.8  # cosine of rows: two bits a weight leave .9, and strangers' rows have 0
ROWS = 4  # of a matrix


class Sameness(Enum):
    """What rows of two saves say; of a save that is decoded in part no more than that part."""

    SAME = auto()
    OTHER = auto()
    UNDECODED = auto()


def same_weights(ours: ArtifactStore, other: ArtifactStore) -> Sameness:
    """Compare rows of one matrix a layer and of all tables, at drawn places.

    What is in one of the two only, and is not known to be undecoded, makes them other weights.
    Raises `Unavailable` where either cannot be read.
    """
    one, two = open_checkpoint(ours), open_checkpoint(other)
    known = one.beside(two)
    if Sameness not in known:  # whatever it is then compared with
        known[Sameness] = _compared(one, two)
    answer: Sameness = known[Sameness]
    return answer


def _compared(one: Checkpoint, two: Checkpoint) -> Sameness:
    left, right = one.inventory, two.inventory
    undecoded = bool(left.unsupported or right.unsupported)
    shared = left.matrices.keys() & right.matrices.keys()
    if not shared or (not undecoded and left.matrices.keys() != right.matrices.keys()):
        return Sameness.OTHER
    seed = hashlib.sha256()
    for checkpoint in (one, two):
        listed = [entry.sha256 or "" for entry in checkpoint.store.files().value]
        seed.update(f"{checkpoint.index_record.digest}{sorted(listed)}".encode())
    rng = np.random.default_rng(int.from_bytes(seed.digest()[:8], "big"))
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
