"""A base model with an adapter applied: the model that a loader makes of the two, row by row.

A layer over two stores. Of a matrix that the adapter changes, rows are base rows plus the scale
times ``B A``, computed when they are read and rounded to the base's own type, as merging rounds
them; with DoRA every row then gets the length that was saved for it. All else is the base's, or
was saved whole. What does not fit is left out and named, and nothing is cleared by the rest.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES, decode
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular
from pytest_scratchverify.stores.adapter import (
    ADAPTER_CONFIG,
    ADAPTER_FILES,
    AdapterConfig,
    AdapterTensors,
    read_adapter_config,
    sort_tensors,
)
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.bounds import MAX_CONFIG_BYTES, absent, malformed, parse_object
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.one_set import OneSetStore, first_files, other_readings
from pytest_scratchverify.stores.store import (
    Artifact,
    ArtifactStore,
    Confirmation,
    FileEntry,
    ModelCard,
)
from pytest_scratchverify.stores.weight_files import Format
from pytest_scratchverify.stores.weight_sets import WeightSet, WeightSets
from pytest_scratchverify.tensors.adapter_fit import Changed, fit
from pytest_scratchverify.tensors.packed import open_packed

Array = NDArray[np.float32]
_Piece = tuple[Changed, int, int]  # rows of a changed matrix
_Bytes = dict[tuple[str, ByteRange], bytes]
APPLIED = "base + adapter"  # the file that rows of changed matrices are said to be in
KEPT_FACTORS = 2**24  # elements that are kept decoded
PIECE = 2**22  # elements that are computed at once
LISTED = 20
WITNESSED = 4096  # ranges of one file whose digests are kept

HEADLINES = {
    "left out": "Of the adapter, {n} tensors fit nothing in {base} and were left out ({names}).",
    "saves": "{base} holds several saves, and the adapter was put together with {first} only.",
    "revision": "The adapter names revision {named} of its base, and {read} was read.",
}


class AdaptedStore:
    """An `ArtifactStore` of base and adapter together; configuration is the base's.

    Parameters
    ----------
    adapter : BaseStore
        The repository that holds the adapter.
    base : ArtifactStore
        The base that it names.
    settings : AdapterConfig
        What its adapter_config.json says; one that is `refused` is not put together.

    Raises
    ------
    Unavailable
        Where either cannot be read.
    """

    def __init__(self, adapter: BaseStore, base: ArtifactStore, settings: AdapterConfig) -> None:
        self.adapter, self.base, self.settings = adapter, base, settings
        self.derived: MutableMapping[type, object] = {}
        one = _weights_of(adapter)
        self._factor_store = OneSetStore(adapter, one, WeightSets((one,)))
        [self._file] = one.names
        self.tensors: AdapterTensors = sort_tensors(self._factor_store.tensor_index().value.tensors)
        self._decoded: dict[str, Array] = {}
        self._seen: dict[str, dict[ByteRange, bytes]] = {}
        stored = base.tensor_index().value
        opened = open_packed(base, stored).unpacked
        self._base_parameters = opened.index.total_parameters
        self._fitted = fit(self.tensors, opened, stored.tensors, settings, file=APPLIED)
        self._starts = [matrix.info.start for matrix in self._fitted.changed]

    @property
    def repo(self) -> str:
        """The adapter's repository."""
        return self.adapter.repo

    @property
    def revision(self) -> str | None:
        """The adapter's commit, or its base's."""
        return self.adapter.revision or self.base.revision

    @property
    def files_of_set(self) -> tuple[str, ...]:
        """The adapter's files, as a sentence names them."""
        return (ADAPTER_CONFIG, self._file)

    @property
    def share(self) -> float:
        """The adapter's parameters as a share of the base's."""
        return self.tensors.parameters / max(1, self._base_parameters)

    def config(self) -> Artifact[dict[str, Json]]:
        """Read the base's, as loaders do."""
        return self.base.config()

    def generation_config(self) -> Artifact[dict[str, Json]]:
        """Read the base's."""
        return self.base.generation_config()

    def card(self) -> Artifact[ModelCard]:
        """Read the adapter's."""
        return self.adapter.card()

    def file(self, name: str) -> Artifact[Path]:
        """Fetch the adapter's file, or else the base's."""
        try:
            return self.adapter.file(name)
        except Unavailable:
            return self.base.file(name)

    def tokenizer_files(self) -> tuple[Artifact[Path], ...]:
        """Fetch the adapter's tokenizer, or else the base's."""
        try:
            return self.adapter.tokenizer_files()
        except Unavailable:
            return self.base.tokenizer_files()

    def vocabulary_head(self) -> Artifact[bytes]:
        """Read the base's."""
        return self.base.vocabulary_head()

    @cached_property
    def _index(self) -> Artifact[TensorIndex]:
        stored, mine = self.base.tensor_index(), self._factor_store.tensor_index()
        fitted = self._fitted
        tensors = {
            name: info for name, info in stored.value.tensors.items() if name not in fitted.gone
        }
        tensors |= {matrix.info.name: matrix.info for matrix in fitted.changed}
        tensors |= fitted.whole
        index = replace(
            stored.value,
            tensors=dict(sorted(tensors.items())),
            heads=(),
            gaps=(*stored.value.gaps, *mine.value.gaps, *self._doubts()),
        )
        read = stored.record.bytes_read + mine.record.bytes_read
        total = (stored.record.bytes_total or 0) + (mine.record.bytes_total or 0)
        record = replace(mine.record, bytes_read=read, bytes_total=total or None, digest=None)
        return Artifact(index, record)

    def tensor_index(self) -> Artifact[TensorIndex]:
        """List the base's tensors, with those that the adapter changes or brings in their place."""
        return self._index

    def files(self) -> Artifact[tuple[FileEntry, ...]]:
        """List the base's files and the adapter's weights."""
        found = self.base.files()
        own = [entry for entry in self.adapter.files().value if entry.path == self._file]
        size = self._fitted.changed[-1].info.stop if self._fitted.changed else 0
        return Artifact((*found.value, *own, FileEntry(path=APPLIED, size=size)), found.record)

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:
        """Whether rows can be read; a fingerprint of the base holds some only."""
        if file == self._file:
            return True
        if file != APPLIED:
            return self.base.holds(file, spans)
        for span in spans:
            for matrix, start, stop in self._rows(span):
                for part in matrix.stored.parts(start, stop):
                    if not self.base.holds(part.info.file, [ByteRange(part.start, part.stop)]):
                        return False
        return True

    def read_ranges(self, file: str, ranges: Sequence[ByteRange]) -> Artifact[tuple[bytes, ...]]:
        """Read the base's bytes or the adapter's, and compute those of changed matrices."""
        if file != APPLIED:
            return self._store_of(file).read_ranges(file, ranges)
        pieces = [[*self._rows(span)] for span in ranges]
        raw = self._fetched([piece for found in pieces for piece in found])
        bodies = tuple(
            self._applied(span, found, raw) for span, found in zip(ranges, pieces, strict=True)
        )
        needed = sum(map(len, bodies))
        return Artifact(bodies, self._record(needed))

    def confirm(
        self, file: str, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange] = ()
    ) -> Artifact[Confirmation]:
        """Confirm the file, or all that changed matrices were computed from."""
        if file != APPLIED:
            return self._store_of(file).confirm(file, seen, further)
        answers = [self._store_of(name).confirm(name, known) for name, known in self._seen.items()]
        read = sum(answer.record.bytes_read for answer in answers)
        bodies = self.read_ranges(APPLIED, further).value
        whole = all(answer.value.whole for answer in answers)
        return Artifact(Confirmation(whole=whole, further=bodies), self._record(read))

    def _store_of(self, file: str) -> ArtifactStore:
        return self._factor_store if file == self._file else self.base

    def _record(self, bytes_read: int) -> ArtifactRecord:
        return replace(self._index.record, file=APPLIED, bytes_read=bytes_read, bytes_total=None)

    def _doubts(self) -> Iterator[Text]:
        base, named = self.base.repo, self.settings.revision
        if self._fitted.left:
            names = self._fitted.left[:LISTED]
            yield Text(HEADLINES["left out"], n=len(self._fitted.left), base=base, names=names)
        if other_readings(self.base):
            yield Text(HEADLINES["saves"], base=base, first=[*first_files(self.base)])
        read = self.base.revision
        if named is not None and read is not None and named != read:
            yield Text(HEADLINES["revision"], named=named, read=read)

    def _rows(self, span: ByteRange) -> Iterator[_Piece]:
        """Yield the rows of changed matrices that a range of `APPLIED` needs, piece by piece."""
        at = span.start
        while at < span.stop:
            matrix = self._fitted.changed[max(0, bisect_right(self._starts, at) - 1)]
            info, rows = matrix.info, matrix.info.shape[0]
            width = info.nbytes // max(1, rows)
            if not width or not info.start <= at < info.stop:
                raise malformed(self.repo, APPLIED, "it is shorter than its header says")
            first = (at - info.start) // width
            last = min(rows, -(-(min(span.stop, info.stop) - info.start) // width))
            if not matrix.stored.fixed:  # which costs the same for one row and for all
                last = min(last, first + max(1, PIECE // info.shape[1]))
            yield matrix, first, last
            at = info.start + last * width

    def _fetched(self, pieces: Sequence[_Piece]) -> _Bytes:
        """Read what rows are computed from with one request a file: base rows, and factors."""
        wanted: dict[str, dict[ByteRange, None]] = {}
        for matrix, start, stop in pieces:
            for part in matrix.stored.parts(start, stop):
                wanted.setdefault(part.info.file, {})[ByteRange(part.start, part.stop)] = None
            for info in matrix.factors.tensors:
                if info.name not in self._decoded:
                    wanted.setdefault(info.file, {})[ByteRange(info.start, info.stop)] = None
        found: _Bytes = {}
        for file, spans in wanted.items():
            store = self._store_of(file)
            bodies = store.read_ranges(file, [*spans]).value
            found |= {(file, span): body for span, body in zip(spans, bodies, strict=True)}
            if store.revision is not None:
                known = self._seen.setdefault(file, {})
                for span, body in zip(spans, bodies, strict=True):
                    if span not in known and len(known) < WITNESSED:
                        known[span] = hashlib.sha256(body).digest()
        return found

    def _applied(self, span: ByteRange, pieces: Sequence[_Piece], raw: _Bytes) -> bytes:
        found = bytearray()
        for piece in pieces:
            found += self._computed(*piece, raw)
        if not pieces:
            return b""
        matrix, start, _ = pieces[0]
        width = matrix.info.nbytes // matrix.info.shape[0]
        skipped = span.start - matrix.info.start - start * width
        return bytes(found[skipped : skipped + len(span)])

    def _computed(self, matrix: Changed, start: int, stop: int, raw: _Bytes) -> bytes:
        """Compute rows of a changed matrix, in the bytes of its dtype."""
        first, second = (self._factor(info, raw) for info in matrix.factors.tensors[:2])
        if matrix.factors.inputs_first:
            first, second = first.T, second.T
        parts = matrix.stored.parts(start, stop)
        bodies = [raw[part.info.file, ByteRange(part.start, part.stop)] for part in parts]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            rows = matrix.stored.decode(start, stop, bodies)
            if matrix.turned:
                rows = rows + matrix.scale * (first[:, start:stop].T @ second.T)
            else:
                rows = rows + matrix.scale * (second[start:stop] @ first)
            if matrix.factors.magnitude is not None:
                lengths = self._factor(matrix.factors.magnitude, raw).reshape(-1, 1)
                rows = rows * (lengths[start:stop] / np.linalg.norm(rows, axis=1, keepdims=True))
            found: bytes = rows.astype(NUMPY_DTYPES[matrix.info.dtype]).tobytes()
        return found

    def _factor(self, info: TensorInfo, raw: _Bytes) -> Array:
        """Decode a factor, and keep as many as `KEPT_FACTORS` allows for the next rows."""
        known = self._decoded.get(info.name)
        if known is None:
            body = raw[info.file, ByteRange(info.start, info.stop)]
            known = decode(body, info.dtype, info.shape)
            if sum(array.size for array in self._decoded.values()) + known.size <= KEPT_FACTORS:
                self._decoded[info.name] = known
        return known


def _settings(adapter: BaseStore) -> AdapterConfig:
    path = adapter.file(ADAPTER_CONFIG).value
    with open_regular(path) as stream:
        raw = stream.read(MAX_CONFIG_BYTES + 1)
    return read_adapter_config(parse_object(raw, repo=adapter.repo, file=ADAPTER_CONFIG))


def _weights_of(adapter: BaseStore) -> WeightSet:
    """Return the adapter's own file as a set."""
    here = {entry.path for entry in adapter.files().value}
    name = next((name for name in ADAPTER_FILES if name in here), None)
    if name is None:
        raise absent(adapter.repo, ADAPTER_FILES[0])
    kind = None if name.endswith(".safetensors") else Format.PYTORCH
    return WeightSet((name,), {}, kind=kind)


def with_base(store: ArtifactStore, find: Callable[[str], ArtifactStore | None]) -> ArtifactStore:
    """Return what a loader makes of a repository: an adapter alone together with its base.

    Parameters
    ----------
    store
        Any model. One that has weights of its own is returned as it is; an adapter beside them
        is then kept with it (`adapted_beside`), where its base can be read.
    find
        The store of a model by the name that adapter_config.json gives it, where it is at hand;
        it reads for the adapter, and on its own budget. No path and no address is opened because
        a stranger's file names it.

    Raises
    ------
    Unavailable
        Where an adapter alone, or the base that is at hand, cannot be read.
    """
    if not isinstance(store, BaseStore) or isinstance(store, OneSetStore):
        return store
    found = adapted_beside(store)
    if found is not None:
        return store if _has_weights(store) else found
    try:
        settings = _settings(store)
    except Unavailable:
        return store  # no adapter, or one whose own refusal says what it is
    try:
        base = find(settings.base) if settings.base and settings.refused is None else None
        if base is None or base is store:
            return store
        found = store.derived[AdaptedStore] = AdaptedStore(store, base, settings)
    except Unavailable:
        if _has_weights(store):
            return store
        raise
    return store if _has_weights(store) else found


def adapted_beside(store: ArtifactStore) -> AdaptedStore | None:
    """Return the base and adapter that some loaders take in place of a repository's own weights."""
    found = store.derived.get(AdaptedStore)
    return found if isinstance(found, AdaptedStore) else None


def _has_weights(store: BaseStore) -> bool:
    try:
        return bool(store.weight_sets().sets)
    except Unavailable:
        return False
