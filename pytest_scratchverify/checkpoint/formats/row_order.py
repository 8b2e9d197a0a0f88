"""Codecs of matrices whose rows lie otherwise than in transformers' usual layout.

Whatever the order in the file, what is read is [outputs, inputs] with heads, gates and experts
where Llama has them, so that one model in two layouts is compared number for number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.dtypes import Scale, decode
from pytest_scratchverify.checkpoint.formats.codec import Codec, OnAnother, Part, rows_of, whole
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorInfo

Array = NDArray[np.float32]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PlainRows:
    """Rows of a tensor of a plain dtype, with the scale beside it if it has one."""

    info: TensorInfo
    shape: tuple[int, ...]
    scale: TensorInfo | None = None
    fixed: int = 0
    interleaved: bool = False

    @property
    def kind(self) -> str:
        """The dtype."""
        return self.info.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix."""
        return self.info.nbytes + (self.scale.nbytes if self.scale else 0)

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return one range of rows, and the whole scale."""
        width = self.shape[-1] * DTYPE_BITS[self.info.dtype] // 8
        rows = rows_of(self.info, start, stop, width)
        return [rows] if self.scale is None else [rows, whole(self.scale)]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        cols, factors = self.shape[-1], None
        if self.scale is not None:
            table = decode(bodies[1], self.scale.dtype, self.scale.shape or (1,))
            factors = Scale(table, (prod(self.shape[:-1]), cols)).rows(start, stop)
        return decode(bodies[0], self.info.dtype, (stop - start, cols), factors)


@dataclass(frozen=True, slots=True)
class PickedRows(OnAnother):
    """Rows of another codec in an order of one's own: a head, a gate, a third of a fused tensor.

    Parameters
    ----------
    inner
        The tensor as it is stored.
    rows : array of int (n,)
        Which stored row every row is. What is read is the stretch from the first to the last
        that are wanted, so that rows near each other cost little.
    """

    inner: Codec
    rows: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return len(self.rows), self.inner.shape[-1]

    @property
    def nbytes(self) -> int:
        """Bytes from the first to the last row that belongs to the matrix."""
        if not len(self.rows):
            return 0
        span = int(self.rows.max()) + 1 - int(self.rows.min())
        return -(-self.inner.nbytes * span // max(1, prod(self.inner.shape[:-1])))

    @property
    def interleaved(self) -> bool:
        """Never: the rows are picked."""
        return False

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return what the stored rows need."""
        return self.inner.parts(*self._hull(start, stop))

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the stretch, and pick."""
        first, last = self._hull(start, stop)
        return self.inner.decode(first, last, bodies)[self.rows[start:stop] - first]

    def _hull(self, start: int, stop: int) -> tuple[int, int]:
        wanted = self.rows[start:stop]
        if not len(wanted):
            return 0, 0
        return int(wanted.min()), int(wanted.max()) + 1


@dataclass(frozen=True, slots=True)
class PickedColumns(OnAnother):
    """Some columns of another codec's rows, which are read whole.

    Parameters
    ----------
    inner
        The tensor as it is stored.
    columns : array of int (n,)
        Which stored column every column is.
    """

    inner: Codec
    columns: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return (*self.inner.shape[:-1], len(self.columns))

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return what the rows need."""
        return self.inner.parts(start, stop)

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows, and pick."""
        return np.ascontiguousarray(self.inner.decode(start, stop, bodies)[:, self.columns])


@dataclass(frozen=True, slots=True)
class InputsFirst:
    """A matrix that is stored [inputs, outputs], alone or as one of a stack; read whole.

    Outputs lie across the file, so that a row costs the whole matrix, as in GPTQ.

    Parameters
    ----------
    shape : tuple of int
        Outputs and inputs.
    offset : int
        Elements in front of the matrix in its tensor.
    """

    info: TensorInfo
    shape: tuple[int, ...]
    offset: int = 0
    interleaved: bool = False

    @property
    def kind(self) -> str:
        """The dtype."""
        return self.info.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix."""
        return prod(self.shape) * self._width

    @property
    def fixed(self) -> int:
        """All of it."""
        return self.nbytes

    @property
    def _width(self) -> int:
        return DTYPE_BITS[self.info.dtype] // 8

    def parts(self, start: int, stop: int) -> list[Part]:  # noqa: ARG002
        """Return the whole matrix."""
        first = self.info.start + self.offset * self._width
        return [Part(self.info, first, first + self.nbytes)]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode, turn, cut out the rows."""
        stored = decode(bodies[0], self.info.dtype, self.shape[::-1])
        return np.ascontiguousarray(stored.T[start:stop])


def rotary_pairs(rows: int, heads: int) -> Rows:
    """Return where the rows of heads lie that Meta stores pair by pair.

    Half-turned pairs are (i, i + d/2) in transformers and (2 i, 2 i + 1) at Meta's and Mistral's
    (``permute`` of transformers' convert_llama_weights_to_hf.py).
    """
    size = rows // heads
    inside = np.arange(size).reshape(size // 2, 2).T.ravel()
    return (np.arange(heads)[:, None] * size + inside).ravel()


def grouped_heads(groups: int, queries: int, size: int) -> tuple[Rows, Rows, Rows]:
    """Return where query, key and value rows lie that are stored group by group.

    Parameters
    ----------
    groups : int
        Key-value heads.
    queries : int
        Query heads of one group.
    size : int
        Rows of one head.
    """
    table = np.arange(groups * (queries + 2) * size).reshape(groups, queries + 2, size)
    return table[:, :queries].ravel(), table[:, queries].ravel(), table[:, queries + 1].ravel()
