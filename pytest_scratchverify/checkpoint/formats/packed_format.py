"""A packed format: which tensors it claims, and the codec of a matrix among its siblings.

One `PackedFormat` describes one way of storing matrices in fewer bits. `recognise.FORMATS` is
the table of all of them; the first that claims a tensor has it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.json_values import Json


@dataclass(frozen=True, slots=True)
class PackedTensors:
    """A checkpoint's tensors as stored, the shapes that some of them state, and its version.

    `stated` holds, by the kind of a weight, the name and the bytes of the tensor that states
    the shape of all weights of this kind.
    """

    index: TensorIndex
    stated: Mapping[tuple[object, ...], tuple[str, bytes]]
    second_gptq: bool  # zeros of GPTQ are stored as they are (``checkpoint_format`` "gptq_v2")
    mlx: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))  # "quantization"

    def beside(self, stem: str, words: tuple[str, ...]) -> dict[str, TensorInfo]:
        """Return those of the tensors ``stem.word`` that there are, by their word."""
        pairs = ((word, self.index.tensors.get(f"{stem}.{word}")) for word in words)
        return {word: info for word, info in pairs if info is not None}

    def statement(self, weight: TensorInfo) -> tuple[str, bytes] | None:
        """Return the name and bytes of the tensor that states this weight's shape, if read."""
        return self.stated.get(kind_of(weight))


@dataclass(frozen=True, slots=True)
class Recognised:
    """A packed matrix: its codec, the name of its weight, and the tensors that belong to it.

    Without a codec the tensor looks packed and cannot be decoded: its stored shape must not
    pass for that of a matrix. `title` names the format where nobody here decodes it.
    """

    codec: Codec | None
    weight: str
    beside: tuple[str, ...] = ()
    title: str = ""

    @classmethod
    def of(
        cls, codec: Codec | None, weight: str, beside: tuple[str, ...] = ()
    ) -> Recognised | None:
        """Return what was recognised, or None where no codec fits and the tensor stays."""
        return None if codec is None else cls(codec, weight, beside)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFormat:
    """One packed format.

    Parameters
    ----------
    claims
        Whether a tensor holds most of a matrix of this format, by its name, dtype and siblings.
    recognise
        The codec of a claimed tensor; None where it stays in the checkpoint as it is.
    shapes
        Tensors that state the shape of a weight: the end of their name, and the end of the
        name of the weight that it stands in place of.
    longest_shape
        Bytes above which such a tensor is not read.

    """

    claims: Callable[[TensorInfo, TensorIndex], bool]
    recognise: Callable[[TensorInfo, PackedTensors], Recognised | None]
    shapes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    longest_shape: int = 0

    def weight_of(self, name: str) -> str | None:
        """Name the weight whose shape the tensor called `name` states, if it states one."""
        for end, weight in self.shapes.items():
            if name.endswith(end):
                return name.removesuffix(end) + weight
        return None


@lru_cache(16)  # one name after the other, asked of a dozen formats
def stem_and_word(name: str) -> tuple[str, str]:
    """Return the parts of a tensor's name before and behind its last dot."""
    stem, _, word = name.rpartition(".")
    return stem, word


def kind_of(info: TensorInfo) -> tuple[object, ...]:
    """Tensors of one kind have one shape: their names differ in numbers only."""
    return (re.sub(r"\d+", "#", info.name), info.dtype, info.shape)
