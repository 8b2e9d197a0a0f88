"""A store over a local directory; it answers exactly like the hub's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.base import LISTING, BaseStore, total_size
from pytest_scratchverify.stores.bounds import MAX_FILES, is_safe_name
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, Confirmation, FileEntry

HASH_LIMIT = 64 * 2**30  # bytes; some two minutes of reading from a fast disk


class FolderStore(BaseStore):
    """The artifacts of a model in a folder.

    A folder has no commit: `revision` is None, and files are identified by their digests.

    Parameters
    ----------
    path : Path
        The folder, as the user wrote it; it appears so in records.
    budget : ByteBudget, optional
        Counts like for a hub, so that a folder cannot pass where a hub would not.
    hash_limit : int
        Weight files are hashed up to this many bytes in all, to recognise verbatim copies.
    """

    def __init__(
        self, path: Path, *, budget: ByteBudget | None = None, hash_limit: int = HASH_LIMIT
    ) -> None:
        super().__init__(path.as_posix(), None, Source.FOLDER, budget=budget or ByteBudget())
        self._path = path
        self._hash_limit = hash_limit

    def confirm(
        self,
        file: str,
        seen: Mapping[ByteRange, bytes],  # noqa: ARG002
        further: Sequence[ByteRange] = (),
    ) -> Artifact[Confirmation]:
        """Confirm at once: nothing stands between a folder and its reader."""
        read = self.read_ranges(file, further)
        return Artifact(Confirmation(whole=True, further=read.value), read.record)

    def _entries(self) -> tuple[FileEntry, ...]:
        found = sorted(self._walk(), key=lambda entry: entry.path)
        return tuple(found)

    def _walk(self) -> Iterator[FileEntry]:
        count = 0
        for root, folders, names in os.walk(self._path):
            # .git and .cache hold copies of the files, not files of the model.
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in names:
                count += 1
                if count > MAX_FILES:
                    raise self._too_many()
                path = Path(root, name)
                if path.is_file():
                    relative = path.relative_to(self._path).as_posix()
                    yield FileEntry(path=relative, size=path.stat().st_size)

    def _too_many(self) -> Unavailable:
        return Unavailable(
            Reason.UNSUPPORTED,
            Text("{path} holds more than {n} files.", path=self.repo, n=MAX_FILES),
            Text("Give the folder of one model."),
        )

    def _fetch(self, name: str) -> Path:
        path = self._path / name
        if not os.access(path, os.R_OK):
            raise Unavailable(
                Reason.UNREACHABLE,
                Text("{file} of {repo} may not be read.", file=name, repo=self.repo),
                Text("Change the permissions of the file."),
            )
        return path

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        with self._fetch(name).open("rb") as stream:
            return [_exactly(stream, item, self.repo, name) for item in ranges]

    def _read_files(self) -> Artifact[tuple[FileEntry, ...]]:
        entries = self._entries()
        weights = [entry for entry in entries if entry.path.endswith(".safetensors")]
        size = sum(entry.size or 0 for entry in weights)
        record = self._record(LISTING, 0, total_size(entries))
        if size > self._hash_limit:
            note = Text("The weight files are too large to be hashed ({n} bytes).", n=size)
            return Artifact(entries, replace(record, note=note))
        return Artifact(tuple(map(self._hashed, entries)), replace(record, bytes_read=size))

    def _hashed(self, entry: FileEntry) -> FileEntry:
        if not entry.path.endswith(".safetensors") or not is_safe_name(entry.path):
            return entry
        with self._fetch(entry.path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return replace(entry, sha256=digest)


def _exactly(stream: BinaryIO, wanted: ByteRange, repo: str, name: str) -> bytes:
    stream.seek(wanted.start)
    body = stream.read(len(wanted))
    if len(body) < len(wanted):
        raise Unavailable(
            Reason.CUT_OFF,
            Text("{file} of {repo} ends before byte {n}.", file=name, repo=repo, n=wanted.stop),
            Text("Copy the file again."),
        )
    return body
