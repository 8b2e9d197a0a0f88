"""bitsandbytes: int8 with a maximum per row, and nf4 or fp4 in blocks of the flattened matrix.

Four bits: two numbers to a byte, the high half first, looked up in a table of 16 and multiplied
by the largest absolute value of their block; these maxima may be quantised again (nested), in
blocks of 256 with a table and an offset. The shape stands in a JSON object that is stored as a
tensor of bytes. Source: bitsandbytes/functional.py (QuantState, dequantize_4bit), nn/modules.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np

from pytest_scratchverify.checkpoint.dtypes import decode
from pytest_scratchverify.checkpoint.formats.codec import (
    Array,
    Part,
    rows_of,
    undecodable,
    whole,
)
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo

STATES = ("quant_state.bitsandbytes__nf4", "quant_state.bitsandbytes__fp4")
MAX_STATE = 4096
BESIDE = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", *STATES)
LEAST_BLOCK, LARGEST_BLOCK = 32, 4096


@dataclass(frozen=True, slots=True)
class QuantState:
    """What the JSON object of a 4-bit matrix says."""

    shape: tuple[int, int]
    block: int
    nested_block: int
    offset: float


def read_state(raw: bytes) -> QuantState | None:
    """Read a quant_state; None if it is not one."""
    try:
        found = json.loads(raw)
        shape = found["shape"]
        state = QuantState(
            (shape[0], shape[1]),
            found["blocksize"],
            found.get("nested_blocksize", 0),
            float(found.get("nested_offset", 0.0)),
        )
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError):
        return None
    numbers = (*shape, state.block, state.nested_block)
    natural = all(type(n) is int and 0 <= n < 2**40 for n in numbers)
    if not natural or len(shape) != 2 or not all(shape):
        return None
    return state if LEAST_BLOCK <= state.block <= LARGEST_BLOCK else None


@dataclass(frozen=True, slots=True)
class Bnb4Codec:
    """A 4-bit matrix of bitsandbytes."""

    info: TensorInfo
    absmax: TensorInfo
    table: TensorInfo
    declared: TensorInfo  # the quant_state, which every block checks
    state: QuantState
    nested: tuple[TensorInfo, TensorInfo] | None = None  # nested_absmax, nested_quant_map
    kind: str = "BNB_4BIT"
    fixed: int = 0
    interleaved: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Outputs and inputs."""
        return self.state.shape

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        return self.info.nbytes + self.absmax.nbytes

    def _blocks(self, start: int, stop: int) -> tuple[int, int]:
        cols, size = self.state.shape[1], self.state.block
        return start * cols // size, -(-stop * cols // size)

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return whole blocks, their maxima and the tables."""
        first, last = self._blocks(start, stop)
        half = self.state.block // 2
        found = [
            Part(
                self.info,
                self.info.start + first * half,
                min(self.info.start + last * half, self.info.stop),
            ),
            rows_of(self.absmax, first, last, 1 if self.nested else 4),
            whole(self.table),
            whole(self.declared),
        ]
        return [*found, *map(whole, self.nested or ())]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        if not self._alike(read_state(bodies[3])):
            raise undecodable(self.info, "its quant_state differs from that of its siblings")
        first, last = self._blocks(start, stop)
        packed = np.frombuffer(bodies[0], np.uint8)
        codes = np.stack([packed >> 4, packed & 15], axis=-1).ravel()
        values = np.frombuffer(bodies[2], "<f4")[codes]
        scales = self._scales(first, last, bodies)
        cols, size = self.state.shape[1], self.state.block
        decoded = values * np.repeat(scales, size)[: len(values)]
        begin = start * cols - first * size
        return decoded[begin : begin + (stop - start) * cols].reshape(stop - start, cols)

    def _alike(self, other: QuantState | None) -> bool:
        """Whether a state differs from the one the shape was taken from in its offset at most."""
        ours = (self.state.shape, self.state.block, self.state.nested_block)
        return other is not None and (other.shape, other.block, other.nested_block) == ours

    def _scales(self, first: int, last: int, bodies: Sequence[bytes]) -> Array:
        if self.nested is None:
            return np.frombuffer(bodies[1], "<f4")
        own = read_state(bodies[3]) or self.state
        codes = np.frombuffer(bodies[1], np.uint8)
        maxima, table = (np.frombuffer(body, "<f4") for body in bodies[4:6])
        block = np.arange(first, last) // own.nested_block
        scales: Array = table[codes] * maxima[block] + np.float32(own.offset)
        return scales


@dataclass(frozen=True, slots=True)
class Bnb8Codec:
    """An int8 matrix of bitsandbytes: rows times their SCB over 127."""

    info: TensorInfo
    scales: TensorInfo
    kind: str = "BNB_INT8"
    fixed: int = 0
    interleaved: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Outputs and inputs."""
        return self.info.shape

    @property
    def nbytes(self) -> int:
        """Bytes of integers and maxima."""
        return self.info.nbytes + self.scales.nbytes

    def parts(self, start: int, stop: int) -> list[Part]:
        """Return the rows and their maxima."""
        return [
            rows_of(self.info, start, stop, self.shape[1]),
            rows_of(self.scales, start, stop, self.scales.nbytes // self.shape[0]),
        ]

    def decode(self, start: int, stop: int, bodies: Sequence[bytes]) -> Array:
        """Decode the rows."""
        values = np.frombuffer(bodies[0], np.int8).reshape(stop - start, -1).astype(np.float32)
        maxima = decode(bodies[1], self.scales.dtype, (stop - start, 1))
        # As the reference does: by the reciprocal, which differs in the last bit.
        return values * maxima * np.float32(7.874015718698502e-3)


def recognise_four(
    info: TensorInfo, beside: Mapping[str, TensorInfo], declared: tuple[TensorInfo, QuantState]
) -> Bnb4Codec | None:
    """Return the codec of a 4-bit matrix, from the tensors `beside` it by their last word."""
    absmax, table = beside.get("absmax"), beside.get("quant_map")
    if absmax is None or table is None:
        return None
    state = declared[1]
    count = prod(state.shape)
    blocks = -(-count // state.block)
    # The bytes may be stored under any dtype (quant_storage); they are the same bytes.
    if info.nbytes != -(-count // 2) or (table.dtype, table.shape) != ("F32", (16,)):
        return None
    if "nested_absmax" not in beside:
        fits = (absmax.dtype, absmax.parameters) == ("F32", blocks)
        return Bnb4Codec(info, absmax, table, declared[0], state) if fits else None
    inner, second = beside["nested_absmax"], beside.get("nested_quant_map")
    if second is None or (second.dtype, second.shape) != ("F32", (256,)) or not state.nested_block:
        return None
    fits = (absmax.dtype, absmax.parameters) == ("U8", blocks) and (
        (inner.dtype, inner.parameters) == ("F32", -(-blocks // state.nested_block))
    )
    nested = (inner, second)
    return Bnb4Codec(info, absmax, table, declared[0], state, nested) if fits else None


def recognise_eight(info: TensorInfo, scales: TensorInfo) -> Bnb8Codec | None:
    """Return the codec of an int8 matrix with its SCB, if they fit."""
    fits = info.dtype == "I8" and len(info.shape) == 2 and scales.dtype in ("F32", "F16", "BF16")
    return Bnb8Codec(info, scales) if fits and scales.shape == (info.shape[0],) else None


def _claims(info: TensorInfo, index: TensorIndex) -> bool:
    """Whether a weight has the maxima of int8, or a quant_state, beside it."""
    stem, word = stem_and_word(info.name)
    if word != "weight":
        return False
    names = (f"{stem}.SCB", *(f"{info.name}.{state}" for state in STATES))
    return any(name in index.tensors for name in names)


def _recognise_linear(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    """Recognise int8 by SCB, else four bits by their quant_state.

    Four bits without a sound state have no codec: their stored shape is [bytes, 1].
    """
    stem, _ = stem_and_word(info.name)
    scales = checkpoint.index.tensors.get(f"{stem}.SCB")
    if scales is not None:
        beside = (f"{stem}.SCB", f"{stem}.weight_format")
        return Recognised.of(recognise_eight(info, scales), info.name, beside)
    found = checkpoint.beside(info.name, BESIDE)
    declared = next(found[state] for state in STATES if state in found)
    statement = checkpoint.statement(info)
    state = read_state(statement[1]) if statement else None
    codec = recognise_four(info, found, (declared, state)) if state else None
    return Recognised(codec, info.name, tuple(f"{info.name}.{word}" for word in BESIDE))


BITSANDBYTES = PackedFormat(
    claims=_claims,
    recognise=_recognise_linear,
    shapes=MappingProxyType({f".{state}": "" for state in STATES}),
    longest_shape=MAX_STATE,
)
