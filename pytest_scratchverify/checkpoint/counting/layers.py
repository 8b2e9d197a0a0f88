"""The layers of a decoder: which mixer and which MLP each has, by the keys that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pytest_scratchverify.checkpoint.counting.keys import (
    MOST_LAYERS,
    Keys,
    UncountableDesignError,
    UnknownLayerError,
)
from pytest_scratchverify.checkpoint.counting.traits import Traits
from pytest_scratchverify.core.json_values import Json

ATTENTION: Final = frozenset({
    "full_attention", "sliding_attention", "chunked_attention", "attention", "global", "local",
    "sliding", "full", "window_attention", "indexed_attention", "deepseek_sparse_attention",
    "reference_sliding_attention",
})  # fmt: skip
LINEAR: Final = frozenset({"linear_attention", "mamba", "mamba2", "recurrent", "kda"})
DENSE: Final = frozenset({"dense", "mlp", "0", "False"})
SPARSE: Final = frozenset({"sparse", "moe", "hash_moe", "1", "True"})
PER_LAYER: Final = (
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "moe_intermediate_size",
    "n_routed_experts",
    "indexer_types",
)
FIRST_DENSE: Final = ("first_k_dense_replace", "num_dense_layers", "n_dense_layers")
RATIOS: Final[Mapping[int, str]] = {  # of DeepSeek-V4 as its files have it
    0: "sliding_attention",
    4: "compressed_sparse_attention",
    128: "heavily_compressed_attention",
}
PATTERN: Final[Mapping[str, str]] = {
    "M": "mamba2", "*": "full_attention", "-": "mlp", "E": "moe", "|": "",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: kind and mixer, kind of MLP ("dense", "sparse" or "none"), own keys."""

    kind: str
    mixer: str
    mlp: str
    keys: Keys


def read_layers(keys: Keys, traits: Traits) -> list[Layer]:
    """Return the layers that a config describes, the first one first."""
    kinds = _kinds(keys, traits)
    if not 0 < len(kinds) <= MOST_LAYERS:
        raise UncountableDesignError("num_hidden_layers")
    if keys.size("num_blocks") not in (None, len(kinds)):
        raise UncountableDesignError("num_blocks")
    if (keys.size("num_kv_shared_layers") or 0) > len(kinds):
        raise UncountableDesignError("num_kv_shared_layers")
    number = len(kinds)
    if traits.switch and keys.flag(traits.switch):
        raise UnknownLayerError(traits.switch)
    sparse = [False] * number if traits.switch else _sparse(keys, number)
    own = _overrides(keys, traits, kinds)
    return [_layer(keys.within(own[n]), traits, kinds[n], sparse=sparse[n]) for n in range(number)]


def _layer(keys: Keys, traits: Traits, kind: str, *, sparse: bool) -> Layer:
    if kind in ("moe", "mlp"):  # a block that is an MLP
        return Layer(kind, "none", "sparse" if kind == "moe" else "dense", keys)
    mlp = "none" if traits.mixer_only else "sparse" if sparse else "dense"
    return Layer(kind, _mixer(keys, traits, kind), mlp, keys)


def _kinds(keys: Keys, traits: Traits) -> list[str]:
    """Return the kind of every layer, in the order of the model; empty where nothing says it."""
    for name in ("layer_types", "layers_block_type"):
        if (stated := keys.value(name)) is not None:
            return _stated(name, stated, keys)
    if (ratios := _places(keys.value("compress_ratios"))) is not None:
        ratios = ratios[: keys.need("num_hidden_layers")]  # the rest predict tokens further ahead
        if unknown_ratios := set(ratios) - set(RATIOS):
            raise UnknownLayerError(f"compress_ratios: {min(unknown_ratios)}")
        return [RATIOS[ratio] for ratio in ratios]
    if pattern := keys.text("hybrid_override_pattern"):
        if unknown := set(pattern) - set(PATTERN):
            raise UnknownLayerError(f"hybrid_override_pattern: {min(unknown)}")
        return [PATTERN[sign] for sign in pattern if PATTERN[sign]]
    return _by_number(keys, traits)


def _by_number(keys: Keys, traits: Traits) -> list[str]:
    """Return the kinds of layers where only their number, and which ones attend, are stated."""
    number = keys.size("num_hidden_layers") or 0
    if traits.stacks:
        number = traits.stacks * keys.need("num_layers_per_stack")
    number = min(number, MOST_LAYERS + 1)
    if cycle := keys.listed("block_types"):  # RecurrentGemma
        return [str(cycle[place % len(cycle)]) for place in range(number)]
    chosen = _chosen(keys, number)
    if chosen is None and traits.kind == "full_attention" and _is_mixed(traits):
        raise UncountableDesignError("layer_types")
    if chosen is None:
        return [traits.kind] * number
    places, inside, outside = chosen
    return [inside if place in places else outside for place in range(number)]


def _is_mixed(traits: Traits) -> bool:
    """Whether layers of a type are of several kinds, so that a config has to list them."""
    return bool(traits.linear) or bool(traits.mixers and traits.kind not in traits.mixers)


def _stated(name: str, stated: Json, keys: Keys) -> list[str]:
    counts = stated.get("counts") if isinstance(stated, dict) else None
    if isinstance(counts, dict):  # a catalogue's form
        stated = _spread(counts)
    number = keys.size("num_hidden_layers")
    if not isinstance(stated, list) or number not in (None, len(stated)):
        raise UncountableDesignError(name)
    return [str(kind) for kind in stated]


def _spread(counts: Mapping[str, Json]) -> list[Json]:
    """Return as many kinds as are counted of each, and no more than a model has layers."""
    found: list[Json] = []
    for kind, number in counts.items():
        if type(number) is not int or not 0 <= number <= MOST_LAYERS - len(found):
            raise UncountableDesignError("layer_types")
        found += [kind] * number
    return found


def _chosen(keys: Keys, number: int) -> tuple[set[int], str, str] | None:
    """Return which layers attend, what they are, and what the others are."""
    full, linear = "full_attention", "linear_attention"
    table = keys.table("linear_attn_config")
    if (counted := _places(table.get("full_attn_layers"))) is not None:
        return {place - 1 for place in counted}, full, linear  # Kimi-Linear counts from one
    for name, outside in (
        ("gqa_layers", linear),
        ("attn_layer_indices", linear),
        ("full_attn_idxs", "conv"),
    ):
        if (places := _places(keys.value(name))) is not None:
            return set(places), full, outside
    if (interval := keys.size("gqa_interval")) is not None:
        return set(range(0, number, interval + 1)), full, linear
    if (period := keys.size("attn_layer_period")) is not None:
        first = keys.size("attn_layer_offset") or 0
        return {n for n in range(number) if period and n % period == first}, full, linear
    if interval := keys.size("full_attention_interval"):
        return set(range(interval - 1, number, interval)), full, linear
    if (kinds := _places(keys.value("attn_type_list"))) is not None:
        return {place for place, kind in enumerate(kinds) if kind == 1}, full, linear
    return None


def _places(value: Json) -> list[int] | None:
    return [n for n in value if type(n) is int] if isinstance(value, list) else None


def _mixer(keys: Keys, traits: Traits, kind: str) -> str:
    """Return which rule counts the mixer of a layer."""
    if kind in traits.mixers:
        return traits.mixers[kind]
    if kind in ATTENTION:
        return "latent" if keys.size("kv_lora_rank") else "softmax"
    if kind == "conv":
        return "conv"
    if kind == "mamba2":
        return "mamba2"
    if kind in LINEAR:
        return traits.linear or _linear(keys)
    raise UnknownLayerError(f"layer_types: {kind}")


def _linear(keys: Keys) -> str:
    """Return the recurrence whose sizes the config states, where it states those of one."""
    if keys.size("linear_num_value_heads"):
        return "gated_delta"
    if keys.table("linear_attn_config") or keys.size("linear_num_heads"):
        return "kimi_delta"
    if keys.size("mamba_n_heads", "mamba_num_heads"):
        return "mamba2"
    raise UnknownLayerError("layer_types: linear_attention")


def _sparse(keys: Keys, number: int) -> list[bool]:
    """Say which layers route between experts."""
    if not keys.size("n_routed_experts"):
        return [False] * number
    for name in ("mlp_layer_types", "is_moe_layer", "moe_layer_freq"):
        stated = keys.listed(name)
        if stated is not None:
            return _by_word(name, [str(word) for word in stated], number)
    if (listed := _places(keys.value("moe_layers"))) is not None:
        chosen = set(listed)
        return [place in chosen for place in range(number)]
    if words := keys.text("moe_layers_enum"):
        named = {word.strip() for word in words.split(",")}
        return [str(place) in named for place in range(number)]
    dense = {*(_places(keys.value("mlp_only_layers")) or ())}
    return [place not in dense and _is_sparse(keys, place) for place in range(number)]


def _by_word(name: str, words: list[str], number: int) -> list[bool]:
    if len(words) != number:
        raise UncountableDesignError(name)
    if unknown := set(words) - DENSE - SPARSE:
        raise UnknownLayerError(f"{name}: {min(unknown)}")
    return [word in SPARSE for word in words]


def _is_sparse(keys: Keys, place: int) -> bool:
    """Say by intervals and first layers whether a layer routes."""
    first = keys.size(*FIRST_DENSE) or 0
    last = keys.size("moe_layer_end_index")
    if place < first or (last is not None and place > last):
        return False
    if (period := keys.size("expert_layer_period")) is not None:
        return bool(period) and place % period == (keys.size("expert_layer_offset") or 0)
    step = keys.size("decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval")
    if step is not None:
        return bool(step) and (place + 1) % step == 0
    return place % (keys.size("moe_layer_freq") or 1) == 0


def _overrides(keys: Keys, traits: Traits, kinds: list[str]) -> list[dict[str, Json]]:
    """Return, layer by layer, the keys that differ there from those of the model."""
    number = len(kinds)
    own = [_of_full_attention(keys, traits, kind) for kind in kinds]
    first_shared = number - (keys.size("num_kv_shared_layers") or 0)
    for name in PER_LAYER:
        stated = None if traits.towers and name == "moe_intermediate_size" else keys.listed(name)
        if stated is not None and len(stated) != number:
            raise UncountableDesignError(name)
        for place, value in enumerate(stated or ()):
            own[place][name] = value
    heads = keys.listed("num_attention_heads_per_layer") or []
    rotates = keys.listed("no_rope_layers") or []
    for place in range(number):
        if len(heads) == number:
            own[place]["num_attention_heads"] = heads[place]
        if len(rotates) == number:
            own[place]["rotates"] = rotates[place] == 1
        if place >= first_shared:
            own[place]["kv_shared"] = True
    for place, described in _per_layer(keys):
        if place < number:
            own[place] |= described
    return own


def _of_full_attention(keys: Keys, traits: Traits, kind: str) -> dict[str, Json]:
    """Return what Gemma 4 states for the layers that see the whole text."""
    if kind != "full_attention":
        return {}
    own: dict[str, Json] = {}
    if size := keys.size("global_head_dim"):
        own["head_dim"] = size
    if keys.flag("attention_k_eq_v", default=traits.key_is_value):
        own["value_is_key"] = True
        if groups := keys.size("num_global_key_value_heads"):
            own["num_key_value_heads"] = groups
    return own


def _per_layer(keys: Keys) -> list[tuple[int, Mapping[str, Json]]]:
    """Return the layers that a config describes one by one, and what it says of them."""
    table = keys.table("per_layer_config")
    return [
        (int(place), value)
        for place, value in table.items()
        if place.isdecimal() and len(place) <= len(str(MOST_LAYERS)) and isinstance(value, dict)
    ]
