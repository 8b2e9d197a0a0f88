"""Finds packed matrices among the tensors of a checkpoint and gives each its codec.

What comes out is the checkpoint as if it were not quantised: under the name of the weight a
tensor of the decoded shape, and no scales, zeros or tables beside it. What looks packed and fits
no codec stays as it is, and is listed as unsupported by those who meet it.

Two formats state shapes inside of tensors: `questions` names those that have to be read first,
one for each shape and kind of name, not one for each of hundreds of layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from types import MappingProxyType

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES, decode
from pytest_scratchverify.checkpoint.formats import gptq_awq
from pytest_scratchverify.checkpoint.formats.bitsandbytes import (
    MAX_STATE,
    STATES,
    read_state,
    recognise_eight,
    recognise_four,
)
from pytest_scratchverify.checkpoint.formats.codec import Array, Bytes, Codec, RotaryCodec, RowCodec
from pytest_scratchverify.checkpoint.formats.compressed import (
    decode_shape,
    recognise_float4,
    recognise_ints,
)
from pytest_scratchverify.checkpoint.formats.ggml import BLOCKS, PREFIX, decode_rows
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorIndex, TensorInfo

# The last words of names beside a packed weight.
COMPANIONS = ("scales", "qzeros", "g_idx")
BESIDE_PACKED = ("weight_scale", "weight_zero_point", "weight_g_idx", "weight_shape",
                 "weight_global_scale", "input_global_scale")  # fmt: skip
BESIDE_FOUR = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", *STATES)
MAX_SHAPE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A checkpoint with decoded shapes, and the codecs by the names of their weights."""

    index: TensorIndex
    codecs: Mapping[str, Codec] = field(default_factory=lambda: MappingProxyType({}))
    unsupported: tuple[str, ...] = ()


def questions(index: TensorIndex) -> list[TensorInfo]:
    """Return the small tensors that state shapes, one of each kind."""
    found: dict[tuple[object, ...], TensorInfo] = {}
    for name, info in index.tensors.items():
        beside = _weight_of(name)
        weight = index.tensors.get(beside) if beside else None
        limit = MAX_SHAPE_BYTES if name.endswith("weight_shape") else MAX_STATE
        if weight is not None and 0 < info.nbytes <= limit:
            found.setdefault(_kind(weight), info)
    return list(found.values())


def _weight_of(name: str) -> str | None:
    """Name the weight whose shape the tensor called `name` states."""
    if name.endswith(".weight_shape"):
        return name.removesuffix("shape") + "packed"
    for state in STATES:
        if name.endswith(f".{state}"):
            return name.removesuffix(f".{state}")
    return None


def _kind(info: TensorInfo) -> tuple[object, ...]:
    """Tensors of one kind have one shape: their names differ in numbers only."""
    return (re.sub(r"\d+", "#", info.name), info.dtype, info.shape)


def unpack(
    index: TensorIndex,
    answers: Mapping[str, bytes] | None = None,
    *,
    second_gptq: bool = False,
) -> Unpacked:
    """Replace packed tensors by what they decode to.

    Parameters
    ----------
    index
        The tensors as the files hold them.
    answers
        The bytes of the tensors that `questions` named, by name.
    second_gptq
        Whether zeros of GPTQ are stored as they are (``checkpoint_format`` "gptq_v2").

    """
    return _Unpacking(index, answers or {}, second_gptq).result()


class _Unpacking:
    """One pass over a checkpoint."""

    def __init__(
        self,
        index: TensorIndex,
        answers: Mapping[str, bytes],
        second_gptq: bool,  # noqa: FBT001
    ) -> None:
        self.index = index
        self.tensors = dict(index.tensors)
        self.second_gptq = second_gptq
        self.codecs: dict[str, Codec] = {}
        self.unsupported: list[str] = [*index.unreadable]
        self.stated = {
            _kind(index.tensors[weight]): (name, raw)
            for name, raw in answers.items()
            if (weight := _weight_of(name)) in index.tensors and weight is not None
        }

    def result(self) -> Unpacked:
        for name, info in list(self.index.tensors.items()):
            stem, _, last = name.rpartition(".")
            if info.dtype.startswith(PREFIX) or name in self.index.rotary:
                self._take(name, _ggml(info, self.index.rotary.get(name)), ())
            elif last == "qweight":
                self._gptq(stem, info)
            elif last == "weight_packed":
                self._packed(stem, info)
            elif name.endswith("_blocks"):
                self._blocks(name.removesuffix("_blocks"), info)
            elif last == "weight":
                self._bitsandbytes(name, stem, info)
        if not self.codecs and not self.unsupported:
            return Unpacked(self.index)
        index = replace(self.index, tensors=MappingProxyType(dict(sorted(self.tensors.items()))))
        index = replace(index, beside=self.index.total_bytes - index.total_bytes)
        return Unpacked(index, MappingProxyType(self.codecs), tuple(sorted(self.unsupported)))

    def _beside(self, prefix: str, words: tuple[str, ...]) -> dict[str, TensorInfo]:
        pairs = ((word, self.index.tensors.get(f"{prefix}{word}")) for word in words)
        return {word: info for word, info in pairs if info is not None}

    def _take(
        self, name: str, codec: Codec | None, others: tuple[str, ...], weight: str = ""
    ) -> None:
        """Put the decoded tensor in place of `name` and drop the `others`."""
        if codec is None:
            return
        del self.tensors[name]
        for other in others:
            self.tensors.pop(other, None)
        weight = weight or name
        self.tensors[weight] = replace(codec.info, name=weight, dtype=codec.kind, shape=codec.shape)
        self.codecs[weight] = codec

    def _gptq(self, stem: str, info: TensorInfo) -> None:
        beside = self._beside(f"{stem}.", COMPANIONS)
        codec = gptq_awq.recognise(
            info,
            beside.get("scales"),
            beside.get("qzeros"),
            beside.get("g_idx"),
            second_version=self.second_gptq,
        )
        others = tuple(f"{stem}.{word}" for word in COMPANIONS)
        self._take(f"{stem}.qweight", codec, others, f"{stem}.weight")

    def _packed(self, stem: str, info: TensorInfo) -> None:
        beside = self._beside(f"{stem}.", BESIDE_PACKED)
        codec: Codec | None = None
        if info.dtype == "U8":
            codec = recognise_float4(
                info, beside.get("weight_scale"), beside.get("weight_global_scale")
            )
        elif "weight_shape" in beside and _kind(info) in self.stated:
            codec = recognise_ints(
                info,
                (beside["weight_shape"], self._shape(info)),
                beside.get("weight_scale"),
                beside.get("weight_zero_point"),
                beside.get("weight_g_idx"),
            )
        others = tuple(f"{stem}.{word}" for word in BESIDE_PACKED)
        self._take(f"{stem}.weight_packed", codec, others, f"{stem}.weight")

    def _shape(self, info: TensorInfo) -> tuple[int, ...]:
        name, raw = self.stated[_kind(info)]
        stated = self.index.tensors[name]
        whole = stated.dtype in ("I64", "I32") and stated.nbytes == len(raw)
        return decode_shape(stated, raw) if whole else ()

    def _blocks(self, stem: str, info: TensorInfo) -> None:
        scales = self.index.tensors.get(f"{stem}_scales")
        self._take(f"{stem}_blocks", recognise_float4(info, scales), (f"{stem}_scales",), stem)

    def _bitsandbytes(self, name: str, stem: str, info: TensorInfo) -> None:
        scales = self.index.tensors.get(f"{stem}.SCB")
        if scales is not None:
            others = (f"{stem}.SCB", f"{stem}.weight_format")
            self._take(name, recognise_eight(info, scales), others)
            return
        beside = self._beside(f"{name}.", BESIDE_FOUR)
        declared = next((beside[state] for state in STATES if state in beside), None)
        if declared is None:
            self._refuse_other_bytes(name, stem, info)
            return
        state = read_state(self.stated[_kind(info)][1]) if _kind(info) in self.stated else None
        codec = recognise_four(info, beside, (declared, state)) if state else None
        if codec is None:
            # Its stored shape, [bytes, 1], must not pass for a matrix.
            self.unsupported.append(name)
            del self.tensors[name]
        self._take(name, codec, tuple(f"{name}.{word}" for word in BESIDE_FOUR))

    def _refuse_other_bytes(self, name: str, stem: str, info: TensorInfo) -> None:
        """List bytes that are packed in a way nobody here knows: two numbers to a byte."""
        scale = self.index.tensors.get(f"{stem}.weight_scale")
        if info.dtype != "U8" or scale is None:
            return
        known = (
            scale.dtype in ("F16", "BF16", "F32") and f"{stem}.weight_scale_2" not in self.tensors
        )
        if not known:
            self.unsupported.append(name)
            del self.tensors[name]


def _ggml(info: TensorInfo, heads: int | None) -> Codec | None:
    """Return the codec of rows of ggml blocks, or of plain rows in llama.cpp's order."""
    if len(info.shape) < 2:
        return _vector(info) if info.dtype.startswith(PREFIX) else None
    codec: Codec
    rows = prod(info.shape[:-1])
    if not rows or not info.shape[-1]:
        return None
    if info.dtype.startswith(PREFIX):
        kind = info.dtype.removeprefix(PREFIX)

        def unpack_rows(raw: Bytes) -> Array:
            return decode_rows(kind, raw)

        codec = RowCodec(info.dtype, info, info.shape, info.nbytes // rows, unpack_rows)
    elif info.dtype in NUMPY_DTYPES:
        width = info.shape[-1] * DTYPE_BITS[info.dtype] // 8

        def plain_rows(raw: Bytes) -> Array:
            return decode(raw.tobytes(), info.dtype, (len(raw), info.shape[-1]))

        codec = RowCodec(info.dtype, info, info.shape, width, plain_rows)
    else:
        return None
    return RotaryCodec(codec, heads) if heads else codec


def _vector(info: TensorInfo) -> Codec | None:
    """Return the codec of one packed row: a vector that was quantised with the rest."""
    if not info.shape or not info.shape[0]:
        return None
    block = BLOCKS[info.dtype.removeprefix(PREFIX)]
    kind = info.dtype.removeprefix(PREFIX)
    width = info.shape[0] // block.elements * block.nbytes
    return RowCodec(info.dtype, info, (1, info.shape[0]), width, lambda raw: decode_rows(kind, raw))
