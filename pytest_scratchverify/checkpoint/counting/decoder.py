"""Sum the parameters of a text decoder: tables, layers, norms, what stands beside the layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_scratchverify.checkpoint.counting.attention import (
    cross_attention,
    grouped_cross_attention,
)
from pytest_scratchverify.checkpoint.counting.feed_forward import (
    NOTHING,
    FeedForward,
    dense_mlp,
    routed_mlp,
)
from pytest_scratchverify.checkpoint.counting.keys import Keys, UncountableDesignError
from pytest_scratchverify.checkpoint.counting.layers import Layer, read_layers
from pytest_scratchverify.checkpoint.counting.mixers import MIXERS
from pytest_scratchverify.checkpoint.counting.traits import Traits


@dataclass(frozen=True, slots=True)
class Layers:
    """Parameters of layers, by part; `largest` is the most that one of them has."""

    mixers: int
    mlp: FeedForward
    norms: int
    largest: int


def count_layers(keys: Keys, traits: Traits) -> Layers:
    """Return the parameters of the layers that a config describes."""
    counted: dict[str, Layers] = {}  # by all that a layer is: most are alike
    parts = []
    for layer in read_layers(keys, traits):
        alike = repr((layer.kind, layer.mixer, layer.mlp, sorted(layer.keys.layer.items())))
        if alike not in counted:
            counted[alike] = _count(layer, traits)
        parts.append(counted[alike])
    mlp = sum_mlps(part.mlp for part in parts)
    largest = max(part.largest for part in parts)
    return Layers(sum(p.mixers for p in parts), mlp, sum(p.norms for p in parts), largest)


def sum_mlps(parts: Iterable[FeedForward]) -> FeedForward:
    """Return the MLPs of many layers together."""
    found = NOTHING
    for part in parts:
        found = found + part
    return found


def _count(layer: Layer, traits: Traits) -> Layers:
    keys = layer.keys
    mixer = MIXERS[layer.mixer](keys, traits, layer.kind)
    mlp = NOTHING
    if layer.mlp != "none":
        mlp = dense_mlp(keys, traits) if layer.mlp == "dense" else routed_mlp(keys, traits)
    hidden = keys.need("hidden_size")
    width = hidden * (2 if traits.norm_bias else 1)
    norms = traits.norms if traits.known else keys.size("norms_per_layer") or traits.norms
    norms += traits.sparse_norms if layer.mlp == "sparse" else 0
    norms += 2 if keys.flag("use_post_norm") else 0
    if traits.by_parallel and keys.flag("parallel_attn", default=True):  # Falcon
        norms -= 0 if keys.flag("new_decoder_architecture") else 1
    norms += 1 if _crosses(keys, traits) else 0
    norms += 2 if _crosses_by_groups(keys, traits) else 0
    mixer += around_layer(keys, traits, sparse=layer.mlp == "sparse")
    return Layers(mixer, mlp, norms * width, mixer + mlp.total + norms * width)


def _adapters(keys: Keys) -> int:
    """Return X-MOD's adapters, one a language, and their norm where it is their own."""
    hidden, factor = keys.need("hidden_size"), keys.value("adapter_reduction_factor")
    languages = keys.listed("languages")
    if languages is None or not isinstance(factor, (int, float)) or not 1 <= factor <= hidden:
        raise UncountableDesignError("languages")
    narrow = int(hidden // factor)
    count = len(languages) * (2 * hidden * narrow + narrow + hidden)
    return count + (2 * hidden if keys.flag("adapter_layer_norm") else 0)


def _crosses(keys: Keys, traits: Traits) -> bool:
    by_key = traits.dense > 0 and keys.flag("add_cross_attention")  # BERT's kin
    return by_key or (traits.cross and keys.flag("is_decoder", default=True))


def _crosses_by_groups(keys: Keys, traits: Traits) -> bool:
    return traits.cross_groups and keys.flag("is_decoder")


def around_layer(keys: Keys, traits: Traits, *, sparse: bool) -> int:
    """Return what a layer has beside mixer, MLP and norms."""
    hidden, count = keys.need("hidden_size"), _streams(keys, traits)
    count += 2 * traits.low_rank * hidden
    if _crosses(keys, traits):
        count += cross_attention(keys)
    if _crosses_by_groups(keys, traits):
        count += grouped_cross_attention(keys)
    if "a" in traits.inner_norms:
        count += hidden * (2 if traits.norm_bias else 1)
    if traits.adapters:
        count += _adapters(keys)
    if rank := keys.size("gated_norm_rank"):  # A.X-K2: norms with a gate of low rank
        count += 2 * rank * hidden * (2 if sparse else 1)
    if width := keys.size("hidden_size_per_layer_input"):  # Gemma 3n: a table a layer, and a norm
        count += 2 * width * hidden + hidden
    if inputs := keys.size("altup_num_inputs"):
        count += hidden * (inputs + 2) + inputs**2 + inputs**3
    if laurel := keys.size("laurel_rank"):
        count += 2 * laurel * hidden + hidden
    return count


def _streams(keys: Keys, traits: Traits) -> int:
    """Return hyper-connections, twice a layer."""
    hidden, count = keys.need("hidden_size"), 0
    if streams := keys.size("hc_mult"):
        outputs = streams * (streams + 2) if traits.streams == "mixing" else 2 * streams
        count += 2 * (outputs * (streams * hidden + 1) + (3 if traits.streams == "mixing" else 2))
    if streams := keys.size("hc_count"):  # Qwen4: mixed in and out through low ranks
        count += 2 * streams * hidden * (1 + 2 * keys.need("hc_lowrank") + streams)
    return count
