"""A store over the local caches, used when the hub cannot be reached."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_scratchverify.checkpoint.header import TensorIndex
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.listed import cached_path, has_digest, is_listed, is_seen
from pytest_scratchverify.stores.disk.metadata_cache import DEFAULT_REVISION, MetadataCache
from pytest_scratchverify.stores.fallback import Catalogue, Fallback
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.http.resolution import Resolution, range_key
from pytest_scratchverify.stores.store import Artifact, Confirmation, FileEntry
from pytest_scratchverify.stores.weight_files import INDEX, SINGLE

# Any of these in the cache tells which commit a branch last pointed to.
_TELLTALES = ("config.json", "README.md", "tokenizer.json", "model.safetensors.index.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class CacheStore(BaseStore):
    """The cached artifacts of one commit; what is not cached stays unavailable, not absent.

    Parameters
    ----------
    resolution : Resolution
        What the hub said when it was last asked, or what the cache allows to guess.
    failure : Unavailable
        Why the hub is not asked now; its reason and remedy are given for every gap.
    """

    def __init__(
        self,
        resolution: Resolution,
        failure: Unavailable,
        *,
        budget: ByteBudget | None = None,
        access: HubAccess | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        super().__init__(
            resolution.repo,
            resolution.commit,
            Source.CACHE,
            budget=budget or ByteBudget(),
            note=Text("hub not reachable; cached copy of commit {sha}", sha=resolution.commit),
            fallback=Fallback(catalogue),
        )
        self._resolution = resolution
        self._failure = failure
        self._access = access or HubAccess()
        self._metadata = MetadataCache(self.repo, self._access)

    def confirm(
        self, file: str, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange] = ()
    ) -> Artifact[Confirmation]:
        """Confirm by a whole cached file of the right digest; ranges cannot be read again."""
        entry = self._entry(file)
        if not seen:  # only the listing's word is asked for, which the hub gave
            return Artifact(Confirmation(whole=False), self._record(file, 0, entry.size))
        path = cached_path(self.repo, file, self._resolution.commit, self._access)
        if path is None or not has_digest(entry) or not is_listed(path, entry):
            raise self._unconfirmed(file)
        bodies = FolderStore(path.parent)._read(path.name, further)  # noqa: SLF001
        if not is_seen(path, seen):
            raise self._unconfirmed(file)
        size = path.stat().st_size
        record = replace(self._record(file, size, size), digest=entry.sha256, ranges=((0, size),))
        return Artifact(Confirmation(whole=True, further=tuple(bodies)), record)

    def _unconfirmed(self, file: str) -> Unavailable:
        return Unavailable(
            self._failure.reason,
            Text(
                "The cached parts of {file} of {repo} cannot be confirmed while the hub is not"
                " reachable.",
                file=file,
                repo=self.repo,
            ),
            self._failure.remedy,
        )

    def _entries(self) -> tuple[FileEntry, ...]:
        return self._resolution.files

    def _read_files(self) -> Artifact[tuple[FileEntry, ...]]:
        found = super()._read_files()
        if self._resolution.complete:
            return found
        note = Text("hub not reachable; only the cached files of commit {sha}", sha=self.revision)
        record = replace(found.record, bytes_total=None, note=note)
        return Artifact(found.value, record)

    def _read_tensor_index(self) -> Artifact[TensorIndex]:
        # Two shards of three in a cache must not pass for a model of two shards.
        known = {entry.path for entry in self._entries()}
        if not self._resolution.complete and not known & {INDEX, SINGLE}:
            raise self._missing(INDEX)
        return super()._read_tensor_index()

    def _missing(self, name: str) -> Unavailable:
        return Unavailable(
            self._failure.reason,
            Text(
                "{file} of {repo} is not in the local cache, and the hub was not reachable.",
                file=name,
                repo=self.repo,
            ),
            self._failure.remedy,
        )

    def _fetch(self, name: str) -> Path:
        found = cached_path(self.repo, name, self._resolution.commit, self._access)
        if found is None:
            raise self._missing(name)
        return found

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        cached = self._metadata.ranges()
        found = cached.find(range_key(self._resolution, name), ranges)
        if all(wanted in found for wanted in ranges):
            return [found[wanted] for wanted in ranges]
        whole = self._fetch(name)
        return FolderStore(whole.parent)._read(whole.name, ranges)  # noqa: SLF001 - same family

    def _head(self, entry: FileEntry) -> bytes:
        cached = self._metadata.header(self._resolution.commit, entry.path)
        if cached is None:
            return super()._head(entry)
        self._budget.charge(len(cached), entry.path)
        return cached


def find_cached(repo: str, revision: str | None, access: HubAccess) -> Resolution | None:
    """Say what the local caches know of a model, or None if that is nothing.

    Returns
    -------
    Resolution or None
        The cached answer of the hub; else the files of the cached commit that the revision
        last pointed to.
    """
    cached = MetadataCache(repo, access).resolution(revision)
    if cached is not None:
        return cached
    for name in _TELLTALES:
        path = cached_path(repo, name, revision or DEFAULT_REVISION, access)
        if path is not None:
            return Resolution(
                asked=repo,
                repo=repo,
                commit=path.parent.name,
                files=tuple(sorted(_snapshot(path.parent), key=lambda entry: entry.path)),
                complete=False,
            )
    return None


def _snapshot(folder: Path) -> Iterator[FileEntry]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            # Large files are stored under their sha256, small ones under a git hash.
            blob = path.resolve().name
            yield FileEntry(
                path=path.relative_to(folder).as_posix(),
                size=path.stat().st_size,
                sha256=blob if _SHA256.fullmatch(blob) else None,
            )
