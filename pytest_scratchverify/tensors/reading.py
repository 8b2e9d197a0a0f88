"""Paired reading of two checkpoints: the same rows, batch by batch, as few requests as can be."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.attention_shape import AttentionShape
from pytest_scratchverify.checkpoint.dtypes import Scale, decode, plausible
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.http.ranges import ByteRange, coalesce
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.finite import BrokenNumbers, repaired
from pytest_scratchverify.tensors.inventory import (
    Inventory,
    Matrix,
    Slot,
    take_inventory,
    with_undecoded,
)
from pytest_scratchverify.tensors.packed import attention_of, open_packed
from pytest_scratchverify.tensors.plan import Block, pieces

Array = NDArray[np.float32]
Piece = tuple[Slot, int]  # a place and the first row
Batch = Mapping[Piece, tuple[Array, Array]]
Rows = tuple[str, int, int]  # a file, the first byte and one past the last
T = TypeVar("T")

BATCH_BYTES = 48 * 2**20
WITNESSED = 4096  # ranges of one file whose digests are kept
CACHE_BYTES = 96 * 2**20  # raw bytes kept per model, for its next reference or component


@dataclass(slots=True)
class ReadLog:
    """What was needed of each file, whoever fetched it first: records do not depend on that."""

    spent: dict[str, list[ByteRange]] = field(default_factory=dict)
    files: dict[str, ArtifactRecord] = field(default_factory=dict)
    seen: dict[str, dict[ByteRange, bytes]] = field(default_factory=dict)

    def witness(self, raw: Mapping[Rows, bytes]) -> None:
        """Remember the sha256 of what came, so that it can be confirmed."""
        for (file, start, stop), body in raw.items():
            known = self.seen.setdefault(file, {})
            span = ByteRange(start, stop)
            if span not in known and len(known) < WITNESSED:
                known[span] = hashlib.sha256(body).digest()

    def join(self, other: ReadLog, repo: str) -> None:
        """Take in what another process needed of the model that is called `repo` here."""
        for file, record in other.files.items():
            self.note(replace(record, repo=repo), other.spent[file])
        for file, seen in other.seen.items():
            known = self.seen.setdefault(file, {})
            for span, digest in seen.items():
                if span not in known and len(known) < WITNESSED:
                    known[span] = digest

    def note(self, record: ArtifactRecord, spans: Iterable[ByteRange]) -> None:
        """Remember which bytes of one file were needed; those needed twice count once."""
        known = self.spent.get(record.file, [])
        self.spent[record.file] = [*coalesce([*known, *spans], gap=0)]
        self.files[record.file] = record

    @property
    def nbytes(self) -> int:
        """Bytes that were needed, those needed twice counted once."""
        return sum(len(span) for spans in self.spent.values() for span in spans)

    def as_records(self) -> tuple[ArtifactRecord, ...]:
        """Return one record per file, sorted by its name."""
        return tuple(
            replace(
                self.files[name],
                bytes_read=sum(map(len, self.spent[name])),
                ranges=tuple((span.start, span.stop) for span in self.spent[name]),
                digest=None,
            )
            for name in sorted(self.files)
        )


def open_checkpoint(store: ArtifactStore) -> Checkpoint:
    """Return the checkpoint of a store: opened at the first call, and kept with the store.

    Raises `Unavailable` where the headers cannot be read.
    """
    found = store.derived.get(Checkpoint)
    if not isinstance(found, Checkpoint):
        found = store.derived[Checkpoint] = Checkpoint(store)
    return found


class Checkpoint:
    """The weights of one model: an inventory by slot, and rows on demand.

    Headers are sorted when it is made, a second for the tensors of A.X-K1, and raw rows are kept
    up to `CACHE_BYTES`: open it by `open_checkpoint`, once a store.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        index = store.tensor_index()
        opened = open_packed(store, index.value)
        self._unpacked = opened.unpacked
        self.attention = attention_of(store)
        read = index.record.bytes_read + opened.bytes_read
        self.index_record = replace(index.record, bytes_read=read)
        self.inventory = self._inventory_of(self.attention)
        self.gaps = index.value.gaps
        self.shape_tensors = opened.shape_tensors
        # Whole files, because their headers are read too.
        self.total_bytes = index.record.bytes_total or index.value.total_bytes
        self._broken = BrokenNumbers()
        self._row_cache: dict[Rows, bytes] = {}
        self._beside: WeakKeyDictionary[Checkpoint, dict[Hashable, Any]] = WeakKeyDictionary()

    def _inventory_of(self, attention: AttentionShape | None, *, rotary: bool = True) -> Inventory:
        unpacked = self._unpacked
        found = take_inventory(unpacked.index, unpacked.codecs, attention, rotary=rotary)
        unsupported = sorted({*found.unsupported, *unpacked.unsupported})
        return with_undecoded(replace(found, unsupported=tuple(unsupported)), unpacked.undecoded)

    def with_heads(self, attention: AttentionShape | None) -> Checkpoint:
        """Return the checkpoint with its attention cut by these heads, where its config is silent.

        Models that are laid side by side are cut alike, or fused queries would meet none.
        """
        if self.attention is not None or attention is None:
            return self
        return self.with_inventory(self._inventory_of(attention))

    def in_stored_order(self) -> Checkpoint:
        """Return the checkpoint with the rows of native names as they lie in the file."""
        return self.with_inventory(self._inventory_of(self.attention, rotary=False))

    def with_inventory(self, inventory: Inventory) -> Checkpoint:
        """Return the checkpoint with other places; what was read of it is shared."""
        changed = copy(self)
        changed.inventory = inventory
        changed.__dict__.pop("components", None)
        return changed

    def limited_to(self, matrices: Mapping[Slot, Matrix]) -> Checkpoint:
        """Return the checkpoint with these places alone, as if nothing had been read of it.

        Threads may each have one: they share what headers say, and nothing that reading changes.
        """
        changed = self.with_inventory(replace(self.inventory, matrices=matrices))
        changed._broken, changed._row_cache = BrokenNumbers(), {}  # noqa: SLF001 - nobody has it yet
        return changed

    @property
    def broken(self) -> BrokenNumbers:
        """Which numbers of what was read are none."""
        return self._broken

    def beside(self, other: Checkpoint) -> dict[Hashable, Any]:
        """Return what was found of this checkpoint beside another, kept as long as both."""
        return self._beside.setdefault(other, {})

    @property
    def index(self) -> TensorIndex:
        """What the files hold, packed tensors as they decode."""
        return self._unpacked.index

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """All tensors by name, packed ones as they decode."""
        return self._unpacked.index.tensors

    @property
    def packed(self) -> AbstractSet[str]:
        """The names of those that have a codec."""
        return self._unpacked.codecs.keys()

    @cached_property
    def components(self) -> tuple[Component, ...]:
        """The trained components that the tensors show."""
        names = self.inventory.parameters
        return tuple(c for c in Component if c.is_trained and names.get(c.value))

    def holds(self, block: Block) -> bool:
        """Whether the rows of a block can be read at all."""
        return all(self.store.holds(info.file, [span]) for info, span in spans_of(block))

    def read(self, blocks: Sequence[Block], log: ReadLog) -> list[Array]:
        """Decode the rows of several blocks, fetched with as few requests as possible."""
        wanted: dict[str, list[ByteRange]] = {}
        for block in blocks:
            for info, span in spans_of(block):
                wanted.setdefault(info.file, []).append(span)
        raw: dict[Rows, bytes] = {}
        for file, spans in wanted.items():
            raw |= self._fetch(file, spans, log)
        with np.errstate(over="ignore", invalid="ignore"):  # of hostile scales: made NaN at once
            return [self._finite(block, plausible(_decoded(block, raw))) for block in blocks]

    def read_raw(self, file: str, spans: Sequence[ByteRange], log: ReadLog) -> list[bytes]:
        """Return ranges of a file as they are stored."""
        found = self._fetch(file, spans, log)
        return [found[file, span.start, span.stop] for span in spans]

    def _finite(self, block: Block, values: Array) -> Array:
        found, bad = repaired(values)
        self._broken.note(block, bad, values.size)
        return found

    def broken_numbers(self, component: Component) -> Text | None:
        """Say what of a component's numbers, as far as read, are none; None where harmless."""
        return self._broken.reason(component)

    def broken_names(self, component: Component) -> list[str]:
        """Name the tensors of a component in which numbers are not finite, as far as read."""
        return self._broken.names(component)

    def _fetch(self, file: str, spans: Sequence[ByteRange], log: ReadLog) -> dict[Rows, bytes]:
        cache = self._row_cache
        keys = {(file, span.start, span.stop): span for span in spans}
        missing = [span for key, span in keys.items() if key not in cache]
        found = {key: cache[key] for key in keys if key in cache}
        if missing:
            answer = self.store.read_ranges(file, missing)
            bodies = zip(missing, answer.value, strict=True)
            fresh = {(file, span.start, span.stop): body for span, body in bodies}
            found |= fresh
            if sum(map(len, cache.values())) + sum(map(len, fresh.values())) <= CACHE_BYTES:
                cache.update(fresh)
            record = answer.record
        else:
            record = log.files.get(file) or self._record(file)
        log.note(record, keys.values())
        if self.store.revision is not None:  # nothing stands between a folder and its reader
            log.witness(found)
        return found

    def _record(self, file: str) -> ArtifactRecord:
        total = next((e.size for e in self.store.files().value if e.path == file), None)
        return replace(self.index_record, file=file, bytes_total=total, digest=None)


def spans_of(block: Block) -> list[tuple[TensorInfo, ByteRange]]:
    """Return the bytes of a block, and of what decodes it: scales, zeros, tables."""
    matrix = block.matrix
    if matrix.codec is not None:
        parts = matrix.codec.parts(*_stored_rows(block))
        return [(part.info, ByteRange(part.start, part.stop)) for part in parts]
    first = matrix.info.start + (matrix.first_row + block.start) * matrix.row_bytes
    span = ByteRange(first, first + (block.stop - block.start) * matrix.row_bytes)
    found = [(matrix.info, span)]
    if matrix.scale is not None:
        found.append((matrix.scale, ByteRange(matrix.scale.start, matrix.scale.stop)))
    return found


def _stored_rows(block: Block) -> tuple[int, int]:
    """Return the rows of the packed tensor that hold the rows of a block."""
    matrix = block.matrix
    first = matrix.first_row + block.start * matrix.step
    return first, max(first, matrix.first_row + (block.stop - 1) * matrix.step + 1)


def _decoded(block: Block, raw: Mapping[Rows, bytes]) -> Array:
    matrix = block.matrix
    bodies = [raw[info.file, span.start, span.stop] for info, span in spans_of(block)]
    if matrix.codec is not None:
        return matrix.codec.decode(*_stored_rows(block), bodies)[:: matrix.step]
    factors = None
    if matrix.scale is not None:
        shape = matrix.scale.shape or (1,)
        table = decode(bodies[1], matrix.scale.dtype, shape)
        rows = matrix.info.shape[0]
        first = matrix.first_row
        factors = Scale(table, (rows, matrix.cols)).rows(first + block.start, first + block.stop)
    shape = (block.stop - block.start, matrix.cols)
    return decode(bodies[0], matrix.info.dtype, shape, factors)


class CheckpointPair:
    """Two checkpoints side by side, and what one comparison needed of each.

    `side_by_side` makes it, and finds partners first for what names leave alone; `logs` are what
    that read, and `placing_bytes` what it cost either at most.
    """

    def __init__(
        self, ours: Checkpoint, theirs: Checkpoint, logs: tuple[ReadLog, ReadLog] | None = None
    ) -> None:
        self.ours, self.theirs = _charged(ours, theirs), theirs
        self.logs = logs or (ReadLog(), ReadLog())
        self.placing_bytes = max(log.nbytes for log in self.logs)
        self.files: set[tuple[str, str]] = set()  # ours and theirs, laid side by side

    @property
    def records(self) -> tuple[ArtifactRecord, ...]:
        """What was read of either: its headers, then its rows file by file."""
        return (
            self.ours.index_record,
            *self.logs[0].as_records(),
            self.theirs.index_record,
            *self.logs[1].as_records(),
        )

    def once(self, key: Hashable, found: Callable[[], T]) -> T:
        """Return what `found` gives, kept for every later comparison of these checkpoints."""
        known = self.ours.beside(self.theirs)
        if key not in known:
            known[key] = found()
        answer: T = known[key]
        return answer

    def batches(self, blocks: Sequence[Block]) -> Iterator[Batch]:
        """Read the same rows of both; gate and up of one layer come together.

        What one of them cannot give at all, because a fingerprint does not hold it, is left out.
        """
        blocks = self.readable(blocks)
        group: list[Block] = []
        size = 0
        for together in pieces_together(blocks):
            cost = sum(2 * 4 * (b.stop - b.start) * b.matrix.cols for b in together)
            if group and size + cost > BATCH_BYTES:
                yield self._batch(group)
                group, size = [], 0
            group += together
            size += cost
        if group:
            yield self._batch(group)

    def readable(self, blocks: Iterable[Block]) -> list[Block]:
        """Return the blocks that both can give: a fingerprint holds some only."""
        return [block for block in blocks if self._readable(block)]

    def _readable(self, block: Block) -> bool:
        other = replace(block, matrix=self.theirs.inventory.matrices[block.matrix.slot])
        return self.ours.holds(block) and self.theirs.holds(other)

    def _batch(self, group: Sequence[Block]) -> Batch:
        partner = self.theirs.inventory.matrices
        others = [replace(block, matrix=partner[block.matrix.slot]) for block in group]
        self.files |= {
            (a.matrix.info.file, b.matrix.info.file) for a, b in zip(group, others, strict=True)
        }
        left = self.ours.read(group, self.logs[0])
        right = self.theirs.read(others, self.logs[1])
        return {
            (block.matrix.slot, block.start): (a, b)
            for block, a, b in zip(group, left, right, strict=True)
        }


def pieces_together(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Put pieces of one layer or expert and of the same rows together."""
    groups: dict[tuple[int, str, int], list[Block]] = {}
    for block in blocks:
        slot = block.matrix.slot
        for piece in pieces(block):
            groups.setdefault((slot.layer, slot.expert, piece.start), []).append(piece)
    yield from groups.values()


def _charged(ours: Checkpoint, theirs: Checkpoint) -> Checkpoint:
    """Let the plan, which is made of our blocks, know what the same block costs over there."""
    mine = ours.inventory.matrices
    dearer = {
        slot: replace(mine[slot], fixed=matrix.fixed)
        for slot, matrix in theirs.inventory.fixed.items()
        if slot in mine and matrix.fixed > mine[slot].fixed
    }
    if not dearer:
        return ours
    charged = copy(ours)
    charged.inventory = replace(ours.inventory, matrices={**ours.inventory.matrices, **dearer})
    return charged
