"""Decoding of stored bytes into float32: one row per dtype, exact, and no dtype guessed.

Every value of F16, BF16 and the two F8 formats is a float32, so decoding loses nothing. F8
weights of the DeepSeek kind carry one scale per block of 128 x 128, int8 weights one scale
per row or per tensor; the caller brings the scales that belong to the rows that were read.
What is packed below a byte (int4, MXFP4) is decoded by `formats` and refused here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text

Array = NDArray[np.float32]

# No trained weight comes near it, and its squares and their sums stay finite in float32.
LARGEST_WEIGHT = np.float32(2.0**24)

NUMPY_DTYPES: Mapping[str, np.dtype[np.generic]] = MappingProxyType(
    {
        "F64": np.dtype("<f8"),
        "F32": np.dtype("<f4"),
        "F16": np.dtype("<f2"),
        "BF16": np.dtype(ml_dtypes.bfloat16),
        "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
        "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
        "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
        "I8": np.dtype("i1"),
        "U8": np.dtype("u1"),
    }
)
# Stored without a scale, these numbers are not weights.
NEEDS_SCALE = frozenset({"I8", "U8"})

# What weights are trained in; every other dtype, and every packed kind, was made by rounding.
TRAINED = frozenset({"F64", "F32", "F16", "BF16"})


def is_quantised(dtype: str) -> bool:
    """Whether weights that are stored so were rounded from something finer."""
    return dtype not in TRAINED


def is_packed(dtype: str) -> bool:
    """Whether this is the name of a packed kind (`formats`) and no dtype."""
    return dtype not in NUMPY_DTYPES


@dataclass(frozen=True, slots=True)
class Scale:
    """Scales of a quantised matrix and which of its rows and columns each one covers.

    `values` is the whole table of scales; `inverse` names DeepSeek's ``weight_scale_inv``,
    which despite its name is what a stored value is multiplied by.
    """

    values: Array
    shape: tuple[int, int]

    def rows(self, start: int, stop: int) -> Array:
        """Return a factor for every element of rows `start` to `stop`.

        Raises
        ------
        Unavailable
            With reason malformed, where the table has no, or over two, dimensions to lay over
            the matrix, or holds nothing.

        """
        table = np.atleast_2d(self.values)
        if self.values.ndim == 1 and self.values.size == self.shape[0]:
            table = self.values[:, None]
        if table.ndim != len(self.shape) or not table.size:
            raise Unavailable(
                Reason.MALFORMED,
                Text(
                    "Scales of shape {table} do not belong to a matrix of shape {matrix}.",
                    table=" x ".join(map(str, table.shape)),
                    matrix=" x ".join(map(str, self.shape)),
                ),
                Text("Download the file again, or ask the publisher to repair it."),
            )
        high, wide = (-(-n // k) for n, k in zip(self.shape, table.shape, strict=True))
        high, wide = _block(high, table.shape[0]), _block(wide, table.shape[1])
        picked = table[np.arange(start, stop) // high]
        return np.repeat(picked, wide, axis=1)[:, : self.shape[1]].astype(np.float32)


def _block(size: int, count: int) -> int:
    """Round a block's edge up to what formats use: the last block may be cut off."""
    if count == 1:
        return max(size, 1)
    power = 1 << (size - 1).bit_length()
    return power if power - size < size // 2 and power % 32 == 0 else size


def decode(raw: bytes, dtype: str, shape: tuple[int, ...], scale: Array | None = None) -> Array:
    """Decode `raw` into float32 of `shape`.

    Parameters
    ----------
    raw
        The stored bytes of a tensor, or of some of its rows.
    dtype
        The safetensors name of the dtype.
    shape
        The shape of what `raw` holds.
    scale
        Factors that broadcast to `shape`, for F8 and int8.

    Raises
    ------
    Unavailable
        With reason unsupported, for packed formats and for integers without scales.

    """
    known = NUMPY_DTYPES.get(dtype)
    if known is None or (dtype in NEEDS_SCALE and scale is None):
        raise Unavailable(
            Reason.UNSUPPORTED,
            Text("Weights stored as {dtype} without a known scale cannot be read.", dtype=dtype),
            Text("Give the model in BF16, F16, F32, F8 or int8 with scales."),
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is made NaN below
        values = np.frombuffer(raw, known).reshape(shape).astype(np.float32)
        return values if scale is None else values * scale


def plausible(values: Array) -> Array:
    """Replace what no weight can be, beyond `LARGEST_WEIGHT`, by NaN: nothing is measured on it.

    A tensor with a NaN in what is read of it takes part in no statistic, as one with infinities.
    """
    beyond = ~(np.abs(values) <= LARGEST_WEIGHT)
    if not beyond.any():
        return values
    return np.where(beyond, np.float32(np.nan), values)


def canonical(values: Array) -> bytes:
    """Return the bytes by which two tensors are compared whatever they were stored as."""
    # -0.0 and 0.0 are one number; NaN never equals anything and hashes as itself.
    return np.ascontiguousarray(values + np.float32(0.0)).tobytes()
