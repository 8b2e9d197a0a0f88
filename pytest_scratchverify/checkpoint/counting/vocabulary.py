"""Keys of configs that change no parameter, and the refusal of those that nobody here knows.

A type whose code is known is counted by the keys that its code reads. Of any other type a key that
no rule asked for, and that holds what could be a size or a switch, may be a layer that is not
counted: then nothing is.
"""

from __future__ import annotations

import re
from typing import Final

from pytest_scratchverify.checkpoint.counting.keys import (
    Keys,
    UncountableDesignError,
    UnknownLayerError,
)
from pytest_scratchverify.checkpoint.counting.traits import Traits
from pytest_scratchverify.checkpoint.design import FIELDS
from pytest_scratchverify.core.json_values import Json

# Words that a key of a number or a switch without parameters has among its own.
HARMLESS_WORDS: Final = frozenset({
    "alpha", "aux", "base", "beta", "cache", "cap", "chunk", "clamp", "clip", "coef", "decay",
    "drop", "dropout", "dtype", "eps", "epsilon", "factor", "floor", "id", "ids", "impl",
    "implementation", "init", "initializer", "interval", "iters", "jitter", "kernels", "limit",
    "loss", "max", "method", "min", "multiplier", "noise", "num_return", "output", "pdrop",
    "prob", "range", "rate", "return", "rope", "rotary", "scale", "scaled", "scaling", "scalar",
    "seed", "softcap", "softcapping", "std", "stride", "strategy", "temperature", "theta",
    "token", "tokens", "topk", "tp", "version", "window", "fp32", "float32", "causal",
    "bidirectional",
})  # fmt: skip
# Words of sizes, whatever stands beside them.
SIZES: Final = frozenset({
    "dim", "dims", "embed", "experts", "ffn", "head", "heads", "hidden", "kernel", "layer",
    "layers", "mixer", "mlp", "rank", "size", "sizes", "width", "widths",
})  # fmt: skip
# Keys of other towers beside a text part, and of what a config says about itself.
HARMLESS: Final = re.compile(
    r"_|(vision|visual|image|images|video|audio|speech|mm|multimodal|projector|connector|talker)"
    r"(_|$)|(architectures|auto_map|transformers_version|torch_dtype|tokenizer_class|task_.*|"
    r"quantization_config|generation_config|id2label|label2id|problem_type|"
    r"finetuning_task|pruned_heads|unsloth_.*|use_cache|is_decoder|tie_word_embeddings|"
    r"gradient_checkpointing|pretraining_tp|mtp_.*|num_mtp_.*|num_nextn_predict_layers|"
    r"qk_head_dim|moe_renormalize|norm_topk_prob|expert_selection_fn|original_.*|model_max_length|"
    r"context_length|dim_model_base|attention_scale|residual_in_fp32|use_sliding_window|"
    r"layer_types|sliding_layers|no_rope_layers|swiglu_limit.*|cross_attention_hidden_size|"
    r"chunk_size_feed_forward|n_ctx|num_expert_group|unpadded_vocab_size|"
    r"training|attention_type|block_size|prefix|(.*_)?chunk_size|sliding_window_size|rotary_dim|"
    r"layer_norm_eps.*|.*_layernorm_eps.*|num_logits_to_keep|max_window_layers|"
    r"index_topk.*)$"
)
_POSITIONS: Final = re.compile(r"rope|rotary|alibi")
# How layers are told apart may be said several times; the first that says it is read.
PLACES: Final = frozenset({
    "first_k_dense_replace", "num_dense_layers", "n_dense_layers", "moe_layer_freq", "moe_layers",
    "moe_layers_enum", "mlp_only_layers", "decoder_sparse_step", "interleave_moe_layer_step",
    "moe_layer_interval", "moe_layer_end_index", "moe_layer_start_index", "is_moe_layer",
    "mlp_layer_types", "sliding_window_pattern", "full_attention_interval", "layer_group_size",
    "max_window_layers", "global_attn_every_n_layers", "expert_layer_period",
    "expert_layer_offset", "attn_layer_period", "attn_layer_offset", "no_rope_layer_interval",
    "n_group", "topk_group", "num_experts_per_tok",
})  # fmt: skip
WITHOUT_PARAMETERS: Final = frozenset({
    "model_type", "attention_kind", "hidden_act", "norm", "norm_eps", "rope_theta",
    "rope_scaling", "parallel_attn", "partial_rotary_factor", "scoring_func",
    "routed_scaling_factor", "attention_multiplier", "layer_pattern", "sliding_window",
    "max_position_embeddings", "gated_mlp", "norms_per_layer", "use_qk_norm",
    "num_nextn_predict_layers",
})  # fmt: skip


CROSSING: Final = frozenset({"bert"})  # types whose attention to an encoder is counted
# What these size stands beside attention and MLP, and each type that has it is known.
OF_ONE_FAMILY: Final = (
    "gated_norm_rank", "hc_mult", "hc_count", "altup_num_inputs", "laurel_rank",
    "loop_layer_index_end", "cross_attention_layers", "word_embed_proj_dim", "embedding_size",
    "input_embedding_size", "output_embedding_size", "unpadded_vocab_size", "zero_expert_num",
    "expansion_ratio", "block_types",
)  # fmt: skip


def refuse_other_models(keys: Keys) -> None:
    """Raise `UnknownLayerError` for a config of a model that is not one decoder of text."""
    if keys.flag("is_encoder_decoder"):
        raise UnknownLayerError("is_encoder_decoder")
    if keys.flag("add_cross_attention") and keys.family not in CROSSING:
        raise UnknownLayerError("add_cross_attention")
    if keys.table("talker_config"):
        raise UnknownLayerError("talker_config")


def refuse_keys_of_known_types(keys: Keys, traits: Traits) -> None:
    """Raise for keys that a rule counts, in the type of which it is known and no other."""
    for name in OF_ONE_FAMILY:
        if keys.raw.get(name):
            raise UnknownLayerError(name)
    if keys.size("top_k_experts") and keys.value("enable_moe_block") is None:
        raise UncountableDesignError("enable_moe_block")  # Gemma's experts stand beside an MLP
    learned = traits.positions is not None
    if keys.text("norm") == "LayerNorm" and not learned and not _says_positions(keys):
        raise UncountableDesignError("rope_parameters")  # or positions are looked up in a table
    if keys.size("linear_num_value_heads") and keys.value("attn_output_gate") is None:
        raise UncountableDesignError("attn_output_gate")  # half of such models have one


def _says_positions(keys: Keys) -> bool:
    """Whether a config says that positions turn queries and keys, or add to their products."""
    return any(_POSITIONS.search(key) and keys.raw[key] is not None for key in keys.raw)


def refuse_unknown_keys(keys: Keys) -> None:
    """Raise `UnknownLayerError` for the first key that may stand for parameters not counted."""
    for key, value in keys.raw.items():
        if _may_hold_parameters(value) and not (key in keys.asked or is_harmless(key)):
            raise UnknownLayerError(key)


def is_harmless(key: str) -> bool:
    """Whether a key is known to change no parameter of a text decoder."""
    if key in PLACES or HARMLESS.match(key) or key in _NAMES:
        return True
    words = set(key.lower().split("_"))
    return not HARMLESS_WORDS.isdisjoint(words) and SIZES.isdisjoint(words)


_NAMES: Final = frozenset(name for field in WITHOUT_PARAMETERS for name in FIELDS[field].names)


def _may_hold_parameters(value: Json) -> bool:
    """Whether a value could be a size, a list of sizes, or a switch that is on."""
    if isinstance(value, float):
        return value.is_integer() and value > 1
    if isinstance(value, int):
        return value >= 1
    return bool(value) and not isinstance(value, str)
