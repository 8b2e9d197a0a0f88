"""Client for HTTP range requests, which checks that the ranges asked for are those that came.

Waiting and retrying are huggingface_hub's business (`http_stream_backoff`); a second layer on
top of it once prolonged bans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import (  # type: ignore[attr-defined]
    hf_raise_for_status,
    http_stream_backoff,
)

from pytest_scratchverify.stores.http.accounting import METER
from pytest_scratchverify.stores.http.failures import (
    ListingMismatchError,
    RangeIgnoredError,
    ShortBodyError,
)
from pytest_scratchverify.stores.http.hub_client import httpx
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.http.verification import BodyPlan, checked_plan, entity_tag
from pytest_scratchverify.stores.store import FileEntry

MAX_SKIP = 64 * 2**20
_CONCURRENCY = 8
_ANSWERS = 5  # to one range, before it counts as cut off; as in huggingface_hub
_STALE = frozenset({400, 401, 403, 404, 410})


class RangeReader:
    """Reads ranges of the files of one hub, several at a time.

    The hub answers for a large file with a redirect to a signed address elsewhere. That
    address is remembered, so that the second range of a file costs the hub no request.
    """

    def __init__(self, headers: Mapping[str, str], timeout: float) -> None:
        self._headers = dict(headers)
        self._timeout = timeout
        self._locations: dict[str, str] = {}
        self._tags: dict[str, str] = {}

    def read_all(
        self,
        url: str,
        entry: FileEntry,
        ranges: Sequence[ByteRange],
        arrived: Callable[[ByteRange, bytes], None] = lambda _span, _body: None,
    ) -> list[tuple[ByteRange, bytes]]:
        """Read ranges of the listed file `entry`; the first alone, to learn where it lies.

        `arrived` is called with every range that may be cached as soon as it is complete, in
        any thread: not with what came as a whole file where a range was asked for.

        Raises
        ------
        OSError
            Of any kind that `failures.as_unavailable` explains.
        """
        if not ranges:
            return []

        def read(span: ByteRange) -> bytes:
            body, ranged = self.read(url, entry, span)
            if ranged:
                arrived(span, body)
            return body

        first = read(ranges[0])
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            rest = list(pool.map(read, ranges[1:]))
        return list(zip(ranges, [first, *rest], strict=True))

    def read_afresh(
        self, url: str, entry: FileEntry, ranges: Sequence[ByteRange]
    ) -> list[tuple[ByteRange, bytes]]:
        """Read ranges once more, from the hub on, past the address that it gave before.

        A reader of its own that tells caches on the way not to answer for the hub
        (RFC 9111, section 5.2.1.4).
        """
        headers = {**self._headers, "Cache-Control": "no-cache", "Pragma": "no-cache"}
        return RangeReader(headers, self._timeout).read_all(url, entry, ranges)

    def read(self, url: str, entry: FileEntry, wanted: ByteRange) -> tuple[bytes, bool]:
        """Read one range, and say whether all of it came as the range that was asked for."""
        received, ranged = b"", True
        for _ in range(_ANSWERS):
            rest = ByteRange(wanted.start + len(received), wanted.stop)
            try:
                body, as_asked = self._read_once(url, entry, rest)
            except ShortBodyError as error:
                # Not a retry: a connection that broke is continued, as long as bytes come.
                if not error.received:
                    raise
                received += error.received
                ranged = ranged and error.ranged
            else:
                return received + body, ranged and as_asked
        raise ShortBodyError(f"{len(received)} of {len(wanted)} bytes came")

    def _read_once(self, url: str, entry: FileEntry, wanted: ByteRange) -> tuple[bytes, bool]:
        try:
            return self._ask(url, self._locations.get(url, url), entry, wanted)
        except HfHubHTTPError as error:
            # Signed addresses expire after an hour or so; the hub hands out a new one.
            if error.response.status_code not in _STALE or url not in self._locations:
                raise
        except ListingMismatchError:
            # Once more, from the hub itself: one wrong answer may be a cache's.
            self._tags.pop(url, None)
        self._locations.pop(url, None)
        return self._ask(url, url, entry, wanted)

    def _ask(
        self, url: str, address: str, entry: FileEntry, wanted: ByteRange
    ) -> tuple[bytes, bool]:
        METER.attach(huggingface_hub.get_session())
        try:
            with http_stream_backoff(
                "GET",
                address,
                headers=self._headers_for(url, address, wanted),
                timeout=self._timeout,
                follow_redirects=True,
            ) as response:
                hf_raise_for_status(response)
                plan = checked_plan(response, wanted, entry)
                self._check_tag(url, entity_tag(response))
                body = _body(response, wanted, plan)
                if str(response.url) != url:
                    self._locations[url] = str(response.url)
                return body, plan.ranged
        except RuntimeError as error:
            # A failed connection in another thread closes the client that all threads share.
            raise ConnectionError(str(error)) from error

    def _check_tag(self, url: str, tag: str | None) -> None:
        """Refuse ranges of two versions of one file (RFC 9110, section 13.1.5)."""
        if tag is not None and self._tags.setdefault(url, tag) != tag:
            raise ListingMismatchError("the file changed between two of its ranges")

    def _headers_for(self, url: str, address: str, wanted: ByteRange) -> dict[str, str]:
        headers = {
            **self._headers,
            # Offsets count stored bytes; HTTP ranges include their end.
            "Accept-Encoding": "identity",
            "Range": f"bytes={wanted.start}-{wanted.stop - 1}",
        }
        if urlsplit(url)[:2] != urlsplit(address)[:2]:
            headers.pop("authorization", None)  # the token is for the hub alone
        return headers


def _body(response: httpx.Response, wanted: ByteRange, plan: BodyPlan) -> bytes:
    skip = plan.skip
    if skip > MAX_SKIP:
        raise RangeIgnoredError
    received = bytearray()
    try:
        for chunk in _counted(response):
            # What a server sends in front of the range is dropped as it comes.
            received += chunk[skip:] if skip < len(chunk) else b""
            skip = max(0, skip - len(chunk))
            if len(received) >= len(wanted):
                return bytes(received[: len(wanted)])
    except httpx.TransportError as error:
        # Must not leave the with block as it is: the client would ask a second time and fail.
        raise _short(received, wanted, plan) from error
    raise _short(received, wanted, plan)


def _short(received: bytearray, wanted: ByteRange, plan: BodyPlan) -> ShortBodyError:
    return ShortBodyError(
        f"{len(received)} of {len(wanted)} bytes came", bytes(received), ranged=plan.ranged
    )


def _counted(response: httpx.Response) -> Iterator[bytes]:
    for chunk in response.iter_bytes():
        METER.receive(len(chunk))
        yield chunk
