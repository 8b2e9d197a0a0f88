"""Parameter counts: computed, and equal to what is known of real checkpoints."""

from __future__ import annotations

import contextlib

import pytest

from pytest_scratchverify.catalog.entries import shipped_catalogue
from pytest_scratchverify.checkpoint.design import Tower, read_designs
from pytest_scratchverify.checkpoint.parameter_count import UncountableDesignError, count_parameters

# Exact counts of released checkpoints, from their safetensors headers as published.
EXACT = {
    "meta-llama/Llama-2-7b-hf": 6_738_415_616,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "google/gemma-2-9b": 9_241_705_984,
    "EleutherAI/pythia-160m": 162_322_944,
    "EleutherAI/pythia-6.9b": 6_857_302_016,
}
# Billions as the model cards round them: total and active.
ROUNDED = {
    "skt/A.X-K1": (519, 33),
    "deepseek-ai/DeepSeek-V3": (671, 37),
    "deepseek-ai/DeepSeek-V2": (236, 21),
    "upstage/Solar-Open-100B": (102.6, 12),
    "NC-AI-consortium-VAETKI/VAETKI": (112.2, 10.1),
    "LGAI-EXAONE/K-EXAONE-236B-A23B": (236, 23),
    "moonshotai/Kimi-K2-Instruct": (1026, 32),
    "zai-org/GLM-4.5-Air": (106, 12),
    "openai/gpt-oss-120b": (117, 5.1),
    "Qwen/Qwen3-235B-A22B": (235, 22),
    "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B": (32, 32),
}


def count(repo):
    return count_parameters(shipped_catalogue()[repo].designs[Tower.TEXT])


@pytest.mark.parametrize("repo", EXACT)
def test_counts_equal_released_checkpoints(repo):
    assert count(repo).total == EXACT[repo]


@pytest.mark.parametrize("repo", ROUNDED)
def test_counts_agree_with_model_cards(repo):
    total, active = ROUNDED[repo]
    counted = count(repo)
    assert counted.total / 1e9 == pytest.approx(total, rel=0.03)
    deviations = [abs(value / 1e9 - active) for value in counted.active_as_cards_count]
    assert min(deviations) < 0.03 * active


def test_a_small_model_by_hand():
    """hidden 8, 2 layers, 2 heads of 4, 1 KV head, FFN 16, vocab 10, untied."""
    config = {
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 16,
        "vocab_size": 10,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
    }
    counted = count_parameters(read_designs(config)[Tower.TEXT])
    attention = 8 * 8 + 2 * (8 * 4) + 8 * 8
    assert counted.attention == 2 * attention
    assert counted.mlp == 2 * 3 * 8 * 16
    assert counted.norms == 8 * (2 * 2 + 1)
    assert counted.embeddings == counted.lm_head == 80
    assert counted.total == 2 * attention + 768 + 40 + 160
    assert counted.decoder == counted.total - 160


def test_what_is_missing_is_named():
    design = read_designs({"hidden_size": 8, "num_hidden_layers": 2})[Tower.TEXT]
    with pytest.raises(UncountableDesignError, match="vocab_size"):
        count_parameters(design)


# Keys as upstage/Solar-Open2-250B states them by three sources that agree: the configuration class
# of huggingface/transformers pull request 47585, a converter for llama.cpp (names of keys, layers 0,
# 4, ... 44 of softmax attention) and the table of shapes of a third implementation. The file on the
# hub itself has not been read.
SOLAR_OPEN_2 = {
    "model_type": "solar_open2",
    "vocab_size": 196608,
    "hidden_size": 4096,
    "intermediate_size": 10240,
    "num_hidden_layers": 48,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "moe_intermediate_size": 1280,
    "num_experts_per_tok": 8,
    "n_routed_experts": 320,
    "n_shared_experts": 1,
    "first_k_dense_replace": 0,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "use_qk_norm": False,
    "use_gqa_gate": True,
    "gqa_layers": [*range(0, 48, 4)],
    "linear_attn_config": {
        "short_conv_kernel_size": 4,
        "head_dim": 128,
        "num_heads": 64,
        "num_kv_heads": None,
    },
    "kda_use_full_proj": False,
}


def test_solar_open_2_has_exactly_the_published_number():
    """250,287,794,944, the correction of the router's scores left out, which is no parameter.

    48 layers of 320 such numbers lie in the files besides.
    """
    counted = count_of(SOLAR_OPEN_2)
    assert counted.total == 250_287_794_944
    assert counted.untrained == 48 * 320
    assert counted.certain
    assert counted.active / 1e9 == pytest.approx(15, rel=0.03)


@pytest.mark.parametrize(
    "places",
    [
        {"layer_types": ["linear_attention" if n % 4 else "full_attention" for n in range(48)]},
        {"gqa_interval": 3},
        {"gqa_layers": [*range(0, 48, 4)]},
    ],
    ids=lambda places: next(iter(places)),
)
def test_layers_are_the_same_however_they_are_listed(places):
    rest = {key: value for key, value in SOLAR_OPEN_2.items() if key != "gqa_layers"}
    assert count_of({**rest, **places}).total == 250_287_794_944


def test_a_config_of_transformers_5_counts_like_the_one_it_was_saved_from():
    """A.X-K1: `mlp_layer_types` and `rope_parameters` for `first_k_dense_replace` and `rope_theta`."""
    old = dict(shipped_catalogue()["skt/A.X-K1"].designs[Tower.TEXT].config)
    new = {key: value for key, value in old.items() if key != "first_k_dense_replace"}
    new["mlp_layer_types"] = ["dense"] + ["sparse"] * (old["num_hidden_layers"] - 1)
    new["rope_parameters"] = {"rope_theta": old.get("rope_theta", 1e4), "rope_type": "default"}
    assert round(count_of(new).total / 1e9, 2) == 518.98
    assert count_of(new).total == count_of(old).total
    assert count_of({"model_type": "outer", "text_config": new}).total == count_of(old).total


LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 1000,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}


def count_of(config):
    return count_parameters(read_designs(config)[Tower.TEXT])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layer_types": ["full_attention", "wave_mixer"] * 2}, "wave_mixer"),
        ({"layer_types": ["full_attention"] * 3}, "layer_types"),
        ({"layer_types": ["linear_attention"] * 4}, "linear_attention"),
        ({"num_experts": 8, "mlp_layer_types": ["dense", "soup"] * 2}, "soup"),
        ({"hybrid_override_pattern": "M-Z*"}, "Z"),
        ({"model_type": "new", "token_mixer_rank": 64}, "token_mixer_rank"),
        ({"model_type": "new", "use_memory_layers": True}, "use_memory_layers"),
        ({"model_type": "new", "layer_widths": [64, 128, 64, 128]}, "layer_widths"),
        ({"model_type": "new", "index_n_heads": 4}, "index_n_heads"),
        ({"model_type": "new", "hidden_act": "relu2"}, "hidden_act"),
        ({"is_encoder_decoder": True}, "is_encoder_decoder"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"model_type": "blt"}, "blt"),
    ],
)
def test_what_no_rule_counts_is_refused_by_name(change, named):
    with pytest.raises(UncountableDesignError, match=named):
        count_of({**LLAMA, **change})


def test_harmless_keys_refuse_nothing_and_an_unknown_type_is_uncertain():
    more = {"rope_theta": 5e5, "sliding_window": 4096, "eos_token_id": [1, 2], "use_cache": True,
            "num_return_sequences": 3, "vision_feature_layer": 7}  # fmt: skip
    known, unknown = count_of({**LLAMA, **more}), count_of({**LLAMA, **more, "model_type": "new"})
    assert known.total == unknown.total == count_of(LLAMA).total
    assert known.certain
    assert not unknown.certain


def test_sizes_of_other_parts_are_not_the_decoders():
    """A composite's own `head_dim` speaks of its encoder; whether the head is tied, of the whole."""
    outer = {"model_type": "outer", "head_dim": 999, "text_config": LLAMA}
    assert count_of(outer).total == count_of(LLAMA).total
    tied = count_of({**outer, "tie_word_embeddings": True})
    assert tied.total == count_of(LLAMA).total - 1000 * 64
    assert tied.tied_head == 1000 * 64


HOSTILE = [
    {"per_layer_config": {str(n): {"head_dim": n % 50} for n in range(20_000)}},
    {"mlp_only_layers": [*range(50_000)], "num_experts": 8, "num_experts_per_tok": 2},
    {"moe_layers_enum": "9" * 100_000, "num_experts": 8},
    {"layer_types": {"counts": {str(n): 4000 for n in range(10_000)}}},
    {"layer_types": [None] * 4096},
    {"per_layer_config": {"\u00b2": {}}},
    {"hybrid_override_pattern": "M*-E" * 50_000},
    {"attn_layer_period": 0},
    {"full_attention_interval": 0},
    {"moe_layer_freq": 0, "num_experts": 4},
    {"vocab_size": float("nan")},
    {"hidden_size": 1e300},
    {"model_type": "deepseek_v4", "o_groups": 0},
    {"model_type": "lfm2", "block_auto_adjust_ff_dim": True, "block_multiple_of": 0},
]


@pytest.mark.parametrize("change", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_configs_are_counted_or_refused_and_nothing_else(change):
    with contextlib.suppress(UncountableDesignError):
        assert count_of({**LLAMA, "num_hidden_layers": 4096, **change}).total > 0


def test_a_config_nested_for_ever_is_read_a_few_levels_deep():
    nested = dict(LLAMA)
    for _ in range(2000):
        nested = {"text_config": nested}
    assert read_designs(nested) == {}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "qwen3"}, "head_dim"),  # 128 by its class, whatever width and heads say
        ({"model_type": "qwen3_moe", "head_dim": 16}, "n_routed_experts"),
        ({"model_type": "qwen3_moe", "head_dim": 16, "num_experts": 4}, "moe_intermediate_size"),
        ({"model_type": "qwen3_next", "head_dim": 16, "num_experts": 4, "moe_intermediate_size": 8,
          "shared_expert_intermediate_size": 8}, "layer_types"),
        ({"model_type": "deepseek_v4", "head_dim": 16, "n_routed_experts": 4, "index_n_heads": 2,
          "moe_intermediate_size": 8, "q_lora_rank": 8, "n_shared_experts": 1}, "layer_types"),
        ({"model_type": "lfm2"}, "block_auto_adjust_ff_dim"),
        ({"model_type": "lfm2", "block_auto_adjust_ff_dim": False}, "layer_types"),
    ],
)  # fmt: skip
def test_what_a_class_would_fill_in_has_to_be_stated(change, named):
    with pytest.raises(UncountableDesignError, match=named):
        count_of({**LLAMA, **change})


LFM2 = {"model_type": "lfm2", "hidden_size": 2048, "num_hidden_layers": 16, "vocab_size": 65536,
        "num_attention_heads": 32, "num_key_value_heads": 8, "block_ff_dim": 12288,
        "block_auto_adjust_ff_dim": True, "block_ffn_dim_multiplier": 1.0,
        "block_multiple_of": 256, "conv_L_cache": 3, "conv_bias": False, "norm_eps": 1e-5,
        "full_attn_idxs": [2, 5, 8, 10, 12, 14]}  # fmt: skip
GRANITE_H = {"model_type": "granitemoehybrid", "hidden_size": 1536, "num_hidden_layers": 40,
             "layer_types": ["mamba" if n % 10 != 5 else "attention" for n in range(40)],
             "num_attention_heads": 12, "num_key_value_heads": 4, "num_local_experts": 64,
             "num_experts_per_tok": 6, "intermediate_size": 512, "vocab_size": 100352,
             "shared_intermediate_size": 1024, "mamba_n_heads": 48, "mamba_d_head": 64,
             "mamba_d_state": 128, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_d_conv": 4,
             "mamba_conv_bias": True, "mamba_proj_bias": False, "hidden_act": "silu",
             "rms_norm_eps": 1e-5, "tie_word_embeddings": True}  # fmt: skip
JAMBA = {"model_type": "jamba", "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 65536,
         "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
         "num_experts": 16, "num_experts_per_tok": 2, "expert_layer_period": 2,
         "expert_layer_offset": 1, "attn_layer_period": 8, "attn_layer_offset": 4,
         "mamba_d_state": 16, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 256,
         "mamba_conv_bias": True, "mamba_proj_bias": False, "hidden_act": "silu",
         "rms_norm_eps": 1e-6, "tie_word_embeddings": False}  # fmt: skip
FALCON_H1 = {"model_type": "falcon_h1", "hidden_size": 1024, "num_hidden_layers": 36,
             "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64,
             "intermediate_size": 2048, "mamba_d_ssm": 1536, "mamba_n_heads": 24,
             "mamba_d_head": 64, "mamba_n_groups": 1, "mamba_d_state": 128, "mamba_d_conv": 4,
             "mamba_expand": 2, "mamba_rms_norm": False, "mamba_conv_bias": True,
             "mamba_proj_bias": False, "vocab_size": 32784, "hidden_act": "silu",
             "rms_norm_eps": 1e-5, "tie_word_embeddings": False}  # fmt: skip
NEMOTRON_NANO = {"model_type": "nemotron_h", "hidden_size": 4480, "num_hidden_layers": 56,
                 "hybrid_override_pattern":
                     "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
                 "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
                 "intermediate_size": 15680, "mamba_num_heads": 128, "mamba_head_dim": 80,
                 "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4, "expand": 2,
                 "use_conv_bias": True, "use_bias": False, "mamba_proj_bias": False,
                 "mlp_bias": False, "attention_bias": False, "vocab_size": 131072,
                 "mlp_hidden_act": "relu2", "layer_norm_epsilon": 1e-5}  # fmt: skip
KIMI_LINEAR = {"model_type": "kimi_linear", "hidden_size": 2304, "num_hidden_layers": 27,
               "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 72,
               "kv_lora_rank": 512, "q_lora_rank": None, "qk_nope_head_dim": 128,
               "qk_rope_head_dim": 64, "v_head_dim": 128, "intermediate_size": 9216,
               "moe_intermediate_size": 1024, "num_experts": 256, "num_experts_per_token": 8,
               "num_shared_experts": 1, "first_k_dense_replace": 1, "moe_layer_freq": 1,
               "vocab_size": 163840, "hidden_act": "silu", "rms_norm_eps": 1e-5,
               "tie_word_embeddings": False,
               "linear_attn_config": {"full_attn_layers": [4, 8, 12, 16, 20, 24, 27],
                                      "head_dim": 128, "num_heads": 32,
                                      "short_conv_kernel_size": 4}}  # fmt: skip
HYBRIDS = {
    "LiquidAI/LFM2-1.2B": (LFM2, 1_170_340_608),
    "ibm-granite/granite-4.0-h-tiny": (GRANITE_H, 6_939_037_248),
    "ai21labs/Jamba-v0.1": (JAMBA, 51_570_323_328),
    "tiiuae/Falcon-H1-0.5B-Base": (FALCON_H1, 521_411_104),
    "nvidia/NVIDIA-Nemotron-Nano-9B-v2": (NEMOTRON_NANO, 8_888_227_328),
    "moonshotai/Kimi-Linear-48B-A3B-Instruct": (KIMI_LINEAR, 49_122_681_728),
}


@pytest.mark.parametrize("repo", HYBRIDS)
def test_hybrids_in_their_hub_form_have_the_numbers_of_their_files(repo):
    """Keys as the files on the hub have them, totals as it shows them for the safetensors."""
    config, stored = HYBRIDS[repo]
    counted = count_of(config)
    assert counted.total + counted.untrained == stored
    assert counted.certain
