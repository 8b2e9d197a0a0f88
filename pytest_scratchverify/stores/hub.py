"""A store over the Hugging Face Hub, read through huggingface_hub at one commit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    build_hf_headers,
    disable_progress_bars,
)

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.base import BaseStore
from pytest_scratchverify.stores.bounds import MAX_FILES, is_safe_name, malformed
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.card import card_from_metadata
from pytest_scratchverify.stores.disk.metadata_cache import MetadataCache
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.fallback import Catalogue, Fallback
from pytest_scratchverify.stores.http.access import HubAccess, shown_address
from pytest_scratchverify.stores.http.accounting import METER
from pytest_scratchverify.stores.http.failures import (
    ListingMismatchError,
    Subject,
    impossible_name,
    lost_connection,
    offline,
    translated,
)
from pytest_scratchverify.stores.http.range_reader import RangeReader
from pytest_scratchverify.stores.http.ranges import ByteRange, coalesce, cut
from pytest_scratchverify.stores.http.resolution import Resolution
from pytest_scratchverify.stores.store import Artifact, FileEntry, ModelCard
from pytest_scratchverify.stores.weight_files import holds_no_weights

LIBRARY = "pytest-scratchverify"
REACHABILITY = "reachability"
REACHABILITY_TIMEOUT = 5.0
_CONCURRENT_SHARDS = 8
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
        client = huggingface_hub.get_session()
        METER.attach(client)
        address = (access.endpoint or constants.ENDPOINT).rstrip("/")
        client.head(address, timeout=access.timeout or REACHABILITY_TIMEOUT, follow_redirects=False)


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
        info = api.model_info(repo, revision=revision, files_metadata=True, timeout=timeout)
        return _resolution(repo, info)


def refs(repo: str, access: HubAccess) -> list[str]:
    """Ask the hub for the names of all branches and tags. One request.

    Raises
    ------
    Unavailable
        As `resolve` does.
    """
    with _client(repo, None, access, answer="the hub's list of branches") as api:
        found = api.list_repo_refs(repo)
        return [str(ref.name) for ref in (*found.branches, *found.tags)]


@contextmanager
def _client(
    repo: str, revision: str | None, access: HubAccess, *, answer: str
) -> Iterator[huggingface_hub.HfApi]:
    """Open a client of the hub's API; failures and malformed answers become `Unavailable`."""
    METER.attach(huggingface_hub.get_session())
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


def _resolution(asked: str, info: Any) -> Resolution:
    # Both become parts of paths in caches, so they must be what they claim to be.
    if not isinstance(info.sha, str) or _COMMIT.fullmatch(info.sha) is None:
        raise TypeError("the answer names no commit")
    if not isinstance(info.id, str) or impossible_name(info.id) is not None:
        raise TypeError("the answer names no repository")
    if info.siblings is None:
        raise TypeError("the answer lists no files")
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


class HubStore(BaseStore):
    """The artifacts of a resolved model on the hub.

    Whole files go through the cache of huggingface_hub, which is shared with every other
    program; ranges and headers do not fit in there and are read directly.
    """

    def __init__(
        self,
        resolution: Resolution,
        *,
        run: RunDirectory,
        budget: ByteBudget | None = None,
        access: HubAccess | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        note = Text("renamed from {name}", name=resolution.asked) if resolution.renamed else None
        super().__init__(
            resolution.repo,
            resolution.commit,
            Source.HUB,
            budget=budget or ByteBudget(),
            note=note,
            fallback=Fallback(catalogue),
        )
        self._resolution = resolution
        # Threads that read headers may not wait for the lock of the question that started them.
        self._listed = {entry.path: entry for entry in resolution.files}
        self._run = run
        self._access = access or HubAccess()
        self._endpoint = endpoint_of(self._access)
        self._metadata = MetadataCache(resolution.repo, self._access)
        self._ranges = self._metadata.ranges()
        self._reader = RangeReader(
            build_hf_headers(token=self._access.token, library_name=LIBRARY),
            self._access.timeout or constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )

    def _entries(self) -> tuple[FileEntry, ...]:
        return self._resolution.files

    def _withholds_weights(self, listing: Mapping[str, FileEntry]) -> bool:
        return holds_no_weights(listing)

    def _fetch(self, name: str) -> Path:
        entry = self._entry(name)
        cached = cached_path(self.repo, name, self._resolution.commit, self._access)
        if cached is not None and is_listed(cached, entry):
            return cached
        self._announce(name, entry.size)
        with self._network(name):
            # A copy that is not the listed file is fetched again, whoever damaged it.
            fetched = Path(self._download(name, again=cached is not None))
            if not is_listed(fetched, entry):
                fetched = Path(self._download(name, again=True))
            if not is_listed(fetched, entry):
                raise ListingMismatchError("its size or digest differs")
            return fetched

    def _download(self, name: str, *, again: bool = False) -> str:
        return huggingface_hub.hf_hub_download(
            self.repo,
            name,
            revision=self._resolution.commit,
            cache_dir=self._access.cache_dir,
            endpoint=self._access.endpoint,
            token=self._access.token,
            library_name=LIBRARY,
            force_download=again,
            etag_timeout=self._access.timeout or constants.HF_HUB_ETAG_TIMEOUT,
        )

    def _read(self, name: str, ranges: Sequence[ByteRange]) -> list[bytes]:
        key = range_key(self._resolution, name)
        # One process fetches, the others find it cached.
        with self._run.lock(f"ranges {self.repo} {key}"):
            cached = self._ranges.find(key, ranges)
            plan = coalesce([r for r in ranges if r not in cached], budget=self._budget.limit)
            if plan:
                self._announce(name, sum(map(len, plan)))
                with self._network(name):
                    fetched = self._reader.read_all(
                        self._url(name),
                        self._listed[name],
                        plan,
                        lambda *part: self._ranges.store(key, *part),
                    )
            else:
                fetched = []
        return cut(ranges, [*fetched, *cached.items()])

    def _url(self, name: str) -> str:
        return huggingface_hub.hf_hub_url(
            self.repo, name, revision=self._resolution.commit, endpoint=self._access.endpoint
        )

    def _head(self, entry: FileEntry) -> bytes:
        cached = self._metadata.header(self._resolution.commit, entry.path)
        if cached is not None:
            self._budget.charge(len(cached), entry.path)
            return cached
        head = super()._head(entry)
        self._metadata.store_header(self._resolution.commit, entry.path, head)
        return head

    def _heads(self, entries: Sequence[FileEntry]) -> list[bytes]:
        # One worker reads the headers of a model, the others find them cached.
        with (
            self._run.lock(f"headers {self.repo} {self._resolution.commit}"),
            ThreadPoolExecutor(_CONCURRENT_SHARDS) as pool,
        ):
            return list(pool.map(self._head, entries))

    def _read_card(self) -> Artifact[ModelCard]:
        try:
            return super()._read_card()
        except Unavailable as failure:
            # The hub publishes the metadata of gated models, only not the file.
            if failure.reason is not Reason.GATED:
                raise
            record = replace(self._record("README.md", 0, None), note=failure.what)
            return Artifact(self._resolution.card, record)

    def _announce(self, name: str, size: int | None) -> None:
        if self._access.on_fetch is not None:
            self._access.on_fetch(self.repo, name, size)

    @contextmanager
    def _network(self, name: str) -> Iterator[None]:
        subject = Subject(repo=self.repo, endpoint=self._endpoint, file=name)
        self._run.once(REACHABILITY, self._endpoint, lambda: check_reachable(self._access))
        METER.attach(huggingface_hub.get_session())
        try:
            with translated(subject):
                yield
        except Unavailable as failure:
            # huggingface_hub has already tried for half a minute; once a run is enough.
            if lost_connection(failure.__cause__):
                self._run.settle(REACHABILITY, self._endpoint, failure)
            raise


def range_key(resolution: Resolution, name: str) -> str:
    """Cache key of the ranges of a file: its commit, its path, its digest."""
    digests = (entry.sha256 for entry in resolution.files if entry.path == name)
    return f"{resolution.commit} {name} {next(digests, None) or ''}"


def cached_path(repo: str, name: str, commit: str, access: HubAccess) -> Path | None:
    """Find a file in the cache of huggingface_hub, without a network."""
    found = huggingface_hub.try_to_load_from_cache(
        repo, name, revision=commit, cache_dir=access.cache_dir
    )
    return Path(found) if isinstance(found, str) else None


def is_listed(path: Path, entry: FileEntry) -> bool:
    """Whether a file on disk has the size and the digest that the listing gives, if it gives any.

    The digest is the sha256 of a large file and the git object id of a small one: the sha1 (in a
    repository of sha256 objects the sha256) of "blob", a blank, the size, a zero byte, content.
    """
    size = path.stat().st_size
    if entry.size is not None and size != entry.size:
        return False
    expected = entry.sha256 or entry.oid
    if expected is None:
        return True
    digest = hashlib.new("sha256" if len(expected) == 64 else "sha1", usedforsecurity=False)
    if entry.sha256 is None:
        digest.update(b"blob %d\0" % size)
    with path.open("rb") as stream:
        for part in iter(lambda: stream.read(2**20), b""):
            digest.update(part)
    return digest.hexdigest() == expected


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
