"""Configuration of a model from the metadata of its GGUF file, under config.json's own names.

A GGUF file describes its model itself: layers, widths, heads, experts, rotary frequencies. What it
leaves to its reader is seen in its tensors: tied embeddings, biases, norms on queries and keys.
Nothing is guessed: what neither says is absent.

Names: gguf/constants.py (Keys), convert_hf_to_gguf.py.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from pytest_scratchverify.core.json_values import Json

LARGEST = 2**63  # and above: no size of anything

# Architectures whose name is not that of transformers with underscores.
MODEL_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "command-r": "cohere", "deepseek": "deepseek", "ernie4_5-moe": "ernie4_5_moe",
        "gemma3": "gemma3_text", "gemma4": "gemma4_text", "glm4moe": "glm4_moe",
        "gptneox": "gpt_neox", "gptj": "gptj", "granitehybrid": "granitemoehybrid",
        "hunyuan-dense": "hunyuan_v1_dense", "hunyuan-moe": "hunyuan_v1_moe",
        "lfm2moe": "lfm2_moe", "llada-moe": "llada_moe", "llama4": "llama4_text",
        "minimax-m2": "minimax_m2", "bailingmoe": "bailing_moe", "bailingmoe2": "bailing_moe_v2",
        "qwen2moe": "qwen2_moe", "qwen2vl": "qwen2_vl", "qwen35": "qwen3_5_text",
        "qwen35moe": "qwen3_5_moe_text", "qwen3moe": "qwen3_moe", "qwen3next": "qwen3_next",
        "qwen3vl": "qwen3_vl_text", "qwen3vlmoe": "qwen3_vl_moe_text", "refact": "gpt_refact",
        "starcoder": "gpt_bigcode",
    }
)  # fmt: skip
# From the key behind the architecture's name to config.json's.
SIZES: Mapping[str, str] = MappingProxyType(
    {
        "context_length": "max_position_embeddings",
        "embedding_length": "hidden_size",
        "feed_forward_length": "intermediate_size",
        "expert_feed_forward_length": "moe_intermediate_size",
        "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        "expert_count": "n_routed_experts",
        "expert_used_count": "num_experts_per_tok",
        "expert_shared_count": "n_shared_experts",
        "expert_group_count": "n_group",
        "expert_group_used_count": "topk_group",
        "leading_dense_block_count": "first_k_dense_replace",
        "nextn_predict_layers": "num_nextn_predict_layers",
        "attention.head_count": "num_attention_heads",
        "attention.head_count_kv": "num_key_value_heads",
        "attention.q_lora_rank": "q_lora_rank",
        "attention.kv_lora_rank": "kv_lora_rank",
        "attention.sliding_window": "sliding_window",
    }
)
NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "attention.layer_norm_rms_epsilon": "rms_norm_eps",
        "attention.layer_norm_epsilon": "layer_norm_eps",
        "rope.freq_base": "rope_theta",
        "expert_weights_scale": "routed_scaling_factor",
        "attention.scale": "attention_multiplier",
    }
)
FLAGS: Mapping[str, str] = MappingProxyType(
    {"use_parallel_residual": "use_parallel_residual", "expert_weights_norm": "norm_topk_prob"}
)
TOKEN_IDS: Mapping[str, str] = MappingProxyType(
    {"bos": "bos_token_id", "eos": "eos_token_id", "padding": "pad_token_id"}
)
SCORING = {1: "softmax", 2: "sigmoid"}
FIRST_LAYER = "model.layers.0."
NORMS = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
         "post_feedforward_layernorm")  # fmt: skip


def config_of(
    keys: Mapping[str, Any], tensors: Collection[str], rows: int | None
) -> dict[str, Json]:
    """Return what a config.json of the same model would say.

    Parameters
    ----------
    keys
        The metadata of the file, as `gguf_file.read_gguf` keeps it.
    tensors
        The names of the tensors, as the original calls them.
    rows
        Of the table of tokens, where there is one.

    Returns
    -------
    A mapping that `checkpoint.design` reads; empty without ``general.architecture``.
    """
    architecture = keys.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        return {}

    def key(name: str) -> Any:
        return keys.get(f"{architecture}.{name}")

    found: dict[str, Json] = {"model_type": _model_type(architecture, key("expert_count"))}
    found |= {name: size for k, name in SIZES.items() if (size := _size(key(k))) is not None}
    found |= {name: _rounded(v) for k, name in NUMBERS.items() if _is_number(v := key(k))}
    found |= {name: v for k, name in FLAGS.items() if isinstance(v := key(k), bool)}
    for word, name in TOKEN_IDS.items():
        number = keys.get(f"tokenizer.ggml.{word}_token_id")
        if type(number) is int:
            found[name] = number
    layers = _size(key("block_count"))
    if layers is not None:  # llama.cpp counts the layers that predict further tokens too
        found["num_hidden_layers"] = max(0, layers - (_size(key("nextn_predict_layers")) or 0))
    scoring = SCORING.get(_size(key("expert_gating_func")) or 0)
    if scoring:
        found["scoring_func"] = scoring
    if rows or _size(key("vocab_size")):
        found["vocab_size"] = rows or _size(key("vocab_size"))
    if found.get("n_routed_experts") == 0:
        found = {name: value for name, value in found.items() if "expert" not in name}
    return found | _heads(key, found) | _rope(key) | _seen(tensors)


def _model_type(architecture: str, experts: Any) -> str:
    if architecture == "llama" and _size(experts):
        return "mixtral"
    return MODEL_TYPES.get(architecture, architecture.replace("-", "_"))


def _size(value: Any) -> int | None:
    """Return a size; of one for every layer the size that all have, else none."""
    if isinstance(value, list):
        different = {item for item in value if type(item) is int}
        value = different.pop() if len(different) == 1 else None
    return value if type(value) is int and 0 <= value < LARGEST else None


def _is_number(value: Any) -> bool:
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return real and math.isfinite(value)


def _rounded(value: Any) -> float:
    """Return a float32 as it was written before it was stored: 1e-05, and not 9.99999974e-06."""
    return float(f"{value:.6g}")


def _heads(key: Any, known: Mapping[str, Json]) -> dict[str, Json]:
    """Return the sizes of heads; low ranks have their own parts, and their own keys since 2025."""
    size = _size(key("attention.key_length_mla")) or _size(key("attention.key_length"))
    rotary = _size(key("rope.dimension_count"))
    if known.get("kv_lora_rank"):
        if size is None or rotary is None or rotary > size:
            return {}
        values = _size(key("attention.value_length_mla")) or _size(key("attention.value_length"))
        mla: dict[str, Json] = {"qk_rope_head_dim": rotary, "qk_nope_head_dim": size - rotary}
        return mla | ({"v_head_dim": values} if values is not None else {})
    found: dict[str, Json] = {} if size is None else {"head_dim": size}
    heads, width = known.get("num_attention_heads"), known.get("hidden_size")
    if size is None and isinstance(heads, int) and isinstance(width, int) and heads:
        size = width // heads
    if rotary and size and rotary < size:
        found["partial_rotary_factor"] = rotary / size
    return found


def _rope(key: Any) -> dict[str, Json]:
    kind, factor = key("rope.scaling.type"), key("rope.scaling.factor")
    if not isinstance(kind, str) or kind in ("", "none"):
        return {}
    scaling: dict[str, Json] = {"rope_type": kind}
    if _is_number(factor):
        scaling["factor"] = _rounded(factor)
    return {"rope_scaling": scaling}


def _seen(tensors: Collection[str]) -> dict[str, Json]:
    """Return what the tensors show and no key states."""
    names = set(tensors)
    if "model.embed_tokens.weight" not in names:
        return {}

    def has(*ends: str) -> bool:
        return any(FIRST_LAYER + end in names for end in ends)

    found: dict[str, Json] = {"tie_word_embeddings": "lm_head.weight" not in names}
    found["attention_bias"] = has("self_attn.q_proj.bias", "self_attn.qkv_proj.bias")
    found["use_qk_norm"] = has("self_attn.q_norm.weight")
    if has("mlp.gate_proj.weight", "mlp.up_proj.weight", "mlp.fc1.weight"):
        found["gated_mlp"] = has("mlp.gate_proj.weight")
        found["mlp_bias"] = has("mlp.up_proj.bias", "mlp.fc1.bias")
    norms = sum(has(f"{norm}.weight") for norm in NORMS)
    if norms:
        found["norms_per_layer"] = norms
        found["norm"] = "LayerNorm" if has("input_layernorm.bias") else "RMSNorm"
    return found
