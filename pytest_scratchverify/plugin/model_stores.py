"""Open stores for the suites, once per process and model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from pytest_scratchverify.catalog.store import catalogue_store
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.plugin.session import KEPT_MODELS, Session, store_key
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.declared_bases import is_named
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.http.access import HubAccess, OnFetch
from pytest_scratchverify.stores.library import open_entry
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.snapshots import Snapshots, in_folders, in_refs, list_refs
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.adapted import with_base

SLOW_BYTES = 8 * 2**20  # a fetch of this size gets a line of its own
KEPT_ENTRIES = 4  # of a library: what was read of a hundred models would fill the memory


def open_model(session: Session, spec: ModelSpec) -> ArtifactStore:
    """Return the store of a model; a failure to open is remembered and raised again.

    Of a library's fingerprints the last few stay open: tests come reference by reference. So do the
    last few tested models, where there are many: then tests come model by model.
    """
    key = store_key(spec)
    if key not in session.stores:
        session.stores[key] = _open(session, spec)
    session.stores[key] = session.stores.pop(key)  # the last one used
    bounded = (session.library_keys, KEPT_ENTRIES), (session.model_keys, KEPT_MODELS)
    for keys, kept in bounded:
        for old in [name for name in session.stores if name in keys][:-kept]:
            if not isinstance(session.stores[old], Unavailable):
                del session.stores[old]
    found: ArtifactStore | Unavailable = session.stores[key]
    if isinstance(found, Unavailable):
        raise Unavailable(found.reason, found.what, found.remedy)
    return found


def loaded_model(session: Session, spec: ModelSpec) -> ArtifactStore:
    """Return the store of what a loader makes of a model: an adapter together with its base.

    A base is at hand where it is a reference of the run or has a line in the matrix. What a
    stranger's adapter_config.json names else, a path or a repository, is not opened. A tested
    model is no reference's base: it would be told to come from what was made of it.
    """
    own = session.models if spec not in session.models else ()

    def find(name: str) -> ArtifactStore | None:
        known = [*(pair.reference for pair in session.pairs), *session.matrix]
        named = (one for one in known if one not in own and is_named(one.name, name))
        found = next(named, None)
        return _beneath(session, found) if found is not None else None

    return with_base(open_model(session, spec), find)


def _beneath(session: Session, base: ModelSpec) -> ArtifactStore:
    """Open a base once more for its adapters: what they read of it is charged to none but them."""
    found = _open(session, base)
    if isinstance(found, Unavailable):
        raise found
    return found


def snapshots_of(session: Session, spec: ModelSpec) -> Snapshots:
    """Find a model's intermediate checkpoints: folders in its repository, else branches or tags.

    All branches of one model are read on one budget. Raises `Unavailable` where neither the
    files nor the branches can be listed.
    """
    store = open_model(session, spec)
    found = in_folders(store.root if isinstance(store, FolderStore) else store)
    if found.found or store.files().record.source is Source.FOLDER:
        return found
    budget = ByteBudget.parse(session.settings.byte_budget)
    run, access = RunDirectory(session.run_path / "hub"), HubAccess(on_fetch=_announce(session))
    offline = session.settings.offline
    names = list_refs(store.repo, run=run, access=access, offline=offline)

    def opened(revision: str) -> ArtifactStore:
        return open_store(
            store.repo, revision, run_dir=run, offline=offline, budget=budget, access=access
        )

    return in_refs(names, opened)


def _open(session: Session, spec: ModelSpec) -> ArtifactStore | Unavailable:
    budget = session.budgets[spec.name] = ByteBudget.parse(session.settings.byte_budget)
    try:
        if spec.saved:
            entry = session.entries[spec.name]
            return open_entry(entry, run_dir=RunDirectory(session.run_path), budget=budget)
        return open_store(
            spec.name,
            spec.revision,
            run_dir=RunDirectory(session.run_path / "hub"),
            offline=session.settings.offline,
            budget=budget,
            catalogue=catalogue_store,
            access=HubAccess(on_fetch=_announce(session)),
        )
    except Unavailable as failure:
        return failure


def _announce(session: Session) -> OnFetch:
    """Return a callback that names slow fetches."""
    say = line_above(session)

    def announce(repo: str, file: str, size: int | None) -> None:
        if size is not None and size >= SLOW_BYTES:
            say(f"fetching {repo} {file} ({size / 2**20:.0f} MiB)")

    return announce


def line_above(session: Session) -> Callable[[str], None]:
    """Return what says a line, never a bar, above pytest's dots."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    capture: Any = session.config.pluginmanager.get_plugin("capturemanager")

    def say(text: str) -> None:
        line = visible(text)
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            if session.is_worker or reporter is None:  # its standard error is the controller's
                print(line, file=sys.stderr, flush=True)  # noqa: T201
            else:
                reporter.ensure_newline()
                reporter.write_line(line)

    return say
