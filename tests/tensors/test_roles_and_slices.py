"""Every tensor of the supported families has one role, and places depend on nothing else."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.checkpoint.dtypes import Scale, canonical, decode
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.checkpoint.roles import read_roles, role_of
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.tensors.control_slices import load_control_slices, save_control_slices
from pytest_scratchverify.tensors.inventory import Slot, take_inventory
from pytest_scratchverify.tensors.plan import block_of, plan_component
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


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_any_name_has_a_role_or_is_reported(name):
    found = read_roles([name])
    assert len(found.roles) + len(found.unmapped) + len(found.ignored) == 1


def test_constants_are_ignored_not_compared():
    assert read_roles([f"{L}self_attn.rotary_emb.inv_freq"]).ignored


def index_of(shapes_by_name, dtype="BF16"):
    place, tensors = 0, {}
    for name, shape in shapes_by_name.items():
        size = 2 * int(np.prod(shape))
        tensors[name] = TensorInfo(name, dtype, shape, place, place + size, "m.safetensors")
        place += size
    return TensorIndex(tensors)


def test_places_do_not_depend_on_the_layer_or_the_number_of_layers():
    wide = {f"model.layers.{i}.mlp.gate_proj.weight": (8192, 4096) for i in range(40)}
    few = dict(list(wide.items())[:20])
    many, less = (take_inventory(index_of(x)).of(T) for x in (wide, few))
    assert len({(b.start, b.stop) for b in map(block_of, many.values())}) == 1
    some = {b.matrix.slot for b in plan_component(less, 10**6).blocks}
    assert some
    larger = {b.matrix.slot for b in plan_component(less, 3 * 10**6).blocks}
    assert some < larger


def test_a_plan_never_exceeds_its_budget():
    matrices = take_inventory(index_of(shapes())).of(E)
    for budget in (10**5, 10**6, 10**7):
        assert sum(b.nbytes for b in plan_component(matrices, budget).blocks) <= budget


def test_fused_and_stacked_matrices_are_taken_apart():
    fused = take_inventory(index_of({f"{L}mlp.gate_up_proj.weight": (40, 16)})).matrices
    assert {(s.kind, m.first_row, m.rows) for s, m in fused.items()} == {
        ("gate", 0, 20),
        ("up", 20, 20),
    }
    stack = take_inventory(index_of({f"{L}mlp.experts.gate_up_proj": (3, 40, 16)})).matrices
    assert stack[Slot("router_experts", "up", 7, "2")].first_row == 2 * 40 + 20


@pytest.mark.parametrize(
    ("name", "kind"),
    [("F16", np.float16), ("BF16", ml_dtypes.bfloat16), ("F8_E4M3", ml_dtypes.float8_e4m3fn),
     ("F8_E5M2", ml_dtypes.float8_e5m2), ("F32", np.float32)],
)  # fmt: skip
def test_dtypes_decode_exactly(name, kind):
    stored = np.random.default_rng(1).standard_normal((5, 4)).astype(kind)
    assert np.array_equal(decode(stored.tobytes(), name, (5, 4)), stored.astype(np.float32))


def test_block_scales_cover_the_rows_that_were_read():
    table = np.arange(1, 7, dtype=np.float32).reshape(3, 2)  # 3 x 2 blocks of 128 x 128
    factors = Scale(table, (300, 200)).rows(120, 140)
    assert factors.shape == (20, 200)
    assert (factors[0, 0], factors[-1, 0], factors[-1, -1]) == (1, 3, 4)


def test_row_scales_of_int8_are_per_row():
    factors = Scale(np.array([[1.0], [2.0], [3.0]], np.float32), (3, 5)).rows(1, 3)
    assert factors[:, 0].tolist() == [2.0, 3.0]


def test_integers_without_a_scale_are_refused_with_a_sentence():
    with pytest.raises(Unavailable, match="without a known scale"):
        decode(b"\0" * 4, "I8", (2, 2))


def test_two_zeros_are_one_number():
    assert canonical(np.array([-0.0], np.float32)) == canonical(np.array([0.0], np.float32))


def test_a_fingerprint_comes_back_as_it_was(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    slices = {(Slot("embeddings", "embed"), 16): values}
    save_control_slices(tmp_path / "f", "org/model", slices)
    found = load_control_slices(tmp_path / "f")
    assert found.model == "org/model"
    assert np.array_equal(found.slices[Slot("embeddings", "embed"), 16], values)
