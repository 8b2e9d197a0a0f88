"""Count HTTP requests and bytes received by this process, for one line at the end of a run.

These numbers depend on caches and on how tests are distributed, so they are no part of any
record or report.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from pytest_scratchverify.stores.http.patience import attach_patience


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests sent and bytes of bodies received, redirects and refusals included."""

    requests: int = 0
    received: int = 0


class TrafficMeter:
    """A counter that is hung on an HTTP client of huggingface_hub as event hooks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._received = 0

    @property
    def traffic(self) -> Traffic:
        """What was counted so far."""
        with self._lock:
            return Traffic(self._requests, self._received)

    def receive(self, size: int) -> None:
        """Count the body of a range, which its reader measures itself."""
        with self._lock:
            self._received += size

    def count(self, other: Traffic) -> None:
        """Count what another process received for this one."""
        with self._lock:
            self._requests += other.requests
            self._received += other.received

    def attach(self, client: Any) -> None:
        """Count what `client` sends from now on, and bound its waits; harmless if done twice.

        `client` is huggingface_hub's session. It is replaced after a failed connection, so
        this is called before every use rather than once.
        """
        attach_patience(client)
        hooks = client.event_hooks
        if self._on_response not in hooks["response"]:
            hooks["response"] = [*hooks["response"], self._on_response]
            client.event_hooks = hooks

    def _on_response(self, response: Any) -> None:
        # A server that ignores Range announces the whole file, of which little is read.
        ranged = "range" in response.request.headers
        length = "0" if ranged else response.headers.get("content-length", "0")
        body = 0 if response.request.method == "HEAD" or not length.isdigit() else int(length)
        with self._lock:
            self._requests += 1
            self._received += body


METER = TrafficMeter()


def traffic() -> Traffic:
    """Say what this process sent for and received over the network so far."""
    return METER.traffic
