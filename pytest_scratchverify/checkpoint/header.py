"""Parser of safetensors headers: nothing in them is believed unchecked.

A safetensors file starts with eight bytes of length and a JSON object that names every
tensor, its dtype, its shape and its place in the file. That is enough to know a model's
whole inventory without reading a single weight. The file comes from a stranger, so anything
that does not add up is a `HeaderError`, never another exception. Weights are not read here,
and no dtype is decoded.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_scratchverify.core.json_values import count_at_most
from pytest_scratchverify.core.text import Text

PREFIX_BYTES = 8
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
MAX_VALUES = 4_000_000  # of its JSON: nine for each tensor
MAX_RANK = 64
_LARGEST = 2**63

# In bits, because the format packs F4 and F6 below the byte.
DTYPE_BITS: Mapping[str, int] = MappingProxyType(
    {
        "BOOL": 8,
        "F4": 4,
        "F6_E2M3": 6,
        "F6_E3M2": 6,
        "U8": 8,
        "I8": 8,
        "F8_E5M2": 8,
        "F8_E4M3": 8,
        "F8_E8M0": 8,
        "F8_E4M3FNUZ": 8,
        "F8_E5M2FNUZ": 8,
        "I16": 16,
        "U16": 16,
        "F16": 16,
        "BF16": 16,
        "I32": 32,
        "U32": 32,
        "F32": 32,
        "C64": 64,
        "F64": 64,
        "I64": 64,
        "U64": 64,
    }
)


class HeaderError(ValueError):
    """The file is not a well-formed safetensors file; the message says in which way."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where one tensor lies: bytes `start` to `stop` of `file`, counted from its first byte."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int
    file: str

    @property
    def parameters(self) -> int:
        """The number of stored elements; packed integers count as they are stored."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes the tensor occupies in its file."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class ShardHeader:
    """The header of one file: its tensors in file order, and its metadata."""

    file: str
    tensors: tuple[TensorInfo, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TensorIndex:
    """Every tensor of a checkpoint by name, over all of its files.

    `heads` are the bytes that had to be read to know it, where they are not the beginnings of
    the files; `unreadable` names tensors whose layout nobody here reads, `undecoded` how many
    elements they have, by the names of the original, where that is known; `rotary` says of how
    many heads the rows of a matrix are that llama.cpp has put in its own order; `beside` are
    the bytes of scales and tables where tensors stand for what they decode to; `gaps` say what
    of the model these files lack, or what makes loaders disagree: nothing is cleared by them.
    `metadata` are the small keys of a file that describes its model itself (GGUF).
    """

    tensors: Mapping[str, TensorInfo]
    heads: tuple[tuple[str, int, int], ...] = ()
    unreadable: tuple[str, ...] = ()
    rotary: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    beside: int = 0
    gaps: tuple[Text, ...] = ()
    undecoded: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def total_bytes(self) -> int:
        """Bytes of all tensors together, without headers."""
        return sum(info.nbytes for info in self.tensors.values()) + self.beside

    @property
    def total_parameters(self) -> int:
        """Stored elements of all tensors together; see `TensorInfo.parameters`."""
        return sum(info.parameters for info in self.tensors.values())


def header_length(prefix: bytes, *, file: str, size: int | None = None) -> int:
    """Say how many bytes of JSON follow the first eight bytes of a file.

    Parameters
    ----------
    prefix : bytes
        The first eight bytes of the file, or more.
    file : str
        The file's name, for the message.
    size : int, optional
        The file's size in bytes, where it is known.

    Raises
    ------
    HeaderError
        If there are fewer than eight bytes, or the length is impossible.
    """
    if len(prefix) < PREFIX_BYTES:
        raise HeaderError(f"{file} ends before its header: {len(prefix)} bytes")
    length = int.from_bytes(prefix[:PREFIX_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise HeaderError(f"{file} announces a header of {length} bytes; 100 MB is the limit")
    if size is not None and PREFIX_BYTES + length > size:
        raise HeaderError(f"{file} announces a header of {length} bytes in a file of {size}")
    return length


def parse_header(head: bytes, *, file: str, size: int | None = None) -> ShardHeader:
    """Read the inventory of a safetensors file from its first bytes.

    Parameters
    ----------
    head : bytes
        The file's beginning: the eight bytes of length and the whole JSON header.
    file : str
        The file's name, kept in every `TensorInfo`.
    size : int, optional
        The file's size in bytes; if given, the tensors must fill the file exactly.

    Returns
    -------
    ShardHeader
        Tensors in file order, with offsets counted from the first byte of the file.

    Raises
    ------
    HeaderError
        For anything malformed: cut off, not JSON, duplicate names, unknown dtypes, lengths
        that contradict dtype and shape, overlaps, holes, data outside of the file.
    """
    length = header_length(head, file=file, size=size)
    data_start = PREFIX_BYTES + length
    if len(head) < data_start:
        raise HeaderError(f"{file} is cut off inside its header: {len(head)} of {data_start} bytes")
    table = _json_object(head[PREFIX_BYTES:data_start], file)
    metadata = _metadata(table.pop("__metadata__", {}), file)
    tensors = [_tensor(name, entry, data_start, file) for name, entry in table.items()]
    tensors.sort(key=lambda info: (info.start, info.stop, info.name))
    _refuse_gaps(tensors, data_start, size, file)
    return ShardHeader(file, tuple(tensors), metadata)


def join_headers(
    headers: Iterable[ShardHeader], weight_map: Mapping[str, str] | None = None
) -> TensorIndex:
    """Put the shards of a checkpoint together, sorted by tensor name.

    Parameters
    ----------
    headers : iterable of ShardHeader
        The headers of all shards.
    weight_map : mapping of str to str, optional
        The index's opinion on which file holds which tensor. It decides between two shards
        that hold the same name; otherwise the headers are right and the index is only a hint.

    Raises
    ------
    HeaderError
        If two shards hold a tensor of the same name and the index does not decide.
    """
    found: dict[str, TensorInfo] = {}
    for header in headers:
        for info in header.tensors:
            other = found.get(info.name)
            if other is None:
                found[info.name] = info
                continue
            chosen = (weight_map or {}).get(info.name)
            if chosen not in (info.file, other.file):
                raise HeaderError(f"{info.name} is both in {other.file} and in {info.file}")
            found[info.name] = info if chosen == info.file else other
    return TensorIndex(MappingProxyType(dict(sorted(found.items()))))


def _json_object(raw: bytes, file: str) -> dict[str, Any]:
    # The format demands the brace at once, so that no other format can be mistaken for it.
    if not raw.startswith(b"{"):
        raise HeaderError(f"the header of {file} does not begin with a brace")
    count = count_at_most(raw)
    if count > MAX_VALUES:
        raise HeaderError(f"the header of {file} holds about {count} values")
    try:
        table = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except HeaderError as error:
        raise HeaderError(f"the header of {file} {error}") from None
    except (ValueError, RecursionError) as error:
        raise HeaderError(f"the header of {file} is not JSON: {error}") from error
    if not isinstance(table, dict):  # pragma: no cover - a leading brace is an object or an error
        raise HeaderError(f"the header of {file} is not an object")
    return table


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise HeaderError("names something twice")
    return table


def _refuse_constant(name: str) -> None:
    raise HeaderError(f"contains {name}, which is not JSON")


def _metadata(value: object, file: str) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise HeaderError(f"__metadata__ of {file} is not a table of strings")
    return MappingProxyType(value)


def _tensor(name: str, entry: object, data_start: int, file: str) -> TensorInfo:
    where = f"{name!r:.200} in {file}"
    if not name.isprintable():
        raise HeaderError(f"the name {where} holds unprintable characters")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise HeaderError(f"{where} does not have exactly dtype, shape and data_offsets")
    bits = DTYPE_BITS.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if bits is None:
        raise HeaderError(f"{where} has an unknown dtype: {entry['dtype']!r:.40}")
    shape = _naturals(entry["shape"], where, "shape")
    offsets = _naturals(entry["data_offsets"], where, "data_offsets")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise HeaderError(f"{where} has data_offsets that are no interval")
    start, stop = offsets
    if math.prod(shape) * bits != (stop - start) * 8:
        raise HeaderError(f"{where}: {stop - start} bytes do not hold its shape and dtype")
    return TensorInfo(name, entry["dtype"], shape, data_start + start, data_start + stop, file)


def _naturals(value: object, where: str, what: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_RANK:
        raise HeaderError(f"{what} of {where} is not a short list")
    # bool is a subclass of int in Python and another type in JSON.
    if not all(type(item) is int and 0 <= item < _LARGEST for item in value):
        raise HeaderError(f"{what} of {where} holds something that is not a natural number")
    return tuple(value)


def _refuse_gaps(
    tensors: Iterable[TensorInfo], data_start: int, size: int | None, file: str
) -> None:
    # Holes are refused with overlaps, as the format does: bytes that no tensor names could
    # carry anything, and a file that is two things at once is nobody's weights.
    position = data_start
    for info in tensors:
        if info.start != position:
            word = "overlaps its neighbour" if info.start < position else "leaves a hole before it"
            raise HeaderError(f"{info.name!r:.200} in {file} {word}")
        position = info.stop
    if size is not None and position != size:
        raise HeaderError(f"the tensors of {file} end at byte {position} of {size}")
