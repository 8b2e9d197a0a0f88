"""Keys whose absence means the default of the type's own class, and not that there is none.

`transformers` writes them into every config that it saves; a config written by hand may leave them
out, and then nothing that a reader of the file alone could count is certain.
Source: the configuration classes of `transformers` 5.24.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_scratchverify.checkpoint.counting.feed_forward import SHARED_WIDTHS
from pytest_scratchverify.checkpoint.counting.keys import Keys, UncountableDesignError
from pytest_scratchverify.checkpoint.design import FIELDS

_HEAD: Final = frozenset({
    "ministral3", "internlm3", "ernie4_5", "cwm", "iquestcoder", "solar_open", "qwen3",
    "qwen3_vl", "mellum", "hy_v3", "sarvam_moe", "minimax_m3_vl", "qwen3_next", "qwen3_5_moe",
    "qwen3_5", "lara_mini", "deepseek_v32", "glm_moe_dsa", "axk2", "hy_v4", "dots3_note",
    "bailing_hybrid", "deepseek_v4", "mistral_large4", "inkling", "gemma", "vaultgemma", "gemma2",
    "gemma3", "gemma3n", "gemma4", "gemma4_unified", "glm", "glm4", "gpt_oss", "flint",
    "mimo_v2_flash", "laguna", "step3p5", "afmoe", "beam", "muse_glimmer", "muse_spark",
    "kolibri1", "minimax_m2", "llama4", "seed_oss", "helium", "cohere2_moe", "lfm3", "nemotron_h",
    "dory",
})  # fmt: skip
_KV: Final = frozenset({
    "mistral", "ministral", "ministral3", "mixtral", "internlm3", "smollm3", "exaone", "ernie4_5",
    "cwm", "iquestcoder", "ernie4_5_moe", "solar_open", "qwen2", "qwen2_vl", "qwen2_5_vl",
    "qwen2_5_omni", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_vl", "qwen3_vl_moe",
    "qwen3_omni_moe", "mellum", "exaone4", "dots1", "exaone_moe", "hy_v3", "sarvam_moe",
    "minimax_m3_vl", "qwen3_next", "qwen3_5_moe", "qwen3_5", "lara_mini", "minicpm3", "youtu",
    "mistral4", "deepseek_v3", "deepseek_v32", "glm_moe_dsa", "glm4_moe_lite", "axk1", "axk2",
    "hy_v4", "dots3_note", "glm5_next", "kimi_linear", "bailing_hybrid", "deepseek_v4",
    "mistral_large4", "inkling", "gemma", "vaultgemma", "gemma2", "gemma3", "gemma3n", "gemma4",
    "gemma4_unified", "glm", "glm4", "glm4v", "glm_ocr", "glm4_moe", "glm4v_moe", "gpt_oss",
    "granite_swa", "flint", "mimo_v2_flash", "laguna", "step3p5", "beam", "muse_glimmer",
    "muse_spark", "kolibri1", "minimax_m2", "minimax", "llama4", "phimoe", "stablelm", "seed_oss",
    "helium", "starcoder2", "lfm2", "lfm3", "bamba", "falcon_h1", "jamba", "nemotron_h", "dory",
})  # fmt: skip
_EXPERTS: Final = frozenset({
    "mixtral", "granitemoe", "granitemoeshared", "granitemoehybrid", "aria", "ernie4_5_moe",
    "solar_open", "qwen2_moe", "qwen3_moe", "qwen3_vl_moe", "qwen3_omni_moe", "mellum",
    "exaone_moe", "hy_v3", "sarvam_moe", "minimax_m3_vl", "qwen3_next", "qwen3_5_moe",
    "lara_mini", "deepseek_v2", "mistral4", "deepseek_v3", "deepseek_v32", "glm_moe_dsa",
    "glm4_moe_lite", "sarvam_mla", "axk1", "axk2", "hy_v4", "dots3_note", "glm5_next",
    "kimi_linear", "bailing_hybrid", "deepseek_v4", "mistral_large4", "inkling", "glm4_moe",
    "glm4v_moe", "gpt_oss", "granitemoe_swa", "flint", "mimo_v2_flash", "laguna", "step3p5",
    "afmoe", "beam", "muse_spark", "kolibri1", "minimax_m2", "minimax", "llama4", "olmoe",
    "flex_olmo", "phimoe", "hunyuan_v1_moe", "cohere2_moe", "jamba",
})  # fmt: skip
_SHARED: Final = frozenset({
    "granitemoehybrid", "aria", "ernie4_5_moe", "solar_open", "qwen2_moe", "exaone_moe", "hy_v3",
    "sarvam_moe", "minimax_m3_vl", "qwen3_next", "qwen3_5_moe", "lara_mini", "deepseek_v2",
    "mistral4", "deepseek_v3", "deepseek_v32", "glm_moe_dsa", "glm4_moe_lite", "sarvam_mla",
    "axk1", "axk2", "hy_v4", "dots3_note", "glm5_next", "kimi_linear", "bailing_hybrid",
    "deepseek_v4", "mistral_large4", "inkling", "glm4_moe", "glm4v_moe", "flint", "laguna",
    "step3p5", "afmoe", "kolibri1",
})  # fmt: skip
# Types of which some layers have one dense MLP, and the keys that say which.
_PARTLY_SPARSE: Final = frozenset({
    "afmoe", "axk1", "axk2", "bailing_hybrid", "beam", "deepseek_v3", "deepseek_v32", "dots1",
    "dots3_note", "ernie4_5_moe", "exaone_moe", "flint", "glm4_moe", "glm4_moe_lite", "glm4v_moe",
    "glm5_next", "glm_moe_dsa", "hy_v3", "hy_v4", "jamba", "kimi_linear", "laguna", "llama4",
    "mimo_v2_flash", "mistral_large4", "sarvam_mla", "sarvam_moe", "step3p5",
})  # fmt: skip
_WHICH: Final = (
    "mlp_layer_types", "is_moe_layer", "moe_layer_freq", "moe_layers", "moe_layers_enum",
    "mlp_only_layers", "num_dense_layers", "n_dense_layers", "expert_layer_period",
    "interleave_moe_layer_step", "moe_layer_interval", "dense_mlp_idx",
    *FIELDS["first_k_dense_replace"].names,
)  # fmt: skip
TYPES: Final[Mapping[str, frozenset[str]]] = {
    "head_dim": _HEAD,
    "num_key_value_heads": _KV,
    "n_routed_experts": _EXPERTS,
    "n_shared_experts": _SHARED,
}
_OF_SOFTMAX: Final = ("head_dim", "num_key_value_heads")


def refuse_unstated_keys(keys: Keys) -> None:
    """Raise `UncountableDesignError` for the first such key that a config leaves out."""
    for name, types in TYPES.items():
        if keys.family not in types or (name in _OF_SOFTMAX and keys.size("kv_lora_rank")):
            continue
        others = SHARED_WIDTHS if name == "n_shared_experts" else ()
        if not any(alias in keys.raw for alias in (*FIELDS[name].names, *others)):
            raise UncountableDesignError(name)
    if keys.family in _PARTLY_SPARSE and not any(name in keys.raw for name in _WHICH):
        raise UncountableDesignError("mlp_layer_types")
