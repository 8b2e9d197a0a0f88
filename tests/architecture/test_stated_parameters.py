"""Statements of a number of parameters: honest ones pass, certain contradictions are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_scratchverify.catalog.store import catalogue_store
from pytest_scratchverify.checkpoint.design import Tower, read_designs
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.checkpoint.parameter_count import count_parameters
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.methods.architecture import (
    ArchitectureThresholds,
    Config,
    parameter_count,
)
from pytest_scratchverify.stores.store import Artifact

SUITES = Path(__file__).parents[2] / "suites"
CALIBRATION = ArchitectureThresholds.load(SUITES / "calibration" / "architecture.json")
RECORD = catalogue_store("skt/A.X-K1").config().record
SPEC = ModelSpec(name="org/model")
QWEN = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18944,
    "vocab_size": 152064,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}  # Qwen2.5-7B: 7.62B, 6.53B without look-up tables
SMALL = {**QWEN, "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14,
         "num_key_value_heads": 2, "intermediate_size": 4864, "vocab_size": 151936,
         "tie_word_embeddings": True}  # fmt: skip
GLM = {
    "model_type": "glm4_moe",
    "hidden_size": 4096,
    "num_hidden_layers": 46,
    "num_attention_heads": 96,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 1,
    "num_nextn_predict_layers": 1,
    "attention_bias": True,
    "vocab_size": 151552,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}  # GLM-4.5-Air: 106.85B, and 110.47B in its files, which hold the prediction layer


def finding(stated, made, stored=None):
    index = None
    if stored is not None:
        info = TensorInfo("model.layers.0.w", "BF16", (stored,), 0, 2 * stored, "model.safetensors")
        index = Artifact(TensorIndex({info.name: info}), RECORD)
    declared = stated if isinstance(stated, tuple) else (stated, None)
    return parameter_count(SPEC, Config(made, RECORD), declared, index, CALIBRATION)


def total(made):
    return count_parameters(read_designs(made)[Tower.TEXT]).total


@pytest.mark.parametrize(
    ("stated", "made"),
    [
        (7.62e9, QWEN),
        (7e9, QWEN),  # the name cuts
        (8e9, QWEN),  # the name rounds
        (6.53e9, QWEN),  # without look-up tables
        (494e6, SMALL),
        (630e6, SMALL),  # the tied table counted twice
        (358e6, SMALL),
        (106e9, GLM),
        (110e9, GLM),  # with the layer of multi-token prediction
        ((106e9, 12e9), GLM),
        (12e9, {"vision_config": {"hidden_size": 1280, "depth": 32}, "text_config": QWEN}),
    ],
)
def test_honest_statements_are_as_stated(stated, made):
    assert finding(stated, made).outcome is Outcome.CONSISTENT


@pytest.mark.parametrize(
    ("stated", "made"),
    [
        (14e9, QWEN),
        (5e9, QWEN),
        (3.1e9, QWEN),
        ((106e9, 22e9), GLM),
        (140e9, GLM),
        (5e9, {"vision_config": {"hidden_size": 1280, "depth": 32}, "text_config": QWEN}),
    ],
)
def test_a_certain_contradiction_is_said(stated, made):
    found = finding(stated, made)
    assert found.outcome is Outcome.INDETERMINATE
    assert found.relation == "contradicted"
    assert "contradict each other" in str(found.headline)


def test_files_with_prediction_layers_are_as_stated():
    assert finding(None, GLM, stored=110_468_824_832).outcome is Outcome.CONSISTENT
    assert finding(None, SMALL, stored=total(SMALL)).outcome is Outcome.CONSISTENT
    lost = finding(None, QWEN, stored=int(0.9 * total(QWEN)))
    assert lost.relation == "contradicted"


@pytest.mark.parametrize(
    "part",
    [
        {"vision_config": {"embed_dim": [256, 512], "depths": [1, 1]}},  # Florence-2's
        {"encoder_config": {"hidden_dim": 1024, "num_layers": 16}},  # Granite-Speech's
        {"acoustic_tokenizer_encoder_config": {"num_filters": 32}},  # VibeVoice's
    ],
    ids=lambda part: next(iter(part)),
)
def test_files_with_a_part_whose_design_is_not_read_contradict_nothing(part):
    """What the files hold beside the text is nobody's contradiction."""
    made = {"text_config": QWEN, **part}
    assert finding(None, made, stored=int(1.3 * total(QWEN))).relation != "contradicted"
    assert finding(2 * total(QWEN), made).outcome is Outcome.CONSISTENT
    alone = finding(None, {"text_config": QWEN}, stored=int(1.3 * total(QWEN)))
    assert alone.relation == "contradicted"


def test_a_tower_larger_than_its_text_contradicts_nothing():
    tower = {"hidden_size": 1408, "num_hidden_layers": 39}  # a billion, as in BLIP-2
    made = {"text_config": SMALL, "vision_config": tower}
    assert finding(5 * total(SMALL), made).outcome is Outcome.CONSISTENT


def test_an_unknown_type_contradicts_nobody():
    found = finding(14e9, {**QWEN, "model_type": "new"})
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert not found.outcome.blocks
    assert found.relation != "contradicted"
    assert "nothing follows" in str(found.headline)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layer_types": ["wave_mixer"] * 28}, "layer_types: wave_mixer"),
        ({"model_type": "new", "token_mixer_rank": 64}, "token_mixer_rank"),
    ],
)
def test_what_is_not_countable_is_named_and_contradicts_nobody(change, named):
    found = finding(14e9, {**QWEN, **change})
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert not found.outcome.blocks
    assert found.relation != "contradicted"
    assert f"not countable: no rule here knows what {named}" in str(found.headline)


def test_a_key_that_is_not_stated_is_named_and_blocks_nothing():
    left = {key: value for key, value in QWEN.items() if key != "vocab_size"}
    found = finding(14e9, left)
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert not found.outcome.blocks
    assert "not countable: the config does not state vocab_size" in str(found.headline)


def test_active_parameters_that_no_config_tells_are_not_said_to_be_all():
    unsaid = {key: value for key, value in GLM.items() if key != "num_experts_per_tok"}
    said = str(finding(1e9 * 106.85, unsaid).headline)
    assert "106.85B parameters, an unstated number active" in said
    assert "106.85B active" not in said
