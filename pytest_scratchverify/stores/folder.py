"""A store over a local directory; it answers exactly like the hub's."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import file_name, open_regular
from pytest_scratchverify.stores.base import LISTING, BaseStore
from pytest_scratchverify.stores.bounds import MAX_FILES
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.inner_folder import InnerFolder, inner_folder
from pytest_scratchverify.stores.store import SUMMED, Artifact, Confirmation, FileEntry, total_size
from pytest_scratchverify.stores.weight_files import holds_no_weights, parts_beside
from pytest_scratchverify.verdict.clearance import some_of

HASH_LIMIT = 64 * 2**30  # bytes of all files; some minutes of reading from a fast disk
HASH_FILE_LIMIT = 8 * 2**30  # of one file: half a minute; larger ones are compared by their slices
MOST_HOLES = 2**30  # bytes of a file that were never written; weights have none
MOST_EXTENTS = 10_000  # pieces of a sparse file that are looked at


CACHED_REPOSITORIES = ("models--", "datasets--", "spaces--")


class FolderStore(BaseStore):
    """The artifacts of a model in a folder.

    A folder has no commit: `revision` is None, and files are identified by their digests.

    Links are followed within the folder, and to the blobs of a cache of huggingface_hub, whose
    snapshots consist of them. A link that leads elsewhere is listed and not read: a stranger's
    folder shows no file of its reader's. Pipes and devices are no files. A name that is not UTF-8
    is listed with its bytes as ``%FF``.

    Parameters
    ----------
    path : Path
        The folder, as the user wrote it; it appears so in records.
    budget : ByteBudget, optional
        Counts like for a hub, so that a folder cannot pass where a hub would not.
    hash_limit : int
        Weight files are hashed up to this many bytes in all, to recognise verbatim copies.
    inner : InnerFolder, optional
        The folder below that is the model: its files are listed, and beside them those of the
        root that hold no weights and that it lacks (configuration, tokenizer, card).
    """

    def __init__(
        self,
        path: Path,
        *,
        budget: ByteBudget | None = None,
        hash_limit: int = HASH_LIMIT,
        inner: InnerFolder | None = None,
    ) -> None:
        root = file_name(path.as_posix())
        self.scope = _scope(root, inner) if inner is not None else None
        super().__init__(
            root if inner is None else f"{root.rstrip('/')}/{inner.folder}",
            None,
            Source.FOLDER,
            budget=budget or ByteBudget(),
            note=self.scope,
        )
        self._path, self._inner = path, inner
        self._hash_limit = hash_limit
        self._root = path.resolve()
        self._places: dict[str, Path] = {}

    @property
    def root(self) -> FolderStore:
        """The folder as it was given, where one below it is read for it."""
        if self._inner is None:
            return self
        return FolderStore(self._path, budget=self._budget, hash_limit=self._hash_limit)

    @property
    def place(self) -> Path:
        """The folder whose weights are read."""
        return self._path if self._inner is None else self._path / self._inner.folder

    @property
    def given(self) -> tuple[Path, InnerFolder | None]:
        """The folder as it was given, and the one below it that is read for it."""
        return self._path, self._inner

    def judged(self) -> FolderStore:
        """Return the store of the folder that is the model: this one, or one below it."""
        try:
            self.weight_sets()
        except Unavailable:
            pass
        else:
            return self
        try:
            inner = inner_folder(self._listing())
        except Unavailable:
            return self
        if inner is None:
            return self
        return FolderStore(
            self._path, budget=self._budget, hash_limit=self._hash_limit, inner=inner
        )

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
        return tuple(found) if self._inner is None else self._of(self._inner, found)

    def _of(self, inner: InnerFolder, found: list[FileEntry]) -> tuple[FileEntry, ...]:
        """Keep the files of the folder that is meant, and what it lacks and the root has."""
        prefix = f"{inner.folder}/"
        places = {e.path.removeprefix(prefix): e for e in found if e.path.startswith(prefix)}
        for entry in found:
            if "/" not in entry.path and holds_no_weights([entry.path]):
                places.setdefault(entry.path, entry)
        self._places = {name: self._places[entry.path] for name, entry in places.items()}
        kept = (replace(entry, path=name) for name, entry in places.items())
        return tuple(sorted(kept, key=lambda entry: entry.path))

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
                    listed = file_name(path.relative_to(self._path).as_posix())
                    self._places[listed] = path
                    # Of a link that is not followed nothing is told, its size as little.
                    size = path.stat().st_size if self._is_inside(path) else None
                    yield FileEntry(path=listed, size=size)

    def _is_inside(self, path: Path) -> bool:
        """Whether a file, once links are followed, is one of this folder or of a hub's cache."""
        target = path.resolve()
        if target.is_relative_to(self._root):
            return True
        blobs = target.parent
        return blobs.name == "blobs" and blobs.parent.name.startswith(CACHED_REPOSITORIES)

    def _too_many(self) -> Unavailable:
        return Unavailable(
            Reason.UNSUPPORTED,
            Text("{path} holds more than {n} files.", path=self.repo, n=MAX_FILES),
            Text("Give the folder of one model."),
        )

    def _fetch(self, name: str) -> Path:
        path = self._places.get(name, self._path / name)
        if not self._is_inside(path):
            raise Unavailable(
                Reason.UNSUPPORTED,
                Text(
                    "{file} of {repo} is a link that leaves the folder.", file=name, repo=self.repo
                ),
                Text("Put the file itself there, or give the folder that it is in."),
            )
        if not os.access(path, os.R_OK):
            raise Unavailable(
                Reason.UNREACHABLE,
                Text("{file} of {repo} may not be read.", file=name, repo=self.repo),
                Text("Change the permissions of the file."),
            )
        return path

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        with open_regular(self._fetch(name)) as stream:
            return [_exactly(stream, item, self.repo, name) for item in ranges]

    def _read_files(self) -> Artifact[tuple[FileEntry, ...]]:
        entries = self._entries()
        weights = [entry for entry in entries if entry.path.endswith(SUMMED)]
        size = sum(entry.size or 0 for entry in weights)
        record = self._record(LISTING, 0, total_size(entries))
        if size > self._hash_limit:
            note = Text("The weight files are too large to be hashed ({n} bytes).", n=size)
            return Artifact(entries, replace(record, note=note))
        return Artifact(tuple(map(self._hashed, entries)), replace(record, bytes_read=size))

    def _hashed(self, entry: FileEntry) -> FileEntry:
        if not entry.path.endswith(SUMMED):
            return entry
        if entry.size is None or entry.size > HASH_FILE_LIMIT:
            return entry
        with open_regular(self._fetch(entry.path)) as stream:
            if entry.size - written_bytes(stream.fileno(), entry.size) > MOST_HOLES:
                return entry
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return replace(entry, sha256=digest)


def _scope(root: str, inner: InnerFolder) -> Text:
    """Say which folder is judged, and which are not."""
    if not inner.others:
        return Text(
            "Judged are the weights in {folder} of {repo}, which holds none itself.",
            folder=inner.folder,
            repo=root,
        )
    return Text(
        "Judged are the weights in {folder} of {repo}; {others} below it are not.",
        folder=inner.folder,
        repo=root,
        others=some_of([*inner.others]),
    )


class FileStore(FolderStore):
    """A GGUF file as a model, with the other parts of its set; what else lies there is not its.

    Parameters
    ----------
    path : Path
        The file, as the user wrote it; it appears so in records. A link that the user names is
        followed.
    """

    def __init__(self, path: Path, *, budget: ByteBudget | None = None) -> None:
        super().__init__(path.parent, budget=budget)
        self._repo = file_name(path.as_posix())
        self._file = path

    def _walk(self) -> Iterator[FileEntry]:
        for path in (self._file, *sorted(parts_beside(self._file))):
            listed = file_name(path.name)
            self._places[listed] = path
            yield FileEntry(path=listed, size=path.stat().st_size)

    @property
    def file_path(self) -> Path:
        """The file."""
        return self._file

    def _is_inside(self, path: Path) -> bool:
        return path == self._file or super()._is_inside(path)


def written_bytes(handle: int, size: int) -> int:
    """Count the bytes of an open file that were ever written; all, where nobody can tell.

    Reading a hole costs as much time as reading weights, and holes cost nothing to make.
    """
    if not hasattr(os, "SEEK_DATA"):
        return size
    found = at = 0
    try:
        for _ in range(MOST_EXTENTS):
            start = os.lseek(handle, at, os.SEEK_DATA)
            at = os.lseek(handle, start, os.SEEK_HOLE)
            found += at - start
            if at >= size:
                break
    except OSError as error:
        if error.errno != errno.ENXIO:  # which says that only holes follow
            return size
    finally:
        os.lseek(handle, 0, os.SEEK_SET)
    return found


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
