"""Parameters of attention that one family each has: masked, routed, convolved, relative."""

from __future__ import annotations

from pytest_scratchverify.checkpoint.counting.attention import SLIDING, softmax_attention
from pytest_scratchverify.checkpoint.counting.keys import Keys, UncountableDesignError
from pytest_scratchverify.checkpoint.counting.traits import Traits


def masked(keys: Keys, traits: Traits, kind: str) -> int:
    """Doge: softmax attention whose mask depends on values, by a rate a head of keys."""
    groups, size = _groups_and_size(keys)
    return softmax_attention(keys, traits, kind) + groups * groups * size + groups


def routed(keys: Keys, _traits: Traits, _kind: str) -> int:
    """JetMoE: experts of queries and outputs, one projection of keys and values, a bias."""
    hidden, experts = keys.need("hidden_size"), keys.need("n_routed_experts")
    groups, size = keys.need("num_key_value_heads"), keys.need("head_dim")
    narrow = groups * size
    return experts * 2 * hidden * narrow + experts * hidden + hidden + 2 * hidden * narrow


def convolved(keys: Keys, traits: Traits, _kind: str) -> int:
    """Compressed convolutional attention of ZAYA (arXiv 2510.04476): two convs over q and k."""
    hidden, heads = keys.need("hidden_size"), keys.need("num_attention_heads")
    groups, size = _groups_and_size(keys)
    q, k = heads * size, groups * size
    convs = (q + k) * (keys.need("cca_time0") + 1 + size * keys.need("cca_time1") + 1)
    count = hidden * (2 * q + 2 * k) + convs + groups
    if keys.flag("attention_bias"):
        count += sum({"q": q, "k": k, "v": k, "o": hidden}[name] for name in traits.biased)
    return count


def relative_gated(keys: Keys, _traits: Traits, kind: str) -> int:
    """Inkling 2: gated relative attention with sinks; full layers convolve by what they read."""
    hidden, kernel = keys.need("hidden_size"), keys.need("conv_kernel_size")
    sliding, relative = kind in SLIDING, keys.need("d_rel")
    names = ("num_attention_heads", "num_key_value_heads", "head_dim")
    heads, groups, size = (keys.need(f"swa_{name}" if sliding else name) for name in names)
    wide, narrow = heads * size, groups * size
    extent = keys.need("sliding_window_size" if sliding else "rel_extent")
    count = 3 * hidden * wide + wide + 2 * hidden * narrow + hidden * heads
    count += relative * extent + heads * relative * (hidden + 1) + 2 * hidden * kernel
    count += 2 * narrow * kernel
    return count if sliding else count + 2 * hidden * kernel * groups + 4 * hidden


def recurrent_xl(keys: Keys, _traits: Traits, _kind: str) -> int:
    """Two-stream attention of XLNet (arXiv 1906.08237): q, k, v, o, r, five biases a head."""
    hidden = keys.need("hidden_size")
    wide = keys.need("num_attention_heads") * keys.need("head_dim")
    return 5 * hidden * wide + 5 * wide


def _groups_and_size(keys: Keys) -> tuple[int, int]:
    heads = keys.need("num_attention_heads")
    if not heads:
        raise UncountableDesignError("num_attention_heads")
    groups = keys.size("num_key_value_heads") or heads
    return groups, keys.size("head_dim") or keys.need("hidden_size") // heads
