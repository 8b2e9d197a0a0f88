"""Packs matrices as the quantisers of 2025 and 2026 do: ModelOpt, MLX's modes, HQQ, torchao, EXL2.

Beside `tools.zoo.packing`, and written as it is: from the formats' descriptions, by rounding to
nearest, sharing no code with the package, which unpacks.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from tools.zoo.packing import E2M1, State, bfloat16

Array = NDArray[Any]
E4M3, E8M0 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e8m0fnu


def _unpacked(name: str, value: Array) -> State:
    return {f"{name}.weight": value.astype(bfloat16())}


def _e2m1(values: Array) -> Array:
    """Round to E2M1: codes of four bits."""
    nearest = np.abs(np.abs(values)[..., None] - E2M1).argmin(-1)
    found: Array = (nearest + 8 * (values < 0)).astype(np.uint8)
    return found


def _pairs(codes: Array) -> Array:
    found: Array = codes[..., ::2] | codes[..., 1::2] << 4
    return found


def _exponents(blocks: Array, largest: float) -> Array:
    """Return the power of two by which every block fits its numbers."""
    most = np.maximum(np.abs(blocks).max(-1, keepdims=True), 1e-30)
    found: Array = np.ceil(np.log2(most / largest))
    return found


def modelopt_nvfp4(name: str, value: Array) -> State:
    """Pack as ModelOpt's NVFP4: an E4M3 scale per 16, multiplied by a factor of the tensor."""
    if value.shape[-1] % 16:
        return _unpacked(name, value)
    blocks = value.reshape(len(value), -1, 16)
    most = np.abs(blocks).max(-1)
    factor = np.float32(most.max() / (6 * 448))
    scale = (most / 6 / factor).astype(E4M3)
    wide = np.maximum(scale.astype(np.float32) * factor, 1e-30)
    codes = _e2m1(blocks / wide[..., None]).reshape(value.shape)
    return {
        f"{name}.weight": _pairs(codes),
        f"{name}.weight_scale": scale,
        f"{name}.weight_scale_2": np.array(factor, np.float32),
        f"{name}.input_scale": np.array(0.01, np.float32),
    }


def modelopt_mxfp8(name: str, value: Array) -> State:
    """Pack as MXFP8: E4M3 numbers, and a byte of exponent per 32."""
    if value.shape[-1] % 32:
        return _unpacked(name, value)
    blocks = value.reshape(len(value), -1, 32)
    exponent = _exponents(blocks, 448)
    return {
        f"{name}.weight": (blocks / 2.0**exponent).astype(E4M3).reshape(value.shape),
        f"{name}.weight_scale": (exponent[..., 0] + 127).astype(np.uint8),
    }


def mlx_mode(name: str, value: Array, mode: str = "mxfp4") -> State:
    """Pack as mlx.core.quantize does in its modes of floats: words, scales of a byte, no biases."""
    group = 16 if mode == "nvfp4" else 32
    if value.shape[-1] % group:
        return _unpacked(name, value)
    blocks = value.reshape(len(value), -1, group)
    if mode == "nvfp4":
        scale = (np.abs(blocks).max(-1) / 6).astype(E4M3)
        wide = np.maximum(scale.astype(np.float32), 1e-30)[..., None]
    else:
        exponent = _exponents(blocks, 448 if mode == "mxfp8" else 6)
        scale, wide = (exponent[..., 0] + 127).astype(np.uint8), 2.0**exponent
    scaled = (blocks / wide).reshape(value.shape)
    stored = scaled.astype(E4M3).view(np.uint8) if mode == "mxfp8" else _pairs(_e2m1(scaled))
    return {
        f"{name}.weight": np.ascontiguousarray(stored).view("<u4"),
        f"{name}.scales": scale.view(np.uint8),
    }


def hqq(name: str, value: Array, bits: int = 4, axis: int = 1, group: int = 64) -> State:
    """Pack as HQQ without its optimisation: groups are rows (axis 1) or columns (axis 0)."""
    if value.size % (group * 8 // bits):
        return _unpacked(name, value)
    table = value.reshape(-1, group) if axis == 1 else value.reshape(group, -1)
    low, high = table.min(axis, keepdims=True), table.max(axis, keepdims=True)
    scale = ((high - low) / (2**bits - 1)).astype(np.float16)
    wide = np.maximum(scale.astype(np.float32), 1e-8)
    zero = (-low / wide).astype(np.float16)
    q = np.rint(table / wide + zero.astype(np.float32)).clip(0, 2**bits - 1).astype(np.uint8)
    segments = 8 // bits
    packed = np.zeros((len(q) // segments, q.shape[1]), np.uint8)
    for number, part in enumerate(np.split(q, segments)):
        packed |= part << (bits * (segments - 1 - number))
    return {
        f"{name}.W_q": packed,
        f"{name}.scale": scale,
        f"{name}.zero": zero,
        f"{name}.shape": np.array(value.shape, np.int32),
        f"{name}.nbits": np.array([bits], np.int32),
        f"{name}.group_size": np.array([group], np.int32),
        f"{name}.axis": np.array([axis], np.int32),
        f"{name}.view_as_float": np.array([0], np.uint8),
    }


def torchao(name: str, value: Array, kind: str = "int8", group: int = 16) -> State:
    """Pack as torchao saves its tensors: int8 and float8 by rows, int4 by groups of inputs."""
    field = f"{name}._weight_"
    if kind == "float8":
        scale = np.abs(value).max(1, keepdims=True) / 448
        return {f"{field}qdata": (value / scale).astype(E4M3), f"{field}scale": scale}
    if kind == "int8":
        scale = np.abs(value).max(1, keepdims=True) / 127
        q = np.rint(value / scale).astype(np.int8)
        return {f"{field}qdata": q, f"{field}scale": scale.astype(bfloat16())}
    if value.shape[1] % group:
        return _unpacked(name, value)
    groups = value.reshape(len(value), -1, group)
    low = groups.min(-1)
    scale = np.maximum((groups.max(-1) - low) / 15, 1e-8)
    q = np.rint((groups - low[..., None]) / scale[..., None]).clip(0, 15).astype(np.int16) - 8
    codes = (q.reshape(value.shape) & 15).astype(np.uint8)
    return {
        f"{field}qdata": _pairs(codes),
        f"{field}scale": np.ascontiguousarray(scale.T).astype(bfloat16()),
        f"{field}zero_point": np.ascontiguousarray((low + 8 * scale).T).astype(bfloat16()),
    }


def exl2(name: str, value: Array) -> State:
    """Give the tensors of an EXL2 matrix their names and sizes; what they hold says nothing."""
    rng = np.random.default_rng(value.size)
    outputs, inputs = value.shape
    return {
        f"{name}.q_weight": rng.integers(-(2**31), 2**31, (inputs // 8, outputs), np.int32),
        f"{name}.q_scale": rng.integers(0, 2**31, (inputs // 16, outputs // 8), np.int32),
        f"{name}.q_scale_max": rng.random(inputs // 16).astype(np.float16),
        f"{name}.q_groups": np.zeros(2 * (inputs // 16), np.int16),
        f"{name}.q_invperm": np.arange(inputs, dtype=np.int32),
    }


def exl3(name: str, value: Array) -> State:
    """Give the tensors of an EXL3 matrix their names and sizes; what they hold says nothing."""
    rng = np.random.default_rng(value.size)
    outputs, inputs = value.shape
    return {
        f"{name}.trellis": rng.integers(
            -(2**15), 2**15, (inputs // 16, outputs // 16, 64), np.int16
        ),
        f"{name}.suh": rng.random(inputs).astype(np.float16),
        f"{name}.svh": rng.random(outputs).astype(np.float16),
    }
