"""Every tensor of the supported families has one role, and any other name is reported."""

from __future__ import annotations

import json
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.checkpoint.attention_shape import AttentionShape, read_attention
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.checkpoint.roles import read_roles, role_of
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.inventory import take_inventory
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import spans_of
from tools.facts import unmapped
from tools.zoo.giant import shapes

T, E, V, P = (
    Component.TEXT_DECODER,
    Component.ROUTER_EXPERTS,
    Component.VISION_ENCODER,
    Component.PROJECTOR,
)
L = "model.layers.7."
NAMES = [
    ("llama", f"{L}self_attn.q_proj.weight", T, "q", None),
    ("qwen2 bias", f"{L}self_attn.k_proj.bias", T, "k", None),
    ("qwen3", f"{L}self_attn.q_norm.weight", T, "norm_q", None),
    ("qwen3_moe", f"{L}mlp.experts.12.up_proj.weight", E, "up", 12),
    ("mixtral", f"{L}block_sparse_moe.experts.3.w3.weight", E, "up", 3),
    ("phimoe router", f"{L}block_sparse_moe.gate.weight", E, "router", None),
    ("deepseek q_a", f"{L}self_attn.q_a_proj.weight", T, "q_a", None),
    ("kimi kv_a", f"{L}self_attn.kv_a_proj_with_mqa.weight", T, "kv_a", None),
    ("deepseek fp8", f"{L}self_attn.kv_b_proj.weight_scale_inv", T, "kv_b", None),
    ("axk1", f"{L}post_mlp_layernorm.weight", T, "norm_post_mlp", None),
    ("glm shared", f"{L}mlp.shared_experts.gate_proj.weight", E, "gate", "shared"),
    ("solar bias", f"{L}mlp.gate.e_score_correction_bias", E, "router_bias", None),
    ("olmo2, exaone4", f"{L}post_feedforward_layernorm.weight", T, "norm_post_ffn", None),
    ("gemma", f"{L}pre_feedforward_layernorm.weight", T, "norm_pre_ffn", None),
    ("phi3", f"{L}self_attn.qkv_proj.weight", T, "qkv", None),
    ("phi3 mlp", f"{L}mlp.gate_up_proj.weight", T, "gate_up", None),
    ("gpt-oss", f"{L}mlp.experts.gate_up_proj_blocks", E, "gate_up", "stack"),
    ("gpt-oss router", f"{L}mlp.router.weight", E, "router", None),
    ("hyperclovax vision", "model.visual.blocks.3.attn.qkv.weight", V, "qkv", None),
    ("qwen2.5-vl", "visual.blocks.3.mlp.gate_proj.weight", V, "gate", None),
    ("qwen2.5-vl merger", "visual.merger.mlp.0.weight", P, "proj_in", None),
    ("hcx text", "model.language_model.layers.7.mlp.up_proj.weight", T, "up", None),
    ("gpt-neox", "gpt_neox.layers.7.attention.query_key_value.weight", T, "qkv", None),
    ("gpt2", "transformer.h.7.mlp.c_fc.weight", T, "fc1", None),
    ("bert", "bert.encoder.layer.7.intermediate.dense.weight", T, "fc1", None),
    (
        "shared in a module",
        "model.layers.7.shared_experts.mlp.up_proj.weight",
        Component.ROUTER_EXPERTS,
        "up",
        "shared",
    ),
    ("embeddings", "model.embed_tokens.weight", Component.EMBEDDINGS, "embed", None),
    ("head", "lm_head.weight", Component.LM_HEAD, "head", None),
    ("audio", "audio_tower.layers.7.fc1.weight", Component.AUDIO_ENCODER, "fc1", None),
]


@pytest.mark.parametrize(("name", "component", "kind", "expert"), [n[1:] for n in NAMES],
                         ids=[n[0] for n in NAMES])  # fmt: skip
def test_names_of_the_supported_families_have_their_role(name, component, kind, expert):
    role = role_of(name)
    assert (role.component, role.kind, role.expert) == (component, kind, expert)


def test_every_tensor_of_axk1_has_a_role():
    assert read_roles(shapes()).unmapped == ()


@settings(max_examples=60)
@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_any_name_has_a_role_or_is_reported(name):
    found = read_roles([name])
    assert len(found.roles) + len(found.unmapped) + len(found.ignored) == 1


def test_the_share_of_unknown_names_is_counted_by_tensors_and_parameters(tmp_path, capsys):
    names = [
        ["model.embed_tokens.weight", [1000, 8], 1],
        [f"{L}self_attn.q_proj.weight", [8, 8], 4],
        [f"{L}post_attention_layernorm.weight", [8], 4],
        [f"{L}oddly.weight", [16, 8], 1],
        [f"{L}oddly.gain", [3], 10],  # too few numbers for gains of a stream of eight
    ]
    found = unmapped.unmapped_of("odd", names)
    assert found.names == (f"{L}oddly.weight", f"{L}oddly.gain")
    assert found.unknown[0] == 11 / 20
    assert found.nowhere == (10 / 20, 30 / 8446)
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"odd": {"tensors": names}}))
    unmapped.main([str(path), "--names"])
    assert f"    {L}oddly.weight" in capsys.readouterr().out.splitlines()


FURTHER = [
    ("ddp", "module.model.layers.7.self_attn.q_proj.weight", T, "q", ""),
    ("nested", "base_model.model._orig_mod.layers.7.mlp.up_proj.base_layer.weight", T, "up", ""),
    ("meta", "layers.7.attention.wq.weight", T, "q", "~"),
    ("internlm2", f"{L}attention.wqkv.weight", T, "qkv", "#"),
    ("gpt-neox", "gpt_neox.layers.7.attention.query_key_value.weight", T, "qkv", "#"),
    ("deepseek", "layers.7.attn.wkv_a.weight", T, "kv_a", ""),
    ("deepseek expert", "layers.7.ffn.experts.3.w2.weight", E, "down", ""),
    ("deepseek shared", "layers.7.ffn.shared_experts.w1.weight", E, "gate", ""),
    ("deepseek table", "embed.weight", Component.EMBEDDINGS, "embed", ""),
    ("mistral table", "tok_embeddings.weight", Component.EMBEDDINGS, "embed", ""),
    ("exaone", "transformer.h.7.mlp.c_fc_0.weight", T, "gate", ""),
    ("t5", "decoder.block.7.layer.1.EncDecAttention.k.weight", T, "cross_k", ""),
    ("bart", "model.decoder.layers.7.encoder_attn.v_proj.weight", T, "cross_v", ""),
    ("nemotron-h", "backbone.layers.7.mixer.experts.3.up_proj.weight", E, "up", ""),
    ("granite", f"{L}block_sparse_moe.input_linear.weight", E, "gate_up", ""),
    ("dbrx", "transformer.blocks.7.ffn.experts.mlp.w2", E, "down", ""),
]


@pytest.mark.parametrize(("name", "component", "kind", "layout"), [n[1:] for n in FURTHER],
                         ids=[n[0] for n in FURTHER])  # fmt: skip
def test_names_of_other_layouts_have_their_role_and_their_order(name, component, kind, layout):
    role = role_of(name)
    assert (role.component, role.kind, role.layout) == (component, kind, layout)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        ({"num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}, (32, 8, 128)),
        ({"model_type": "gpt_bigcode", "n_head": 48, "n_embd": 6144}, (48, 1, 128)),
        ({"n_heads": 32, "n_kv_heads": 8, "dim": 4096, "head_dim": 128}, (32, 8, 128)),
        ({"multi_query": True, "n_head": 71, "hidden_size": 4544}, (71, 1, 64)),
        ({"text_config": {"num_attention_heads": 4, "head_dim": 16}}, (4, 4, 16)),
        ({"num_attention_heads": 32, "multi_query_attention": True, "multi_query_group_num": 2,
          "kv_channels": 128, "hidden_size": 4096}, (32, 2, 128)),
        ({"num_attention_heads": 3, "hidden_size": 64}, None),
        ({"num_attention_heads": "4", "hidden_size": 64}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_heads_are_read_out_of_every_familys_config(config, shape):
    found = read_attention(config)
    assert (found and (found.heads, found.groups, found.size)) == shape


@settings(max_examples=60)
@given(st.data())
def test_no_shape_of_any_known_name_raises_anything(data):
    """Sizes of nothing, of one, and that fit no head: an inventory is taken all the same."""
    sizes = st.lists(st.sampled_from([0, 1, 3, 8, 16, 48]), max_size=3)
    names = data.draw(st.lists(st.sampled_from([n[1] for n in (*NAMES, *FURTHER)]), max_size=8))
    tensors, start = {}, 0
    for name in names:
        shape = tuple(data.draw(sizes))
        tensors[name] = TensorInfo(name, "BF16", shape, start, start + 2 * prod(shape), "m")
        start += 2 * prod(shape)
    for heads in (None, AttentionShape(4, 2, 2), AttentionShape(1, 1, 1, grouped=True)):
        found = take_inventory(TensorIndex(tensors), None, heads)
        for matrix in found.matrices.values():
            raw = [
                bytes(span.stop - span.start) for _, span in spans_of(Block(matrix, 0, matrix.rows))
            ]
            if matrix.codec is not None and matrix.rows:
                first, last = (
                    matrix.first_row,
                    matrix.first_row + (matrix.rows - 1) * matrix.step + 1,
                )
                decoded = matrix.codec.decode(first, last, raw)[:: matrix.step]
                assert decoded.shape == (matrix.rows, matrix.cols)


def test_constants_are_ignored_not_compared():
    assert read_roles([f"{L}self_attn.rotary_emb.inv_freq"]).ignored


def test_a_name_that_patterns_would_spend_minutes_on_has_no_role():
    assert role_of("vision" * 20_000 + "!.weight") is None
