"""Two checkpoints laid side by side: a partner for every tensor that can be given one."""

from __future__ import annotations

from copy import deepcopy

from pytest_scratchverify.checkpoint.formats.row_order import PickedRows, PlainRows
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.stats.weights.centring import centred_cosine
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.copies import without_copies
from pytest_scratchverify.tensors.gain_pairing import with_gains_paired
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.masks import without_false_masks
from pytest_scratchverify.tensors.pairing import ALIKE, paired
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import (
    Checkpoint,
    CheckpointPair,
    ReadLog,
    open_checkpoint,
)

PLACES = "places"
BETTER = 0.1  # by so much the cosine of rows as they lie exceeds that of rows put in order
Placed = tuple[tuple[Checkpoint, Checkpoint], tuple[ReadLog, ReadLog]]


def side_by_side(ours: ArtifactStore, theirs: ArtifactStore) -> CheckpointPair:
    """Open two checkpoints and lay their tensors side by side.

    Fused attention is cut alike in both, what is stored twice counts once (`copies`), and tensors
    that names leave alone get partners where there are any (`pairing`, `gain_pairing`). That is
    found once for two checkpoints, and what was read for it is in every comparison's account.

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
    ours, theirs = _as_stored(ours, theirs, logs), _as_stored(theirs, ours, logs[::-1])
    ours = without_false_masks(ours, logs[0])
    ours, theirs = without_copies(ours, logs[0]), without_copies(theirs, logs[1])
    return with_gains_paired(*paired(ours, theirs, logs), logs), logs


def _as_stored(
    checkpoint: Checkpoint, other: Checkpoint, logs: tuple[ReadLog, ReadLog]
) -> Checkpoint:
    """Return a checkpoint whose native names lie: rows that were renamed and left as they were.

    The queries of one head tell, if they are the other model's: strangers' do not pass the bar.
    """
    slot = Slot(Component.TEXT_DECODER.value, "q", 0)
    mine, partner = (side.inventory.matrices.get(slot) for side in (checkpoint, other))
    heads = checkpoint.attention
    if mine is None or partner is None or heads is None or mine.rows != partner.rows:
        return checkpoint
    codec = mine.codec
    if not (isinstance(codec, PickedRows) and isinstance(codec.inner, PlainRows)):
        return checkpoint
    if mine.info.shape != (mine.rows, mine.cols) or mine.cols != partner.cols:
        return checkpoint  # a part of a fused tensor
    plain = checkpoint.in_stored_order()
    blocks = [Block(m, 0, heads.size) for m in (mine, plain.inventory.matrices[slot], partner)]
    sides = (checkpoint, plain, other)
    if not all(side.holds(block) for side, block in zip(sides, blocks, strict=True)):
        return checkpoint
    ordered, stored, theirs = (
        side.read([block], log)[0]
        for side, block, log in zip(sides, blocks, (logs[0], logs[0], logs[1]), strict=True)
    )
    as_stored = centred_cosine(stored, theirs)
    better = as_stored >= ALIKE and as_stored > centred_cosine(ordered, theirs) + BETTER
    return plain if better else checkpoint
