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
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.header import TensorInfo

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
GPTQ_BITS = frozenset({2, 3, 4, 8})
FLOATS = frozenset({"F16", "BF16", "F32"})
BESIDE = ("scales", "qzeros", "g_idx")


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


@dataclass(frozen=True, slots=True)
class GroupedShapes:
    """What the shapes of qweight, scales and qzeros say, where the three agree."""

    rows: int  # of qweight
    columns: int
    groups: int  # of inputs that share scales and zeros
    outputs: int
    bits: int  # of a number, by the width of qzeros

    @property
    def gptq_inputs(self) -> int | None:
        """Inputs if qweight packs along them, as GPTQ does; None where it cannot."""
        fits = self.columns == self.outputs and self.rows * 32 % self.bits == 0
        return self.rows * 32 // self.bits if fits else None

    @property
    def is_awq(self) -> bool:
        """Whether qweight packs eight outputs to a word, over whole groups of inputs."""
        eight_to_a_word = self.bits == 4 and self.columns * 8 == self.outputs
        return eight_to_a_word and self.rows % self.groups == 0


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
    if scales is None or zeros is None:
        return None
    shapes = _grouped_shapes(info, scales, zeros)
    if shapes is None:
        return None
    inputs = shapes.gptq_inputs
    if inputs is not None:
        if groups is not None and not _is_group_index(groups, inputs):
            return None
        shape, offset = (shapes.outputs, inputs), 0 if second_version else 1
        return GptqCodec(info, scales, zeros, groups, shapes.bits, shape, offset)
    if shapes.is_awq:
        return AwqCodec(info, scales, zeros, (shapes.outputs, shapes.rows))
    return None


def _grouped_shapes(
    info: TensorInfo, scales: TensorInfo, zeros: TensorInfo
) -> GroupedShapes | None:
    """Read the shapes of packed integers with floating scales and packed zeros per group."""
    matrices = all(len(tensor.shape) == 2 for tensor in (info, scales, zeros))
    packed_with_scales = info.dtype == zeros.dtype == "I32" and scales.dtype in FLOATS
    if not matrices or not packed_with_scales:
        return None
    (rows, columns), (groups, outputs) = info.shape, scales.shape
    empty = not (rows and columns and groups and outputs)
    if empty or zeros.shape[0] != groups:
        return None
    bits, rest = divmod(zeros.shape[1] * 32, outputs)
    if rest or bits not in GPTQ_BITS:
        return None
    return GroupedShapes(rows, columns, groups, outputs, bits)


def _is_group_index(groups: TensorInfo, inputs: int) -> bool:
    """Whether g_idx names one group for every input."""
    return groups.dtype == "I32" and groups.shape == (inputs,)


def _recognise_linear(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    """Recognise a linear layer by its qweight and what stands beside it."""
    stem, _ = stem_and_word(info.name)
    beside = checkpoint.beside(stem, BESIDE)
    codec = recognise(
        info,
        beside.get("scales"),
        beside.get("qzeros"),
        beside.get("g_idx"),
        second_version=checkpoint.second_gptq,
    )
    return Recognised.of(codec, f"{stem}.weight", tuple(f"{stem}.{word}" for word in BESIDE))


GPTQ_AWQ = PackedFormat(
    claims=lambda info, _: stem_and_word(info.name)[1] == "qweight",
    recognise=_recognise_linear,
)
