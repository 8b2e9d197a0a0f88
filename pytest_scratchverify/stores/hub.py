"""A store over the Hugging Face Hub, read through huggingface_hub at one commit."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
)

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.listed import (
    cached_path,
    has_digest,
    is_content,
    is_listed,
    is_seen,
)
from pytest_scratchverify.stores.disk.metadata_cache import MetadataCache
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fallback import Catalogue, Fallback
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.http.accounting import METER
from pytest_scratchverify.stores.http.failures import (
    ListingMismatchError,
    Subject,
    as_unavailable,
    lost_connection,
    translated,
)
from pytest_scratchverify.stores.http.range_reader import RangeReader
from pytest_scratchverify.stores.http.ranges import ByteRange, coalesce, cut
from pytest_scratchverify.stores.http.resolution import Resolution, range_key
from pytest_scratchverify.stores.http.resolving import (
    LIBRARY,
    REACHABILITY,
    check_reachable,
    endpoint_of,
)
from pytest_scratchverify.stores.store import (
    CONFIRMED_WHOLE,
    Artifact,
    Confirmation,
    FileEntry,
    ModelCard,
)
from pytest_scratchverify.stores.weight_files import holds_no_weights

_CONCURRENT_SHARDS = 8
READ_AGAIN = 32  # ranges of a large file that are read a second time, to confirm them
READ_AGAIN_BYTES = 64 * 2**20  # of them at most, but two: at full depth a range is megabytes


class HubStore(BaseStore):
    """The artifacts of a resolved model on the hub.

    Whole files go through the cache of huggingface_hub, which is shared with every other
    program; ranges and headers do not fit in there and are read directly.
    """

    def __init__(
        self,
        resolution: Resolution,
        *,
        run: RunDirectory,
        budget: ByteBudget | None = None,
        access: HubAccess | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        note = Text("renamed from {name}", name=resolution.asked) if resolution.renamed else None
        super().__init__(
            resolution.repo,
            resolution.commit,
            Source.HUB,
            budget=budget or ByteBudget(),
            note=note,
            fallback=Fallback(catalogue),
        )
        self._resolution = resolution
        # Threads that read headers may not wait for the lock of the question that started them.
        self._listed = {entry.path: entry for entry in resolution.files}
        self._checked_whole: dict[str, Path | None] = {}
        self._run = run
        self._access = access or HubAccess()
        self._endpoint = endpoint_of(self._access)
        self._metadata = MetadataCache(resolution.repo, self._access)
        self._ranges = self._metadata.ranges()
        self._reader = RangeReader(
            build_hf_headers(token=self._access.token, library_name=LIBRARY),
            self._access.timeout or constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )

    @property
    def resolution(self) -> Resolution:
        """The hub's answer to the model's name."""
        return self._resolution

    @property
    def address(self) -> str:
        """The hub's endpoint, as requests are sent to it."""
        return (self._access.endpoint or constants.ENDPOINT).rstrip("/")

    def _entries(self) -> tuple[FileEntry, ...]:
        return self._resolution.files

    def _withholds_weights(self, listing: Mapping[str, FileEntry]) -> bool:
        return holds_no_weights(listing)

    def _fetch(self, name: str) -> Path:
        entry = self._entry(name)
        cached = cached_path(self.repo, name, self._resolution.commit, self._access)
        if cached is not None and is_listed(cached, entry):
            return cached
        self._announce(name, entry.size)
        with self._network(name):
            # A copy that is not the listed file is fetched again, whoever damaged it.
            fetched = Path(self._download(name, again=cached is not None))
            if not is_listed(fetched, entry):
                fetched = Path(self._download(name, again=True))
            if not is_listed(fetched, entry):
                raise ListingMismatchError("its size or digest differs")
            return fetched

    def confirm(
        self, file: str, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange] = ()
    ) -> Artifact[Confirmation]:
        """Confirm by the digest of a file that is small, by fresh ranges of a larger one.

        Fresh is what came past our caches, past the remembered address, and with a request that
        caches on the way ask the hub.
        """
        entry = self._entry(file)
        limit = self._budget.limit
        room = CONFIRMED_WHOLE if limit is None else min(CONFIRMED_WHOLE, limit)
        if entry.size is None or not has_digest(entry) or entry.size > room:
            return self._confirmed_in_parts(entry, seen, further)
        try:
            whole = self.file(file, max_bytes=room)
        except Unavailable as failure:
            if failure.reason is Reason.MISMATCH:
                raise
            return self._confirmed_in_memory(entry, seen, further)
        if not is_seen(whole.value, seen):
            raise self._other_bytes(file)
        self._checked_whole[file] = whole.value
        bodies = FolderStore(whole.value.parent)._read(whole.value.name, further)  # noqa: SLF001
        record = replace(whole.record, ranges=((0, entry.size),))
        return Artifact(Confirmation(whole=True, further=tuple(bodies)), record)

    def _confirmed_in_memory(
        self, entry: FileEntry, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange]
    ) -> Artifact[Confirmation]:
        """Confirm by the digest of a file for which the disk has no room."""
        size = entry.size or 0
        with self._network(entry.path):
            [(_, body)] = self._reader.read_afresh(
                self._url(entry.path), entry, [ByteRange(0, size)]
            )
            if not is_content(body, entry):
                raise ListingMismatchError("its digest differs")
        parts = memoryview(body)
        if any(hashlib.sha256(parts[s.start : s.stop]).digest() != d for s, d in seen.items()):
            raise self._other_bytes(entry.path)
        record = replace(self._record(entry.path, size, size), ranges=((0, size),))
        record = replace(record, digest=hashlib.sha256(body).hexdigest())
        bodies = tuple(body[span.start : span.stop] for span in further)
        return Artifact(Confirmation(whole=True, further=bodies), record)

    def _confirmed_in_parts(
        self, entry: FileEntry, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange]
    ) -> Artifact[Confirmation]:
        again = _some(sorted(seen))
        spans = [*again, *further]
        needed = coalesce(spans, gap=0)
        self._budget.charge(sum(map(len, needed)), entry.path)
        self._announce(entry.path, sum(map(len, needed)))
        with self._network(entry.path):
            fresh = self._reader.read_afresh(self._url(entry.path), entry, needed)
        bodies = cut(spans, fresh)
        came = zip(again, bodies, strict=False)
        if any(hashlib.sha256(body).digest() != seen[span] for span, body in came):
            raise self._other_bytes(entry.path)
        record = self._record(entry.path, sum(map(len, needed)), entry.size)
        record = replace(record, ranges=tuple((span.start, span.stop) for span in needed))
        return Artifact(Confirmation(whole=False, further=tuple(bodies[len(again) :])), record)

    def _other_bytes(self, file: str) -> Unavailable:
        """Keep nothing of a file of which two readings differ, and say so."""
        self._ranges.forget(range_key(self._resolution, file))
        self._metadata.forget_header(self._resolution.commit, file)
        error = ListingMismatchError("other bytes came when it was read again")
        subject = Subject(repo=self.repo, endpoint=self._endpoint, file=file)
        failure = as_unavailable(error, subject)
        failure.__cause__ = error
        return failure

    def _download(self, name: str, *, again: bool = False) -> str:
        with warnings.catch_warnings():
            # Of a disk that is too small; that the file does not fit is an error of its own.
            warnings.simplefilter("ignore", UserWarning)
            return huggingface_hub.hf_hub_download(
                self.repo,
                name,
                revision=self._resolution.commit,
                cache_dir=self._access.cache_dir,
                endpoint=self._access.endpoint,
                token=self._access.token,
                library_name=LIBRARY,
                force_download=again,
                etag_timeout=self._access.timeout or constants.HF_HUB_ETAG_TIMEOUT,
            )

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        whole = self._whole_on_disk(name)
        if whole is not None:
            return FolderStore(whole.parent)._read(whole.name, ranges)  # noqa: SLF001
        key = range_key(self._resolution, name)
        # One process fetches, the others find it cached.
        with self._run.lock(f"ranges {self.repo} {key}"):
            cached = self._ranges.find(key, ranges)
            plan = coalesce([r for r in ranges if r not in cached], budget=self._budget.limit)
            if plan:
                self._announce(name, sum(map(len, plan)))
                with self._network(name):
                    fetched = self._reader.read_all(
                        self._url(name),
                        self._listed[name],
                        plan,
                        lambda *part: self._ranges.store(key, *part),
                    )
            else:
                fetched = []
        return cut(ranges, [*fetched, *cached.items()])

    def _whole_on_disk(self, name: str) -> Path | None:
        """Return a small file that was fetched whole and is the listed one; looked for once."""
        if name not in self._checked_whole:
            entry = self._listed[name]
            path = None
            if has_digest(entry) and (entry.size or CONFIRMED_WHOLE + 1) <= CONFIRMED_WHOLE:
                path = cached_path(self.repo, name, self._resolution.commit, self._access)
            sound = path is not None and is_listed(path, entry)
            self._checked_whole[name] = path if sound else None
        return self._checked_whole[name]

    def _url(self, name: str) -> str:
        return huggingface_hub.hf_hub_url(
            self.repo, name, revision=self._resolution.commit, endpoint=self._access.endpoint
        )

    def _head(self, entry: FileEntry) -> bytes:
        cached = self._metadata.header(self._resolution.commit, entry.path)
        if cached is not None:
            self._budget.charge(len(cached), entry.path)
            return cached
        head = super()._head(entry)
        self._metadata.store_header(self._resolution.commit, entry.path, head)
        return head

    def _heads(self, entries: Sequence[FileEntry]) -> list[bytes]:
        # One worker reads the headers of a model, the others find them cached.
        with (
            self._run.lock(f"headers {self.repo} {self._resolution.commit}"),
            ThreadPoolExecutor(_CONCURRENT_SHARDS) as pool,
        ):
            return list(pool.map(self._head, entries))

    def _read_card(self) -> Artifact[ModelCard]:
        try:
            return super()._read_card()
        except Unavailable as failure:
            # The hub publishes the metadata of gated models, only not the file.
            if failure.reason is not Reason.GATED:
                raise
            record = replace(self._record("README.md", 0, None), note=failure.what)
            return Artifact(self._resolution.card, record)

    def _announce(self, name: str, size: int | None) -> None:
        if self._access.on_fetch is not None:
            self._access.on_fetch(self.repo, name, size)

    @contextmanager
    def _network(self, name: str) -> Iterator[None]:
        subject = Subject(repo=self.repo, endpoint=self._endpoint, file=name)
        self._run.once(REACHABILITY, self._endpoint, lambda: check_reachable(self._access))
        METER.attach(huggingface_hub.get_session())
        try:
            with translated(subject):
                yield
        except Unavailable as failure:
            # huggingface_hub has already tried for half a minute; once a run is enough.
            if lost_connection(failure.__cause__):
                self._run.settle(REACHABILITY, self._endpoint, failure)
            raise


def _some(spans: Sequence[ByteRange]) -> list[ByteRange]:
    """Choose ranges over the whole of a file, the first among them."""
    mean = max(1, sum(map(len, spans)) // max(1, len(spans)))
    most = min(READ_AGAIN, max(2, READ_AGAIN_BYTES // mean))
    return [*spans[:: max(1, -(-len(spans) // most))]]
