"""Open what one process opened in another, on another machine too, with that machine's own rules.

What travels is where the bytes are: a repository at its commit with its list of files, or a path.
No token and no cache's path travels: whoever reads has its own, as `huggingface_hub` finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.folder import FileStore, FolderStore
from pytest_scratchverify.stores.http.access import HubAccess, shown_address
from pytest_scratchverify.stores.http.resolution import Resolution
from pytest_scratchverify.stores.inner_folder import InnerFolder
from pytest_scratchverify.stores.one_set import OneSetStore
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.stores.weight_sets import WeightSet, WeightSets


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A repository at one commit; the endpoint unless it holds a secret."""

    resolution: Resolution
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder, which whoever reads must see under the same path."""

    path: Path
    inner: InnerFolder | None


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A single file of weights."""

    path: Path


@dataclass(frozen=True, slots=True)
class SetPlace:
    """One of several saves in a repository."""

    whole: Place
    one: WeightSet
    doubts: WeightSets


Place: TypeAlias = HubPlace | FolderPlace | FilePlace | SetPlace


def place_of(store: ArtifactStore) -> Place | None:
    """Say where a store's bytes are; None for what only this process can give."""
    from pytest_scratchverify.stores.hub import HubStore  # noqa: PLC0415 - the HTTP stack

    if isinstance(store, OneSetStore):
        whole = place_of(store.whole)
        return None if whole is None else SetPlace(whole, store.one, store.weight_sets())
    if isinstance(store, HubStore):
        address = store.address
        return HubPlace(store.resolution, address if shown_address(address) == address else None)
    if isinstance(store, FileStore):
        return FilePlace(store.file_path.absolute())
    if isinstance(store, FolderStore):
        path, inner = store.given
        return FolderPlace(path.absolute(), inner)
    return None


def open_place(place: Place, run: RunDirectory) -> ArtifactStore:
    """Open a place here. Raises `Unavailable` where it cannot be read."""
    return _opened(place, run)


def _opened(place: Place, run: RunDirectory) -> BaseStore:
    if isinstance(place, SetPlace):
        return OneSetStore(_opened(place.whole, run), place.one, place.doubts)
    if isinstance(place, FilePlace):
        return FileStore(place.path)
    if isinstance(place, FolderPlace):  # digests are for listings: whoever sent us has them
        return FolderStore(place.path, hash_limit=0, inner=place.inner)
    from pytest_scratchverify.stores.hub import HubStore  # noqa: PLC0415 - the HTTP stack

    access = HubAccess(endpoint=place.endpoint)
    return HubStore(place.resolution, run=run, access=access)
