"""Parser of GGUF headers: names, kinds, shapes and offsets of tensors.

The key-value section is walked within limits; of it only small values are kept. Tensors get
the names that the same model has as safetensors (`gguf_names`), so that everything above need
not know where they came from. Format: ggml/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from pytest_scratchverify.checkpoint.formats.fetching import Cursor, Fetch
from pytest_scratchverify.checkpoint.formats.ggml import BLOCKS, PREFIX
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, HeaderError, TensorInfo

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
           12: "d"}  # fmt: skip
MAX_HEADER = 64 * 2**20  # of the largest vocabularies it is a quarter
MAX_KEYS = 100_000
MAX_KEPT_ITEMS = 1_000_000  # of all arrays
MAX_TENSORS = 200_000
MAX_ITEMS = 4_000_000
MAX_VALUE = 4096  # bytes of a text or items of an array that is kept
MAX_DIMENSIONS = 4
MAX_ALIGNMENT = 2**20

# ggml_type of ggml.h: what it is called here. Kinds that nobody decodes keep their name.
PLAIN = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
PACKED = {2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K", 11: "Q3_K",
          12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 20: "IQ4_NL", 23: "IQ4_XS",
          35: "TQ2_0", 39: "MXFP4", 40: "NVFP4"}  # fmt: skip
# Code books and ternary kinds: named, and not decoded.
UNDECODED = {16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S",
             29: "IQ1_M", 34: "TQ1_0", 41: "Q1_0"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The tensors of one file under their own names, and its small keys.

    `undecoded` are those whose kind nobody here decodes: their places are not known.
    """

    tensors: tuple[TensorInfo, ...]
    undecoded: tuple[TensorInfo, ...]
    keys: dict[str, Any]

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The names of what nobody here decodes."""
        return tuple(info.name for info in self.undecoded)


def read_gguf(fetch: Fetch, size: int, file: str) -> GgufFile:
    """Read the head of a GGUF file of `size` bytes through `fetch`.

    Raises `HeaderError` for whatever does not add up.
    """
    cursor = Cursor(fetch, size, file, MAX_HEADER)
    magic, version = cursor.unpack("<4sI")
    if magic != MAGIC or version not in VERSIONS:
        raise HeaderError(f"{file} is not GGUF of version 2 or 3")
    count, pairs = cursor.unpack("<QQ")
    if count > MAX_TENSORS or pairs > MAX_KEYS:
        raise HeaderError(f"{file} announces {count} tensors and {pairs} keys")
    keys: dict[str, Any] = {}
    kept = 0
    for _ in range(pairs):
        name = _text(cursor, MAX_VALUE)
        value = _value(cursor, cursor.unpack("<I")[0])
        kept += len(value) if isinstance(value, list) else 1
        if kept > MAX_KEPT_ITEMS:
            raise HeaderError(f"{file} holds more than {MAX_KEPT_ITEMS} values in its head")
        keys[name] = value
    entries = [_entry(cursor) for _ in range(count)]
    alignment = keys.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= MAX_ALIGNMENT:
        raise HeaderError(f"{file} aligns its tensors to {alignment!r:.40}")
    start = -(-cursor.position // alignment) * alignment
    return _placed(entries, keys, start, size, file)


def _text(cursor: Cursor, limit: int) -> str:
    length = cursor.unpack("<Q")[0]
    if length > limit:
        raise HeaderError(f"{cursor.file} holds a name of {length} bytes")
    return cursor.take(length).decode("utf-8", "replace")


def _value(cursor: Cursor, kind: int) -> Any:
    """Read a value; long ones are passed over and are None."""
    if kind in SCALARS:
        return cursor.unpack("<" + SCALARS[kind])[0]
    if kind == STRING:
        length = cursor.unpack("<Q")[0]
        if length > MAX_VALUE:
            cursor.skip(length)
            return None
        return cursor.take(length).decode("utf-8", "replace")
    if kind != ARRAY:
        raise HeaderError(f"{cursor.file} holds a value of unknown type {kind}")
    item, count = cursor.unpack("<IQ")
    if count > MAX_ITEMS:
        raise HeaderError(f"{cursor.file} holds an array of {count} items")
    if item == STRING:
        for _ in range(count):
            cursor.skip(cursor.unpack("<Q")[0])
        return None
    if item not in SCALARS:
        raise HeaderError(f"{cursor.file} holds an array of arrays")
    if count > MAX_VALUE:
        cursor.skip(count * struct.calcsize("<" + SCALARS[item]))
        return None
    return list(cursor.unpack(f"<{count}{SCALARS[item]}"))


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


def _entry(cursor: Cursor) -> _Entry:
    name = _text(cursor, MAX_VALUE)
    dimensions = cursor.unpack("<I")[0]
    if dimensions > MAX_DIMENSIONS or not name.isprintable():
        raise HeaderError(f"{name!r:.200} in {cursor.file} has {dimensions} dimensions")
    lengths = cursor.unpack(f"<{dimensions}Q")
    kind, offset = cursor.unpack("<IQ")
    if math.prod(lengths) >= 2**62:
        raise HeaderError(f"{name!r:.200} in {cursor.file} is larger than any file")
    return _Entry(name, tuple(reversed(lengths)), kind, offset)


def _placed(
    entries: list[_Entry], keys: dict[str, Any], start: int, size: int, file: str
) -> GgufFile:
    tensors: list[TensorInfo] = []
    undecoded: list[TensorInfo] = []
    names: set[str] = set()
    position = 0
    for entry in sorted(entries, key=lambda e: (e.offset, e.name)):
        if entry.name in names:
            raise HeaderError(f"{entry.name!r:.200} is in {file} twice")
        names.add(entry.name)
        nbytes = _nbytes(entry, file)
        if nbytes is None:  # its end is unknown, and so nothing can be said of the next
            kind = PREFIX + UNDECODED.get(entry.kind, f"kind {entry.kind}")
            undecoded.append(TensorInfo(entry.name, kind, entry.shape, 0, 0, file))
            position = entry.offset
            continue
        begin, end = start + entry.offset, start + entry.offset + nbytes
        if entry.offset < position or end > size:
            raise HeaderError(f"{entry.name!r:.200} in {file} overlaps another or the end")
        position = entry.offset + nbytes
        dtype = PLAIN.get(entry.kind) or PREFIX + PACKED[entry.kind]
        tensors.append(TensorInfo(entry.name, dtype, entry.shape, begin, end, file))
    return GgufFile(tuple(tensors), tuple(undecoded), keys)


def _nbytes(entry: _Entry, file: str) -> int | None:
    count = math.prod(entry.shape)
    if entry.kind in PLAIN:
        return count * DTYPE_BITS[PLAIN[entry.kind]] // 8
    if entry.kind not in PACKED:
        return None
    block = BLOCKS[PACKED[entry.kind]]
    if not entry.shape or entry.shape[-1] % block.elements:
        raise HeaderError(f"{entry.name!r:.200} in {file} has rows of broken blocks")
    return count // block.elements * block.nbytes
