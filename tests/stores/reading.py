"""One byte range of a store, for tests; the product reads many at once."""

from __future__ import annotations

from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import ArtifactStore


def read_range(store: ArtifactStore, file: str, start: int, stop: int) -> bytes:
    [body] = store.read_ranges(file, [ByteRange(start, stop)]).value
    return body
