"""On-disk cache of byte ranges of large files, shared by the workers and by later runs.

The cache of huggingface_hub holds whole files only. A comparison reads a few hundred ranges of
a checkpoint; the next reference, the next worker or a run that was broken off would fetch them
again. Every fetched range is one file, written when it has arrived, named by its offsets, in a
folder named by commit and file: what a commit holds never changes, so nothing goes stale.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_scratchverify.stores.disk.atomic import write_atomically
from pytest_scratchverify.stores.http.ranges import ByteRange

MAX_BYTES = 8 * 2**30  # of one repository; beyond, what was used longest ago goes
SUFFIX = ".range"


@dataclass(slots=True)
class RangeCache:
    """The cached ranges of one repository. A folder that cannot be written is just empty.

    One run stores `limit` bytes at most, so that a terabyte that streams by is not stored.
    """

    folder: Path
    limit: int = MAX_BYTES
    written: int = 0

    def find(self, key: str, ranges: Sequence[ByteRange]) -> dict[ByteRange, bytes]:
        """Return those of `ranges` that are cached of the file called `key`."""
        place = self._place(key)
        have = [ByteRange(*_offsets(name)) for name in _names(place)]
        found: dict[ByteRange, bytes] = {}
        for wanted in ranges:
            for cached in have:
                if cached.holds(wanted):
                    body = _part(place / _name(cached), cached, wanted)
                    if body is not None:
                        found[wanted] = body
                        break
        return found

    def store(self, key: str, span: ByteRange, body: bytes) -> None:
        """Cache one range, whole or not at all; a full disk or a read-only one stores nothing."""
        if len(body) != len(span) or self.written + len(body) > self.limit:
            return
        if not self.written:
            self.trim()  # once a run, and only in one that adds to the cache
        with suppress(OSError):
            write_atomically(self._place(key) / _name(span), body)
            self.written += len(body)

    def trim(self) -> None:
        """Delete what was used longest ago until the folder is within its limit."""
        cached = sorted(self._everything(), key=lambda item: item[1])
        excess = sum(size for _, _, size in cached) - self.limit
        for path, _, size in cached:
            if excess <= 0:
                return
            with suppress(OSError):
                path.unlink()
                excess -= size

    def _everything(self) -> Iterator[tuple[Path, float, int]]:
        for path in self.folder.rglob(f"*{SUFFIX}"):
            with suppress(OSError):
                status = path.stat()
                yield path, status.st_mtime, status.st_size

    def _place(self, key: str) -> Path:
        return self.folder / hashlib.sha256(key.encode()).hexdigest()[:16]


def _names(place: Path) -> list[str]:
    try:
        return [name for name in os.listdir(place) if name.endswith(SUFFIX)]  # noqa: PTH208
    except OSError:
        return []


def _name(span: ByteRange) -> str:
    return f"{span.start}-{span.stop}{SUFFIX}"


def _offsets(name: str) -> tuple[int, int]:
    start, _, stop = name.removesuffix(SUFFIX).partition("-")
    return int(start), int(stop)


def _part(path: Path, cached: ByteRange, wanted: ByteRange) -> bytes | None:
    with suppress(OSError), path.open("rb") as stream:
        os.utime(path)
        stream.seek(wanted.start - cached.start)
        body = stream.read(len(wanted))
        return body if len(body) == len(wanted) else None
    return None
