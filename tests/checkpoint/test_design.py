"""Designs read from config.json: names of many exporters, towers, attention kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.catalog.entries import shipped_catalogue
from pytest_scratchverify.checkpoint.design import ABSENT, FIELDS, Tower, read_designs

LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "intermediate_size": 11008,
    "vocab_size": 32000,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
}


def text(**changes):
    return read_designs({**LLAMA, **changes})[Tower.TEXT]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "MHA"),
        ({"num_key_value_heads": 32}, "MHA"),
        ({"num_key_value_heads": 8}, "GQA"),
        ({"num_key_value_heads": 1}, "MQA"),
        ({"num_key_value_heads": 32, "kv_lora_rank": 512, "q_lora_rank": 1536}, "MLA"),
    ],
)
def test_attention_kind_comes_from_ranks_before_head_counts(changes, kind):
    assert text(**changes).text("attention_kind") == kind


@pytest.mark.parametrize(
    "name", ["num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts"]
)
def test_expert_counts_have_many_names(name):
    design = text(**{name: 64, "num_experts_per_tok": 4})
    assert design.size("n_routed_experts") == 64
    assert design.is_moe


def test_a_dense_model_rules_experts_and_low_ranks_out():
    design = text()
    assert design.fields["n_routed_experts"] == ABSENT
    assert design.fields["kv_lora_rank"] == ABSENT
    assert not design.is_moe


def test_rope_is_read_from_old_and_new_places():
    assert text(rope_theta=10000.0).fields["rope_theta"] == 10000.0
    new = text(rope_parameters={"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0})
    assert new.fields["rope_theta"] == 5e5
    assert new.fields["rope_scaling"] == "llama3 x8"
    old = text(rope_scaling={"type": "yarn", "factor": 4.0})
    assert old.fields["rope_scaling"] == "yarn x4"


def test_layer_pattern_counts_kinds():
    design = text(layer_types=["sliding_attention"] * 3 + ["full_attention"])
    assert design.text("layer_pattern") == "1 full_attention, 3 sliding_attention"


def test_a_composite_has_towers_of_its_own():
    entry = shipped_catalogue()["naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"]
    towers = entry.designs
    assert towers[Tower.TEXT].size("hidden_size") == 5120
    assert towers[Tower.VISION].size("hidden_size") == 1280
    assert towers[Tower.VISION].text("model_type") == "qwen2_5_vl"
    assert Tower.AUDIO not in towers


def test_the_projector_is_described_by_what_it_joins():
    projector = read_designs(
        {
            "mm_projector_type": "cabstractor",
            "text_config": LLAMA,
            "vision_config": {
                "hidden_size": 1024,
                "num_hidden_layers": 24,
                "num_attention_heads": 16,
            },
        }
    )[Tower.PROJECTOR]
    assert projector.fields == {
        "projector_type": "cabstractor",
        "in_features": 1024,
        "out_features": 4096,
    }


def test_special_modules_are_listed():
    design = shipped_catalogue()["skt/A.X-K1"].designs[Tower.TEXT]
    assert design.special_modules == [
        "1 multi-token prediction layer(s)",
        "1 shared expert(s)",
        "3 norms per layer",
    ]


def test_nothing_known_gives_no_design():
    assert read_designs({"architectures": ["X"], "auto_map": {"AutoModel": "evil.py"}}) == {}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [name for field in FIELDS.values() for name in field.names]
    + [
        "rope_scaling",
        "rope_parameters",
        "layer_types",
        "vision_config",
        "text_config",
        "audio_config",
    ]
)


@given(st.dictionaries(NAMES, JUNK, max_size=12))
def test_no_config_breaks_the_reader(config):
    for design in read_designs(config).values():
        assert all(isinstance(value, (bool, int, float, str)) for value in design.fields.values())
