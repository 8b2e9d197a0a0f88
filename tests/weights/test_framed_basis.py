"""Residual frames of checkpoints: what is read of them, what is recognised, what is promised."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.fft import dct

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.framed_basis import (
    FramedBasis,
    match_by_frames,
    plan_frames,
)
from pytest_scratchverify.methods.weights.framed_power import known_framed, power_of_frames
from pytest_scratchverify.methods.weights.thresholds import FRAMES_INHERITED, WeightsThresholds
from pytest_scratchverify.stats.weights.framed_recognition import Network, recognise_by_frames
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.side_by_side import side_by_side
from tests.stats.weights.framed_networks import changed, network
from tests.weights.shipped import CALIBRATION
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.disguises import every_disguise
from tools.zoo.ready_models import READY, read_model

THRESHOLDS = WeightsThresholds.from_json(CALIBRATION, "weights.json")


def pair_of(ours, theirs, component=Component.TEXT_DECODER):
    return ComponentPair(side_by_side(FolderStore(ours), FolderStore(theirs)), component)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("framed") / "copy"
    made = every_disguise(read_model("s0-cpt-long"), np.random.default_rng(3))
    return checkpoints.write(folder, made.tensors, config=made.config, card={"license": "mit"})


def test_what_is_read_grows_with_the_bytes_and_is_the_same_of_both(copy):
    pair = pair_of(copy, READY / "s0")
    plans = [plan_frames(pair, limit) for limit in (1_000, 90_000, 150_000, None)]
    assert plans[0] is None  # too little for two layers and a block
    read = [plan.nbytes for plan in plans[1:]]
    assert read == sorted(set(read))
    assert read[0] <= 90_000
    assert read[1] <= 150_000
    for plan in plans[1:]:
        assert plan.layers[0].keys() == plan.layers[1].keys()
        assert plan.blocks[0].keys() == plan.blocks[1].keys()
        assert len(plan.names[0]) >= 2
    assert plan_frames(pair_of(copy, READY / "s0", Component.EMBEDDINGS), None) is None


def test_a_layer_that_lacks_what_others_have_is_left_out(tmp_path):
    made = read_model("s0")
    del made.tensors["model.layers.1.self_attn.v_proj.weight"]
    made.tensors["model.layers.2.mlp.gate_proj.weight"] = np.ones((176, 32), np.float32)
    made.tensors["model.layers.2.mlp.up_proj.weight"] = np.ones((176, 32), np.float32)
    folder = tmp_path / "model"
    checkpoints.write(folder, made.tensors, config=made.config, card={"license": "mit"})
    pair = pair_of(folder, READY / "s0")
    plan = plan_frames(pair, None)
    assert plan.names[0] == (0, 2, 3)
    assert (2, "") not in plan.names[1]
    assert match_by_frames(pair, plan).match.pvalue < 1e-9


def test_a_trained_descendant_is_recognised_through_every_disguise(copy):
    pair = pair_of(copy, READY / "s0")
    found = match_by_frames(pair, plan_frames(pair, None))
    assert found.match.pvalue < 1e-9
    assert found.match.effect > FRAMES_INHERITED


def test_a_stranger_is_not_and_is_told_what_would_have_been(copy):
    pair = pair_of(READY / "s1", READY / "s0")
    found = match_by_frames(pair, plan_frames(pair, None))
    assert found.match.pvalue > 1e-3
    promise = power_of_frames(found, THRESHOLDS)
    assert promise is not None
    assert promise.hits == promise.draws
    assert (promise.read, promise.blocks) == (4, 4)


def test_controls_find_the_known_descendant_and_spare_the_known_stranger():
    controls = known_framed(THRESHOLDS.alpha, FRAMES_INHERITED)
    assert [control.kind for control in controls] == ["positive", "negative"]
    assert all(control.passed for control in controls)


def test_heads_say_nothing_of_experts():
    one = network(4, groups=16)
    copy = changed(one, np.random.default_rng(4))
    for blocks, known in ((network(5).neurons, False), (copy.neurons, True)):
        match = recognise_by_frames(Network(copy.heads, blocks), one)
        assert match.pvalue < 1e-9
        found = FramedBasis(match, one, deep=4)
        assert found.tells_of(Component.TEXT_DECODER)
        assert found.tells_of(Component.ROUTER_EXPERTS) is known


def test_what_both_started_from_by_a_public_formula_is_left_out(tmp_path):
    """Trained strangers on one cosine transform in every second layer; the others are asked."""
    folders = []
    for name in ("s0", "s1"):
        made = read_model(name)
        for tensor, value in made.tensors.items():
            if re.search(r"layers\.[13]\.mlp\.(gate|up)_proj", tensor):
                formula = dct(np.eye(max(value.shape)), norm="ortho")
                formula = formula[: value.shape[0], : value.shape[1]]
                made.tensors[tensor] = (value + 3 * value.std() / formula.std() * formula).astype(
                    np.float32
                )
        folder = tmp_path / name
        checkpoints.write(folder, made.tensors, config=made.config, card={"license": "mit"})
        folders.append(folder)
    pair = pair_of(*folders)
    plan = plan_frames(pair, None)
    assert {key[0] for key in plan.names[1]} & {1, 3}
    found = match_by_frames(pair, plan)
    assert {layer for layer, _ in found.network.neurons} <= {0, 2}
    assert found.match.pvalue > 1e-3


def with_latents(model, rng, *, disguised):
    """Give a model latent attention, drawn; where `disguised`, in another basis and numbering."""
    width, query, latent, rotated = 64, 24, 16, 8
    drawn = np.random.default_rng(8)
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0] if disguised else np.eye(width)
    tensors, config = dict(model.tensors), dict(model.config)
    for name in [n for n in tensors if re.search(r"self_attn\.[qkv]_proj", n)]:
        del tensors[name]
    for layer in range(config["num_hidden_layers"]):
        root = f"model.layers.{layer}."
        sizes = {"q_a": query, "kv_a": latent + rotated}
        rows = {name: drawn.normal(size=(size, width)) for name, size in sizes.items()}
        order = rng.permutation(len(tensors[f"{root}mlp.gate_proj.weight"]))
        if disguised:
            rows["q_a"] = rows["q_a"][rng.permutation(query)]
            rows["kv_a"][:latent] = rows["kv_a"][rng.permutation(latent)]
        for name, tail in (("q_a", "q_a_proj"), ("kv_a", "kv_a_proj_with_mqa")):
            tensors[f"{root}self_attn.{tail}.weight"] = rows[name] @ turn
        for name in ("gate", "up"):
            full = f"{root}mlp.{name}_proj.weight"
            tensors[full] = tensors[full] * tensors[f"{root}post_attention_layernorm.weight"] @ turn
            tensors[full] = tensors[full][order] if disguised else tensors[full]
        for norm in ("input", "post_attention"):
            tensors[f"{root}{norm}_layernorm.weight"] = np.ones(width)
        for name, size in (("q_a", query), ("kv_a", latent)):
            tensors[f"{root}self_attn.{name}_layernorm.weight"] = np.ones(size)
    config |= {"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
               "q_lora_rank": query, "kv_lora_rank": latent, "qk_rope_head_dim": rotated,
               "qk_nope_head_dim": 8, "v_head_dim": 16, "num_key_value_heads": 4,
               "first_k_dense_replace": config["num_hidden_layers"]}  # fmt: skip
    return {name: np.asarray(value, np.float32) for name, value in tensors.items()}, config


def test_of_further_layers_of_latents_only_rows_with_a_place_are_read(tmp_path):
    folders = []
    for name, disguised in (("s0-cpt-long", True), ("s0", False)):
        tensors, config = with_latents(
            read_model(name), np.random.default_rng(3), disguised=disguised
        )
        checkpoints.write(tmp_path / name, tensors, config=config, card={"license": "mit"})
        folders.append(tmp_path / name)
    pair = pair_of(*folders)
    least = min(n for n in range(20_000, 400_000, 1_000) if plan_frames(pair, n) is not None)
    plan = plan_frames(pair, least + 4_000)
    layers, _, places = plan.names
    assert len(layers) == 2
    assert len(places) > 0
    assert not set(layers) & set(places)
    assert plan.nbytes <= least + 4_000
    found = match_by_frames(pair, plan)
    assert {n: keys.rows.shape[1] for n, keys in found.network.places.items()} == dict.fromkeys(
        places, 8
    )
    assert found.match.pvalue < 1e-9
    assert power_of_frames(found, THRESHOLDS).cosine <= 0.9
