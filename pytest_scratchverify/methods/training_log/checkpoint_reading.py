"""Reader of a checkpoint series: the same slices of every checkpoint, within one byte budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stores.snapshots import Snapshot, Snapshots
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.inventory import Inventory, Matrix, Slot, reads_residual
from pytest_scratchverify.tensors.plan import BUDGETS, Block, plan_component
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog, open_checkpoint

Array = NDArray[np.float32]
Slices = Mapping[Slot, Array]

CHECKPOINTS: Mapping[str, int] = {"quick": 10, "robust": 24, "full": 64}
SHARE = 0.5  # of the depth's bytes: the weights tests read too
MOST_BYTES = 2 * 2**20  # of one checkpoint: all are held in memory together


@dataclass(frozen=True, slots=True)
class CheckpointSeries:
    """The same slices of a run's checkpoints by step, and of the model that came of it."""

    names: tuple[str, ...]
    steps: tuple[int, ...]
    slices: tuple[Slices, ...]
    published: Slices | None
    records: tuple[ArtifactRecord, ...]
    found: int  # checkpoints that there are, read or not
    unread: tuple[Text, ...]
    others: Mapping[str, int]

    def as_vectors(self) -> list[Array]:
        """Return every checkpoint as one vector, slices in the order of their slots."""
        return [np.concatenate([s[k].ravel() for k in sorted(s)]) for s in self.slices]


def read_series(
    snapshots: Snapshots, published: ArtifactStore | None, depth: str, limit: int | None
) -> CheckpointSeries:
    """Read the same rows of every chosen checkpoint and of the published model.

    What one of them lacks is taken from none. A checkpoint that cannot be read is left out
    and named. Raises `Unavailable` where no two can be read.
    """
    chosen = choose(snapshots.found, CHECKPOINTS.get(depth, CHECKPOINTS["quick"]))
    budget = _budget(depth, limit, len(chosen) + 1)
    opened: list[tuple[Snapshot, Checkpoint]] = []
    unread: list[Text] = []
    first: Unavailable | None = None
    for snapshot in chosen:
        try:
            opened.append((snapshot, open_checkpoint(snapshot.open())))
        except Unavailable as failure:
            first = first or failure
            unread.append(Text("{name}: {why}", name=snapshot.name, why=failure.what))
    if len(opened) < 2:
        raise first or too_few_checkpoints(len(opened))
    whole = _published(published)
    everything = [c for _, c in opened] + ([whole] if whole else [])
    blocks = _plan([c.inventory for c in everything], budget)
    read = [_read(checkpoint, blocks) for checkpoint in everything]
    alive = [s for s in blocks if not any(is_degenerate(part[s]) for part, _ in read)]
    slices = [{slot: part[slot] for slot in alive} for part, _ in read]
    if not alive:
        raise no_common_matrix()
    return CheckpointSeries(
        names=tuple(s.name for s, _ in opened),
        steps=tuple(s.step for s, _ in opened),
        slices=tuple(slices[: len(opened)]),
        published=slices[len(opened)] if whole else None,
        records=tuple(record for _, records in read for record in records),
        found=len(snapshots.found),
        unread=tuple(unread),
        others=snapshots.others,
    )


def choose(found: Sequence[Snapshot], most: int) -> list[Snapshot]:
    """Pick the first two, the last, and others evenly between; the same for everybody."""
    if len(found) <= most:
        return list(found)
    rest = np.linspace(1, len(found) - 1, most - 1).round().astype(int)
    return [found[0], *(found[i] for i in sorted(set(rest.tolist())))]


def _budget(depth: str, limit: int | None, parts: int) -> int:
    given = [size for size in (BUDGETS.get(depth), limit) if size is not None]
    return min(MOST_BYTES, *(int(size * SHARE) // parts for size in given), MOST_BYTES)


def _published(store: ArtifactStore | None) -> Checkpoint | None:
    if store is None:
        return None
    try:
        return open_checkpoint(store)
    except Unavailable:  # a repository may hold checkpoints only
        return None


def _plan(inventories: Sequence[Inventory], budget: int) -> dict[Slot, Block]:
    """Choose rows of matrices that all have in one shape and that read the residual stream."""
    shared: dict[Slot, Matrix] = {
        slot: matrix
        for slot, matrix in inventories[0].of(Component.TEXT_DECODER).items()
        if reads_residual(slot.kind)
        and slot.layer >= 0
        and all(_shape(inventory, slot) == (matrix.rows, matrix.cols) for inventory in inventories)
    }
    if not shared:
        raise no_common_matrix()
    plan = plan_component(shared, budget).blocks
    if not plan:
        raise no_slice_in_budget()
    return {block.matrix.slot: block for block in plan}


def _shape(inventory: Inventory, slot: Slot) -> tuple[int, int] | None:
    matrix = inventory.matrices.get(slot)
    return (matrix.rows, matrix.cols) if matrix else None


def _read(
    checkpoint: Checkpoint, blocks: Mapping[Slot, Block]
) -> tuple[Slices, tuple[ArtifactRecord, ...]]:
    log = ReadLog()
    mine = [
        Block(checkpoint.inventory.matrices[slot], block.start, block.stop)
        for slot, block in blocks.items()
    ]
    values = checkpoint.read(mine, log)
    return (
        dict(zip(blocks, values, strict=True)),
        (checkpoint.index_record, *log.as_records()),
    )


_ASK = Text(
    "Ask the publisher for intermediate checkpoints as safetensors, in folders checkpoint-N or"
    " branches stepN."
)


def too_few_checkpoints(n: int) -> Unavailable:
    """Return the error of a series of which fewer than two checkpoints could be read."""
    return Unavailable(
        Reason.ABSENT, Text("{n} intermediate checkpoints can be read, too few.", n=n), _ASK
    )


def no_common_matrix() -> Unavailable:
    """Return the error of checkpoints without a matrix of one shape that could be followed."""
    return Unavailable(
        Reason.UNSUPPORTED,
        Text("The intermediate checkpoints have no decoder matrix in common that could be read."),
        _ASK,
    )


def no_slice_in_budget() -> Unavailable:
    """Return the error of a byte budget that not one matrix fits."""
    return Unavailable(
        Reason.OVER_BUDGET,
        Text("The budget allows no slice of the intermediate checkpoints."),
        Text("Raise the byte budget of this model."),
    )
