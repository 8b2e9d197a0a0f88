"""Find intermediate training checkpoints: in folders, branches and tags of a repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath

from pytest_scratchverify.checkpoint.step_names import longest_series
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.stores.subfolder import SubfolderStore

MAX_REFS = 20_000
_REF = re.compile(r"[\w][\w./+-]{0,199}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One checkpoint on the way: where it lies, its step, and how it is opened."""

    name: str
    step: int
    open: Callable[[], ArtifactStore]


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The checkpoints of one series in the order of their steps; other series are counted."""

    found: tuple[Snapshot, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)


def in_folders(store: ArtifactStore) -> Snapshots:
    """Find folders such as ``checkpoint-500`` that hold weights.

    Raises
    ------
    Unavailable
        If the files cannot be listed.
    """
    folders = {
        PurePosixPath(entry.path).parent.as_posix()
        for entry in store.files().value
        if entry.path.endswith(".safetensors") and "/" in entry.path
    }
    names, others = longest_series(folders)
    found = (Snapshot(n.name, n.step, partial(SubfolderStore, store, n.name)) for n in names)
    return Snapshots(tuple(found), others)


def in_refs(refs: Iterable[str], opened: Callable[[str], ArtifactStore]) -> Snapshots:
    """Pick the branches and tags that name a step; `opened` opens one."""
    names, others = longest_series(refs)
    found = (Snapshot(n.name, n.step, partial(opened, n.name)) for n in names)
    return Snapshots(tuple(found), others)


def list_refs(repo: str, *, run: RunDirectory, access: HubAccess, offline: bool) -> tuple[str, ...]:
    """Ask the hub once a run for the branches and tags of a repository, sorted.

    Names that could not stand in an address are left out, and those beyond `MAX_REFS`.

    Raises
    ------
    Unavailable
        Offline, unreachable, rate-limited, absent or malformed.
    """
    from pytest_scratchverify.stores.http import resolving  # noqa: PLC0415 - loads the HTTP stack

    if offline or resolving.is_offline():
        raise resolving.failure_offline(repo, access)

    def compute() -> list[object]:
        run.once(
            resolving.REACHABILITY,
            resolving.endpoint_of(access),
            lambda: resolving.check_reachable(access),
        )
        return [*resolving.refs(repo, access)]

    endpoint = resolving.endpoint_of(access)
    names = run.once("refs", f"{endpoint} {repo}", compute)  # type: ignore[arg-type]
    known = [str(name) for name in names] if isinstance(names, list) else []
    return tuple(sorted({n for n in known[:MAX_REFS] if _REF.fullmatch(n) and ".." not in n}))
