"""Two checkpoints laid side by side: a partner for every tensor that can be given one."""

from __future__ import annotations

from copy import deepcopy

from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.copies import without_copies
from pytest_scratchverify.tensors.pairing import paired
from pytest_scratchverify.tensors.reading import (
    Checkpoint,
    CheckpointPair,
    ReadLog,
    open_checkpoint,
)

PLACES = "places"
Placed = tuple[tuple[Checkpoint, Checkpoint], tuple[ReadLog, ReadLog]]


def side_by_side(ours: ArtifactStore, theirs: ArtifactStore) -> CheckpointPair:
    """Open two checkpoints and lay their tensors side by side.

    Fused attention is cut alike in both, what is stored twice counts once (`copies`), and tensors
    that names leave alone get partners where there are any (`pairing`). That is found once for two
    checkpoints, and what was read for it is in every comparison's account.

    Raises `Unavailable` where headers, or the rows to look at, cannot be read.
    """
    mine, other = open_checkpoint(ours), open_checkpoint(theirs)
    known = mine.beside(other)
    if PLACES not in known:
        known[PLACES] = _placed(mine, other)
    found: Placed = known[PLACES]
    (mine, other), logs = found
    return CheckpointPair(mine, other, deepcopy(logs))


def _placed(ours: Checkpoint, theirs: Checkpoint) -> Placed:
    logs = (ReadLog(), ReadLog())
    ours, theirs = ours.with_heads(theirs.attention), theirs.with_heads(ours.attention)
    ours, theirs = without_copies(ours, logs[0]), without_copies(theirs, logs[1])
    return paired(ours, theirs, logs), logs
