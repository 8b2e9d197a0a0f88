"""Incremental reader of a file's head, whose length is known only when it was read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from pytest_scratchverify.checkpoint.header import HeaderError

Fetch = Callable[[int, int], bytes]  # bytes from start to stop of one file

FIRST = 2**18
LARGEST_STEP = 2**23


class Cursor:
    """A place in a file that is fetched as far as it is needed, up to `limit` bytes.

    Raises `HeaderError` where the file or the limit ends.
    """

    def __init__(self, fetch: Fetch, size: int, file: str, limit: int) -> None:
        self.fetch, self.size, self.file = fetch, size, file
        self.limit = limit
        self.position = 0
        self._body = b""

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self._reach(self.position + count)
        body = self._body[self.position : self.position + count]
        self.position += count
        return body

    def skip(self, count: int) -> None:
        """Pass over `count` bytes; they are fetched all the same."""
        self._reach(self.position + count)
        self.position += count

    def unpack(self, code: str) -> tuple[Any, ...]:
        """Read numbers as `struct` does."""
        return struct.unpack(code, self.take(struct.calcsize(code)))

    def rest(self) -> bytes:
        """Return what was fetched and not yet read."""
        return self._body[self.position :]

    def more(self) -> None:
        """Fetch more than before."""
        self._reach(len(self._body) + 1)

    def _reach(self, end: int) -> None:
        if end <= len(self._body):
            return
        if end > self.size:
            raise HeaderError(f"{self.file} ends inside its header")
        if end > self.limit:
            raise HeaderError(f"the header of {self.file} is longer than {self.limit} bytes")
        step = min(max(FIRST, len(self._body)), LARGEST_STEP)
        stop = min(max(end, len(self._body) + step), self.size, self.limit)
        self._body += self.fetch(len(self._body), stop)
