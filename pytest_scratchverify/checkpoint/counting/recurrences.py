"""Parameters of recurrent mixers: delta rules, state spaces, linear attention, short convolutions.

Each function takes the keys as one layer sees them and returns a number of parameters without the
norms of the residual stream.
"""

from __future__ import annotations

from pytest_scratchverify.checkpoint.counting.keys import (
    Keys,
    UncountableDesignError,
    UnknownLayerError,
)
from pytest_scratchverify.checkpoint.counting.traits import Traits

MOST_TIMES = 64.0  # the residual width, of an inner width that a factor states


def gated_delta(keys: Keys, _traits: Traits, _kind: str) -> int:
    """Gated DeltaNet (arXiv 2412.06464), as Qwen3-Next has it: q, k, v, z, b, a, o, one conv."""
    hidden = keys.need("hidden_size")
    key_heads, value_heads = keys.need("linear_num_key_heads"), keys.need("linear_num_value_heads")
    key = key_heads * keys.need("linear_key_head_dim")
    size = keys.need("linear_value_head_dim")
    value = value_heads * size
    conv = (2 * key + value) * keys.need("linear_conv_kernel_dim")
    projections = hidden * (2 * key + 2 * value + 2 * value_heads) + value * hidden
    return projections + conv + 2 * value_heads + size


def kimi_delta(keys: Keys, traits: Traits, _kind: str) -> int:
    """Kimi Delta Attention (arXiv 2510.26692): q, k, v, o, a conv each, gates of low rank."""
    table = keys.within(keys.table("linear_attn_config"))
    hidden = keys.need("hidden_size")
    heads = table.need("linear_num_heads", "num_heads")
    size = table.need("linear_head_dim", "head_dim")
    kernel = table.need("linear_conv_kernel_dim", "short_conv_kernel_size")
    groups = table.size("num_kv_heads") or heads
    width, narrow = heads * size, groups * size
    full = keys.flag("kda_use_full_proj", default=traits.full_gates)
    gate = hidden * width if full else hidden * size + size * width
    projections = hidden * (2 * width + 2 * narrow + heads) + 2 * gate
    return projections + (width + 2 * narrow) * kernel + heads + width + size


def mamba2(keys: Keys, _traits: Traits, _kind: str) -> int:
    """Mamba-2 mixer (arXiv 2405.21060): in, out, conv over x, B and C, A, D and dt a head."""
    hidden = keys.need("hidden_size")
    heads = keys.need("mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads")
    size = keys.size("mamba_d_head", "mamba_head_dim", "mamba_headdim")
    expand = keys.size("mamba_expand", "expand")
    inner = keys.size("mamba_d_ssm") or (heads * size if size else (expand or 0) * hidden)
    if not inner:
        raise UncountableDesignError("mamba_head_dim")
    groups = keys.need("mamba_n_groups", "n_groups", "mamba_ngroups")
    state = keys.need("mamba_d_state", "ssm_state_size", "state_size")
    kernel = keys.need("mamba_d_conv", "conv_kernel")
    mixed = inner + 2 * groups * state
    in_width = inner + mixed + heads
    count = hidden * in_width + mixed * kernel + 3 * heads + inner * hidden
    if keys.flag("mamba_conv_bias", "use_conv_bias", default=True):
        count += mixed
    if keys.flag("mamba_rms_norm", default=True):
        count += inner
    if keys.flag("mamba_proj_bias", "use_bias", "add_bias_linear"):
        count += in_width + hidden
    return count


def mamba(keys: Keys, traits: Traits, _kind: str) -> int:
    """Mamba mixer (arXiv 2312.00752): in, out, conv, the steps' low rank, A and D a channel."""
    hidden = keys.need("hidden_size")
    stated = keys.size("intermediate_size") if traits.mixer_only else None
    inner = stated or keys.need("mamba_expand", "expand") * hidden
    state = keys.need("mamba_d_state", "state_size")
    rank = keys.size("mamba_dt_rank", "time_step_rank") or -(-hidden // 16)
    count = 2 * hidden * inner + inner * keys.need("mamba_d_conv", "conv_kernel")
    count += inner * (rank + 2 * state) + rank * inner + inner
    count += inner * state + inner + inner * hidden
    if keys.flag("mamba_conv_bias", "use_conv_bias", default=True):
        count += inner
    if keys.flag("mamba_proj_bias", "use_bias"):
        count += 2 * inner + hidden
    return count + (rank + 2 * state if traits.qk_norm == "step" else 0)


def short_convolution(keys: Keys, _traits: Traits, _kind: str) -> int:
    """Gated short convolution of LFM2: in (three parts), out, a depthwise kernel."""
    hidden, kernel = keys.need("hidden_size"), keys.need("conv_L_cache")
    biases = 5 * hidden if keys.flag("conv_bias") else 0
    return 4 * hidden * hidden + hidden * kernel + biases


def lightning(keys: Keys, _traits: Traits, _kind: str) -> int:
    """Lightning attention of MiniMax-01 (arXiv 2501.08313): q, k, v, gate, o and a norm."""
    hidden, heads = keys.need("hidden_size"), keys.need("num_attention_heads")
    if not heads:
        raise UncountableDesignError("num_attention_heads")
    width = heads * (keys.size("head_dim") or hidden // heads)
    return 5 * hidden * width + width


def rwkv(keys: Keys, _traits: Traits, _kind: str) -> int:
    """RWKV-4 block without its norms (arXiv 2305.13048): time mixing and channel mixing."""
    hidden = keys.need("hidden_size")
    width = keys.size("attention_hidden_size") or hidden
    wide = keys.size("intermediate_size") or 4 * hidden
    time = 4 * hidden * width + 2 * width + 3 * hidden
    return time + 2 * hidden * wide + hidden * hidden + 2 * hidden


def xlstm(keys: Keys, _traits: Traits, _kind: str) -> int:
    """One block of xLSTM-7B (arXiv 2503.13427) without its norms: mLSTM with gates, gated MLP."""
    hidden, heads = keys.need("hidden_size"), keys.need("num_heads")
    qk, value = _times(keys, "qk_dim_factor"), _times(keys, "v_dim_factor")
    step = max(keys.need("ffn_round_up_to_multiple_of"), 1)
    wide = step * -(-_times(keys, "ffn_proj_factor") // step)
    if keys.flag("use_bias"):
        raise UnknownLayerError("use_bias")
    if keys.size("embedding_dim") not in (None, hidden):  # one width under two names
        raise UncountableDesignError("embedding_dim")
    mixer = hidden * (2 * qk + 2 * value + 2 * heads) + value * hidden + 2 * heads + value
    return mixer + 3 * hidden * wide


def _times(keys: Keys, name: str) -> int:
    """Return the residual width times a factor that the config states."""
    factor = keys.value(name)
    if not isinstance(factor, (int, float)) or not 0 < factor <= MOST_TIMES:
        raise UncountableDesignError(name)
    return int(keys.need("hidden_size") * factor)


def gated_linear(keys: Keys, _traits: Traits, _kind: str) -> int:
    """RG-LRU block of Griffin (arXiv 2402.19427): two ways in, one out, a conv, gates a head."""
    hidden, heads = keys.need("hidden_size"), keys.need("num_attention_heads")
    width = keys.size("lru_width") or hidden
    if not heads:
        raise UncountableDesignError("num_attention_heads")
    projections = 3 * hidden * width + 2 * width + hidden
    gates = 2 * (width * (width // heads) + width) + width
    return projections + width * keys.need("conv1d_width") + width + gates


def grouped_mamba(keys: Keys, _traits: Traits, _kind: str) -> int:
    """Zamba's mixer (arXiv 2405.16712): a Mamba in heads, each with steps of its own."""
    hidden, state = keys.need("hidden_size"), keys.need("mamba_d_state")
    inner, heads = keys.need("mamba_expand") * hidden, keys.need("n_mamba_heads")
    rank = keys.size("mamba_dt_rank") or -(-hidden // 16)
    count = 3 * hidden * inner + inner * keys.need("mamba_d_conv")
    count += inner * (rank + 2 * state) + rank * inner + inner * state + 2 * inner
    if not heads or inner % heads:
        raise UncountableDesignError("n_mamba_heads")
    if keys.flag("mamba_conv_bias", default=True):
        count += inner
    return count + (2 * inner + hidden if keys.flag("mamba_proj_bias") else 0)


def joined_mamba(keys: Keys, traits: Traits, kind: str) -> int:
    """Zamba's hybrid layer: a matrix that joins the shared block, and a Mamba."""
    hidden = keys.need("hidden_size")
    return hidden * hidden + grouped_mamba(keys, traits, kind)


def joined_mamba2(keys: Keys, traits: Traits, kind: str) -> int:
    """Zamba2's hybrid layer: a matrix that joins the shared block, a Mamba-2, low-rank adapters."""
    hidden, rank = keys.need("hidden_size"), keys.need("adapter_rank")
    adapters = rank * (hidden + 2 * keys.need("intermediate_size"))
    if keys.flag("use_shared_attention_adapter"):
        adapters += 6 * rank * keys.need("attention_hidden_size")
    return hidden * hidden + mamba2(keys, traits, kind) + adapters


def shared_block(keys: Keys) -> int:
    """Zamba2's attention and MLP, which its hybrid layers share (arXiv 2411.15242)."""
    hidden, wide = keys.need("hidden_size"), keys.need("attention_hidden_size")
    heads, size = keys.need("num_attention_heads"), keys.need("attention_head_dim")
    attention = heads * size * (wide + hidden) + 2 * keys.need("num_key_value_heads") * size * wide
    return attention + 3 * hidden * keys.need("intermediate_size") + wide + hidden
