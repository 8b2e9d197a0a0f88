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
    httpx,
)

from pytest_scratchverify.stores.http.accounting import METER
from pytest_scratchverify.stores.http.failures import RangeIgnoredError, ShortBodyError
from pytest_scratchverify.stores.http.ranges import ByteRange

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

    def read_all(
        self,
        url: str,
        ranges: Sequence[ByteRange],
        arrived: Callable[[ByteRange, bytes], None] = lambda _span, _body: None,
    ) -> list[tuple[ByteRange, bytes]]:
        """Read ranges of one file; the first alone, to learn where the file lies.

        `arrived` is called with every range as soon as it is complete, in any thread.

        Raises
        ------
        OSError
            Of any kind that `failures.as_unavailable` explains.
        """
        if not ranges:
            return []

        def read(span: ByteRange) -> bytes:
            body = self.read(url, span)
            arrived(span, body)
            return body

        first = read(ranges[0])
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            rest = list(pool.map(read, ranges[1:]))
        return list(zip(ranges, [first, *rest], strict=True))

    def read(self, url: str, wanted: ByteRange) -> bytes:
        """Read one range, from the remembered address of the file if there is one."""
        received = b""
        for _ in range(_ANSWERS):
            rest = ByteRange(wanted.start + len(received), wanted.stop)
            try:
                return received + self._read_once(url, rest)
            except ShortBodyError as error:
                # Not a retry: a connection that broke is continued, as long as bytes come.
                if not error.received:
                    raise
                received += error.received
        raise ShortBodyError(f"{len(received)} of {len(wanted)} bytes came")

    def _read_once(self, url: str, wanted: ByteRange) -> bytes:
        location = self._locations.get(url)
        if location is None:
            return self._ask(url, url, wanted)
        try:
            return self._ask(url, location, wanted)
        except HfHubHTTPError as error:
            # Signed addresses expire after an hour or so; the hub hands out a new one.
            if error.response.status_code not in _STALE:
                raise
            self._locations.pop(url, None)
            return self._ask(url, url, wanted)

    def _ask(self, url: str, address: str, wanted: ByteRange) -> bytes:
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
                body = _body(response, wanted)
                if str(response.url) != url:
                    self._locations[url] = str(response.url)
                return body
        except RuntimeError as error:
            # A failed connection in another thread closes the client that all threads share.
            raise ConnectionError(str(error)) from error

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


def _body(response: httpx.Response, wanted: ByteRange) -> bytes:
    skip = 0
    if response.status_code != 206:
        skip = wanted.start
    elif not _starts_at(response.headers.get("Content-Range", ""), wanted.start):
        raise ShortBodyError(f"another range came: {response.headers.get('Content-Range')}")
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
        raise _short(received, wanted) from error
    raise _short(received, wanted)


def _short(received: bytearray, wanted: ByteRange) -> ShortBodyError:
    return ShortBodyError(f"{len(received)} of {len(wanted)} bytes came", bytes(received))


def _counted(response: httpx.Response) -> Iterator[bytes]:
    for chunk in response.iter_bytes():
        METER.receive(len(chunk))
        yield chunk


def _starts_at(content_range: str, start: int) -> bool:
    return content_range.replace(" ", "").startswith(f"bytes{start}-")
