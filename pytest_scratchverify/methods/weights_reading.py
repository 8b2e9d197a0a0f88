"""Reads the same places of two checkpoints, batch by batch, within a budget of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.dtypes import Scale, decode
from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.slices import Block, Inventory, Slot, pieces, take_inventory
from pytest_scratchverify.hub.ranges import ByteRange
from pytest_scratchverify.hub.store import ArtifactStore
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.model.evidence import ArtifactRecord

Array = NDArray[np.float32]
Piece = tuple[Slot, int]  # a place and the first row
Batch = Mapping[Piece, tuple[Array, Array]]

BATCH_BYTES = 48 * 2**20
KEPT_BYTES = 96 * 2**20  # raw bytes kept per model, for its next reference or component

_kept: WeakKeyDictionary[ArtifactStore, dict[tuple[str, int, int], bytes]] = WeakKeyDictionary()


@dataclass(slots=True)
class Ledger:
    """What was needed of each file, whoever fetched it first: records do not depend on that."""

    store: ArtifactStore
    spent: dict[str, int] = field(default_factory=dict)
    records: dict[str, ArtifactRecord] = field(default_factory=dict)

    def note(self, record: ArtifactRecord, size: int) -> None:
        """Count `size` bytes of one file."""
        self.spent[record.file] = self.spent.get(record.file, 0) + size
        self.records[record.file] = record

    def as_records(self) -> tuple[ArtifactRecord, ...]:
        """Return one record per file, sorted by its name."""
        return tuple(
            replace(self.records[name], bytes_read=self.spent[name], digest=None)
            for name in sorted(self.records)
        )


class Checkpoint:
    """The weights of one model: an inventory by slot, and rows on demand."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        index = store.tensor_index()
        self.index_record = index.record
        self.inventory: Inventory = take_inventory(index.value)
        self.total_bytes = index.value.total_bytes

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """The trained components that the tensors show."""
        names = self.inventory.parameters
        return tuple(c for c in Component if c.is_trained and names.get(c.value))

    def read(self, blocks: Sequence[Block], ledger: Ledger) -> list[Array]:
        """Decode the rows of several blocks, fetched with as few requests as possible."""
        wanted: dict[str, list[ByteRange]] = {}
        for block in blocks:
            for info, span in _spans(block):
                wanted.setdefault(info.file, []).append(span)
        raw: dict[tuple[str, int, int], bytes] = {}
        for file, spans in wanted.items():
            raw |= self._fetch(file, spans, ledger)
        return [_decoded(block, raw) for block in blocks]

    def _fetch(
        self, file: str, spans: Sequence[ByteRange], ledger: Ledger
    ) -> dict[tuple[str, int, int], bytes]:
        kept = _kept.setdefault(self.store, {})
        keys = {(file, span.start, span.stop): span for span in spans}
        missing = [span for key, span in keys.items() if key not in kept]
        found = {key: kept[key] for key in keys if key in kept}
        if missing:
            answer = self.store.read_ranges(file, missing)
            bodies = zip(missing, answer.value, strict=True)
            fresh = {(file, span.start, span.stop): body for span, body in bodies}
            found |= fresh
            if sum(map(len, kept.values())) + sum(map(len, fresh.values())) <= KEPT_BYTES:
                kept.update(fresh)
            record = answer.record
        else:
            record = ledger.records.get(file) or self._record(file)
        ledger.note(record, sum(map(len, keys.values())))
        return found

    def _record(self, file: str) -> ArtifactRecord:
        total = next((e.size for e in self.store.files().value if e.path == file), None)
        return replace(self.index_record, file=file, bytes_total=total, digest=None)


def _spans(block: Block) -> list[tuple[TensorInfo, ByteRange]]:
    matrix = block.matrix
    first = matrix.info.start + (matrix.first_row + block.start) * matrix.row_bytes
    span = ByteRange(first, first + (block.stop - block.start) * matrix.row_bytes)
    found = [(matrix.info, span)]
    if matrix.scale is not None:
        found.append((matrix.scale, ByteRange(matrix.scale.start, matrix.scale.stop)))
    return found


def _decoded(block: Block, raw: Mapping[tuple[str, int, int], bytes]) -> Array:
    matrix = block.matrix
    bodies = [raw[info.file, span.start, span.stop] for info, span in _spans(block)]
    factors = None
    if matrix.scale is not None:
        shape = matrix.scale.shape or (1,)
        table = decode(bodies[1], matrix.scale.dtype, shape)
        rows = matrix.info.shape[0]
        first = matrix.first_row
        factors = Scale(table, (rows, matrix.cols)).rows(first + block.start, first + block.stop)
    shape = (block.stop - block.start, matrix.cols)
    return decode(bodies[0], matrix.info.dtype, shape, factors)


class Sides:
    """Two checkpoints side by side, and what was needed of each."""

    def __init__(self, ours: Checkpoint, theirs: Checkpoint) -> None:
        self.ours, self.theirs = ours, theirs
        self.ledgers = (Ledger(ours.store), Ledger(theirs.store))

    def batches(self, blocks: Sequence[Block]) -> Iterator[Batch]:
        """Read the same rows of both; gate and up of one layer come together."""
        group: list[Block] = []
        size = 0
        for together in _grouped(blocks):
            cost = sum(2 * 4 * (b.stop - b.start) * b.matrix.cols for b in together)
            if group and size + cost > BATCH_BYTES:
                yield self._batch(group)
                group, size = [], 0
            group += together
            size += cost
        if group:
            yield self._batch(group)

    def _batch(self, group: Sequence[Block]) -> Batch:
        partner = self.theirs.inventory.matrices
        others = [replace(block, matrix=partner[block.matrix.slot]) for block in group]
        left = self.ours.read(group, self.ledgers[0])
        right = self.theirs.read(others, self.ledgers[1])
        return {
            (block.matrix.slot, block.start): (a, b)
            for block, a, b in zip(group, left, right, strict=True)
        }


def _grouped(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Put pieces of one layer or expert and of the same rows together."""
    groups: dict[tuple[int, str, int], list[Block]] = {}
    for block in blocks:
        slot = block.matrix.slot
        for piece in pieces(block):
            groups.setdefault((slot.layer, slot.expert, piece.start), []).append(piece)
    yield from groups.values()
