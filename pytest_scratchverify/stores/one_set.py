"""A store over one of several saves in a repository: its files and no other weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.bounds import absent
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, Confirmation, FileEntry
from pytest_scratchverify.stores.weight_files import Format, other_sets
from pytest_scratchverify.stores.weight_sets import MOST_NAMED, WeightSet, WeightSets


class OneSetStore(BaseStore):
    """A repository as if one set of weights were its only one; `whole` reads and pays.

    Raises
    ------
    Unavailable
        If the repository's files cannot be listed.
    """

    def __init__(self, whole: BaseStore, one: WeightSet, doubts: WeightSets) -> None:
        listing = whole.files()
        record = listing.record
        super().__init__(
            whole.repo, whole.revision, record.source, budget=ByteBudget(), note=record.note
        )
        self._repository, self._listed = whole, listing.value
        self.one = one
        self._sets = WeightSets((one,), doubts.doubts)

    @property
    def whole(self) -> BaseStore:
        """The repository."""
        return self._repository

    @property
    def files_of_set(self) -> tuple[str, ...]:
        """The files of the set, as a sentence names them."""
        return files_of(self.one)

    def _find_weight_sets(self) -> WeightSets:
        return self._sets

    def holds(self, file: str, spans: Iterable[ByteRange]) -> bool:
        """Ask the repository."""
        return self._repository.holds(file, spans)

    def confirm(
        self, file: str, seen: Mapping[ByteRange, bytes], further: Sequence[ByteRange] = ()
    ) -> Artifact[Confirmation]:
        """Let the repository confirm its file."""
        return self._repository.confirm(file, seen, further)

    def _entries(self) -> tuple[FileEntry, ...]:
        return self._listed

    def _fetch(self, name: str) -> Path:
        return self._repository.file(name).value

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        return list(self._repository.read_ranges(name, ranges).value)

    def _record(self, file: str, bytes_read: int, bytes_total: int | None) -> ArtifactRecord:
        return replace(super()._record(file, bytes_read, bytes_total))


def one_quantisation(store: ArtifactStore, label: str) -> OneSetStore:
    """Return a repository as if the GGUF file of one quantisation were its only weights.

    Parameters
    ----------
    label
        As file names say it, in any case: ``Q4_K_M``.

    Raises
    ------
    Unavailable
        Where there are several such files, or none; the sentence names those that there are.
    """
    if not isinstance(store, BaseStore):
        raise absent(store.repo, f"*{label}*.gguf")
    said = re.compile(rf"(?<!UD-)(?<![A-Z0-9]){re.escape(label)}(?![A-Z0-9_])", re.IGNORECASE)
    listing = {entry.path: entry for entry in store.files().value}
    known = [other for other in other_sets(listing) if other.kind is Format.GGUF]
    found = [other for other in known if said.search(other.names[0])]
    if len(found) != 1:
        raise Unavailable(
            Reason.ABSENT,
            Text(
                "{repo} has {n} GGUF files that are called {label}; it holds {names}.",
                repo=store.repo,
                n=len(found),
                label=label,
                names=[other.names[0] for other in known][:MOST_NAMED],
            ),
            Text("Write {repo}:LABEL with the label of one file.", repo=store.repo),
        )
    one = WeightSet(found[0].names, {}, kind=Format.GGUF)
    return OneSetStore(store, one, WeightSets((one,)))


def files_of(one: WeightSet) -> tuple[str, ...]:
    """Name a set by its files, or by its index where it has one."""
    return one.names if one.index is None else (one.index,)


def other_readings(store: ArtifactStore) -> tuple[OneSetStore, ...]:
    """Return a store for every save of a repository beside the one that is loaded first.

    They are made once a store and kept with it.
    """
    if not isinstance(store, BaseStore) or isinstance(store, OneSetStore):
        return ()
    known = store.derived.get(OneSetStore)
    if not isinstance(known, tuple):
        try:
            found = store.weight_sets()
        except Unavailable:
            return ()
        known = tuple(OneSetStore(store, one, found) for one in found.sets[1:])
        store.derived[OneSetStore] = known
    return known


def first_files(store: ArtifactStore) -> tuple[str, ...]:
    """Name the set that is loaded first; nothing where it cannot be told."""
    if not isinstance(store, BaseStore):
        return ()
    try:
        return files_of(store.weight_sets().sets[0])
    except Unavailable:
        return ()
