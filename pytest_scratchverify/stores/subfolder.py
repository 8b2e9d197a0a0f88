"""A store over one subfolder of a repository, such as a trainer's checkpoint-500."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, Confirmation, FileEntry


class SubfolderStore(BaseStore):
    """The files below `folder` of another store, which reads them and pays for them.

    Parameters
    ----------
    whole : ArtifactStore
        The repository; its budget is charged and its commit read.
    folder : str
        A path inside of it, without a slash at its end.

    Raises
    ------
    Unavailable
        If the repository's files cannot be listed.
    """

    def __init__(self, whole: ArtifactStore, folder: str) -> None:
        listing = whole.files()
        super().__init__(
            whole.repo,
            whole.revision,
            listing.record.source,
            budget=ByteBudget(),
            note=listing.record.note,
        )
        self._repository, self._prefix = whole, f"{folder}/"
        self._listed = listing.value

    def confirm(
        self, file: str, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange] = ()
    ) -> Artifact[Confirmation]:
        """Let the repository confirm its file."""
        return self._repository.confirm(self._prefix + file, seen, further)

    def _entries(self) -> tuple[FileEntry, ...]:
        inside = (entry for entry in self._listed if entry.path.startswith(self._prefix))
        return tuple(replace(entry, path=entry.path.removeprefix(self._prefix)) for entry in inside)

    def _fetch(self, name: str) -> Path:
        return self._repository.file(self._prefix + name).value

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        return list(self._repository.read_ranges(self._prefix + name, ranges).value)

    def _record(self, file: str, bytes_read: int, bytes_total: int | None) -> ArtifactRecord:
        return super()._record(self._prefix + file, bytes_read, bytes_total)
