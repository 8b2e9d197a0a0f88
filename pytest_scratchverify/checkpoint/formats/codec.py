"""Codecs of quantised matrices: the byte ranges that rows need, and their dequantisation.

A matrix of a quantised checkpoint is spread over several tensors: integers, scales, zeros,
tables. A codec gathers them under one shape, [outputs, inputs], so that everything above reads
a packed copy at the same rows as its original. Stacked experts are rows one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `stop` of a tensor's file, counted from its first byte."""

    info: TensorInfo
    start: int
    stop: int


class Codec(Protocol):
    """Rows of one packed matrix.

    `fixed` are the bytes that any block costs, however few its rows: where outputs lie across
    the file, the tensor is read whole. `interleaved` says that of a fused gate and up the even
    rows are gate.
    """

    @property
    def kind(self) -> str:
        """The format's name, which stands where a dtype does."""

    @property
    def info(self) -> TensorInfo:
        """The tensor that holds most of the matrix."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is decoded: [outputs, inputs], with experts in front."""

    @property
    def nbytes(self) -> int:
        """Bytes of all that belongs to the matrix."""

    @property
    def fixed(self) -> int:
        """Bytes that any block costs."""

    @property
    def interleaved(self) -> bool:
        """Whether gate and up alternate."""

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return what rows `start` to `stop` need."""

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows from the bytes of `parts`, in their order."""


def undecodable(info: TensorInfo, why: str) -> Unavailable:
    """Say that a packed tensor is not what its kind demands; `why` completes the sentence."""
    return Unavailable(
        Reason.MALFORMED,
        Text("{name} in {file} cannot be decoded: {why}.", name=info.name, file=info.file, why=why),
        Text("Ask the publisher to repair the file, or give the model unquantised."),
    )


def whole(info: TensorInfo) -> Part:
    """Return all bytes of a tensor."""
    return Part(info, info.start, info.stop)


def rows_of(info: TensorInfo, start: int, stop: int, width: int) -> Part:
    """Return rows of a tensor whose rows are `width` bytes wide."""
    return Part(info, info.start + start * width, info.start + stop * width)


@dataclass(frozen=True, slots=True)
class RowCodec:
    """Rows that lie one after the other and decode by themselves: GGUF's, and plain ones."""

    kind: str
    info: TensorInfo
    shape: tuple[int, ...]
    row_bytes: int
    unpack: Callable[[Bytes], Array]
    fixed: int = 0
    interleaved: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix."""
        return self.info.nbytes

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return one range."""
        return [rows_of(self.info, start, stop, self.row_bytes)]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        raw = np.frombuffer(bodies[0], np.uint8).reshape(stop - start, self.row_bytes)
        return self.unpack(raw).reshape(stop - start, self.shape[-1])


class OnAnother:
    """A codec that stands on another: what it does not change is the inner one's."""

    __slots__ = ()
    inner: Codec

    @property
    def kind(self) -> str:
        """The inner codec's kind."""
        return self.inner.kind

    @property
    def info(self) -> TensorInfo:
        """The inner codec's tensor."""
        return self.inner.info

    @property
    def shape(self) -> tuple[int, ...]:
        """The inner codec's shape."""
        return self.inner.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix."""
        return self.inner.nbytes

    @property
    def fixed(self) -> int:
        """The inner codec's fixed bytes."""
        return self.inner.fixed

    @property
    def interleaved(self) -> bool:
        """Whether the inner codec's rows alternate."""
        return self.inner.interleaved


@dataclass(frozen=True, slots=True)
class RotaryCodec(OnAnother):
    """Rows of queries or keys that llama.cpp has put in its own order; given back as they were.

    Its converter turns the two halves of every head, which rotate together, into neighbours
    (``LlamaModel.permute`` of convert_hf_to_gguf.py). Whole heads are read.
    """

    inner: Codec
    heads: int

    @property
    def interleaved(self) -> bool:
        """Never: queries and keys are no gates."""
        return False

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return what the heads of these rows need."""
        return self.inner.parts(*self._heads(start, stop))

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode whole heads, undo the order, cut out the rows."""
        first, last = self._heads(start, stop)
        stored = self.inner.decode(first, last, bodies)
        width = self._width
        halves = stored.reshape(-1, width // 2, 2, stored.shape[1])
        return halves.swapaxes(1, 2).reshape(stored.shape)[start - first : stop - first]

    @property
    def _width(self) -> int:
        return self.shape[0] // self.heads

    def _heads(self, start: int, stop: int) -> tuple[int, int]:
        width = self._width
        return start // width * width, -(-stop // width) * width


def unpack_bits(words: NDArray[np.uint32], bits: int, count: int) -> NDArray[np.int16]:
    """Read `count` numbers of `bits` bits out of every row of 32-bit words, lowest bits first.

    Examples
    --------
    >>> unpack_bits(np.array([[0x87654321]], np.uint32), 4, 3).tolist()
    [[1, 2, 3]]

    """
    raw = np.ascontiguousarray(words.astype("<u4")).view(np.uint8)
    if bits == 4:  # by far the most common, and eight times faster
        nibbles = np.stack([raw & 15, raw >> 4], axis=-1).reshape(len(raw), -1)
        return nibbles[:, :count].astype(np.int16)
    stream = np.unpackbits(raw, axis=1, bitorder="little")[:, : count * bits]
    bit_values = (1 << np.arange(bits)).astype(np.int16)
    numbers = stream.reshape(len(raw), count, bits).astype(np.int16) * bit_values
    found: NDArray[np.int16] = numbers.sum(-1, dtype=np.int16)
    return found
