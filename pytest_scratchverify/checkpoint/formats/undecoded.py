"""Packed formats that are recognised by the names of their tensors, and decoded by nobody here.

They are listed with the format's name and counted as parameters that met nothing: neither a
clearance nor "identical" may rest on what such a file leaves unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_scratchverify.checkpoint.formats.packed_format import (
    PackedFormat,
    PackedTensors,
    Recognised,
    stem_and_word,
)
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo

# The last word of the tensor that holds most of a matrix, the format, and what stands beside it.
NAMED: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "q_weight": ("EXL2", ("q_scale", "q_scale_max", "q_groups", "q_invperm", "q_perm",
                              "q_group_map")),
        "trellis": ("EXL3", ("suh", "svh", "su", "sv", "mcg", "mul1")),
        "codes": ("AQLM", ("codebooks", "scales")),
        "Qidxs": ("QuIP#", ("SU", "SV", "Wscale", "codebook_id")),
        "_data": ("Quanto", ("_scale", "_shift", "input_scale", "output_scale")),
    }
)  # fmt: skip


def _claims(info: TensorInfo, index: TensorIndex) -> bool:
    stem, word = stem_and_word(info.name)
    known = NAMED.get(word)
    return known is not None and any(f"{stem}.{other}" in index.tensors for other in known[1])


def _recognise(info: TensorInfo, _: PackedTensors) -> Recognised | None:
    stem, word = stem_and_word(info.name)
    title, beside = NAMED[word]
    weight = stem if stem.endswith(".weight") else f"{stem}.weight"
    return Recognised(None, weight, tuple(f"{stem}.{other}" for other in beside), title)


UNDECODED = PackedFormat(claims=_claims, recognise=_recognise)
