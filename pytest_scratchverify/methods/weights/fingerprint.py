"""Fingerprint of a checkpoint: the rows that comparisons will want to read, saved in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_scratchverify.checkpoint.header import PREFIX_BYTES
from pytest_scratchverify.core.component import TOKEN_TABLES
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.methods.weights.layers import mapped_blocks
from pytest_scratchverify.stores.adapter import ADAPTER_CONFIG
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.fingerprint import FingerprintContents, write_fingerprint
from pytest_scratchverify.stores.http.ranges import ByteRange, coalesce
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.stores.weight_files import BIN_INDEX, INDEX
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.masks import mask_rows
from pytest_scratchverify.tensors.packed import NATIVE_CONFIG, OLD_CONFIG
from pytest_scratchverify.tensors.plan import (
    BUDGETS,
    Block,
    block_of,
    component_budget,
    layer_rank,
    plan_component,
)
from pytest_scratchverify.tensors.reading import Checkpoint, open_checkpoint, spans_of
from pytest_scratchverify.tensors.token_rows import TOKENS
from pytest_scratchverify.tokenizer.open import open_tokenizer

MARGIN = 1.25  # over the depth's budget: the other model's headers may be smaller
SAVED_TOKENS = 4 * TOKENS  # shared tokens are found in it wherever a quarter is shared
GAP = 4096  # bytes between two kept ranges that are not worth a part of their own
FEWEST_TOKENS = 128  # rows of one table that are kept whatever they cost
SMALL_FILES: tuple[str, ...] = (
    "config.json",
    "generation_config.json",
    "README.md",
    INDEX,
    BIN_INDEX,
)
SMALL_FILES += (OLD_CONFIG, NATIVE_CONFIG, ADAPTER_CONFIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a model a fingerprint keeps, in bytes; None keeps what the depth may read.

    `weights` are the planned slices, `layers` the rows by which layers are mapped (of one
    component), `table` the rows of single tokens (of one table). Headers come on top: they
    shrink to a few per cent when packed.
    """

    weights: int | None = None
    layers: int | None = None
    table: int | None = None


# `small` is for libraries of many models: a part of what `quick` keeps, in the order in which
# comparisons read, and as much of it as covers a component of the largest models enough to clear
# it. What it leaves out covers nothing; layers are mapped as far as the planned slices hold them.
EXTENTS: Mapping[str, Extent] = {
    "small": Extent(weights=8_000_000, layers=0, table=500_000),
    "quick": Extent(),
    "robust": Extent(),
}


def save_fingerprint(store: ArtifactStore, path: Path, depth: str = "quick") -> FingerprintContents:
    """Read what a comparison at `depth` may want of a model, and write it to `path`.

    Parameters
    ----------
    depth : str
        A key of `EXTENTS`.

    Raises `Unavailable` where the weights cannot be read; what else is absent is left out.
    """
    checkpoint = open_checkpoint(store)
    kept = FingerprintContents(store.repo, store.revision, depth, store.files().value)
    for name in _small_files(store):
        try:
            kept.whole[name] = store.file(name).value.read_bytes()
        except Unavailable:
            continue
    spans: dict[str, list[ByteRange]] = {}
    for file, head in _heads(checkpoint):
        spans.setdefault(file, []).append(head)
    for info in checkpoint.shape_tensors:
        spans.setdefault(info.file, []).append(ByteRange(info.start, info.stop))
    masks = checkpoint.inventory.masks
    for info in masks:
        spans.setdefault(info.file, []).extend(mask_rows(info, len(masks)))
    for block in _blocks(checkpoint, depth):
        for info, span in spans_of(block):
            spans.setdefault(info.file, []).append(span)
    for file, wanted in sorted(spans.items()):
        joined = coalesce(wanted, gap=GAP)
        bodies = store.read_ranges(file, joined).value
        kept.parts += [(file, span, body) for span, body in zip(joined, bodies, strict=True)]
    write_fingerprint(path, kept)
    return kept


def _small_files(store: ArtifactStore) -> Iterator[str]:
    """Name the files that are kept whole: every index of weights among them, whatever its name."""
    yield from SMALL_FILES
    sets = store.weight_sets().sets if isinstance(store, BaseStore) else ()
    yield from dict.fromkeys(
        one.index for one in sets if one.index and one.index not in SMALL_FILES
    )
    try:
        yield from (artifact.record.file for artifact in store.tokenizer_files())
    except Unavailable:
        return


def _heads(checkpoint: Checkpoint) -> Iterator[tuple[str, ByteRange]]:
    """Yield the header of every file: what lies before its first tensor, or where it says."""
    first: dict[str, int] = {}
    index = checkpoint.store.tensor_index().value
    if index.heads:
        yield from ((file, ByteRange(start, stop)) for file, start, stop in index.heads)
        return
    for info in index.tensors.values():
        first[info.file] = min(info.start, first.get(info.file, info.start))
    for file, start in sorted(first.items()):
        yield file, ByteRange(0, max(PREFIX_BYTES, start))


def _blocks(checkpoint: Checkpoint, depth: str) -> Iterator[Block]:
    extent = EXTENTS[depth]
    total = BUDGETS[depth] if extent.weights is None else extent.weights
    header = checkpoint.index_record.bytes_read if extent.weights is None else 0
    margin = MARGIN if extent.weights is None else 1.0
    for component in checkpoint.components:
        matrices = checkpoint.inventory.of(component)
        part = component_budget(total, checkpoint.components, component, header)
        budget = None if part is None else int(margin * part)
        whole = budget // 2 if budget is not None and depth == "robust" else 0
        yield from plan_component(matrices, budget, whole_budget=whole).blocks
        yield from _in_turn(mapped_blocks(matrices), extent.layers)
    yield from _token_rows(checkpoint, extent.table)


def _in_turn(blocks: Iterable[Block], limit: int | None) -> Iterator[Block]:
    """Yield blocks of layers up to `limit` bytes, in the order in which every model's are read."""
    left = limit
    for block in sorted(blocks, key=lambda b: layer_rank(b.matrix.slot.layer)):
        if left is not None and block.nbytes > left:
            return
        left = None if left is None else left - block.nbytes
        yield block


def _token_rows(checkpoint: Checkpoint, limit: int | None) -> Iterator[Block]:
    """Yield the rows of the tokens of smallest key, and the block that one tokenizer reads."""
    try:
        keys = open_tokenizer(checkpoint.store)[0].keys
    except Unavailable:
        return
    for component, kind in TOKEN_TABLES.items():
        matrix = checkpoint.inventory.matrices.get(Slot(component.value, kind))
        if matrix is None:
            continue
        count = SAVED_TOKENS
        if limit is not None:
            count = min(count, max(FEWEST_TOKENS, limit // matrix.row_bytes))
        yield block_of(matrix)
        known = (int(row) for row in keys.ids[:count] if row >= 0)
        yield from (Block(matrix, row, row + 1) for row in known if row < matrix.rows)
