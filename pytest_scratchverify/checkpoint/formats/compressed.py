"""compressed-tensors (integers, NVFP4, MXFP4) and gpt-oss (MXFP4): quantised along the rows.

Integers (``weight_packed`` as I32) are a dense stream of bits along the inputs, offset by half
their range; zeros, where there are any, are packed along the outputs. 4-bit floats (E2M1, two
to a byte, the low half first) carry one E8M0 exponent per 32 (MXFP4), or one E4M3 scale per 16
below a divisor of the whole tensor (NVFP4). gpt-oss stacks experts and alternates the rows of
gate and up.

Sources: compressed_tensors/compressors, transformers/integrations/mxfp4.py, OCP Microscaling v1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import ml_dtypes
import numpy as np

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.checkpoint.formats.codec import (
    Array,
    Part,
    rows_of,
    undecodable,
    unpack_bits,
    whole,
)
from pytest_scratchverify.checkpoint.formats.ggml import FP4
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorInfo

FLOATS = frozenset({"F16", "BF16", "F32"})
MX_GROUP, NV_GROUP = 32, 16
MAX_SHAPE_BYTES = 64
BESIDE = (
    "weight_scale",
    "weight_zero_point",
    "weight_g_idx",
    "weight_shape",
    "weight_global_scale",
    "input_global_scale",
)


@dataclass(frozen=True, slots=True)
class IntCodec:
    """Packed integers of compressed-tensors: weight_packed [outputs, words]."""

    info: TensorInfo
    scales: TensorInfo
    shape: tuple[int, ...]
    bits: int
    declared: TensorInfo  # weight_shape, which every block checks
    zeros: TensorInfo | None = None
    groups: TensorInfo | None = None
    fixed: int = 0
    interleaved: bool = False

    @property
    def kind(self) -> str:
        """The format and its bits."""
        return f"PACKED_INT{self.bits}"

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        others = (self.scales, self.declared, self.zeros, self.groups)
        return self.info.nbytes + sum(other.nbytes for other in others if other)

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return rows of integers and scales, and the small tensors whole."""
        found = [self._rows(self.info, start, stop), whole(self.declared)]
        if self.scales.shape[0] == self.shape[0]:
            found.append(self._rows(self.scales, start, stop))
        else:
            found.append(whole(self.scales))
        return [*found, *(whole(other) for other in (self.zeros, self.groups) if other)]

    @staticmethod
    def _rows(info: TensorInfo, start: int, stop: int) -> Part:
        return rows_of(info, start, stop, prod(info.shape[1:]) * DTYPE_BITS[info.dtype] // 8)

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        rows, cols = self.shape
        if tuple(decode_shape(self.declared, bodies[1])) != (rows, cols):
            raise undecodable(self.info, "its weight_shape differs from that of its siblings")
        words = np.frombuffer(bodies[0], "<u4").reshape(stop - start, -1)
        values = unpack_bits(words, self.bits, cols) - np.int16(1 << self.bits - 1)
        per_row = self.scales.shape[0] == rows
        count = self.scales.shape[1] if len(self.scales.shape) == 2 else 1
        table = decode(bodies[2], self.scales.dtype, (stop - start if per_row else 1, count))
        group = np.arange(cols) // -(-cols // count)
        if self.groups is not None:
            group = np.frombuffer(bodies[-1], "<i4").astype(np.intp)
            # Inputs that were not calibrated carry -1 until the order is known: refused.
            if group.min() < 0 or group.max() >= count:
                raise undecodable(self.info, "its g_idx names groups that it has no scales for")
        if self.zeros is not None:
            values = values - self._zeros(bodies[3], count)[start:stop][:, group]
        decoded: Array = values.astype(np.float32) * table[:, group]
        return decoded

    def _zeros(self, raw: bytes, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        rows = self.shape[0]
        if self.zeros is not None and self.zeros.dtype == "I8":  # before version 0.10
            return np.frombuffer(raw, np.int8).reshape(rows, count).astype(np.int16)
        words = np.frombuffer(raw, "<u4").reshape(-1, count).T
        return (unpack_bits(words, self.bits, rows) - np.int16(1 << self.bits - 1)).T


@dataclass(frozen=True, slots=True)
class Float4Codec:
    """4-bit floats: blocks [..., outputs, inputs / 2] as bytes, and one scale per group."""

    kind: str
    info: TensorInfo
    scales: TensorInfo
    shape: tuple[int, ...]
    divisor: TensorInfo | None = None
    interleaved: bool = False
    fixed: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of blocks and scales."""
        return self.info.nbytes + self.scales.nbytes

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return rows of blocks and scales."""
        cols = self.shape[-1]
        group = NV_GROUP if self.divisor else MX_GROUP
        found = [
            rows_of(self.info, start, stop, cols // 2),
            rows_of(self.scales, start, stop, cols // group),
        ]
        return [*found, whole(self.divisor)] if self.divisor else found

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        packed = np.frombuffer(bodies[0], np.uint8).reshape(stop - start, -1)
        values = FP4[np.stack([packed & 15, packed >> 4], axis=-1).reshape(stop - start, -1)]
        stored = np.frombuffer(bodies[1], np.uint8).reshape(stop - start, -1)
        if self.divisor is None:
            scales = stored.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
            decoded: Array = values * np.repeat(scales, MX_GROUP, axis=1)
            return decoded
        scales = stored.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):  # a hostile divisor of zero
            scales = scales / decode(bodies[2], self.divisor.dtype, (1, 1))
            found: Array = values * np.repeat(scales, NV_GROUP, axis=1)
        return found


def decode_shape(info: TensorInfo, raw: bytes) -> tuple[int, ...]:
    """Read a tensor that holds a shape."""
    width = 8 if info.dtype == "I64" else 4
    whole = raw[: len(raw) // width * width]  # of a tensor that is no shape, what can be read
    return tuple(np.frombuffer(whole, f"<i{width}").tolist())


def recognise_ints(
    info: TensorInfo,
    declared: tuple[TensorInfo, tuple[int, ...]],
    scales: TensorInfo | None,
    zeros: TensorInfo | None = None,
    groups: TensorInfo | None = None,
) -> IntCodec | None:
    """Return the codec of packed integers whose `declared` shape is known, if it fits."""
    shape = declared[1]
    if scales is None or info.dtype != "I32" or len(info.shape) != 2 or len(shape) != 2:
        return None
    rows, cols = shape
    if rows != info.shape[0] or cols < 1 or scales.dtype not in FLOATS:
        return None
    bits = info.shape[1] * 32 // cols
    count = scales.shape[1] if len(scales.shape) == 2 else 1
    fits = 1 <= bits <= 8 and -(-cols * bits // 32) == info.shape[1]
    if not fits or scales.shape not in ((rows, count), (1,), (1, 1)) or not 0 < count <= cols:
        return None
    packed = (-(-rows * bits // 32), count)
    if zeros is not None and (zeros.dtype, zeros.shape) not in (
        ("I32", packed),
        ("I8", (rows, count)),
    ):
        return None
    if groups is not None and (groups.dtype, groups.shape) != ("I32", (cols,)):
        return None
    return IntCodec(info, scales, (rows, cols), bits, declared[0], zeros, groups)


def recognise_float4(
    info: TensorInfo, scales: TensorInfo | None, divisor: TensorInfo | None = None
) -> Float4Codec | None:
    """Return the codec of 4-bit floats, if blocks and scales fit together.

    Blocks are [..., outputs, inputs / 2], or gpt-oss's [experts, outputs, groups, 16].
    """
    if scales is None or info.dtype != "U8" or len(info.shape) < 2:
        return None
    stacked = len(info.shape) == 4
    if stacked and info.shape[-1] != MX_GROUP // 2:
        return None
    outer = info.shape[:-2] if stacked else info.shape[:-1]
    cols = 2 * prod(info.shape[len(outer) :])
    if scales.shape[:-1] != outer or not cols:
        return None
    width = scales.shape[-1]
    if divisor is None and scales.dtype in ("U8", "F8_E8M0") and width * MX_GROUP == cols:
        interleaved = stacked
        return Float4Codec("MXFP4", info, scales, (*outer, cols), None, interleaved)
    scalar = divisor is not None and divisor.dtype == "F32" and divisor.parameters == 1
    if scalar and scales.dtype == "F8_E4M3" and width * NV_GROUP == cols:
        return Float4Codec("NVFP4", info, scales, (*outer, cols), divisor)
    return None


def _recognise_linear(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    """Recognise a linear layer by its weight_packed: bytes are floats, words are integers."""
    stem, _ = stem_and_word(info.name)
    found = checkpoint.beside(stem, BESIDE)
    codec: IntCodec | Float4Codec | None = None
    if info.dtype == "U8":
        codec = recognise_float4(info, found.get("weight_scale"), found.get("weight_global_scale"))
    elif "weight_shape" in found and (statement := checkpoint.statement(info)):
        codec = recognise_ints(
            info,
            (found["weight_shape"], _stated_shape(checkpoint, *statement)),
            found.get("weight_scale"),
            found.get("weight_zero_point"),
            found.get("weight_g_idx"),
        )
    return Recognised.of(codec, f"{stem}.weight", tuple(f"{stem}.{word}" for word in BESIDE))


def _stated_shape(checkpoint: PackedTensors, name: str, raw: bytes) -> tuple[int, ...]:
    stated = checkpoint.index.tensors[name]
    whole_numbers = stated.dtype in ("I64", "I32") and stated.nbytes == len(raw)
    return decode_shape(stated, raw) if whole_numbers else ()


COMPRESSED_TENSORS = PackedFormat(
    claims=lambda info, _: stem_and_word(info.name)[1] == "weight_packed",
    recognise=_recognise_linear,
    shapes=MappingProxyType({".weight_shape": ".weight_packed"}),
    longest_shape=MAX_SHAPE_BYTES,
)


def _recognise_experts(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    """Recognise gpt-oss's stacked experts by their blocks and scales."""
    stem = info.name.removesuffix("_blocks")
    scales = checkpoint.index.tensors.get(f"{stem}_scales")
    return Recognised.of(recognise_float4(info, scales), stem, (f"{stem}_scales",))


GPT_OSS = PackedFormat(
    claims=lambda info, _: info.name.endswith("_blocks"),
    recognise=_recognise_experts,
)
