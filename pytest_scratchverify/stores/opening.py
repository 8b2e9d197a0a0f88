"""Open the store of a model: a fingerprint, a folder, the hub, its cache, or the catalogue.

The catalogue holds printed facts of known models and belongs to another package; it is given
as a function and answers for `config` and `card` only, with a note that says why it was
needed.
"""

from __future__ import annotations

from pathlib import Path

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.spec import GGUF, split_quantisation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular, reading
from pytest_scratchverify.core.user_path import user_path
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fallback import NO_ANSWER, Catalogue
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.http.logs import keep_secrets_out
from pytest_scratchverify.stores.http.resolution import Resolution
from pytest_scratchverify.stores.store import ArtifactStore

FINGERPRINT = ".fingerprint"
MOST_OF_A_REFERENCE = 200  # characters of refs/main, which is a commit


def open_store(  # noqa: PLR0913 - one argument per thing that can differ between runs
    target: str,
    revision: str | None = None,
    *,
    run_dir: RunDirectory,
    offline: bool = False,
    budget: ByteBudget | None = None,
    catalogue: Catalogue | None = None,
    access: HubAccess | None = None,
) -> ArtifactStore:
    """Open a model wherever it can be read.

    Parameters
    ----------
    target : str
        A folder (an existing directory wins, as in every tool of this kind; the record says
        so), a ``.gguf`` file, a saved ``.fingerprint``, or ``organisation/name`` on the hub;
        behind a colon the quantisation that is meant (``organisation/name:Q4_K_M``).
    revision : str, optional
        A branch, tag or commit on the hub; a folder has none.
    run_dir : RunDirectory
        Shared by all processes of the run.
    offline : bool
        Use no network; HF_HUB_OFFLINE has the same effect.
    budget : ByteBudget, optional
        The bytes that may be read of this model.
    catalogue : callable, optional
        From a repository's name to a store of last resort, or None.
    access : HubAccess, optional
        Where the hub is, if not where huggingface_hub thinks.

    Raises
    ------
    Unavailable
        If no place knows the model; the sentence is the hub's.
    """
    model, quantisation = split_quantisation(target)
    if quantisation is not None and not user_path(target).exists():
        from pytest_scratchverify.stores.one_set import one_quantisation  # noqa: PLC0415

        whole = open_store(
            model,
            revision,
            run_dir=run_dir,
            offline=offline,
            budget=budget,
            catalogue=catalogue,
            access=access,
        )
        return one_quantisation(whole, quantisation)
    if target.endswith(FINGERPRINT) and user_path(target).is_file():
        from pytest_scratchverify.stores.fingerprint import FingerprintStore  # noqa: PLC0415

        with reading(target):
            return FingerprintStore(user_path(target), run=run_dir, budget=budget)
    if target.endswith(GGUF) and user_path(target).is_file():
        from pytest_scratchverify.stores.folder import FileStore  # noqa: PLC0415

        return FileStore(user_path(target), budget=budget)
    folder = _folder(target)
    if folder is not None:
        from pytest_scratchverify.stores.folder import FolderStore  # noqa: PLC0415

        return FolderStore(snapshot_of(folder), budget=budget).judged()
    access = access or HubAccess()
    keep_secrets_out()
    try:
        resolution = _resolve(target, revision, run_dir, access, offline=offline)
    except Unavailable as failure:
        cached = _cached(target, revision, access, failure)
        if cached is not None:
            from pytest_scratchverify.stores.cache import CacheStore  # noqa: PLC0415

            return CacheStore(cached, failure, budget=budget, access=access, catalogue=catalogue)
        # The catalogue's facts are of no revision in particular; they may fill in for one that
        # cannot be read now, and not for one that the hub says does not exist.
        refuted = revision is not None and failure.reason is Reason.ABSENT
        if refuted or catalogue is None or catalogue(target) is None:
            raise
        from pytest_scratchverify.stores.unavailable import UnavailableStore  # noqa: PLC0415

        return UnavailableStore(target, failure, catalogue)
    from pytest_scratchverify.stores.hub import HubStore  # noqa: PLC0415

    return HubStore(resolution, run=run_dir, budget=budget, access=access, catalogue=catalogue)


def snapshot_of(folder: Path) -> Path:
    """Return the snapshot of a root of huggingface_hub's cache, and every other folder itself.

    The snapshot is the one that ``refs/main`` names, or else the only one: of several without
    a reference none is the model. A link out of the root is followed nowhere.
    """
    snapshots = folder / "snapshots"
    if not folder.resolve().name.startswith("models--") or not snapshots.is_dir():
        return folder
    within = folder.resolve()
    found = [
        path
        for path in sorted(snapshots.iterdir())
        if path.is_dir() and path.resolve().is_relative_to(within)
    ]
    try:
        with open_regular(folder / "refs" / "main") as stream:
            named = stream.read(MOST_OF_A_REFERENCE).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        named = ""
    chosen = [path for path in found if path.name == named] or found
    return chosen[0] if len(chosen) == 1 else folder


def folder_of(path: Path) -> Path:
    """Return the folder that is read where this one is given: a snapshot, or one below it."""
    from pytest_scratchverify.stores.folder import FolderStore  # noqa: PLC0415

    return FolderStore(snapshot_of(path)).judged().place


def _folder(target: str) -> Path | None:
    path = user_path(target)
    if path.is_dir():
        return path
    if target.startswith((".", "/", "~")):
        raise Unavailable(
            Reason.ABSENT,
            Text("There is no folder {path}.", path=target),
            Text("Check the path; a model on the hub is written organisation/name."),
        )
    return None


def _resolve(
    target: str, revision: str | None, run_dir: RunDirectory, access: HubAccess, *, offline: bool
) -> Resolution:
    # Here and not above: this import loads the HTTP stack.
    from pytest_scratchverify.stores.http import resolving  # noqa: PLC0415
    from pytest_scratchverify.stores.http.failures import impossible_name  # noqa: PLC0415

    impossible = impossible_name(target)
    if impossible is not None:
        raise impossible
    resolving.quiet_progress_bars()
    if offline or resolving.is_offline():
        raise resolving.failure_offline(target, access)
    return resolving.resolve_once(target, revision, run=run_dir, access=access)


def _cached(
    target: str, revision: str | None, access: HubAccess, failure: Unavailable
) -> Resolution | None:
    from pytest_scratchverify.stores.cache import find_cached  # noqa: PLC0415

    return find_cached(target, revision, access) if failure.reason in NO_ANSWER else None
