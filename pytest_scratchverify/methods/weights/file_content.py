"""Whether a file of weights holds anything that could have been copied.

Two placeholders of zeros are equal byte for byte, and nobody copied anything. A file counts if its
tensors say something: more than two values, and rows that differ. A few rows of each tensor are
looked at, the largest tensor first, so that a real file is known by its first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES, plausible
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorInfo
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stores.http.ranges import ByteRange
from pytest_scratchverify.stores.store import ArtifactStore

# Less than this is headers, scalars or constants of initialisation, which two models may share.
MINIMUM_BYTES = 16 * 2**10
ROWS = 4  # of a tensor, evenly
ROW_BYTES = 4096  # of a row
MOST_TENSORS = 256  # of a file: a placeholder of more is none by those
PIECES = 64  # of a file whose tensors nobody can name
_NO_WEIGHTS = frozenset({"BOOL", "I64", "U64"})  # masks and positions


def says_something(file: str, store: ArtifactStore) -> bool | None:
    """Whether a file holds what could have been copied; None where it cannot be read."""
    try:
        return _has_content(store, file)
    except Unavailable:
        return None


def _has_content(store: ArtifactStore, file: str) -> bool:
    size = next((entry.size for entry in store.files().value if entry.path == file), None) or 0
    if size < MINIMUM_BYTES:
        return False
    tensors = [info for info in _tensors(store) if info.file == file and info.nbytes]
    if not tensors:
        return _pieces_differ(store, file, size)
    largest = sorted(tensors, key=lambda info: (-info.nbytes, info.name))
    found = 0
    for info in largest[:MOST_TENSORS]:
        if info.dtype not in _NO_WEIGHTS and _varies(store, info):
            found += info.nbytes
        if found >= MINIMUM_BYTES:
            return True
    return False


def _tensors(store: ArtifactStore) -> Iterator[TensorInfo]:
    try:
        yield from store.tensor_index().value.tensors.values()
    except Unavailable:
        return


def _varies(store: ArtifactStore, info: TensorInfo) -> bool:
    """Whether some rows of a tensor differ, and hold more than two finite values."""
    rows = info.shape[0] if len(info.shape) > 1 and info.shape[0] else 1
    width = info.nbytes // rows
    element = max(1, DTYPE_BITS.get(info.dtype, 8) // 8)
    length = max(element, min(width, ROW_BYTES) // element * element)
    numbers = {number * (rows - 1) // (ROWS - 1) for number in range(ROWS)}
    starts = [info.start + row * width for row in sorted(numbers)]
    spans = [ByteRange(start, min(start + length, info.stop)) for start in starts]
    bodies = store.read_ranges(info.file, spans).value
    if len(bodies) > 1 and len(set(bodies)) == 1:
        return False
    known = NUMPY_DTYPES.get(info.dtype)
    joined = b"".join(bodies)
    if known is None or info.dtype in ("I8", "U8"):
        return len(np.unique(np.frombuffer(joined, np.uint8))) > 2
    with np.errstate(over="ignore", invalid="ignore"):
        values = plausible(np.frombuffer(joined, known).astype(np.float32))
    return not is_degenerate(values[np.isfinite(values)])


def _pieces_differ(store: ArtifactStore, file: str, size: int) -> bool:
    """Judge by pieces of the file alone: how many bytes of it are more than a few values."""
    length = min(ROW_BYTES, size // PIECES)
    spans = [ByteRange(at, at + length) for at in range(0, size - length + 1, size // PIECES)]
    bodies = store.read_ranges(file, spans).value
    varied = sum(len(set(body)) > 16 for body in bodies)
    return varied * size / len(bodies) >= MINIMUM_BYTES and varied > 2
