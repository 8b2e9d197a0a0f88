"""Patience with a slow or broken network: one more try, and an end to every wait.

huggingface_hub waits and tries again where files are fetched, with two gaps: it asks for metadata
once only, and it believes whatever a server says of how long to wait and however slowly a body
drips, which may be for ever. Both gaps are closed here, for every request of the process's client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

from pytest_scratchverify.stores.http.hub_client import httpx

T = TypeVar("T")

LONGEST_WAIT = 120.0  # seconds that a server may tell us to wait before we ask again
GRACE = 120.0  # seconds for any body at all, however small
SLOWEST = 16 * 1024  # bytes a second, on the average of a body beyond that
LONGEST_SILENCE = 10.0  # seconds for the answer to a HEAD, which huggingface_hub lets take 60
PAUSE = 0.5  # seconds before the one more try
_BROKEN = frozenset({500, 502, 503, 504})


def seconds_to_wait(response: Any) -> float | None:
    """Return how long a server that limits the rate of requests tells us to wait, if it does."""
    info = parse_ratelimit_headers(response.headers)
    if info is not None and info.remaining == 0:
        return float(info.reset_in_seconds)
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else None


def twice(ask: Callable[[], T]) -> T:
    """Return an answer; ask once more if the connection broke, or a server was out of order.

    Not after a refusal, which would be the same again, and not where nobody answered: to wait for
    a timeout a second time costs more than it saves.
    """
    try:
        return ask()
    except (httpx.RemoteProtocolError, httpx.ReadError):
        pass
    except HfHubHTTPError as error:
        if error.response.status_code not in _BROKEN:
            raise
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError):  # huggingface_hub.errors.BadRequestError is both
            raise
    time.sleep(PAUSE)
    return ask()


def attach_patience(client: Any) -> None:
    """Let everything that `client` receives from now on end some day; harmless if done twice."""
    hooks = client.event_hooks
    if _on_response not in hooks["response"]:
        hooks["response"] = [*hooks["response"], _on_response]
        hooks["request"] = [*hooks["request"], _on_request]
        client.event_hooks = hooks


def _on_request(request: Any) -> None:
    """Shorten the time for metadata: it is asked for seven times before a file is given up."""
    limits = request.extensions.get("timeout") or {}
    if request.method == "HEAD" and (limits.get("read") or 0) > LONGEST_SILENCE:
        request.extensions["timeout"] = {**limits, "read": LONGEST_SILENCE}


def _on_response(response: Any) -> None:
    wait = seconds_to_wait(response) if response.status_code in (429, 503) else None
    if wait is not None and wait > LONGEST_WAIT:
        raise HfHubHTTPError(f"told to wait {wait:.0f} seconds", response=response)
    length = response.headers.get("Content-Length", "")
    expected = int(length) if length.isdigit() else 0
    response.stream = _Bounded(response.stream, expected)


class _Bounded(httpx.SyncByteStream):
    """A body that ends within `GRACE` and what its length takes at `SLOWEST`, or is given up."""

    def __init__(self, stream: Any, expected: int) -> None:
        self._stream = stream
        self._seconds = GRACE + expected / SLOWEST

    def __iter__(self) -> Iterator[bytes]:
        started, received = time.monotonic(), 0
        for chunk in self._stream:
            yield chunk
            received += len(chunk)
            allowed = max(self._seconds, GRACE + received / SLOWEST)
            if time.monotonic() - started > allowed:
                raise httpx.ReadTimeout(f"only {received} bytes came in {allowed:.0f} seconds")

    def close(self) -> None:
        self._stream.close()
