"""HQQ: integers of 8, 4, 2 or 1 bits with a scale and a zero for every group, in one flat order.

The matrix is laid out as groups: one a row (``axis`` 1) or one a column (``axis`` 0). Of 4 bits
the first half of this layout is in the high halves of the bytes of ``W_q`` and the second half in
the low ones; of 2 and 1 bits in as many segments. All follows from sizes: the shape that a small
tensor states, the bytes, and which side of ``scale`` is 1. Three bits, and scales that are
quantised themselves, are not decoded.

Source: hqq/core/quantize.py, bitpack.py (weights that are saved as safetensors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.checkpoint.formats.codec import Array, Part, undecodable, whole
from pytest_scratchverify.checkpoint.formats.compressed import (
    FLOATS,
    MAX_SHAPE_BYTES,
    decode_shape,
)
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo

META = ("scale", "zero", "shape", "nbits", "group_size", "axis", "packing", "unpack_view_dtype",
        "view_as_float", "quant_scale", "quant_zero", "compute_dtype", "stores_quant_config",
        "channel_wise", "optimize", "round_zero", "encoded_state_dict", "offload_meta",
        "scale_q", "zero_q", "meta_scale", "meta_zero")  # fmt: skip


@dataclass(frozen=True, slots=True)
class HqqCodec:
    """A matrix of HQQ; `segments` numbers share a byte, `by_row` says that a group is a row."""

    info: TensorInfo
    scales: TensorInfo
    zeros: TensorInfo
    declared: TensorInfo
    shape: tuple[int, ...]
    segments: int
    by_row: bool
    interleaved: bool = False

    @property
    def kind(self) -> str:
        """The format and its bits."""
        return f"HQQ_INT{8 // self.segments}"

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        tensors = (self.info, self.scales, self.zeros, self.declared)
        return sum(tensor.nbytes for tensor in tensors)

    @property
    def fixed(self) -> int:
        """Bytes of scales and zeros, which are read whole."""
        return self.scales.nbytes + self.zeros.nbytes + self.declared.nbytes

    def _spans(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """Cut elements `start` to `stop` by segments: (segment, first byte, last byte)."""
        length = self.info.nbytes
        found = []
        for segment in range(start // length, -(-stop // length)):
            first = max(start, segment * length) - segment * length
            last = min(stop, (segment + 1) * length) - segment * length
            found.append((segment, first, last))
        return found

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return the bytes of the rows, segment by segment, and the small tensors."""
        width, begin = self.shape[1], self.info.start
        spans = self._spans(start * width, stop * width)
        found = [Part(self.info, begin + first, begin + last) for _, first, last in spans]
        return [*found, whole(self.scales), whole(self.zeros), whole(self.declared)]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        if decode_shape(self.declared, bodies[-1]) != self.shape:
            raise undecodable(self.info, "its shape differs from that of its siblings")
        width, bits = self.shape[1], 8 // self.segments
        numbers = []
        spans = self._spans(start * width, stop * width)
        for (segment, _, _), body in zip(spans, bodies, strict=False):
            shift = (self.segments - 1 - segment) * bits
            numbers.append((np.frombuffer(body, np.uint8) >> shift) & ((1 << bits) - 1))
        place = np.arange(start * width, stop * width)
        groups = self.scales.parameters
        size = self.shape[0] * width // groups
        group = place // size if self.by_row else place % groups
        scale = decode(bodies[-3], self.scales.dtype, (groups,))[group]
        zero = decode(bodies[-2], self.zeros.dtype, (groups,))[group]
        found: Array = (np.concatenate(numbers).astype(np.float32) - zero) * scale
        return found.reshape(stop - start, width)


def _recognise(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    stem, _ = stem_and_word(info.name)
    beside = tuple(f"{stem}.{word}" for word in META)
    found = checkpoint.beside(stem, META)
    statement = checkpoint.statement(info)
    codec = None
    if statement is not None and {"scale", "zero", "shape"} <= found.keys():
        stated = checkpoint.index.tensors[statement[0]]
        shape = decode_shape(stated, statement[1]) if stated.dtype in ("I64", "I32") else ()
        codec = _codec(info, found, shape)
    return Recognised(codec, f"{stem}.weight", beside)


def _codec(
    info: TensorInfo, found: dict[str, TensorInfo], shape: tuple[int, ...]
) -> HqqCodec | None:
    scale, zero = found["scale"], found["zero"]
    if len(shape) != 2 or min(shape) < 1 or not info.nbytes or scale.shape != zero.shape:
        return None
    total, groups = shape[0] * shape[1], scale.parameters
    segments = total // info.nbytes
    layout = len(scale.shape) == 2 and 1 in scale.shape
    floats = scale.dtype in FLOATS and zero.dtype in FLOATS
    even = segments in (1, 2, 4, 8) and segments * info.nbytes == total
    if not layout or not floats or not even or not groups or total % groups:
        return None
    by_row = scale.shape[1] == 1
    return HqqCodec(info, scale, zero, found["shape"], shape, segments, by_row)


def _claims(info: TensorInfo, index: TensorIndex) -> bool:
    """Whether it is a packed W_q: a matrix of queries may be called so, and has no scales."""
    stem, word = stem_and_word(info.name)
    return word == "W_q" and any(f"{stem}.{beside}" in index.tensors for beside in META)


HQQ = PackedFormat(
    claims=_claims,
    recognise=_recognise,
    shapes=MappingProxyType({".shape": ".W_q"}),
    longest_shape=MAX_SHAPE_BYTES,
)
