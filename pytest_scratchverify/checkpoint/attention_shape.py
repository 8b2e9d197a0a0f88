"""Attention heads by config: how many rows of a fused or reordered matrix belong to what.

Only what cuts tensors is read here; `design` reads the whole of a design.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_scratchverify.core.json_values import Json

HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KEYS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "kv_n_heads")
SIZES = ("head_dim", "kv_channels", "head_size", "d_kv")
WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
NESTED = ("text_config", "language_config", "llm_config", "attn_config")
ROTATED = ("qk_rope_head_dim", "rotary_dim")
ROTATED_SHARES = ("partial_rotary_factor", "rotary_pct", "rotary_percentage")
ROPE = ("rope_parameters", "rope_scaling")  # where a share may stand too
MOST = 2**16


@dataclass(frozen=True, slots=True)
class AttentionShape:
    """Query heads, key-value heads, rows of a head; `grouped` is None where names decide.

    `grouped` says whether query, key and value of one group lie together in a fused tensor.
    `rotated` is how many rows of a key rotary positions turn, as far as the config says: the first
    of each head, or the last of the latent that all heads share.
    """

    heads: int
    groups: int
    size: int
    grouped: bool | None = None
    rotated: int | None = None

    @property
    def rows(self) -> tuple[int, int, int]:
        """Rows of queries, of keys and of values."""
        return self.heads * self.size, self.groups * self.size, self.groups * self.size


def read_attention(config: Mapping[str, Json]) -> AttentionShape | None:
    """Read the heads of a text model out of its config; None where they are not stated whole."""
    known = list(_levels(config))
    heads, width = _number(known, HEADS), _number(known, WIDTHS)
    if heads is None:
        return None
    size = _number(known, SIZES) or (width // heads if width and width % heads == 0 else None)
    if size is None:
        return None
    groups, grouped = _number(known, KEYS) or heads, None
    flags = {key: level[key] for level in known for key in level if key.startswith("multi_query")}
    if flags.get("multi_query_attention") is True:  # ChatGLM 2 and later
        groups, grouped = _number(known, ("multi_query_group_num",)) or groups, False
    elif config.get("model_type") == "gpt_bigcode":
        groups, grouped = (heads, True) if flags.get("multi_query") is False else (1, False)
    elif flags.get("multi_query") is True and not config.get("new_decoder_architecture"):
        groups = 1  # Falcon 7B
    if heads % groups:
        return None
    return AttentionShape(heads, groups, size, grouped, _rotated(known, size))


def _rotated(levels: list[Mapping[str, Json]], size: int) -> int | None:
    """Return how many rows of a key have a place, where the config says that it is not all."""
    rows = _number(levels, ROTATED)
    if rows is not None:
        return rows
    below = [level.get(name) for level in levels for name in ROPE]
    for place in (*levels, *(found for found in below if isinstance(found, dict))):
        for name in ROTATED_SHARES:
            share = place.get(name)
            if isinstance(share, int | float) and 0 < share < 1:
                return round(share * size)
    return None


def _levels(config: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """Yield the config of the text model and what lies below it, the innermost first."""
    for name in NESTED:
        below = config.get(name)
        if isinstance(below, dict):
            yield from _levels(below)
    yield config


def _number(levels: list[Mapping[str, Json]], names: tuple[str, ...]) -> int | None:
    for level in levels:
        for name in names:
            value = level.get(name)
            if type(value) is int and 0 < value < MOST:
                return value
    return None
