"""Dequantisation of ggml's blocks: Q4_0 to Q8_0, K-quants, IQ4, MXFP4, NVFP4, TQ2_0.

Written from the structures in ggml-common.h, and equal bit for bit to the `gguf` package, the
reference, on random blocks of every kind (tests/checkpoint/test_packed_formats.py). Kinds below
four bits with code books (IQ1 to IQ3) and TQ1_0 are not decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import ml_dtypes
import numpy as np

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES, decode
from pytest_scratchverify.checkpoint.formats.codec import (
    Array,
    Bytes,
    Codec,
    RotaryCodec,
    RowCodec,
)
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
)
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorInfo

PREFIX = "GGML_"  # before the kind, where a dtype is named
IQ4 = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)
FP4 = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
# Scales of NVFP4 have no sign, and what would be no number is zero.
UNSIGNED_E4M3 = (
    (np.arange(256) & 127).astype(np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
)
UNSIGNED_E4M3[[127, 255]] = 0, 480


@dataclass(frozen=True, slots=True)
class GgmlBlock:
    """One kind: elements and bytes of a block, and how blocks [n, bytes] become [n, elements]."""

    elements: int
    nbytes: int
    decode: Callable[[Bytes], Array]


def _half(blocks: Bytes, at: int) -> Array:
    """Read a float16 of every block: [n, 1]."""
    return np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)


def _fields(data: Bytes, shifts: tuple[int, ...], mask: int, width: int) -> Bytes:
    """Cut `data` into runs of `width` bytes; each gives `width` fields for every shift."""
    runs = data.reshape(len(data), -1, 1, width)
    shift = np.array(shifts, np.uint8).reshape(1, 1, -1, 1)
    fields: Bytes = ((runs >> shift) & np.uint8(mask)).reshape(len(data), -1)
    return fields


def _nibbles(data: Bytes) -> Array:
    """Low nibbles of 16 bytes, then the high ones."""
    return _fields(data, (0, 4), 15, 16).astype(np.float32)


def _fifth(data: Bytes) -> Array:
    """One more bit for each of 32 elements, worth 16."""
    return 16 * np.unpackbits(data, axis=1, bitorder="little").astype(np.float32)


def _q4_0(blocks: Bytes) -> Array:
    return _half(blocks, 0) * (_nibbles(blocks[:, 2:]) - 8)


def _q4_1(blocks: Bytes) -> Array:
    return _half(blocks, 0) * _nibbles(blocks[:, 4:]) + _half(blocks, 2)


def _q5_0(blocks: Bytes) -> Array:
    return _half(blocks, 0) * (_nibbles(blocks[:, 6:]) + _fifth(blocks[:, 2:6]) - 16)


def _q5_1(blocks: Bytes) -> Array:
    values = _nibbles(blocks[:, 8:]) + _fifth(blocks[:, 4:8])
    return _half(blocks, 0) * values + _half(blocks, 2)


def _q8_0(blocks: Bytes) -> Array:
    return _half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _q8_k(blocks: Bytes) -> Array:
    scale = np.ascontiguousarray(blocks[:, :4]).view("<f4")
    return scale * np.ascontiguousarray(blocks[:, 4:260]).view(np.int8).astype(np.float32)


def _grouped(scales: Array, values: Array, less: Array | None = None) -> Array:
    """Multiply equal runs of every block by their scale and subtract their minimum."""
    runs = values.reshape(*scales.shape, -1)
    scaled: Array = scales[..., None] * runs
    if less is not None:
        scaled = scaled - less[..., None]
    return scaled.reshape(len(values), -1)


def _q2_k(blocks: Bytes) -> Array:
    scales, data = blocks[:, :16], blocks[:, 16:80]
    scale = _half(blocks, 80) * (scales & 15).astype(np.float32)
    less = _half(blocks, 82) * (scales >> 4).astype(np.float32)
    return _grouped(scale, _fields(data, (0, 2, 4, 6), 3, 32).astype(np.float32), less)


def _q3_k(blocks: Bytes) -> Array:
    mask, data, packed = blocks[:, :32], blocks[:, 32:96], blocks[:, 96:108]
    low = _fields(packed[:, :8], (0, 4), 15, 8)
    high = _fields(packed[:, 8:], (0, 2, 4, 6), 3, 4)
    scale = _half(blocks, 108) * ((low | high << 4).astype(np.float32) - 32)
    values = _fields(data, (0, 2, 4, 6), 3, 32).astype(np.float32)
    # The third bit is stored upside down: where it is clear, four is subtracted.
    clear = 1 - _fields(mask, tuple(range(8)), 1, 32).astype(np.float32)
    return _grouped(scale, values - 4 * clear)


def _six_bits(packed: Bytes) -> tuple[Array, Array]:
    """Unpack the eight scales and eight minima of Q4_K and Q5_K from twelve bytes."""
    scale, less, mixed = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([scale & 63, (mixed & 15) | (scale >> 6 << 4)], axis=1)
    minima = np.concatenate([less & 63, (mixed >> 4) | (less >> 6 << 4)], axis=1)
    return scales.astype(np.float32), minima.astype(np.float32)


def _q4_k(blocks: Bytes) -> Array:
    scales, minima = _six_bits(blocks[:, 4:16])
    values = _fields(blocks[:, 16:], (0, 4), 15, 32).astype(np.float32)
    return _grouped(_half(blocks, 0) * scales, values, _half(blocks, 2) * minima)


def _q5_k(blocks: Bytes) -> Array:
    scales, minima = _six_bits(blocks[:, 4:16])
    high = _fields(blocks[:, 16:48], tuple(range(8)), 1, 32)
    values = _fields(blocks[:, 48:], (0, 4), 15, 32) | high << 4
    return _grouped(_half(blocks, 0) * scales, values.astype(np.float32), _half(blocks, 2) * minima)


def _q6_k(blocks: Bytes) -> Array:
    low = _fields(blocks[:, :128], (0, 4), 15, 64)
    high = _fields(blocks[:, 128:192], (0, 2, 4, 6), 3, 32)
    scales = np.ascontiguousarray(blocks[:, 192:208]).view(np.int8).astype(np.float32)
    return _grouped(_half(blocks, 208) * scales, (low | high << 4).astype(np.float32) - 32)


def _iq4_nl(blocks: Bytes) -> Array:
    return _half(blocks, 0) * IQ4[_fields(blocks[:, 2:], (0, 4), 15, 16)]


def _iq4_xs(blocks: Bytes) -> Array:
    high = np.ascontiguousarray(blocks[:, 2:4]).view("<u2") >> np.arange(0, 16, 2, dtype=np.uint16)
    low = np.stack([blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4], axis=-1).reshape(len(blocks), 8)
    scales = _half(blocks, 0) * ((low | (high & 3) << 4).astype(np.float32) - 32)
    return _grouped(scales, IQ4[_fields(blocks[:, 8:], (0, 4), 15, 16)])


def _mxfp4(blocks: Bytes) -> Array:
    scale = np.ascontiguousarray(blocks[:, :1]).view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
    values: Array = scale * FP4[_fields(blocks[:, 1:], (0, 4), 15, 16)]
    return values


def _nvfp4(blocks: Bytes) -> Array:
    return _grouped(UNSIGNED_E4M3[blocks[:, :4]], FP4[_fields(blocks[:, 4:], (0, 4), 15, 8)])


def _tq2_0(blocks: Bytes) -> Array:
    values = _fields(blocks[:, :64], (0, 2, 4, 6), 3, 32).astype(np.float32)
    return _half(blocks, 64) * (values - 1)


BLOCKS: Mapping[str, GgmlBlock] = MappingProxyType(
    {
        "Q4_0": GgmlBlock(32, 18, _q4_0),
        "Q4_1": GgmlBlock(32, 20, _q4_1),
        "Q5_0": GgmlBlock(32, 22, _q5_0),
        "Q5_1": GgmlBlock(32, 24, _q5_1),
        "Q8_0": GgmlBlock(32, 34, _q8_0),
        "Q2_K": GgmlBlock(256, 84, _q2_k),
        "Q3_K": GgmlBlock(256, 110, _q3_k),
        "Q4_K": GgmlBlock(256, 144, _q4_k),
        "Q5_K": GgmlBlock(256, 176, _q5_k),
        "Q6_K": GgmlBlock(256, 210, _q6_k),
        "Q8_K": GgmlBlock(256, 292, _q8_k),
        "IQ4_NL": GgmlBlock(32, 18, _iq4_nl),
        "IQ4_XS": GgmlBlock(256, 136, _iq4_xs),
        "MXFP4": GgmlBlock(32, 17, _mxfp4),
        "NVFP4": GgmlBlock(64, 36, _nvfp4),
        "TQ2_0": GgmlBlock(256, 66, _tq2_0),
    }
)


def decode_rows(kind: str, rows: Bytes) -> Array:
    """Decode whole rows [n, bytes] of a kind in `BLOCKS` into float32 [n, elements]."""
    block = BLOCKS[kind]
    # A scale that is no number stays one: hostile blocks decode to NaN, silently.
    with np.errstate(invalid="ignore", over="ignore"):
        values = block.decode(rows.reshape(-1, block.nbytes))
    return values.reshape(len(rows), -1)


def _codec(info: TensorInfo, heads: int | None) -> Codec | None:
    """Return the codec of rows of ggml blocks, or of plain rows in llama.cpp's order."""
    if len(info.shape) < 2:
        return _vector(info) if info.dtype.startswith(PREFIX) else None
    codec: Codec
    rows = prod(info.shape[:-1])
    if not rows or not info.shape[-1]:
        return None
    if info.dtype.startswith(PREFIX):
        kind = info.dtype.removeprefix(PREFIX)

        def unpack_rows(raw: Bytes) -> Array:
            return decode_rows(kind, raw)

        codec = RowCodec(info.dtype, info, info.shape, info.nbytes // rows, unpack_rows)
    elif info.dtype in NUMPY_DTYPES:
        width = info.shape[-1] * DTYPE_BITS[info.dtype] // 8

        def plain_rows(raw: Bytes) -> Array:
            return decode(raw.tobytes(), info.dtype, (len(raw), info.shape[-1]))

        codec = RowCodec(info.dtype, info, info.shape, width, plain_rows)
    else:
        return None
    return RotaryCodec(codec, heads) if heads else codec


def _vector(info: TensorInfo) -> Codec | None:
    """Return the codec of one packed row: a vector that was quantised with the rest."""
    if not info.shape or not info.shape[0]:
        return None
    block = BLOCKS[info.dtype.removeprefix(PREFIX)]
    kind = info.dtype.removeprefix(PREFIX)
    width = info.shape[0] // block.elements * block.nbytes
    return RowCodec(info.dtype, info, (1, info.shape[0]), width, lambda raw: decode_rows(kind, raw))


def _recognise_rows(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    codec = _codec(info, checkpoint.index.rotary.get(info.name))
    return Recognised.of(codec, info.name)


GGML = PackedFormat(
    claims=lambda info, index: info.dtype.startswith(PREFIX) or info.name in index.rotary,
    recognise=_recognise_rows,
)
