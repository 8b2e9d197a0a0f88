"""Recognition of packed matrices: finds them in a checkpoint and gives each its codec.

What comes out is the checkpoint as if it were not quantised: under the name of the weight a
tensor of the decoded shape, and no scales, zeros or tables beside it. What looks packed and fits
no codec stays as it is, and is listed as unsupported by those who meet it.

Two formats state shapes inside of tensors: `shape_tensors` names those that have to be read
first, one for each shape and kind of name, not one for each of hundreds of layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pytest_scratchverify.checkpoint.formats.bitsandbytes import BITSANDBYTES
from pytest_scratchverify.checkpoint.formats.block_floats import MLX_FLOATS, MODELOPT
from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.formats.compressed import COMPRESSED_TENSORS, FLOATS, GPT_OSS
from pytest_scratchverify.checkpoint.formats.ggml import GGML
from pytest_scratchverify.checkpoint.formats.gptq_awq import GPTQ_AWQ
from pytest_scratchverify.checkpoint.formats.hqq import HQQ
from pytest_scratchverify.checkpoint.formats.mlx import MLX
from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    kind_of,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.formats.torchao import TORCHAO
from pytest_scratchverify.checkpoint.formats.undecoded import UNDECODED
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.json_values import Json


def _is_scaled_bytes(info: TensorInfo, index: TensorIndex) -> bool:
    """Whether a weight of bytes has a scale that no format here explains."""
    stem, word = stem_and_word(info.name)
    scale = index.tensors.get(f"{stem}.weight_scale")
    if word != "weight" or info.dtype != "U8" or scale is None:
        return False
    per_row = scale.dtype in FLOATS and f"{stem}.weight_scale_2" not in index.tensors
    return not per_row


# Bytes that are packed in a way nobody here knows: two numbers to a byte.
UNKNOWN_BYTES = PackedFormat(
    claims=_is_scaled_bytes,
    recognise=lambda info, _: Recognised(None, info.name),
)

SCALED = 4  # numbers to one scale, at the least
ASSUMED_BITS = 4  # of an element whose packing nobody here knows

# One entry a format. The first that claims a tensor has it.
FORMATS: tuple[PackedFormat, ...] = (
    GGML,
    GPTQ_AWQ,
    MLX,
    MLX_FLOATS,
    COMPRESSED_TENSORS,
    GPT_OSS,
    BITSANDBYTES,
    MODELOPT,
    HQQ,
    TORCHAO,
    UNDECODED,
    UNKNOWN_BYTES,
)


_SHAPE_ENDS = tuple(end for packed_format in FORMATS for end in packed_format.shapes)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A checkpoint with decoded shapes, and the codecs by the names of their weights.

    `unsupported` names what nobody here decodes, and `undecoded` how many elements it has, by
    the name of the weight: stated, or estimated by four bits an element. They are of the model
    and meet nothing.
    """

    index: TensorIndex
    codecs: Mapping[str, Codec] = field(default_factory=lambda: MappingProxyType({}))
    unsupported: tuple[str, ...] = ()
    undecoded: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def shape_tensors(index: TensorIndex) -> list[TensorInfo]:
    """Return the small tensors that state shapes, one of each kind."""
    found: dict[tuple[object, ...], TensorInfo] = {}
    for name, info in index.tensors.items():
        for weight, longest in _stated_weights(index, name):
            if 0 < info.nbytes <= longest:
                found.setdefault(kind_of(weight), info)
    return list(found.values())


def _stated_weights(index: TensorIndex, name: str) -> Iterator[tuple[TensorInfo, int]]:
    """Yield the weight whose shape the tensor `name` states, and how long it may be."""
    if not name.endswith(_SHAPE_ENDS):
        return
    for packed_format in FORMATS:
        weight = packed_format.weight_of(name)
        if weight and weight in index.tensors:
            yield index.tensors[weight], packed_format.longest_shape


def unpack(
    index: TensorIndex,
    answers: Mapping[str, bytes] | None = None,
    *,
    second_gptq: bool = False,
    mlx: Mapping[str, Json] | None = None,
) -> Unpacked:
    """Replace packed tensors by what they decode to.

    Parameters
    ----------
    index
        The tensors as the files hold them.
    answers
        The bytes of the tensors that `shape_tensors` named, by name.
    second_gptq
        Whether zeros of GPTQ are stored as they are (``checkpoint_format`` "gptq_v2").
    mlx
        What config.json says as ``quantization``: bits and group size of MLX.

    """
    stated = {
        kind_of(weight): (name, raw)
        for name, raw in (answers or {}).items()
        for weight, _ in _stated_weights(index, name)
    }
    checkpoint = PackedTensors(index, MappingProxyType(stated), second_gptq, mlx or {})
    tensors = dict(index.tensors)
    codecs: dict[str, Codec] = {}
    unsupported = [*index.unreadable]
    undecoded = dict(index.undecoded)
    for name, info in index.tensors.items():
        found = _recognised(info, checkpoint)
        if found is None or name not in tensors:  # it stands beside another matrix
            continue
        del tensors[name]
        beside = [tensors.pop(other) for other in found.beside if other in tensors]
        if found.codec is None:
            unsupported.append(f"{name} ({found.title})" if found.title else name)
            packed = info.nbytes + sum(other.nbytes for other in beside)
            undecoded[found.weight] = packed * 8 // ASSUMED_BITS
            continue
        codec = codecs[found.weight] = found.codec
        numbers = math.prod(codec.shape)
        for other in beside:  # what is larger than scales are may hold anything, and is counted
            if SCALED * other.parameters > max(SCALED, numbers):
                undecoded[other.name] = other.parameters
        shown = replace(codec.info, name=found.weight, dtype=codec.kind, shape=codec.shape)
        tensors[found.weight] = shown
    if not codecs and not unsupported and not undecoded:
        return Unpacked(index)
    decoded = replace(index, tensors=MappingProxyType(dict(sorted(tensors.items()))))
    decoded = replace(decoded, beside=index.total_bytes - decoded.total_bytes)
    return Unpacked(
        decoded, MappingProxyType(codecs), tuple(sorted(unsupported)), MappingProxyType(undecoded)
    )


def _recognised(info: TensorInfo, checkpoint: PackedTensors) -> Recognised | None:
    for packed_format in FORMATS:
        if packed_format.claims(info, checkpoint.index):
            return packed_format.recognise(info, checkpoint)
    return None
