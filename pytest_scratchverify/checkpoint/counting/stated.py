"""Keys whose absence means the default of the type's own class, and not that there is none.

`transformers` writes them into every config that it saves; a config written by hand may leave them
out, and then nothing that a reader of the file alone could count is certain. A key is listed for
the types whose class has a default for it, or whose count differs where it is left out.
Source: the configuration classes of `transformers` 5.24.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_scratchverify.checkpoint.counting.feed_forward import SHARED_WIDTHS
from pytest_scratchverify.checkpoint.counting.keys import Keys, UncountableDesignError, names_of

_TYPES: Final[Mapping[str, str]] = {
    "head_dim": (
        "afmoe axk2 bailing_hybrid beam cohere2_moe cosmos3_edge cwm deepseek_v32 deepseek_v4 "
        "diffusion_gemma dory dots3_note ernie4_5 flint gemma gemma2 gemma3 gemma3n gemma4 "
        "gemma4_unified glm glm4 glm_moe_dsa gpt_oss helium hrm hy_v3 hy_v4 hy_v4_vl inkling "
        "inkling2 inkling2_loop internlm3 iquestcoder jetmoe kolibri1 laguna lara_mini lfm3 "
        "llama4 longcat_flash mamba2 mellum mimo_v2_flash minimax_m2 minimax_m3_vl ministral3 "
        "mistral_large4 molmo2 muse_glimmer muse_spark nemotron_h qwen3 qwen3_5 qwen3_5_moe "
        "qwen3_next qwen3_vl qwen4_exp sarvam_moe seed_oss solar_open step3p5 vaultgemma "
        "voxtral_realtime zaya"
    ),
    "num_key_value_heads": (
        "axk1 axk2 bailing_hybrid bamba beam bitnet chameleon cosmos3_edge cwm deepseek_v3 "
        "deepseek_v32 deepseek_v4 diffusion_gemma dory dots1 dots3_note ernie4_5 ernie4_5_moe "
        "ernie4_5_vl_moe evolla exaone exaone4 exaone_moe falcon_h1 flint gemma gemma2 gemma3 "
        "gemma3n gemma4 gemma4_unified glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm5_next "
        "glm_moe_dsa glm_ocr gpt_oss granite_swa helium hy_v3 hy_v4 hy_v4_vl inkling inkling2 "
        "inkling2_loop internlm3 iquestcoder jamba jetmoe kimi_linear kolibri1 laguna lara_mini "
        "lfm2 lfm2_moe lfm3 llama4 mellum mimo_v2_flash minicpm3 minimax minimax_m2 minimax_m3_vl "
        "ministral ministral3 mistral mistral4 mistral_large4 mixtral mllama_text_model molmo2 "
        "muse_glimmer muse_spark nemotron nemotron_h phimoe qwen2 qwen2_5_omni qwen2_5_vl "
        "qwen2_moe qwen2_vl qwen3 qwen3_5 qwen3_5_moe qwen3_moe qwen3_next qwen3_omni_moe "
        "qwen3_vl qwen3_vl_moe qwen4_exp sarvam_moe seed_oss smollm3 solar_open stablelm "
        "starcoder2 step3p5 unlimited_ocr vaultgemma voxtral_realtime youtu zamba zaya"
    ),
    "n_routed_experts": (
        "afmoe aria axk1 axk2 bailing_hybrid beam cohere2_moe deepseek_ocr2 deepseek_v2 "
        "deepseek_v3 deepseek_v32 deepseek_v4 diffusion_gemma dots1 dots3_note ernie4_5_moe "
        "ernie4_5_vl_moe exaone_moe flex_olmo flint glm4_moe glm4_moe_lite glm4v_moe glm5_next "
        "glm_moe_dsa gpt_oss granitemoe granitemoe_swa granitemoehybrid granitemoeshared "
        "hunyuan_v1_moe hy_v3 hy_v4 hy_v4_vl inkling inkling2 inkling2_loop jamba jetmoe "
        "kimi_linear kolibri1 laguna lara_mini lfm2_moe llama4 longcat_flash mellum mimo_v2_flash "
        "minimax minimax_m2 minimax_m3_vl mistral4 mistral_large4 mixtral muse_spark nllb-moe "
        "olmoe phimoe qwen2_moe qwen3_5_moe qwen3_moe qwen3_next qwen3_omni_moe qwen3_vl_moe "
        "qwen4_exp sarvam_mla sarvam_moe solar_open step3p5 switch_transformers unlimited_ocr "
        "zaya"
    ),
    "n_shared_experts": (
        "afmoe aria axk1 axk2 bailing_hybrid deepseek_ocr2 deepseek_v2 deepseek_v3 deepseek_v32 "
        "deepseek_v4 dots1 dots3_note ernie4_5_moe ernie4_5_vl_moe exaone_moe flint glm4_moe "
        "glm4_moe_lite glm4v_moe glm5_next glm_moe_dsa granitemoehybrid hy_v3 hy_v4 hy_v4_vl "
        "inkling kimi_linear kolibri1 laguna lara_mini minimax_m3_vl mistral4 mistral_large4 "
        "nemotron_h qwen2_moe qwen3_5_moe qwen3_next qwen4_exp sarvam_mla sarvam_moe solar_open "
        "step3p5 unlimited_ocr"
    ),
    "altup_num_inputs": "gemma3n",
    "block_auto_adjust_ff_dim": "lfm2",
    "concat_input": "roc_bert",
    "decoder_sparse_step": "nllb-moe switch_transformers",
    "embedding_size": "electra",
    "enable_pronunciation": "roc_bert",
    "enable_shape": "roc_bert",
    "encoder_sparse_step": "nllb-moe switch_transformers",
    "first_k_dense_replace": "ernie4_5_moe",
    "hc_count": "qwen4_exp",
    "hidden_size_per_layer_input": "gemma3n gemma4",
    "index_n_heads": (
        "axk2 deepseek_v32 deepseek_v4 dots3_note glm5_next glm_moe_dsa hy_v4 hy_v4_vl "
        "minimax_m3_vl mistral_large4"
    ),
    "indexer_types": "hy_v4",
    "input_embedding_size": "rembert",
    "intermediate_size": "ctrl",
    "intermediate_size_mlp": "llama4",
    "kv_lora_rank": (
        "axk1 axk2 bailing_hybrid deepseek_v2 deepseek_v3 deepseek_v32 dots3_note glm4_moe_lite "
        "glm5_next glm_moe_dsa hy_v4 hy_v4_vl kimi_linear longcat_flash minicpm3 mistral4 "
        "mistral_large4 sarvam_mla youtu"
    ),
    "laurel_rank": "gemma3n",
    "layer_types": "diffusion_gemma dory dots3_note granitemoehybrid",
    "layers_block_type": "zamba",
    "linear_head_dim": "bailing_hybrid glm5_next kimi_linear",
    "loop_layer_index_end": "inkling2_loop",
    "mamba_head_dim": "nemotron_h",
    "moe_hidden_size": "muse_spark",
    "moe_intermediate_size": (
        "afmoe axk1 axk2 bailing_hybrid beam deepseek_ocr2 deepseek_v2 deepseek_v3 deepseek_v32 "
        "deepseek_v4 diffusion_gemma dots1 dots3_note ernie4_5_moe exaone_moe flint glm4_moe "
        "glm4_moe_lite glm4v_moe glm5_next glm_moe_dsa hy_v3 hy_v4 hy_v4_vl inkling inkling2 "
        "inkling2_loop kimi_linear kolibri1 laguna lara_mini lfm2_moe mellum mimo_v2_flash "
        "mistral4 mistral_large4 muse_spark nemotron_h qwen2_moe qwen3_5_moe qwen3_moe qwen3_next "
        "qwen3_omni_moe qwen3_vl_moe qwen4_exp sarvam_mla sarvam_moe solar_open step3p5 "
        "unlimited_ocr zaya"
    ),
    "moe_shared_expert_intermediate_size": "nemotron_h",
    "multi_query": "falcon",
    "num_decoder_layers": "prophetnet switch_transformers",
    "num_kv_shared_layers": "gemma3n gemma4_unified",
    "num_mem_blocks": "zamba2",
    "output_embedding_size": "rembert",
    "per_layer_config": "diffusion_gemma dots3_note gemma4 gemma4_unified",
    "q_lora_rank": (
        "axk1 axk2 deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 dots3_note glm4_moe_lite "
        "glm5_next glm_moe_dsa hy_v4 hy_v4_vl longcat_flash minicpm3 mistral4 youtu"
    ),
    "shared_expert_intermediate_size": "qwen4_exp",
    "shared_experts_intermediate_size": "dots3_note",
    "swa_head_dim": "inkling inkling2 inkling2_loop",
    "swa_num_attention_heads": "inkling inkling2 inkling2_loop",
    "swa_num_key_value_heads": "inkling inkling2 inkling2_loop",
    "v_head_dim": (
        "axk1 axk2 bailing_hybrid deepseek_v2 deepseek_v3 deepseek_v32 dots3_note glm4_moe_lite "
        "glm5_next glm_moe_dsa hy_v4 hy_v4_vl kimi_linear longcat_flash mimo_v2_flash mistral4 "
        "mistral_large4 sarvam_mla youtu"
    ),
}  # fmt: skip
DEFAULTED: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(types.split()) for name, types in _TYPES.items()
}
# Types of which some layers have one dense MLP, and the keys that say which.
_PARTLY_SPARSE: Final = frozenset({
    "afmoe", "axk1", "axk2", "bailing_hybrid", "beam", "deepseek_ocr2", "deepseek_v3",
    "deepseek_v32", "dots1", "dots3_note", "ernie4_5_moe", "ernie4_5_vl_moe", "exaone_moe",
    "flint", "glm4_moe", "glm4_moe_lite", "glm4v_moe", "glm5_next", "glm_moe_dsa", "hy_v3",
    "hy_v4", "hy_v4_vl", "jamba", "kimi_linear", "laguna", "lfm2_moe", "llama4", "mimo_v2_flash",
    "mistral_large4", "sarvam_mla", "sarvam_moe", "step3p5", "unlimited_ocr",
})  # fmt: skip
_WHICH: Final = (
    "mlp_layer_types", "is_moe_layer", "moe_layer_freq", "moe_layers", "moe_layers_enum",
    "mlp_only_layers", "num_dense_layers", "n_dense_layers", "expert_layer_period",
    "interleave_moe_layer_step", "moe_layer_interval", "dense_mlp_idx",
    *names_of("first_k_dense_replace"),
)  # fmt: skip
# Keys that say the same otherwise.
_INSTEAD: Final[Mapping[str, tuple[str, ...]]] = {
    "n_shared_experts": SHARED_WIDTHS,
    "per_layer_config": ("global_head_dim",),
    "linear_head_dim": ("linear_attn_config",),
    "layer_types": ("layers_block_type",),
    "layers_block_type": ("layer_types",),
}
_OF_SOFTMAX: Final = ("head_dim", "num_key_value_heads")
_OF_EXPERTS: Final = ("moe_intermediate_size", "moe_shared_expert_intermediate_size",
                      "n_shared_experts")  # fmt: skip


def refuse_unstated_keys(keys: Keys) -> None:
    """Raise `UncountableDesignError` for the first such key that a config leaves out."""
    for name, types in DEFAULTED.items():
        if keys.family not in types or (name in _OF_SOFTMAX and keys.size("kv_lora_rank")):
            continue
        if name in _OF_EXPERTS and not keys.size("n_routed_experts"):
            continue
        if not any(alias in keys.raw for alias in (*names_of(name), *_INSTEAD.get(name, ()))):
            raise UncountableDesignError(name)
    if keys.family in _PARTLY_SPARSE and not any(name in keys.raw for name in _WHICH):
        raise UncountableDesignError("mlp_layer_types")
