"""Parameters of attention: grouped queries, latent, indexed, compressed.

Each function takes the keys as one layer sees them and returns a number of parameters without the
norms of the residual stream. Sizes in comments: h is the residual width, r a low rank.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.checkpoint.counting.keys import Keys, UncountableDesignError
from pytest_scratchverify.checkpoint.counting.traits import Traits
from pytest_scratchverify.checkpoint.design import FIELDS

GATES = ("attn_output_gate", "use_gqa_gate", "use_attention_gate", "use_head_wise_attn_gate")
RATES = {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
SLIDING = frozenset({"sliding_attention", "hybrid_sliding", "chunked_attention"})


def _biases(keys: Keys, traits: Traits, widths: Mapping[str, int]) -> int:
    """Return the bias vectors of projections, by their letters and output widths."""
    own = ("bias",) if traits.by_parallel else ()  # Falcon
    stated = keys.flag("attention_bias", "use_bias", "use_qkv_bias", *own)
    biased = set(traits.always_biased) | (set(traits.biased) if stated else set())
    return sum(width for letter, width in widths.items() if letter in biased)


def _of_sliding(keys: Keys, kind: str, name: str, swa: str) -> int | None:
    """Return a size that sliding layers may state under a name of their own."""
    own = keys.size(swa) if kind in SLIDING else None
    return keys.size(name) if own is None else own


def softmax_attention(keys: Keys, traits: Traits, kind: str) -> int:
    """Grouped-query attention: q, k, v and o, their biases and norms, an output gate, sinks."""
    hidden = keys.need("hidden_size")
    heads = _of_sliding(keys, kind, "num_attention_heads", "swa_num_attention_heads")
    if not heads:
        raise UncountableDesignError("num_attention_heads")
    groups = _groups(keys, traits, kind, heads)
    size = _of_sliding(keys, kind, "head_dim", "swa_head_dim") or hidden // heads
    if not any(name in keys.raw for name in FIELDS["head_dim"].names):
        size = keys.size("attention_head_dim") or size  # Nemotron-H
    value_size = _of_sliding(keys, kind, "v_head_dim", "swa_v_head_dim") or size
    q, k, v, out = heads * size, groups * size, groups * value_size, heads * value_size
    out = hidden if traits.square_output else out
    if keys.flag("kv_shared"):
        k = v = 0
    if keys.flag("value_is_key"):
        v = 0
    count = hidden * (q + k + v + out)
    count += _biases(keys, traits, {"q": q, "k": k, "v": v, "o": hidden})
    if traits.qk_norm == "width":
        count += q + k
    elif traits.qk_norm == "biased":
        count += 2 * (q + k)
    elif traits.qk_norm == "head" or (keys.flag("use_qk_norm") and not traits.qk_norm):
        count += size + (size if k else 0)
    if gate := _gate(keys, traits):
        count += hidden * (out if gate == "full" else heads)
    count += traits.head_scalars * heads
    if traits.sinks == "all" or (traits.sinks == "sliding" and kind in SLIDING):
        count += heads
    return count


def cross_attention(keys: Keys) -> int:
    """Attention to an encoder's output, all four projections with biases."""
    hidden = keys.need("hidden_size")
    source = keys.size("encoder_hidden_size", "cross_attention_hidden_size") or hidden
    return 2 * hidden * hidden + 2 * source * hidden + 4 * hidden


def grouped_cross_attention(keys: Keys) -> int:
    """Attention to an encoder's output by grouped queries (T5Gemma, arXiv 2504.06225)."""
    hidden, size = keys.need("hidden_size"), keys.need("head_dim")
    heads, groups = keys.need("num_attention_heads"), keys.need("num_key_value_heads")
    source = keys.size("cross_attention_hidden_size") or hidden
    count = 2 * (hidden * heads * size + source * groups * size)
    return count + (size * (heads + 2 * groups) + hidden if keys.flag("attention_bias") else 0)


def jointly_indexed_attention(keys: Keys, traits: Traits, kind: str) -> int:
    """Qwen4: softmax attention, and an indexer whose queries and keys are one projection."""
    heads, groups = keys.need("indexer_n_heads"), keys.need("indexer_kv_heads")
    size, hidden = keys.need("indexer_head_dim"), keys.need("hidden_size")
    count = softmax_attention(keys, traits, kind)
    return count + hidden * (heads + groups) * size + 2 * size


def _groups(keys: Keys, traits: Traits, kind: str, heads: int) -> int:
    """Return how many heads of keys and values a layer has."""
    groups = _of_sliding(keys, kind, "num_key_value_heads", "swa_num_key_value_heads") or heads
    shared = keys.value("multi_query")  # GPT-BigCode and Falcon: one head of keys, or all
    if isinstance(shared, bool) and not keys.flag("new_decoder_architecture"):
        groups = 1 if shared else heads
    if kind in SLIDING and keys.size("swa_num_key_value_heads") is None:
        groups *= traits.sliding_groups
    return groups


def _gate(keys: Keys, traits: Traits) -> str:
    """Return the gate of attention's output, by the type or by the keys that switch it."""
    stated = [keys.value(name) for name in GATES]
    if any(value is False for value in stated):
        return ""
    if traits.gate == "head" and keys.value("gating") not in (None, True, "per-head"):
        return "full"  # Laguna
    return traits.gate or ("full" if True in stated else "")


def latent_attention(keys: Keys, traits: Traits, kind: str) -> int:
    """MLA: queries, keys and values through low ranks (DeepSeek-V2, arXiv 2405.04434)."""
    hidden, heads = keys.need("hidden_size"), keys.need("num_attention_heads")
    rank = keys.need("kv_lora_rank")
    nope, rope = keys.need("qk_nope_head_dim"), keys.need("qk_rope_head_dim")
    value_size, q_rank = keys.need("v_head_dim"), keys.size("q_lora_rank")
    q_out, out = heads * (nope + rope), heads * value_size
    if traits.gate == "paired" and q_rank:  # one matrix for queries and gate, of two inputs
        query = hidden * q_rank + q_rank + 2 * q_rank * (q_out + out)
    else:
        query = hidden * q_rank + q_rank + q_rank * q_out if q_rank else hidden * q_out
    key_value = hidden * (rank + rope) + rank + rank * heads * (nope + value_size)
    biases = {"q": q_rank or 0, "k": rank + rope, "o": hidden}
    count = query + key_value + out * hidden + _biases(keys, traits, biases)
    if traits.gate in ("full", "head"):
        count += hidden * (out if traits.gate == "full" else heads)
    if traits.sinks == "all":
        count += heads
    if traits.qk_norm == "rope":
        count += rope
    return count + indexer(keys, kind)


def indexer(keys: Keys, kind: str) -> int:
    """Lightning indexer of sparse attention (DeepSeek-V3.2): queries, one key, head weights.

    Sliding layers have none, and neither have those that use another layer's choice.
    """
    heads = keys.size("index_n_heads")
    if not heads or kind in SLIDING or keys.text("indexer_types") == "shared":
        return 0
    hidden, size = keys.need("hidden_size"), keys.need("index_head_dim")
    pooled = keys.size("index_kpool") or 0
    count = keys.need("q_lora_rank") * heads * size + hidden * (size + heads) + 2 * size
    return count + (pooled * size + size * hidden if pooled else 0)


def scaled_indexed_attention(keys: Keys, _traits: Traits, _kind: str) -> int:
    """Mistral Large 4: latent keys and values, plain queries, an indexer with norms of its own."""
    hidden, heads = keys.need("hidden_size"), keys.need("num_attention_heads")
    rank, value_size = keys.need("kv_lora_rank"), keys.need("v_head_dim")
    rope = keys.need("qk_rope_head_dim") if keys.flag("rotates", default=True) else 0
    size = keys.need("qk_nope_head_dim") + keys.need("qk_rope_head_dim")
    key_value = hidden * (rank + rope) + rank + rank * heads * (size - rope + value_size)
    count = hidden * heads * size + key_value + heads * value_size * hidden + 2 * heads
    if keys.text("indexer_types") == "shared":
        return count
    index, width = keys.need("index_n_heads"), keys.need("index_head_dim")
    return count + hidden * (index * width + width + index + 2) + 2 * width + 2 * index


def compressed_attention(keys: Keys, _traits: Traits, kind: str) -> int:
    """DeepSeek-V4: one shared key-value head, grouped low-rank output, compressors, an indexer."""
    hidden, heads, size = (
        keys.need("hidden_size"),
        keys.need("num_attention_heads"),
        keys.need("head_dim"),
    )
    q_rank = keys.need("q_lora_rank")
    groups, o_rank = keys.need("o_groups"), keys.need("o_lora_rank")
    count = hidden * (q_rank + size) + q_rank + size + q_rank * heads * size + heads
    count += groups * o_rank * (heads * size // max(groups, 1)) + hidden * groups * o_rank
    if kind in SLIDING:
        return count
    twice = 2 if kind == "compressed_sparse_attention" else 1
    rates = {**RATES, **keys.table("compress_rates")}
    rate = keys.within(rates).need(kind)
    count += twice * size * (2 * hidden + rate) + size
    if twice == 1:
        return count
    index, width = keys.need("index_n_heads"), keys.need("index_head_dim")
    count += 2 * width * (2 * hidden + rate) + width
    return count + q_rank * index * width + hidden * index


def relative_attention(keys: Keys, _traits: Traits, kind: str) -> int:
    """Inkling: softmax attention with learned relative positions and short convolutions."""
    hidden, kernel = keys.need("hidden_size"), keys.need("conv_kernel_size", "sconv_kernel_size")
    heads = _of_sliding(keys, kind, "num_attention_heads", "swa_num_attention_heads")
    groups = _of_sliding(keys, kind, "num_key_value_heads", "swa_num_key_value_heads")
    size = _of_sliding(keys, kind, "head_dim", "swa_head_dim")
    if heads is None or groups is None or size is None:
        raise UncountableDesignError("num_attention_heads")
    relative = keys.need("d_rel")
    extent = keys.need("sliding_window_size" if kind in SLIDING else "rel_extent")
    narrow = groups * size
    count = 2 * hidden * (heads * size + narrow) + 2 * narrow * kernel + 2 * size
    return count + heads * relative * hidden + relative * extent + 2 * hidden * kernel
