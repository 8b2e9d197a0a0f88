"""Ask the hub what names mean: one answer a name and a run, checked before it is believed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    disable_progress_bars,
)

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.bounds import MAX_FILES, is_safe_name, malformed
from pytest_scratchverify.stores.card import card_from_metadata
from pytest_scratchverify.stores.disk.metadata_cache import MetadataCache
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.access import HubAccess, shown_address
from pytest_scratchverify.stores.http.accounting import METER
from pytest_scratchverify.stores.http.failures import (
    Subject,
    impossible_name,
    offline,
    translated,
)
from pytest_scratchverify.stores.http.patience import twice
from pytest_scratchverify.stores.http.resolution import Resolution
from pytest_scratchverify.stores.store import (
    FileEntry,
)

LIBRARY = "pytest-scratchverify"
REACHABILITY = "reachability"
REACHABILITY_TIMEOUT = 5.0
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def endpoint_of(access: HubAccess) -> str:
    """Name the hub without credentials: the override, or what HF_ENDPOINT said."""
    return shown_address(access.endpoint or constants.ENDPOINT).rstrip("/")


def check_reachable(access: HubAccess) -> None:
    """Health check of the hub's endpoint with one HEAD request; any answer at all will do.

    Raises
    ------
    Unavailable
        Offline or unreachable.
    """
    endpoint = endpoint_of(access)
    with translated(Subject(repo=endpoint, endpoint=endpoint)):
        address = (access.endpoint or constants.ENDPOINT).rstrip("/")
        timeout = access.timeout or REACHABILITY_TIMEOUT
        twice(lambda: _session().head(address, timeout=timeout, follow_redirects=False))


def resolve(repo: str, revision: str | None, access: HubAccess) -> Resolution:
    """Ask the hub what a name means now: commit, files, card. One request.

    Parameters
    ----------
    repo : str
        ``organisation/name``; old names of renamed repositories work.
    revision : str, optional
        A branch, a tag or a commit; by default the main branch.
    access : HubAccess
        How the hub is reached.

    Raises
    ------
    Unavailable
        Absent, rate-limited, unreachable, offline or malformed. Gated models resolve.
    """
    timeout = access.timeout or constants.HF_HUB_ETAG_TIMEOUT
    with _client(repo, revision, access, answer="the hub's answer") as api:

        def ask() -> Resolution:
            found = _resolution(
                repo, api.model_info(repo, revision=revision, files_metadata=True, timeout=timeout)
            )
            if found.renamed and not _is_renamed(repo, found, access):
                raise ValueError("the answer is about another repository")
            return found

        return twice(ask)


def refs(repo: str, access: HubAccess) -> list[str]:
    """Ask the hub for the names of all branches and tags. One request.

    Raises
    ------
    Unavailable
        As `resolve` does.
    """
    with _client(repo, None, access, answer="the hub's list of branches") as api:
        found = twice(lambda: api.list_repo_refs(repo))
        return [str(ref.name) for ref in (*found.branches, *found.tags)]


@contextmanager
def _client(
    repo: str, revision: str | None, access: HubAccess, *, answer: str
) -> Iterator[huggingface_hub.HfApi]:
    """Open a client of the hub's API; failures and malformed answers become `Unavailable`."""
    _session()
    with translated(Subject(repo=repo, endpoint=endpoint_of(access), revision=revision)):
        try:
            yield huggingface_hub.HfApi(
                endpoint=access.endpoint, token=access.token, library_name=LIBRARY
            )
        except huggingface_hub.errors.HFValidationError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, OSError):
                raise  # huggingface_hub.errors.BadRequestError is both
            raise malformed(repo, answer, type(error).__name__) from error


def _session() -> Any:
    """Return huggingface_hub's client, counted and bounded: it is another one after a failure."""
    client = huggingface_hub.get_session()
    METER.attach(client)
    return client


def _resolution(asked: str, info: Any) -> Resolution:
    # Both become parts of paths in caches, so they must be what they claim to be.
    if not isinstance(info.sha, str) or _COMMIT.fullmatch(info.sha) is None:
        raise TypeError("the answer names no commit")
    if not isinstance(info.id, str) or impossible_name(info.id) is not None:
        raise TypeError("the answer names no repository")
    if info.siblings is None:
        raise TypeError("the answer lists no files")
    if not all(map(_is_listed_file, info.siblings)):
        raise TypeError("the answer gives a file a size or a digest that is none")
    files = [
        FileEntry(
            path=item.rfilename,
            size=item.size,
            sha256=item.lfs.sha256 if item.lfs else None,
            oid=None if item.lfs else item.blob_id,
        )
        for item in info.siblings[:MAX_FILES]
        if is_safe_name(item.rfilename)
    ]
    metadata = info.card_data.to_dict() if info.card_data is not None else {}
    return Resolution(
        asked=asked,
        repo=info.id,
        commit=info.sha,
        gated=bool(info.gated),
        files=tuple(sorted(files, key=lambda entry: entry.path)),
        card=card_from_metadata(metadata),
    )


def _is_listed_file(item: Any) -> bool:
    """Whether the size and the digests of a listed file can be some."""
    size, lfs = item.size, item.lfs
    digests = (None if lfs is None else lfs.sha256, item.blob_id)
    sized = size is None or (isinstance(size, int) and size >= 0)
    return sized and all(d is None or _is_digest(d) for d in digests)


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and _COMMIT.fullmatch(text) is not None


def _is_renamed(asked: str, found: Resolution, access: HubAccess) -> bool:
    """Whether the hub itself sends us from one name on to the other.

    It answers for an old name with the new one, and so does a cache that mixed two answers up; but
    only the hub redirects the files of the old name, too.
    """
    base = (access.endpoint or constants.ENDPOINT).rstrip("/")
    address = f"{base}/{asked}/resolve/{found.commit}/config.json"
    answer = _session().head(
        address,
        headers=build_hf_headers(token=access.token, library_name=LIBRARY),
        timeout=access.timeout or constants.HF_HUB_ETAG_TIMEOUT,
        follow_redirects=False,
    )
    return f"/{found.repo}/" in str(answer.headers.get("Location", ""))


def resolve_once(
    repo: str, revision: str | None, *, run: RunDirectory, access: HubAccess
) -> Resolution:
    """Resolve a name once for all processes of a run, whether or not it succeeds.

    Raises
    ------
    Unavailable
        As `resolve` does; in every process the same.
    """
    endpoint = endpoint_of(access)

    def compute() -> Any:
        run.once(REACHABILITY, endpoint, lambda: check_reachable(access))
        resolution = resolve(repo, revision, access)
        MetadataCache(repo, access).store_resolution(revision, resolution)
        return resolution.to_json()

    return Resolution.from_json(
        run.once("resolutions", f"{endpoint} {repo} {revision or 'main'}", compute)
    )


def is_offline() -> bool:
    """Whether huggingface_hub was told to stay offline (HF_HUB_OFFLINE)."""
    return huggingface_hub.is_offline_mode()


def quiet_progress_bars() -> None:
    """Draw no download bars: inside pytest they are lost or shred its progress line.

    A user who set HF_HUB_DISABLE_PROGRESS_BARS has decided otherwise and is obeyed.
    """
    if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        disable_progress_bars()


def failure_offline(repo: str, access: HubAccess) -> Unavailable:
    """Say that nothing was asked because the user wants no network."""
    return offline(Subject(repo=repo, endpoint=endpoint_of(access)))
