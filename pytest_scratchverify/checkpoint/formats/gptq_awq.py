"""GPTQ and AWQ: integers in 32-bit words, with scales and zeros per group of inputs.

Both store [inputs, outputs], so that one output lies across the whole tensor: any block costs
all of it, and `fixed` says so. GPTQ (AutoGPTQ, GPTQModel) packs along the inputs; `g_idx`
gives every input its group (act-order); the first version of the format stores zeros less one.
AWQ (AutoAWQ, version "gemm") packs along the outputs, eight to a word, in the order 0 2 4 6 1
3 5 7. The reference multiplies in float16; here the product is the exact one in float32.

Sources: auto_gptq/nn_modules/qlinear/qlinear_cuda.py, awq/utils/packing_utils.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.checkpoint.formats.codec import (
    Array,
    Part,
    undecodable,
    unpack_bits,
    whole,
)
from pytest_scratchverify.checkpoint.header import TensorInfo

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
GPTQ_BITS = frozenset({2, 3, 4, 8})
FLOATS = frozenset({"F16", "BF16", "F32"})


@dataclass(frozen=True, slots=True)
class GptqCodec:
    """A matrix of GPTQ: qweight [inputs * bits / 32, outputs]."""

    info: TensorInfo
    scales: TensorInfo
    zeros: TensorInfo
    groups: TensorInfo | None
    bits: int
    shape: tuple[int, ...]
    zero_offset: int = 1
    interleaved: bool = False

    @property
    def kind(self) -> str:
        """The format and its bits."""
        return f"GPTQ_INT{self.bits}"

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        return sum(part.stop - part.start for part in self.parts(0, 0))

    @property
    def fixed(self) -> int:
        """All of it."""
        return self.nbytes

    def parts(self, start: int, stop: int) -> list[Part]:  # noqa: ARG002 - always all
        """Return all tensors whole."""
        found = [whole(self.info), whole(self.scales), whole(self.zeros)]
        return [*found, whole(self.groups)] if self.groups else found

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode outputs `start` to `stop`."""
        outputs, inputs = self.shape
        count = self.scales.shape[0]
        words = np.frombuffer(bodies[0], "<u4").reshape(-1, outputs)[:, start:stop]
        values = unpack_bits(words.T, self.bits, inputs)
        scales = decode(bodies[1], self.scales.dtype, (count, outputs))[:, start:stop]
        packed = np.frombuffer(bodies[2], "<u4").reshape(count, -1)
        zeros = unpack_bits(packed, self.bits, outputs)[:, start:stop] + self.zero_offset
        group = self._group_of(bodies[3] if self.groups else None, count)
        decoded: Array = scales[group].T * (values - zeros[group].T)
        return decoded

    def _group_of(self, raw: bytes | None, count: int) -> NDArray[np.intp]:
        inputs = self.shape[1]
        if raw is None:
            return np.arange(inputs) // -(-inputs // count)
        groups = np.frombuffer(raw, "<i4").astype(np.intp)
        if groups.min() < 0 or groups.max() >= count:
            raise undecodable(self.info, "its g_idx names groups that it has no scales for")
        return groups


@dataclass(frozen=True, slots=True)
class AwqCodec:
    """A matrix of AWQ: qweight [inputs, outputs / 8]."""

    info: TensorInfo
    scales: TensorInfo
    zeros: TensorInfo
    shape: tuple[int, ...]
    kind: str = "AWQ_INT4"
    interleaved: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        return self.info.nbytes + self.scales.nbytes + self.zeros.nbytes

    @property
    def fixed(self) -> int:
        """All of it."""
        return self.nbytes

    def parts(self, start: int, stop: int) -> list[Part]:  # noqa: ARG002 - always all
        """Return all tensors whole."""
        return [whole(self.info), whole(self.scales), whole(self.zeros)]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode outputs `start` to `stop`."""
        outputs, inputs = self.shape
        count = self.scales.shape[0]
        low, high = start // 8, -(-stop // 8)
        part = slice(start - 8 * low, stop - 8 * low)

        def unpacked(raw: bytes, rows: int) -> NDArray[np.int16]:
            words = np.frombuffer(raw, "<u4").reshape(rows, outputs // 8)[:, low:high]
            inside = unpack_bits(words.reshape(-1, 1), 4, 8)
            ordered = np.empty_like(inside)
            ordered[:, AWQ_ORDER] = inside
            return ordered.reshape(rows, -1)[:, part]

        group = np.arange(inputs) // (inputs // count)
        scales = decode(bodies[1], self.scales.dtype, (count, outputs))[:, start:stop]
        zeros = unpacked(bodies[2], count)
        decoded: Array = ((unpacked(bodies[0], inputs) - zeros[group]) * scales[group]).T
        return decoded


def recognise(
    info: TensorInfo,
    scales: TensorInfo | None,
    zeros: TensorInfo | None,
    groups: TensorInfo | None,
    *,
    second_version: bool = False,
) -> GptqCodec | AwqCodec | None:
    """Tell GPTQ from AWQ by shapes alone; None for what is neither (Marlin, "gemv").

    Bits, inputs, outputs and groups follow from the shapes of the four tensors.
    """
    tensors = (info, scales, zeros)
    if scales is None or zeros is None or any(len(t.shape) != 2 for t in tensors if t):
        return None
    if info.dtype != "I32" or zeros.dtype != "I32" or scales.dtype not in FLOATS:
        return None
    (rows, columns), (count, outputs) = info.shape, scales.shape
    if not (rows and columns and count and outputs) or zeros.shape[0] != count:
        return None
    bits, rest = divmod(zeros.shape[1] * 32, outputs)
    if rest or bits not in GPTQ_BITS:
        return None
    if columns == outputs and rows * 32 % bits == 0:
        inputs = rows * 32 // bits
        if groups is not None and (groups.dtype != "I32" or groups.shape != (inputs,)):
            return None
        offset = 0 if second_version else 1
        return GptqCodec(info, scales, zeros, groups, bits, (outputs, inputs), offset)
    if bits == 4 and columns * 8 == outputs and rows % count == 0:
        return AwqCodec(info, scales, zeros, (outputs, rows))
    return None
