"""Translate HTTP and huggingface_hub exceptions into `Unavailable`: a sentence and a remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from huggingface_hub import errors
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    parse_ratelimit_headers,
    validate_repo_id,
)

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.http.hub_client import httpx

_CREDENTIALS = re.compile(r"//[^/\s@]*@")  # user and password of a URL


class ShortBodyError(OSError):
    """A body that ended too early; `received` is what came of it."""

    def __init__(self, message: str, received: bytes = b"", *, ranged: bool = True) -> None:
        super().__init__(message)
        self.received = received
        self.ranged = ranged


class ListingMismatchError(OSError):
    """An answer that is not about the file that the hub listed: nothing of it is evidence."""


class RangeIgnoredError(OSError):
    """A server that sends whole files only, asked for the far end of a large one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was being read when it failed, for the sentence."""

    repo: str
    endpoint: str
    file: str | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        """The file of the repository, or the repository."""
        return f"{self.file} of {self.repo}" if self.file else self.repo

    @property
    def url(self) -> str:
        """The page on which a licence is accepted."""
        return f"{self.endpoint}/{self.repo}"


@contextmanager
def translated(subject: Subject) -> Iterator[None]:
    """Raise `Unavailable` for every failure of the world inside; bugs pass through."""
    try:
        yield
    except (OSError, httpx.HTTPError, errors.EntryNotFoundError, errors.HFValidationError) as error:
        raise as_unavailable(error, subject) from error


def as_unavailable(error: BaseException, subject: Subject) -> Unavailable:
    """Say what `error` means for the subject, and what its user can do."""
    for kinds, explain in _EXPLANATIONS:
        if isinstance(error, kinds):
            return explain(error, subject)
    return _unreachable(error, subject)


def lost_connection(error: BaseException | None) -> bool:
    """Whether an error, or its cause, says that nobody answered, so that asking on is vain."""
    while error is not None:
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)):
            return True
        error = error.__cause__
    return False


def impossible_name(name: str) -> Unavailable | None:
    """Say that no repository can have this name, if so."""
    try:
        validate_repo_id(name)
    except errors.HFValidationError as error:
        return _invalid_name(error, Subject(repo=name, endpoint=""))
    return None


def offline(subject: Subject) -> Unavailable:
    """Say that the user asked for no network."""
    return Unavailable(
        Reason.OFFLINE,
        Text("{name} is not in the local cache, and this run is offline.", name=subject.name),
        Text(
            "Run once with a network, or `scratchverify fetch {repo}`, or drop the offline switch.",
            repo=subject.repo,
        ),
    )


def _gated(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.GATED,
        Text("{name} is gated.", name=subject.name),
        Text("Accept the licence at {url} and set HF_TOKEN.", url=subject.url),
    )


def _disabled(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text("The hub has disabled access to {name}.", name=subject.name),
        Text("See {url} for the reason; a local copy can be given as a folder.", url=subject.url),
    )


def _no_repository(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text("{repo} does not exist on the hub, or is private.", repo=subject.repo),
        Text("Check the spelling; for a private repository set HF_TOKEN."),
    )


def _no_revision(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text(
            "{repo} has no revision {revision}.",
            repo=subject.repo,
            revision=subject.revision or "main",
        ),
        Text("Name a branch, a tag or a full commit; {url} lists them.", url=subject.url),
    )


def _no_entry(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text("There is no {file} in {repo}.", file=subject.file or "file", repo=subject.repo),
        Text("Check the revision, or ask the publisher for the file."),
    )


def _invalid_name(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text("{repo} is neither a folder nor a name the hub could have.", repo=subject.repo),
        Text("Write organisation/name, or the path of a folder."),
    )


def _offline(_: BaseException, subject: Subject) -> Unavailable:
    return offline(subject)


def _not_in_cache(error: BaseException, subject: Subject) -> Unavailable:
    # Not "missing": the hub client says this whenever it could not ask. Its cause tells why.
    cause = error.__cause__
    return as_unavailable(cause, subject) if cause is not None else offline(subject)


def _not_a_hub(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.UNREACHABLE,
        Text("{endpoint} does not answer like a hub.", endpoint=subject.endpoint),
        Text("Check HF_ENDPOINT, the proxy and the firewall."),
    )


def _short_body(error: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.CUT_OFF,
        Text("The answer for {name} was cut off ({error}).", name=subject.name, error=_said(error)),
        Text("Run again; what was complete is cached."),
    )


def _not_the_listed_file(error: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.MISMATCH,
        Text(
            "What came for {name} is not the listed file: {error}.",
            name=subject.name,
            error=_said(error),
        ),
        Text(
            "A proxy, a login page or a faulty cache may stand between: check the network and "
            "run again. Nothing of it was used or kept."
        ),
    )


def _range_ignored(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.UNSUPPORTED,
        Text("The server of {name} sends whole files only.", name=subject.name),
        Text("Use an endpoint that answers Range requests, or give a downloaded folder."),
    )


def _timeout(_: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.UNREACHABLE,
        Text("{endpoint} did not answer in time for {name}.", **_where(subject)),
        Text("Run again later, or raise HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT."),
    )


def _unreachable(error: BaseException, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.UNREACHABLE,
        Text(
            "{endpoint} could not be reached for {name} ({error}).",
            error=_said(error),
            **_where(subject),
        ),
        Text("Check the network, HF_ENDPOINT and the proxy, or run offline from the cache."),
    )


def _http_status(error: BaseException, subject: Subject) -> Unavailable:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", 0)
    if status == 429:
        return _rate_limited(response.headers if response is not None else {}, subject)
    if status in (401, 403):
        return _refused(status, subject)
    if status in (404, 410):
        # A hub names its reason in a header; a bare 404 for a model is a portal's or a proxy's.
        return _no_entry(error, subject) if subject.file else _not_a_hub(error, subject)
    if status == 416:
        return _range_missed(subject)
    return Unavailable(
        Reason.UNREACHABLE,
        Text("{endpoint} answered {status} for {name}.", status=status, **_where(subject)),
        Text("Run again later; see https://status.huggingface.co."),
    )


def _rate_limited(headers: dict[str, str], subject: Subject) -> Unavailable:
    info = parse_ratelimit_headers(headers)
    retry_after = headers.get("Retry-After", "")
    seconds = info.reset_in_seconds if info is not None and info.remaining == 0 else None
    if seconds is None and retry_after.isdigit():
        seconds = int(retry_after)
    wait = Text("Set HF_TOKEN for a higher limit, or wait some minutes and run again.")
    if seconds is not None:
        wait = Text(
            "Set HF_TOKEN for a higher limit, or wait {n} seconds and run again.", n=seconds
        )
    return Unavailable(
        Reason.RATE_LIMITED,
        Text("{endpoint} limits the rate of requests; {name} was refused.", **_where(subject)),
        wait,
    )


def _refused(status: int, subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.GATED,
        Text("{endpoint} refused {name} with status {status}.", status=status, **_where(subject)),
        Text("Check that HF_TOKEN is valid and may read {repo}.", repo=subject.repo),
    )


def _range_missed(subject: Subject) -> Unavailable:
    return Unavailable(
        Reason.MALFORMED,
        Text("{name} is shorter than its header says.", name=subject.name),
        Text("Ask the publisher to repair the file, or name a revision in which it is sound."),
    )


def _where(subject: Subject) -> dict[str, str]:
    return {"endpoint": subject.endpoint, "name": subject.name}


def _said(error: BaseException) -> str:
    said = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        said = error.strerror  # without the path, which is this machine's
    said = _CREDENTIALS.sub("//", said)
    return f"{said:.200}".splitlines()[0] if said else type(error).__name__


def _os_error(error: BaseException, subject: Subject) -> Unavailable:
    # huggingface_hub reports a body of the wrong length as a bare OSError.
    if "Consistency check failed" in str(error):
        return _short_body(ShortBodyError("its length is wrong"), subject)
    if isinstance(error, ConnectionError):
        return _unreachable(error, subject)
    return Unavailable(
        Reason.UNREACHABLE,
        Text("{name} could not be stored ({error}).", name=subject.name, error=_said(error)),
        Text("Check the space and the permissions of the cache directory (HF_HOME)."),
    )


# Order matters: GatedRepoError is a RepositoryNotFoundError is an HfHubHTTPError is an OSError.
_Kinds = type[BaseException] | tuple[type[BaseException], ...]
_EXPLANATIONS: tuple[tuple[_Kinds, Callable[[BaseException, Subject], Unavailable]], ...] = (
    (errors.GatedRepoError, _gated),
    (errors.DisabledRepoError, _disabled),
    (errors.RepositoryNotFoundError, _no_repository),
    (errors.RevisionNotFoundError, _no_revision),
    (errors.RemoteEntryNotFoundError, _no_entry),
    (errors.OfflineModeIsEnabled, _offline),
    (errors.LocalEntryNotFoundError, _not_in_cache),
    (errors.FileMetadataError, _not_a_hub),
    (errors.HFValidationError, _invalid_name),
    (errors.HfHubHTTPError, _http_status),
    (ShortBodyError, _short_body),
    (RangeIgnoredError, _range_ignored),
    (ListingMismatchError, _not_the_listed_file),
    (httpx.TimeoutException, _timeout),
    ((httpx.RemoteProtocolError, httpx.ReadError), _short_body),
    (httpx.HTTPError, _unreachable),
    (OSError, _os_error),
)
