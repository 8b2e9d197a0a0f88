"""Sum the parameters of a text decoder: tables, layers, norms, what stands beside the layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_scratchverify.checkpoint.counting.attention import cross_attention
from pytest_scratchverify.checkpoint.counting.feed_forward import (
    NOTHING,
    FeedForward,
    dense_mlp,
    routed_mlp,
)
from pytest_scratchverify.checkpoint.counting.keys import Keys
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
    norms += 1 if _crosses(keys, traits) else 0
    mixer += around_layer(keys, traits, sparse=layer.mlp == "sparse")
    return Layers(mixer, mlp, norms * width, mixer + mlp.total + norms * width)


def _crosses(keys: Keys, traits: Traits) -> bool:
    return traits.cross and keys.flag("is_decoder", default=True)


def around_layer(keys: Keys, traits: Traits, *, sparse: bool) -> int:
    """Return what a layer has beside mixer, MLP and norms."""
    hidden, count = keys.need("hidden_size"), 0
    if streams := keys.size("hc_mult"):  # hyper-connections, twice a layer
        outputs = streams * (streams + 2) if traits.streams == "mixing" else 2 * streams
        count += 2 * (outputs * (streams * hidden + 1) + (3 if traits.streams == "mixing" else 2))
    if streams := keys.size("hc_count"):  # Qwen4: mixed in and out through low ranks
        rank = keys.need("hc_lowrank")
        count += 2 * streams * hidden * (1 + 2 * rank + streams)
    if traits.low_rank:
        count += 2 * traits.low_rank * hidden
    if _crosses(keys, traits):
        count += cross_attention(keys)
    if "a" in traits.inner_norms:
        count += 2 * hidden
    if rank := keys.size("gated_norm_rank"):  # A.X-K2: norms with a gate of low rank
        count += 2 * rank * hidden * (2 if sparse else 1)
    if width := keys.size("hidden_size_per_layer_input"):  # Gemma 3n: a table a layer, and a norm
        count += 2 * width * hidden + hidden
    if inputs := keys.size("altup_num_inputs"):
        count += hidden * (inputs + 2) + inputs**2 + inputs**3
    if rank := keys.size("laurel_rank"):
        count += 2 * rank * hidden + hidden
    return count
