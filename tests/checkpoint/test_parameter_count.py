"""Parameter counts: computed, and equal to what is known of real checkpoints."""

from __future__ import annotations

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


def count(repo: str):
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
