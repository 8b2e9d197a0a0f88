"""torchao as safetensors: the inner tensors of its weights, each under the name of its field.

``_weight_qdata`` holds the numbers: int8 or 8-bit floats [outputs, inputs], or two signed numbers
of four bits to a byte, the low half first. ``_weight_scale`` is one factor a tensor, a row or a
block; of four bits it lies inputs first, [groups, outputs], and ``_weight_zero_point`` is added.
Other layouts (tiles, preshuffled) are named and not decoded.

Sources: torchao/prototype/safetensors, torchao/quantization, fbgemm (int4_row_quantize_zp).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES
from pytest_scratchverify.checkpoint.formats.codec import Array, Part, rows_of, whole
from pytest_scratchverify.checkpoint.formats.compressed import FLOATS
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
)
from pytest_scratchverify.checkpoint.header import TensorInfo

NUMBERS = "_weight_qdata"
FIELDS = ("_weight_scale", "_weight_zero_point", "_weight_act_pre_scale", "_weight_scale_and_zero",
          "_weight_group_scale", "_weight_row_scale", "_weight_group_zero")  # fmt: skip
WHOLE = frozenset({"I8", "F8_E4M3", "F8_E5M2"})
ZEROS = frozenset({"I8", "I32", "U8", *FLOATS})


@dataclass(frozen=True, slots=True)
class TorchaoCodec:
    """A matrix of torchao; `halved` says that two numbers share a byte."""

    info: TensorInfo
    scales: TensorInfo
    zeros: TensorInfo | None
    shape: tuple[int, ...]
    halved: bool = False
    interleaved: bool = False

    @property
    def kind(self) -> str:
        """The format and the dtype of its numbers."""
        return "TORCHAO_INT4" if self.halved else f"TORCHAO_{self.info.dtype}"

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        return self.info.nbytes + self.fixed

    @property
    def fixed(self) -> int:
        """Bytes of scales and zeros, which are read whole."""
        return self.scales.nbytes + (self.zeros.nbytes if self.zeros else 0)

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return the rows of numbers, and the small tensors whole."""
        found = [rows_of(self.info, start, stop, self.info.nbytes // self.shape[0])]
        return [*found, *(whole(other) for other in (self.scales, self.zeros) if other)]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        raw = np.frombuffer(bodies[0], np.uint8).reshape(stop - start, -1)
        if self.halved:
            halves = np.stack([raw & 15, raw >> 4], axis=-1).reshape(stop - start, -1)
            values = ((halves ^ 8).astype(np.int16) - 8).astype(np.float32)
        else:
            values = raw.view(NUMPY_DTYPES[self.info.dtype]).astype(np.float32)
        scale = self._table(self.scales, bodies[1])[start:stop]
        if self.zeros is None:
            found: Array = values * self._wide(scale)
        elif self.halved:
            found = values * self._wide(scale) + self._wide(
                self._table(self.zeros, bodies[2])[start:stop]
            )
        else:
            zero = self._wide(self._table(self.zeros, bodies[2])[start:stop])
            found = (values - zero) * self._wide(scale)
        return found.astype(np.float32)

    def _table(self, info: TensorInfo, raw: bytes) -> Array:
        """Return scales or zeros as [outputs, groups]."""
        known = np.frombuffer(raw, "<i4" if info.dtype == "I32" else NUMPY_DTYPES[info.dtype])
        table = known.astype(np.float32).reshape(info.shape if len(info.shape) == 2 else (-1, 1))
        if self.halved:
            return np.ascontiguousarray(table.T)
        found: Array = np.repeat(table, self.shape[0] // len(table), axis=0)
        return found

    def _wide(self, table: Array) -> Array:
        found: Array = np.repeat(table, self.shape[1] // table.shape[1], axis=1)
        return found


def _codec(
    info: TensorInfo, scales: TensorInfo | None, zeros: TensorInfo | None
) -> TorchaoCodec | None:
    if scales is None or len(info.shape) != 2 or not info.parameters or not scales.parameters:
        return None
    rows, cols = info.shape
    sound = scales.dtype in FLOATS and len(scales.shape) in (0, 1, 2)
    if not sound or (
        zeros is not None and (zeros.dtype not in ZEROS or zeros.shape != scales.shape)
    ):
        return None
    high, wide = scales.shape if len(scales.shape) == 2 else (scales.parameters, 1)
    added = zeros is not None and zeros.dtype in FLOATS
    if info.dtype in ("U8", "I8") and added and wide == rows and 2 * cols % high == 0:
        return TorchaoCodec(info, scales, zeros, (rows, 2 * cols), halved=True)
    if info.dtype in WHOLE and rows % high == 0 and cols % wide == 0:
        return TorchaoCodec(info, scales, zeros, (rows, cols))
    return None


def _recognise(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    stem = info.name.removesuffix(NUMBERS).removesuffix(".")
    found = checkpoint.beside(stem, FIELDS)
    codec = _codec(info, found.get("_weight_scale"), found.get("_weight_zero_point"))
    return Recognised(codec, f"{stem}.weight", tuple(f"{stem}.{word}" for word in FIELDS))


TORCHAO = PackedFormat(
    claims=lambda info, _: info.name.endswith("." + NUMBERS),
    recognise=_recognise,
)
