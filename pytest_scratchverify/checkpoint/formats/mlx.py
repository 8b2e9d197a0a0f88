"""MLX: rows of integers in 32-bit words, with a scale and a bias for each group of inputs.

A number is ``scale * q + bias``. The shapes of the three tensors fit several widths at once, so
bits and group size are the configuration's (``quantization`` of config.json, with exceptions by
the name of a module). Numbers lie one after the other, the lowest bits first.

Source: mlx.core.quantize (mode "affine"), mlx_lm/utils.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.checkpoint.formats.codec import Array, Part, unpack_bits
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.json_values import Json

BITS = frozenset({2, 3, 4, 5, 6, 8})
FLOATS = frozenset({"F16", "BF16", "F32"})


@dataclass(frozen=True, slots=True)
class MlxCodec:
    """A matrix of MLX: weight [outputs, inputs * bits / 32] of 32-bit words."""

    info: TensorInfo
    scales: TensorInfo
    biases: TensorInfo
    bits: int
    shape: tuple[int, ...]
    interleaved: bool = False
    fixed: int = 0

    @property
    def kind(self) -> str:
        """The format and its bits."""
        return f"MLX_INT{self.bits}"

    @property
    def nbytes(self) -> int:
        """Bytes of all three tensors."""
        return self.info.nbytes + self.scales.nbytes + self.biases.nbytes

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return the rows of all three."""
        found = []
        for info in (self.info, self.scales, self.biases):
            size = info.nbytes // prod(info.shape[:-1])
            found.append(Part(info, info.start + start * size, info.start + stop * size))
        return found

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode rows `start` to `stop`."""
        rows, inputs, groups = stop - start, self.shape[-1], self.scales.shape[-1]
        words = np.frombuffer(bodies[0], "<u4").reshape(rows, -1)
        values = unpack_bits(words, self.bits, inputs).reshape(rows, groups, -1)
        scales = decode(bodies[1], self.scales.dtype, (rows, groups))[:, :, None]
        biases = decode(bodies[2], self.biases.dtype, (rows, groups))[:, :, None]
        decoded: Array = (values * scales + biases).reshape(rows, inputs).astype(np.float32)
        return decoded


def _claims(info: TensorInfo, index: TensorIndex) -> bool:
    stem, word = stem_and_word(info.name)
    beside = (f"{stem}.scales", f"{stem}.biases")
    return word == "weight" and info.dtype == "U32" and all(n in index.tensors for n in beside)


def _recognise(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    stem, _ = stem_and_word(info.name)
    found = checkpoint.beside(stem, ("scales", "biases"))
    codec = _codec(info, found["scales"], found["biases"], _settings(checkpoint.mlx, stem))
    return Recognised(codec, info.name, (f"{stem}.scales", f"{stem}.biases"))


def _settings(config: Mapping[str, Json], stem: str) -> Mapping[str, Json]:
    own = config.get(stem)
    return own if isinstance(own, dict) else config


def _codec(
    info: TensorInfo, scales: TensorInfo, biases: TensorInfo, settings: Mapping[str, Json]
) -> MlxCodec | None:
    bits, group = settings.get("bits"), settings.get("group_size")
    affine = settings.get("mode", "affine") == "affine"
    if not isinstance(bits, int) or not isinstance(group, int) or not affine:
        return None
    if bits not in BITS or group < 1 or len(info.shape) < 2 or not info.parameters:
        return None
    inputs = info.shape[-1] * 32 // bits
    rows = info.shape[:-1]
    fits = scales.shape == biases.shape == (*rows, inputs // group) and inputs % group == 0
    floats = scales.dtype in FLOATS and biases.dtype in FLOATS
    if not fits or not floats or inputs * bits != info.shape[-1] * 32:
        return None
    return MlxCodec(info, scales, biases, bits, (*rows, inputs))


MLX = PackedFormat(claims=_claims, recognise=_recognise)
