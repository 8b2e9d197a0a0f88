"""The rules that count what mixes positions, by the name that `traits` and `layers` use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pytest_scratchverify.checkpoint.counting import attention, own_attention, recurrences
from pytest_scratchverify.checkpoint.counting.keys import Keys
from pytest_scratchverify.checkpoint.counting.traits import Traits

Mixer = Callable[[Keys, Traits, str], int]


def _beside(keys: Keys, traits: Traits, kind: str) -> int:
    """Return attention and a state space side by side in one layer (Falcon-H1)."""
    return attention.softmax_attention(keys, traits, kind) + recurrences.mamba2(keys, traits, kind)


MIXERS: Final[Mapping[str, Mixer]] = {
    "softmax": attention.softmax_attention,
    "latent": attention.latent_attention,
    "scaled_indexed": attention.scaled_indexed_attention,
    "compressed": attention.compressed_attention,
    "joint_index": attention.jointly_indexed_attention,
    "relative": attention.relative_attention,
    "doubled": lambda keys, traits, kind: 2 * attention.latent_attention(keys, traits, kind),
    "masked": own_attention.masked,
    "routed": own_attention.routed,
    "convolved": own_attention.convolved,
    "relative_gated": own_attention.relative_gated,
    "recurrent_xl": own_attention.recurrent_xl,
    "gated_delta": recurrences.gated_delta,
    "kimi_delta": recurrences.kimi_delta,
    "lightning": recurrences.lightning,
    "mamba": recurrences.mamba,
    "mamba2": recurrences.mamba2,
    "beside": _beside,
    "conv": recurrences.short_convolution,
    "rwkv": recurrences.rwkv,
    "xlstm": recurrences.xlstm,
    "joined_mamba": recurrences.joined_mamba,
    "joined_mamba2": recurrences.joined_mamba2,
    "grouped_mamba": recurrences.grouped_mamba,
    "gated_linear": recurrences.gated_linear,
    "none": lambda _keys, _traits, _kind: 0,
}
