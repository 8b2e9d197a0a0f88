"""On-disk cache of byte ranges of large files, shared by the workers and by later runs.

The cache of huggingface_hub holds whole files only. A comparison reads a few hundred ranges of
a checkpoint; the next reference, the next worker or a run that was broken off would fetch them
again. Every fetched range is one file, written when it has arrived, named by its offsets, in a
folder named by commit and file: what a commit holds never changes, so nothing goes stale. Every
file carries its digest (`checked`): what was damaged, or is no range, is as if it were not there.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_scratchverify.stores.disk.checked import DIGEST_BYTES, read_checked, write_checked
from pytest_scratchverify.stores.http.ranges import ByteRange

MAX_BYTES = 8 * 2**30  # of one repository; beyond, what was used longest ago goes
SUFFIX = ".range"
_NAME = re.compile(r"(\d{1,19})-(\d{1,19})" + re.escape(SUFFIX))


@dataclass(slots=True)
class RangeCache:
    """The cached ranges of one repository. A folder that cannot be written is just empty.

    One run stores `limit` bytes at most, so that a terabyte that streams by is not stored.
    """

    folder: Path | None
    limit: int = MAX_BYTES
    written: int = 0

    def find(self, key: str, ranges: Sequence[ByteRange]) -> dict[ByteRange, bytes]:
        """Return those of `ranges` that are cached of the file called `key`."""
        place = self._place(key)
        have = [] if place is None else [*_cached(place)]
        read: dict[ByteRange, bytes | None] = {}
        found: dict[ByteRange, bytes] = {}
        for wanted in ranges:
            for path, span in have:
                if not span.holds(wanted):
                    continue
                if span not in read:
                    read[span] = _body(path, span)
                body = read[span]
                if body is not None:
                    found[wanted] = body[wanted.start - span.start : wanted.stop - span.start]
                    break
        return found

    def store(self, key: str, span: ByteRange, body: bytes) -> None:
        """Cache one range, whole or not at all; a full disk or a read-only one stores nothing."""
        place = self._place(key)
        if place is None or len(body) != len(span) or self.written + len(body) > self.limit:
            return
        if not self.written:
            self.trim()  # once a run, and only in one that adds to the cache
        if write_checked(place / f"{span.start}-{span.stop}{SUFFIX}", body):
            self.written += len(body)

    def forget(self, key: str) -> None:
        """Delete what is cached of one file."""
        place = self._place(key)
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)

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
        for path in () if self.folder is None else self.folder.rglob(f"*{SUFFIX}"):
            with suppress(OSError):
                status = path.stat()
                yield path, status.st_mtime, max(0, status.st_size - DIGEST_BYTES)

    def _place(self, key: str) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _cached(place: Path) -> Iterator[tuple[Path, ByteRange]]:
    """Yield the entries of a folder; anything else in it is somebody else's."""
    try:
        names = sorted(os.listdir(place))  # noqa: PTH208
    except OSError:
        return
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None and int(match[1]) <= int(match[2]):
            yield place / name, ByteRange(int(match[1]), int(match[2]))


def _body(path: Path, span: ByteRange) -> bytes | None:
    with suppress(OSError):
        if path.stat().st_size != DIGEST_BYTES + len(span):
            return None
        os.utime(path)
    return read_checked(path)
