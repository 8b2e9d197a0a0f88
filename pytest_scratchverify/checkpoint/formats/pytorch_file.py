"""Tensor index of PyTorch archives: by range requests, and without unpickling.

Since version 1.6 ``torch.save`` writes a zip archive: ``data.pkl`` describes the tensors, and
every storage is a member of its own, uncompressed. The directory at the end is read, the pickle
is scanned (`pickle_scan`), and of every storage the local header, which alone says where its
bytes begin. Older files, a row of pickles and then the storages, are read from their start.

Format: torch/serialization.py; APPNOTE.TXT of PKWARE.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

from pytest_scratchverify.checkpoint.formats.fetching import Cursor, Fetch
from pytest_scratchverify.checkpoint.formats.pickle_scan import PickledTensor, Table, follow, scan
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, HeaderError, TensorInfo

MAX_DIRECTORY = 16 * 2**20
MAX_PICKLE = 16 * 2**20
MAX_MEMBERS = 200_000
LOCAL_HEADER = 30
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
Span = tuple[int, int]
T = TypeVar("T")
FetchAll = Callable[[Sequence[Span]], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class PytorchFile:
    """The tensors of one archive, and those that cannot be read."""

    tensors: tuple[TensorInfo, ...]
    unreadable: tuple[str, ...]


def read_pytorch(fetch_all: FetchAll, size: int, file: str) -> PytorchFile:
    """Read the description of a ``.bin`` or ``.pt`` file of `size` bytes.

    `fetch_all` returns the bytes of several ranges, in as few requests as it likes. Raises
    `HeaderError` for whatever is not a plain archive of tensors.
    """

    def one(start: int, stop: int) -> bytes:
        return fetch_all([(start, stop)])[0]

    if one(0, min(4, size)) == b"PK\x03\x04":
        found = _archive(one, fetch_all, size, file)
    else:
        found = _legacy(one, size, file)
    return PytorchFile(*found)


class _RangeFile(io.RawIOBase):
    """As much of a file interface as `zipfile` needs to read a directory, over ranges."""

    def __init__(self, fetch: Fetch, size: int, file: str) -> None:
        super().__init__()
        self.fetch, self.size, self.file = fetch, size, file
        self.position = 0
        self.left = MAX_DIRECTORY

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("before the beginning")
        self.position = base + offset
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, count: int = -1) -> bytes:
        stop = self.size if count < 0 else min(self.size, self.position + count)
        wanted = max(0, stop - self.position)
        self.left -= wanted
        if self.left < 0:
            raise HeaderError(f"the directory of {self.file} is larger than {MAX_DIRECTORY} bytes")
        body = self.fetch(self.position, stop) if wanted else b""
        self.position += len(body)
        return body


def _archive(
    fetch: Fetch, fetch_all: FetchAll, size: int, file: str
) -> tuple[tuple[TensorInfo, ...], tuple[str, ...]]:
    members = _directory(fetch, size, file)
    pickled = next((name for name in members if name.endswith("data.pkl")), None)
    if pickled is None:
        raise HeaderError(f"{file} is a zip archive without data.pkl")
    root = pickled.removesuffix("data.pkl")
    if fetch_order := members.get(f"{root}byteorder"):
        start, stop = _places(fetch_all, [fetch_order], size, file)[0]
        if fetch(start, stop) != b"little":
            raise HeaderError(f"{file} was written on a big-endian machine")
    if members[pickled].file_size > MAX_PICKLE:
        raise HeaderError(f"data.pkl of {file} has {members[pickled].file_size} bytes")
    start, stop = _places(fetch_all, [members[pickled]], size, file)[0]
    tensors, _ = scan(fetch(start, stop), file)
    keys = sorted({tensor.storage.key for tensor in tensors.values()})
    missing = [key for key in keys if f"{root}data/{key}" not in members]
    if missing:
        raise HeaderError(f"{file} has no storage {missing[0]!r:.40}")
    stored = [members[f"{root}data/{key}"] for key in keys]
    places = dict(zip(keys, _places(fetch_all, stored, size, file), strict=True))
    return _infos(tensors, places, file)


def _directory(fetch: Fetch, size: int, file: str) -> dict[str, zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(_RangeFile(fetch, size, file)) as archive:
            listed = archive.infolist()
    except HeaderError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise HeaderError(f"{file} is not a sound zip archive ({error!s:.100})") from error
    members = {info.filename: info for info in listed}
    if len(listed) > MAX_MEMBERS or len(members) != len(listed):
        raise HeaderError(f"{file} lists {len(listed)} members, some of them twice or too many")
    return members


def _places(
    fetch_all: FetchAll, members: Sequence[zipfile.ZipInfo], size: int, file: str
) -> list[Span]:
    """Return where the bytes of stored members lie, by their local headers."""
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise HeaderError(f"{member.filename!r:.80} in {file} is compressed or encrypted")
        if member.compress_size != member.file_size:
            raise HeaderError(f"{member.filename!r:.80} in {file} has two sizes")
        if not 0 <= member.header_offset <= size - LOCAL_HEADER:
            raise HeaderError(f"{member.filename!r:.80} in {file} begins behind its end")
    spans = [(m.header_offset, m.header_offset + LOCAL_HEADER) for m in members]
    places = []
    for member, head in zip(members, fetch_all(spans) if spans else [], strict=True):
        if head[:4] != b"PK\x03\x04":
            raise HeaderError(f"{member.filename!r:.80} in {file} is not where its directory says")
        name, extra = (int.from_bytes(head[at : at + 2], "little") for at in (26, 28))
        start = member.header_offset + LOCAL_HEADER + name + extra
        if start + member.file_size > size:
            raise HeaderError(f"{member.filename!r:.80} in {file} ends behind its end")
        places.append((start, start + member.file_size))
    return places


def _legacy(fetch: Fetch, size: int, file: str) -> tuple[tuple[TensorInfo, ...], tuple[str, ...]]:
    """Read the format before 1.6: magic, version, system, state dict, keys, then storages."""
    cursor = Cursor(fetch, size, file, MAX_PICKLE)
    if _next(cursor, file) != LEGACY_MAGIC:
        raise HeaderError(f"{file} is no archive of PyTorch")
    for _ in ("version", "system"):
        _next(cursor, file)
    tensors, length = _patient(cursor, lambda raw: scan(raw, file))
    cursor.skip(length)
    table = _next(cursor, file)
    keys = [*table.items.values()] if isinstance(table, Table) else []
    sizes = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    places: dict[str, Span] = {}
    position = cursor.position
    for key in keys:
        storage = sizes.get(key) if isinstance(key, str) else None
        if storage is None:
            raise HeaderError(f"{file} holds a storage that belongs to no tensor")
        start = position + 8  # a count of elements stands before every storage
        position = start + storage.elements * DTYPE_BITS[storage.dtype] // 8
        places[key] = (start, position)
    if position > size or sizes.keys() - places.keys():
        raise HeaderError(f"{file} ends before its storages do")
    return _infos(tensors, places, file)


def _next(cursor: Cursor, file: str) -> object:
    value, length = _patient(cursor, lambda raw: follow(raw, file))
    cursor.skip(length)
    return value


def _patient(cursor: Cursor, read: Callable[[bytes], tuple[T, int]]) -> tuple[T, int]:
    """Read a pickle of unknown length: with more bytes, as long as there are more."""
    while True:
        try:
            return read(cursor.rest())
        except HeaderError as error:
            if error.__cause__ is None:  # forbidden, not cut off
                raise
            cursor.more()


def _infos(
    tensors: Mapping[str, PickledTensor], places: Mapping[str, Span], file: str
) -> tuple[tuple[TensorInfo, ...], tuple[str, ...]]:
    found: list[TensorInfo] = []
    unreadable: list[str] = []
    for name, tensor in sorted(tensors.items()):
        start, stop = places[tensor.storage.key]
        width = DTYPE_BITS[tensor.dtype] // 8
        begin = start + tensor.offset * width
        end = begin + width * prod(tensor.shape)
        if end > stop or not name.isprintable():
            raise HeaderError(f"{name!r:.200} in {file} lies outside of its storage")
        if tensor.is_contiguous:
            found.append(TensorInfo(name, tensor.dtype, tensor.shape, begin, end, file))
        else:
            unreadable.append(name)
    return tuple(found), tuple(unreadable)
