"""Floats of four and eight bits with a scale for every block of inputs, as ModelOpt and MLX store.

ModelOpt's NVFP4 keeps two E2M1 numbers to a byte, the low half first, an E4M3 scale per 16 and a
factor of the whole tensor (``weight_scale_2``); MXFP8 is one E4M3 byte a number with an E8M0
exponent per 32. MLX packs the same numbers into words of 32 bits (modes mxfp4, mxfp8, nvfp4), with
scales and no biases. How many scales stand beside a row tells which of them it is.

Sources: modelopt/torch/export, vllm's documentation of ModelOpt, mlx.core.quantize, OCP
Microscaling v1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES, decode
from pytest_scratchverify.checkpoint.formats.codec import Array, Part, rows_of, whole
from pytest_scratchverify.checkpoint.formats.ggml import FP4
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo

EXPONENTS = frozenset({"U8", "F8_E8M0"})  # one byte that is a power of two
EIGHT = ("F8_E4M3", "F8_E5M2")
FACTOR = "weight_scale_2"
BESIDE = ("weight_scale", "weight_scale_inv", FACTOR, "input_scale")
# Words of 32 bits that a group of MLX takes, of which dtype its scale is, and how long it is.
MLX_MODES = {
    4: ("MXFP4", "F8_E8M0", 32),
    8: ("MXFP8", "F8_E8M0", 32),
    2: ("NVFP4", "F8_E4M3", 16),
}


@dataclass(frozen=True, slots=True)
class BlockFloatCodec:
    """A matrix [..., outputs, inputs]: numbers row by row, and a scale per `group` of inputs."""

    kind: str
    info: TensorInfo
    scales: TensorInfo
    shape: tuple[int, ...]
    group: int
    scaled_by: str  # the dtype that the bytes of scales are
    stored: str = "F4"
    factor: TensorInfo | None = None
    fixed: int = 0
    interleaved: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of numbers, scales and factor."""
        return self.info.nbytes + self.scales.nbytes + (self.factor.nbytes if self.factor else 0)

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return rows of numbers and scales."""
        rows = prod(self.shape[:-1])
        found = [rows_of(i, start, stop, i.nbytes // rows) for i in (self.info, self.scales)]
        return [*found, whole(self.factor)] if self.factor else found

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        raw = np.frombuffer(bodies[0], np.uint8).reshape(stop - start, -1)
        if self.stored == "F4":
            values = FP4[np.stack([raw & 15, raw >> 4], axis=-1).reshape(stop - start, -1)]
        else:
            values = raw.view(NUMPY_DTYPES[self.stored]).astype(np.float32)
        table = np.frombuffer(bodies[1], NUMPY_DTYPES[self.scaled_by]).astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            found = values * np.repeat(table.reshape(stop - start, -1), self.group, axis=1)
            if self.factor is not None:
                found = found * decode(bodies[2], self.factor.dtype, (1, 1))
        decoded: Array = found.astype(np.float32)
        return decoded


def _scale_of(info: TensorInfo, index: TensorIndex) -> TensorInfo | None:
    stem, word = stem_and_word(info.name)
    if word != "weight":
        return None
    names = (f"{stem}.weight_scale", f"{stem}.weight_scale_inv")
    return next((index.tensors[name] for name in names if name in index.tensors), None)


def _claims_bytes(info: TensorInfo, index: TensorIndex) -> bool:
    """Whether a weight of bytes has block scales beside it, as ModelOpt's has."""
    scale = _scale_of(info, index)
    if scale is None or not info.shape or not scale.shape or not info.parameters:
        return False
    if info.dtype == "U8":
        stem, _ = stem_and_word(info.name)
        return f"{stem}.{FACTOR}" in index.tensors or scale.dtype in EXPONENTS
    blocks = info.dtype in EIGHT and scale.dtype in EXPONENTS
    return blocks and scale.shape == (*info.shape[:-1], info.shape[-1] // 32)


def _recognise_bytes(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    stem, _ = stem_and_word(info.name)
    scale = _scale_of(info, checkpoint.index)
    factor = checkpoint.index.tensors.get(f"{stem}.{FACTOR}")
    codec = None if scale is None else _of_bytes(info, scale, factor)
    return Recognised(codec, info.name, tuple(f"{stem}.{word}" for word in BESIDE))


def _of_bytes(
    info: TensorInfo, scale: TensorInfo, factor: TensorInfo | None
) -> BlockFloatCodec | None:
    outer, width = info.shape[:-1], info.shape[-1]
    if not outer or scale.shape[:-1] != outer:
        return None
    if info.dtype in EIGHT:
        fits = scale.shape[-1] * 32 == width and factor is None
        shape = (*outer, width)
        return (
            BlockFloatCodec("MXFP8", info, scale, shape, 32, "F8_E8M0", info.dtype)
            if fits
            else None
        )
    shape = (*outer, 2 * width)
    if factor is None:
        fits = scale.shape[-1] * 32 == 2 * width
        return BlockFloatCodec("MXFP4", info, scale, shape, 32, "F8_E8M0") if fits else None
    one = factor.dtype == "F32" and factor.parameters == 1
    if one and scale.dtype == "F8_E4M3" and scale.shape[-1] * 16 == 2 * width:
        return BlockFloatCodec("NVFP4", info, scale, shape, 16, "F8_E4M3", factor=factor)
    return None


MODELOPT = PackedFormat(claims=_claims_bytes, recognise=_recognise_bytes)


def _claims_words(info: TensorInfo, index: TensorIndex) -> bool:
    """Whether words of MLX have scales of one byte and no biases."""
    stem, word = stem_and_word(info.name)
    scale = index.tensors.get(f"{stem}.scales")
    alone = f"{stem}.biases" not in index.tensors
    return word == "weight" and info.dtype == "U32" and alone and scale is not None


def _recognise_words(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    stem, _ = stem_and_word(info.name)
    scale = checkpoint.index.tensors[f"{stem}.scales"]
    beside = (f"{stem}.scales",)
    fits = len(info.shape) > 1 and scale.shape[:-1] == info.shape[:-1] and scale.dtype == "U8"
    groups = scale.shape[-1] if fits and info.parameters else 0
    mode = MLX_MODES.get(info.shape[-1] // groups) if groups else None
    if mode is None or info.shape[-1] % groups:
        return Recognised(None, info.name, beside)
    kind, scaled_by, group = mode
    shape = (*info.shape[:-1], groups * group)
    stored = "F8_E4M3" if kind == "MXFP8" else "F4"
    codec = BlockFloatCodec(f"MLX_{kind}", info, scale, shape, group, scaled_by, stored)
    return Recognised(codec, info.name, beside)


MLX_FLOATS = PackedFormat(claims=_claims_words, recognise=_recognise_words)
