"""Abstract base class of all stores: everything follows from listing, fetching, reading ranges.

Folder, hub and cache differ in those three only, and so not in what they answer.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from pytest_scratchverify.checkpoint.header import (
    PREFIX_BYTES,
    HeaderError,
    ShardHeader,
    TensorIndex,
    header_length,
    join_headers,
    parse_header,
)
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Source
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular, reading
from pytest_scratchverify.stores.adapter import ADAPTER_CONFIG
from pytest_scratchverify.stores.bounds import (
    MAX_CARD_BYTES,
    MAX_CONFIG_BYTES,
    MAX_FILE_BYTES,
    MAX_INDEX_BYTES,
    absent,
    is_safe_name,
    malformed,
    parse_object,
    too_large,
)
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.card import read_card
from pytest_scratchverify.stores.fallback import Fallback
from pytest_scratchverify.stores.gguf_metadata import best_of_several, config_or_metadata, head_of
from pytest_scratchverify.stores.http.ranges import ByteRange, coalesce
from pytest_scratchverify.stores.not_weights import (
    LONGEST_POINTER,
    POINTER,
    adapter_instead,
    pointer,
)
from pytest_scratchverify.stores.other_formats import OtherIndex
from pytest_scratchverify.stores.store import (
    FILE_OF,
    Artifact,
    Confirmation,
    FileEntry,
    ModelCard,
    total_size,
)
from pytest_scratchverify.stores.weight_files import (
    Format,
    no_weights,
    not_published,
    shards_of_index,
    tokenizer_names,
)
from pytest_scratchverify.stores.weight_sets import WeightSets, weight_sets

T = TypeVar("T")
NO_FALLBACK = Fallback()
LISTING = "*"  # the record's file name where the list of files itself was read


class BaseStore(ABC):
    """An `ArtifactStore` over the files of one repository; see there for the methods.

    Every answer, also a refusal, is remembered: a test that asks again neither reads nor
    pays again, and a rate-limited hub is not asked twice.
    """

    def __init__(  # noqa: PLR0913 - one argument per thing in which stores differ
        self,
        repo: str,
        revision: str | None,
        source: Source,
        *,
        budget: ByteBudget,
        note: Text | None = None,
        fallback: Fallback = NO_FALLBACK,
    ) -> None:
        self._repo = repo
        self._revision = revision
        self._source = source
        self._budget = budget
        self._note = note
        self._fallback = fallback
        self._answers: dict[tuple[str, ...], Any] = {}
        self._lock = RLock()

    @cached_property
    def derived(self) -> dict[type, object]:
        """What upper floors made of this store and keep as long as it, by its type."""
        return {}

    @property
    def repo(self) -> str:
        """The repository's name, after renaming, or the folder's path."""
        return self._repo

    @property
    def revision(self) -> str | None:
        """The commit that everything is read from; None for a folder."""
        return self._revision

    def config(self) -> Artifact[dict[str, Json]]:
        """Read config.json, up to 4 MiB, or what GGUF says; its code (auto_map) is never run."""
        return self._fallback.answer(
            self.repo,
            lambda: config_or_metadata(self._config_file, self._listing(), self.tensor_index),
            lambda entry: entry.config(),
        )

    def generation_config(self) -> Artifact[dict[str, Json]]:
        """Read generation_config.json, up to 4 MiB."""
        return self._object("generation_config.json", MAX_CONFIG_BYTES)

    def card(self) -> Artifact[ModelCard]:
        """Read README.md, up to 8 MiB."""
        return self._fallback.answer(
            self.repo,
            lambda: self._once(self._read_card, "card"),
            lambda entry: entry.card(),
        )

    def file(self, name: str, *, max_bytes: int = MAX_FILE_BYTES) -> Artifact[Path]:
        """Fetch one whole file of at most `max_bytes` bytes."""
        return self._once(lambda: self._whole(name, max_bytes), "file", name, str(max_bytes))

    def tokenizer_files(self) -> tuple[Artifact[Path], ...]:
        """Fetch every file that defines the tokenizer, sorted by name."""
        names = tokenizer_names(self._listing())
        if not names:
            raise absent(self.repo, "tokenizer.json")
        return tuple(self.file(name) for name in names)

    def vocabulary_head(self) -> Artifact[bytes]:
        """Read the head of a GGUF file; absent where the weights are of another format."""
        return head_of(self.repo, self.tensor_index(), self._read)

    def tensor_index(self) -> Artifact[TensorIndex]:
        """Read the headers of all shards, and no weights."""
        return self._once(self._read_tensor_index, "tensor_index")

    def files(self) -> Artifact[tuple[FileEntry, ...]]:
        """List the files, sorted by path."""
        return self._once(self._read_files, "files")

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:  # noqa: ARG002
        """Whether ranges of a file can be read at all; a fingerprint holds some only."""
        return True

    def read_ranges(self, file: str, ranges: Sequence[ByteRange]) -> Artifact[tuple[bytes, ...]]:
        """Read several ranges of one file; the record counts each needed byte once."""
        with reading(file, self.repo):
            return self._read_ranges(file, ranges)

    def _read_ranges(self, file: str, ranges: Sequence[ByteRange]) -> Artifact[tuple[bytes, ...]]:
        entry = self._entry(file)
        needed = sum(map(len, coalesce(ranges, gap=0)))
        if entry.size is not None and any(item.stop > entry.size for item in ranges):
            raise malformed(self.repo, file, "it is shorter than its header says")
        self._budget.charge(needed, file)
        bodies = tuple(self._read(file, ranges))
        return Artifact(bodies, self._record(file, needed, entry.size))

    @abstractmethod
    def confirm(
        self, file: str, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange] = ()
    ) -> Artifact[Confirmation]:
        """Make sure that what was read of a file is what the publisher put there."""

    @abstractmethod
    def _entries(self) -> tuple[FileEntry, ...]:
        """List the files, sorted by path."""

    @abstractmethod
    def _fetch(self, name: str) -> Path:
        """Bring a listed file to disk."""

    @abstractmethod
    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Read ranges of a listed file, in the order of the request."""

    def _withholds_weights(self, listing: Mapping[str, FileEntry]) -> bool:  # noqa: ARG002
        """Whether this is the publisher's own list, and none of its files can hold weights.

        A folder, a cache and a part of a repository hold what somebody kept of it.
        """
        return False

    def _missing(self, name: str) -> Unavailable:
        return absent(self.repo, name)

    def _head(self, entry: FileEntry) -> bytes:
        [prefix] = self._read(entry.path, [ByteRange(0, PREFIX_BYTES)])
        stop = PREFIX_BYTES + header_length(prefix, file=entry.path, size=entry.size)
        self._budget.charge(stop, entry.path)
        [rest] = self._read(entry.path, [ByteRange(PREFIX_BYTES, stop)])
        return prefix + rest

    def _heads(self, entries: Sequence[FileEntry]) -> list[bytes]:
        return [self._head(entry) for entry in entries]

    def _read_files(self) -> Artifact[tuple[FileEntry, ...]]:
        entries = self._entries()
        return Artifact(entries, self._record(LISTING, 0, total_size(entries)))

    def _read_card(self) -> Artifact[ModelCard]:
        whole = self._whole("README.md", MAX_CARD_BYTES)
        return Artifact(read_card(whole.value, repo=self.repo), whole.record)

    def weight_sets(self) -> WeightSets:
        """Return every save of the model that its files hold; `docs/adr/0009` is the rule.

        Raises
        ------
        Unavailable
            Where there is none that can be read.
        """
        return self._once(self._find_weight_sets, "weight sets")

    def _find_weight_sets(self) -> WeightSets:
        listing = self._listing()
        if self._withholds_weights(listing):
            raise not_published(self.repo, len(listing))
        found = weight_sets(
            listing,
            self._config_of_sets(),
            repo=self.repo,
            read_index=lambda name: self._object(name, MAX_INDEX_BYTES).value,
            names_in=self._tensor_names,
        )
        if found.sets:
            return found
        adapter = adapter_instead(self.repo, listing, self._adapter_config(), self._headers)
        raise adapter or no_weights(listing, repo=self.repo)

    def _config_of_sets(self) -> Mapping[str, Json]:
        try:
            return self._config_file().value
        except Unavailable:
            return {}

    def _config_file(self) -> Artifact[dict[str, Json]]:
        return self._object("config.json", MAX_CONFIG_BYTES)

    def _adapter_config(self) -> Mapping[str, Json]:
        try:
            return self._object(ADAPTER_CONFIG, MAX_CONFIG_BYTES).value
        except Unavailable:
            return {}

    def _tensor_names(self, names: Sequence[str]) -> list[frozenset[str]]:
        return [frozenset(t.name for t in header.tensors) for header in self._headers(names)]

    def _headers(self, names: Sequence[str]) -> list[ShardHeader]:
        entries = [self._listing()[name] for name in names]
        try:
            heads = zip(entries, self._heads(entries), strict=True)
            return [parse_header(h, file=e.path, size=e.size) for e, h in heads]
        except HeaderError:
            return []  # said where the set is read

    def _read_tensor_index(self) -> Artifact[TensorIndex]:
        one = (found := self.weight_sets()).sets[0]
        listing = self._listing()
        index_bytes = 0
        weight_map = dict(one.weight_map)
        if one.index is not None:
            content = self._object(one.index, MAX_INDEX_BYTES)
            index_bytes = content.record.bytes_read
            if one.kind is not None:
                weight_map = shards_of_index(content.value, listing, repo=self.repo, file=one.index)
        names = list(one.names) or sorted(set(weight_map.values()))
        shards = [listing[name] for name in names]
        for shard in shards:
            self._refuse_pointer(shard)
        if one.kind is None:
            tensors, heads = self._tensors(shards, weight_map)
        else:
            tensors, heads = self._other_tensors(one.kind, shards, weight_map)
        tensors = replace(tensors, gaps=(*one.lacks, *found.doubts))
        record = self._record(one.index or names[0], index_bytes + len(heads), total_size(shards))
        record = replace(record, digest=hashlib.sha256(heads).hexdigest())
        return Artifact(tensors, best_of_several(record, found))

    def _other_tensors(
        self, kind: Format, shards: Sequence[FileEntry], weight_map: dict[str, str]
    ) -> tuple[TensorIndex, bytes]:
        def read(file: str, spans: Sequence[ByteRange]) -> list[bytes]:
            self._budget.charge(sum(map(len, spans)), file)
            return self._read(file, spans)

        found = OtherIndex(self.repo, read)
        tensors = found.tensors(kind, shards, weight_map)
        return tensors, b"".join(found.bodies)

    def _refuse_pointer(self, entry: FileEntry) -> None:
        """Raise for what git leaves in a file's place where git-lfs did not fetch it."""
        if entry.size is None or not len(POINTER) <= entry.size <= LONGEST_POINTER:
            return
        [start] = self._read(entry.path, [ByteRange(0, len(POINTER))])
        if start == POINTER:
            raise pointer(self.repo, entry.path)

    def _tensors(
        self, shards: Sequence[FileEntry], weight_map: dict[str, str]
    ) -> tuple[TensorIndex, bytes]:
        try:
            heads = self._heads(shards)
            headers = [
                parse_header(head, file=entry.path, size=entry.size)
                for entry, head in zip(shards, heads, strict=True)
            ]
            index = join_headers(headers, weight_map)
        except HeaderError as error:
            raise malformed(self.repo, shards[0].path, f"{error!s:.300}") from error
        absent_names = sorted(weight_map.keys() - index.tensors.keys())
        if absent_names:
            raise malformed(
                self.repo, weight_map[absent_names[0]], f"it lacks {absent_names[0]!r:.100}"
            )
        return index, b"".join(heads)

    def _object(self, name: str, limit: int) -> Artifact[dict[str, Json]]:
        def read() -> Artifact[dict[str, Json]]:
            whole = self._whole(name, limit)
            content = parse_object(whole.value.read_bytes(), repo=self.repo, file=name)
            return Artifact(content, whole.record)

        return self._once(read, "object", name)

    def _whole(self, name: str, limit: int) -> Artifact[Path]:
        entry = self._entry(name)
        if entry.size is not None and entry.size > limit:
            raise too_large(self.repo, name, entry.size, limit)
        self._budget.charge(entry.size or 0, name)
        path = self._fetch(name)
        size = path.stat().st_size
        if size <= LONGEST_POINTER:
            with open_regular(path) as stream:
                if stream.read(len(POINTER)) == POINTER:
                    raise pointer(self.repo, name)
        if size > limit:  # the list of files may be wrong, or silent about sizes
            raise too_large(self.repo, name, size, limit)
        if entry.size is None:
            self._budget.charge(size, name)
        with open_regular(path) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Artifact(path, replace(self._record(name, size, size), digest=digest))

    def _entry(self, name: str) -> FileEntry:
        entry = self._listing().get(name) if is_safe_name(name) else None
        if entry is None:
            raise self._missing(name)
        return entry

    def _listing(self) -> dict[str, FileEntry]:
        return self._once(lambda: {entry.path: entry for entry in self._entries()}, "listing")

    def _record(self, file: str, bytes_read: int, bytes_total: int | None) -> ArtifactRecord:
        return ArtifactRecord(
            repo=self.repo,
            file=file,
            source=self._source,
            revision=self.revision,
            bytes_read=bytes_read,
            bytes_total=bytes_total,
            note=self._note,
        )

    def _once(self, answer: Callable[[], T], *key: str) -> T:
        with self._lock:
            if key not in self._answers:
                try:
                    with reading(FILE_OF.get(key[0], key[-1 if len(key) == 1 else 1]), self.repo):
                        self._answers[key] = answer()
                except Unavailable as failure:
                    self._answers[key] = failure
            found = self._answers[key]
        if isinstance(found, Unavailable):
            # A new object each time: a raised exception grows its traceback with every raise.
            raise Unavailable(found.reason, found.what, found.remedy) from found.__cause__ or found
        result: T = found
        return result
