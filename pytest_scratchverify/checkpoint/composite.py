"""The parts of a composite config: which keys speak of the text part, of an encoder, of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_scratchverify.core.json_values import Json

TIE_IN_DISPUTE: Final = "tie_word_embeddings_in_dispute"  # a composite and its text part disagree
TWO_IN_ONE: Final = ("encoder", "decoder")  # a config each; the decoder's is the text part
TEXT_KEYS: Final = ("text_config", "llm_config", "language_config", "thinker_config")
DEEPEST: Final = 4  # of text parts in text parts; a file may nest for ever
# Tables that end in `_config` and describe no part with parameters of its own.
TABLES: Final = frozenset({
    "attn_config", "compression_config", "diffusion_config", "ffn_config", "generation_config",
    "linear_attn_config", "per_layer_config", "quantization_config", "rope_config",
})  # fmt: skip
WIDTHS: Final = frozenset({"hidden_size", "n_embd", "d_model"})
# Sizes that a composite states for its other parts, where its text part states its own width.
OF_OTHER_PARTS: Final = frozenset({
    "head_dim", "head_size", "kv_channels", "intermediate_size", "n_inner", "ffn_dim",
    "ffn_hidden_size", "d_ff", "num_key_value_heads", "num_kv_heads", "n_head_kv",
    "multi_query_group_num",
})  # fmt: skip


def part(config: Mapping[str, Json], keys: tuple[str, ...]) -> dict[str, Json]:
    """Return the first of these keys that is a config of its own; empty where none is."""
    return next((v for key in keys if isinstance(v := config.get(key), dict)), {})


def text_part(config: Mapping[str, Json], depth: int = 0) -> dict[str, Json]:
    """Return the config of the text part, however deep it lies (Qwen-Omni's lies two deep).

    A config that is not composite is its own text part. Whether the output head is tied is what
    the composite says, where it says it: loaders ask it, and not its text part.
    """
    below = part(config, TEXT_KEYS) or _decoder_of_two(config)
    if not below or depth == DEEPEST:
        return dict(config)
    tied = config.get("tie_word_embeddings")
    outer: dict[str, Json] = {"tie_word_embeddings": tied} if isinstance(tied, bool) else {}
    if outer and below.get("tie_word_embeddings") not in (None, tied):
        outer[TIE_IN_DISPUTE] = True  # loaders ask the one or the other
    if below is config.get("decoder"):
        outer["encoder"] = config["encoder"]
    if isinstance(config.get("talker_config"), dict):
        outer["talker_config"] = config["talker_config"]  # a second decoder beside the text's
    return {**text_part(below, depth + 1), **outer}


def _decoder_of_two(config: Mapping[str, Json]) -> dict[str, Json]:
    """Return the decoder's config where a config holds an encoder's and a decoder's."""
    both = all(isinstance(config.get(name), dict) for name in TWO_IN_ONE)
    return part(config, ("decoder",)) if both else {}


def has_other_parts(config: Mapping[str, Json]) -> bool:
    """Whether a config describes parts beside its text part, of whatever kind."""
    return any(
        isinstance(value, dict)
        and (key == "encoder" or (key.endswith("_config") and key not in (*TABLES, *TEXT_KEYS)))
        for key, value in config.items()
    )


def beside_text(config: Mapping[str, Json], text: Mapping[str, Json]) -> dict[str, Json]:
    """Return the text part with what only the composite states, as older configs have it."""
    if not part(config, TEXT_KEYS):  # a decoder beside its encoder says all of itself
        return dict(text)
    outer = {key: value for key, value in config.items() if not isinstance(value, dict)}
    if not WIDTHS.isdisjoint(text):
        outer = {key: value for key, value in outer.items() if key not in OF_OTHER_PARTS}
    return {**outer, **text}
