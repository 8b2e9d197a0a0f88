"""The architecture method over the catalogue alone: what issue and review say it must find."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_scratchverify.catalog.claims import shipped_claims
from pytest_scratchverify.catalog.entries import shipped_catalogue
from pytest_scratchverify.catalog.store import catalogue_store
from pytest_scratchverify.checkpoint.design import Tower
from pytest_scratchverify.core.evidence import Level, Outcome
from pytest_scratchverify.core.matrix_file import read_matrix
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.architecture import (
    ArchitectureThresholds,
    Config,
    claim_holds,
    core_fields,
    declared_parameters,
    nearest_design,
    parameter_count,
)

SUITES = Path(__file__).parents[2] / "suites"
MATRIX = read_matrix(SUITES / "matrix.toml")
CATALOGUE = shipped_catalogue()
CALIBRATION = ArchitectureThresholds.load(SUITES / "calibration" / "architecture.json")
AXK1 = "skt/A.X-K1"
HYPERCLOVA = "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"


def config(model: str) -> Config:
    artifact = catalogue_store(model).config()
    return Config(artifact.value, artifact.record)


def design(model: str, tower: Tower = Tower.TEXT):
    return nearest_design(MATRIX.spec(model), config(model), tower, CATALOGUE, CALIBRATION)


def pair(model: str, reference: str):
    pair = Pair(MATRIX.spec(model), MATRIX.spec(reference))
    return core_fields(pair, config(model), config(reference), CATALOGUE)


def claim(model: str, claim_id: str):
    found = next(c for c in shipped_claims()[model] if c.id == claim_id)
    return claim_holds(MATRIX.spec(model), found, config(model), CATALOGUE, CALIBRATION)


def test_a_x_k1_shares_deepseek_v3s_design_which_is_declared():
    finding = design(AXK1)
    assert finding.outcome is Outcome.DECLARED
    assert finding.reference == "deepseek-ai/DeepSeek-V3"
    # Its maker's later A.X-K2 is nearer, and no origin.
    row = next(near for near in finding.details["nearest"] if near["repo"] == finding.reference)
    assert "kv_lora_rank" in row["equal"]
    assert row["different"]["num_attention_heads"] == [64, 128]
    assert row["different"]["norms_per_layer"] == [3, 2]
    assert finding.details["design"]["attention_kind"] == "MLA"


def test_a_x_k1_and_kimi_k2_share_vocabulary_size_heads_and_all_five_core_fields():
    finding = pair(AXK1, "moonshotai/Kimi-K2-Instruct")
    assert finding.statistic.value == 5
    assert {"vocab_size", "num_attention_heads"} <= set(finding.details["equal"])
    assert finding.details["korea_2026_rule"] == "same architecture, fine-tuning suspected"
    assert {"embed_tokens", "q_b_proj", "kv_b_proj", "o_proj"} <= set(
        finding.details["weights_comparable"]
    )
    assert finding.outcome is Outcome.INDETERMINATE
    assert "nothing about whose weights" in str(finding.headline)


def test_a_x_k1_and_deepseek_v3_differ_in_heads_only_among_the_core():
    finding = pair(AXK1, "deepseek-ai/DeepSeek-V3")
    assert finding.statistic.value == 4
    comparable = finding.details["weights_comparable"]
    assert {"q_a_proj", "kv_a_proj", "dense mlp", "expert mlp"} <= set(comparable)
    assert "embed_tokens" not in comparable


@pytest.mark.parametrize(
    ("model", "claim_id", "words"),
    [
        ("upstage/Solar-Open-100B", "experts-129-unique", "zai-org/GLM-4.5-Air"),
        (AXK1, "experts-193-most", "moonshotai/Kimi-K2-Instruct 385"),
        (AXK1, "no-model-matches", "moonshotai/Kimi-K2-Instruct 5"),
        (AXK1, "attention-is-mha", "attention_kind is MLA, not MHA"),
        (AXK1, "head-dim-112", "qk_head_dim is 192, not 112"),
        (AXK1, "scoring_func-softmax", "sigmoid, not softmax"),
        (AXK1, "active-22b", "32.78B active parameters computed, not 22B"),
        (AXK1, "moe_intermediate_size-2560", "2048, not 2560"),
        (HYPERCLOVA, "attention-multiplier-unique", "128^-0.5"),
        ("NC-AI-consortium-VAETKI/VAETKI", "first-3-dense-unique", "deepseek-ai/DeepSeek-V3"),
        ("NC-AI-consortium-VAETKI/VAETKI", "attention-is-gqa", "MLA, not GQA"),
        ("NC-AI-consortium-VAETKI/VAETKI", "active-14b", "not 14B"),
    ],
)
def test_contradicted_claims_are_found(model, claim_id, words):
    finding = claim(model, claim_id)
    assert finding.outcome is Outcome.INDETERMINATE
    assert finding.relation == "contradicted"
    assert words in str(finding.headline)


def test_129_experts_are_shared_by_four_models_of_the_debate():
    same = claim("upstage/Solar-Open-100B", "experts-129-unique").headline.params["same"]
    assert {
        "zai-org/GLM-4.5-Air",
        "NC-AI-consortium-VAETKI/VAETKI",
        "LGAI-EXAONE/K-EXAONE-236B-A23B",
    } <= set(same)


@pytest.mark.parametrize(
    ("model", "claim_id"),
    [
        ("upstage/Solar-Open-100B", "active-12b"),
        ("upstage/Solar-Open-100B", "num_hidden_layers-48"),
        (AXK1, "hidden_size-7168"),
        (AXK1, "vocab_size-163840"),
    ],
)
def test_confirmed_claims_hold(model, claim_id):
    assert claim(model, claim_id).outcome is Outcome.CONSISTENT


def test_a_claim_that_rests_on_itself_is_not_confirmed():
    """The catalogue's value comes from where the claim comes from: that confirms nothing."""
    finding = claim("NC-AI-consortium-VAETKI/VAETKI", "hidden_size-3072")
    assert finding.outcome is Outcome.UNAVAILABLE


def test_hyperclovas_vision_encoder_is_qwen2_5_vls_as_declared():
    finding = design(HYPERCLOVA, Tower.VISION)
    assert finding.outcome is Outcome.DECLARED
    assert finding.reference == "Qwen/Qwen2.5-VL-32B-Instruct"
    assert finding.statistic.value == 0.0


def test_a_text_model_has_no_vision_design():
    assert design(AXK1, Tower.VISION).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("model", [spec.name for spec in MATRIX if catalogue_store(spec.name)])
def test_architecture_never_accuses_and_never_clears(model):
    for finding in (
        design(model),
        parameter_count(
            MATRIX.spec(model),
            config(model),
            declared_parameters(MATRIX.spec(model), CATALOGUE),
            None,
            CALIBRATION,
        ),
    ):
        assert finding.outcome is not Outcome.DERIVED
        assert finding.level in (Level.E0, Level.E2)


def test_parameters_agree_with_the_declaration_and_a_wrong_one_is_found():
    spec = ModelSpec(name=AXK1)
    right = parameter_count(spec, config(AXK1), (519e9, 33e9), None, CALIBRATION)
    wrong = parameter_count(spec, config(AXK1), (519e9, 22e9), None, CALIBRATION)
    nothing = parameter_count(spec, config(AXK1), (None, None), None, CALIBRATION)
    assert right.outcome is Outcome.CONSISTENT
    assert wrong.outcome is Outcome.INDETERMINATE
    assert "22B are stated" in str(wrong.headline)
    assert nothing.outcome is Outcome.NOT_APPLICABLE


def test_a_config_without_sizes_is_indeterminate_not_wrong():
    empty = Config({"model_type": "mystery"}, config(AXK1).record)
    spec = ModelSpec(name="org/mystery")
    found = parameter_count(spec, empty, (1e9, None), None, CALIBRATION)
    assert found.outcome is Outcome.INDETERMINATE
    assert nearest_design(spec, empty, Tower.TEXT, CATALOGUE, CALIBRATION).outcome in (
        Outcome.NOT_APPLICABLE,
        Outcome.INDETERMINATE,
    )


def test_the_shipped_calibration_is_the_populations():
    """The frozen quantiles come from today's catalogue; rebuild them when it changes."""
    from itertools import combinations

    from pytest_scratchverify.catalog.nearest import compare

    entries = CATALOGUE.with_tower(Tower.TEXT)
    pairs = sum(a.developer != b.developer for a, b in combinations(entries, 2))
    assert pairs >= CALIBRATION.pairs > 0.95 * pairs
    sample = [
        row.distance
        for a, b in list(combinations(entries, 2))[::37]
        if a.developer != b.developer and (row := compare(a.designs[Tower.TEXT], b))
    ]
    median = sorted(sample)[len(sample) // 2]
    assert dict(CALIBRATION.quantiles)[0.5] == pytest.approx(median, abs=0.05)
