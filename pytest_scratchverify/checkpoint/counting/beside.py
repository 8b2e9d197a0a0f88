"""Parameters that stand neither in a layer nor in a table of tokens."""

from __future__ import annotations

from typing import Final

from pytest_scratchverify.checkpoint.counting.keys import (
    MOST_LAYERS,
    Keys,
    UncountableDesignError,
    UnknownLayerError,
)
from pytest_scratchverify.checkpoint.counting.recurrences import shared_block
from pytest_scratchverify.checkpoint.counting.traits import Traits

# Names of the width of a table of tokens: of OPT, of ELECTRA and RoFormer, of RemBERT.
TABLE_WIDTHS: Final = ("word_embed_proj_dim", "embedding_size", "input_embedding_size")


def table_width(keys: Keys) -> int:
    """Return the width of the table of tokens: it may be narrower than the residual stream."""
    return keys.size(*TABLE_WIDTHS) or keys.need("hidden_size")


def head_width(keys: Keys) -> int:
    """Return the width of what the output head reads."""
    return keys.size("output_embedding_size") or table_width(keys)


def beside_layers(keys: Keys, traits: Traits) -> int:
    """Return what stands neither in a layer nor in a table of tokens."""
    count = _around_layers(keys, traits) + _between_layers(keys) + _streams(keys, traits)
    if traits.aligned:
        count += _aligners(keys)
    if traits.pictures:
        count += _pictures(keys)
    if traits.deep_router:  # states of the layer before, where there is one
        count += (keys.need("num_hidden_layers") - 1) * keys.need("router_hidden_size")
    if traits.prompts:
        pairs = keys.need("segment_types") ** 2 + keys.need("position_bias_num_buckets")
        count += pairs * keys.need("num_attention_heads")
    if traits.self_conditioned:
        hidden = keys.need("hidden_size")
        count += hidden + 3 * hidden * keys.need("intermediate_size")
    return count + _shared_blocks(keys, traits)


def _around_layers(keys: Keys, traits: Traits) -> int:
    """Return norms and square matrices after the table, before the head, and what widens both."""
    hidden, vectors = keys.need("hidden_size"), 2 if traits.norm_bias else 1
    narrow, out = table_width(keys), head_width(keys)
    if traits.narrow:
        count = vectors * (narrow + out) + traits.dense * out * (hidden + 1)
        return count + (hidden * (narrow + 1) if narrow != hidden else 0)
    biased = keys.flag("classifier_bias", default=traits.norm_bias)
    count = traits.more_norms * hidden * vectors + traits.dense * hidden * (hidden + biased)
    return count + (2 * narrow * hidden if narrow != hidden else 0)  # projections in and out


def _between_layers(keys: Keys) -> int:
    """Return what a key adds to all layers at once, or to those that it lists."""
    hidden, count = keys.need("hidden_size"), 0
    if passed := keys.listed("cross_attention_layers"):  # Mllama: a gate twice, norms of q and k
        heads = max(keys.need("num_attention_heads"), 1)
        count += len(passed) * (2 * (hidden // heads) + 2)
    if (end := keys.size("loop_layer_index_end")) is not None:
        count += _messages(keys, end)
    if width := keys.size("hidden_size_per_layer_input"):  # Gemma 3n: for all layers at once
        count += width * keys.need("num_hidden_layers") * hidden + width
    if inputs := keys.size("altup_num_inputs"):
        count += 2 * (inputs - 1) * hidden * hidden
    return count


def _streams(keys: Keys, traits: Traits) -> int:
    """Return what joins hyper-connections' streams before the head."""
    if not traits.stream_head:
        return 0
    hidden, count = keys.need("hidden_size"), 0
    if streams := keys.size("hc_mult"):
        count += streams * (streams * hidden + 1) + 1
    if streams := keys.size("hc_count"):  # Qwen4
        count += streams * hidden * (1 + 2 * keys.need("hc_lowrank"))
    return count


def _shared_blocks(keys: Keys, traits: Traits) -> int:
    """Return the blocks that Zamba's hybrid layers share.

    Raises `UnknownLayerError` where `transformers` shares none: with an untied head.
    """
    blocks = keys.size("num_mem_blocks")
    if blocks and (size := keys.size("mamba_headdim")):  # the code reads one, and checks neither
        inner = keys.need("n_mamba_heads") * size
        if inner != keys.need("mamba_expand") * keys.need("hidden_size"):
            raise UncountableDesignError("mamba_headdim")
    if "joined_mamba" in traits.mixers.values():
        blocks = 1
    if blocks and keys.value("tie_word_embeddings") is False:
        raise UnknownLayerError("tie_word_embeddings")
    return min(blocks, MOST_LAYERS) * shared_block(keys) if blocks else 0


def _messages(keys: Keys, end: int) -> int:
    """Return what carries messages between the passes of a loop of layers (Inkling 2)."""
    hidden, start = keys.need("hidden_size"), keys.need("loop_layer_index_start")
    if not start <= end <= MOST_LAYERS:
        raise UncountableDesignError("loop_layer_index_end")
    gated = max(0, min(end, keys.need("num_hidden_layers")) - start)
    return 4 * hidden * (end - start + 4 * gated * keys.need("loop_gate_rank"))


def _aligners(keys: Keys) -> int:
    """Return Evolla's layers of attention to a protein, every so many layers of the decoder."""
    hidden, layers = keys.need("hidden_size"), keys.need("num_hidden_layers")
    step = max(layers // max(keys.need("aligner_num_add_layers"), 1), 1)
    wide = hidden * keys.need("aligner_ffn_mult")
    biases = 4 * hidden if keys.flag("aligner_enable_bias") else 0
    return layers // step * (4 * hidden**2 + biases + 2 * hidden * wide + 3 * hidden + 2)


def _pictures(keys: Keys) -> int:
    """Return RoCBert's tables of a sign's sound and shape, and what joins them with its own."""
    hidden, joined, count = keys.need("hidden_size"), keys.need("hidden_size"), 0
    for name in ("pronunciation", "shape"):
        width = keys.need(f"{name}_embed_dim")
        count += keys.need(f"{name}_vocab_size") * width
        joined += width if keys.flag(f"enable_{name}") else 0
    return count + (hidden * (joined + 1) if keys.flag("concat_input") else 0)
