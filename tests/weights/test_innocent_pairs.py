"""Innocent pairs as checkpoints, through the library: padding, projectors, tables, heads."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.merge import weights_merge
from pytest_scratchverify.methods.weights.norm_gains import norm_control
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from tests.weights.shipped import CALIBRATION
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.disguises import fold_norms
from tools.zoo.ready_models import READY, read_model

TABLE, DECODER, HEAD = Component.EMBEDDINGS, Component.TEXT_DECODER, Component.LM_HEAD
EMBED, OUT = "model.embed_tokens.weight", "lm_head.weight"


def written(folder, tensors, like="s0", **more):
    config = {**json.loads((READY / like / "config.json").read_text()), **more}
    checkpoints.write(folder, tensors, config=config, card={"license": "mit"})
    (folder / "tokenizer.json").write_bytes((READY / "s0" / "tokenizer.json").read_bytes())
    return folder


def ask(ours, theirs, component):
    pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
    hypothesis = ComponentHypothesis(pair=pair, component=component)
    return weights_origin(hypothesis, FolderStore(ours), FolderStore(theirs), CALIBRATION)


def noise(seed, shape, scale=0.02):
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


@pytest.mark.parametrize("pad", [208, pytest.param(16, marks=pytest.mark.slow)])
def test_strangers_padded_with_zero_neurons_stay_strangers(pad, tmp_path):
    sides = []
    for name in ("s0", "s1"):
        tensors = dict(read_model(name).tensors)
        for key, value in tensors.items():
            if "gate_proj" in key or "up_proj" in key:
                tensors[key] = np.concatenate([value, np.zeros((pad, value.shape[1]), "f4")])
            elif "down_proj" in key:
                tensors[key] = np.concatenate([value, np.zeros((value.shape[0], pad), "f4")], 1)
        sides.append(written(tmp_path / name, tensors, name, intermediate_size=176 + pad))
    found = ask(*sides, DECODER)
    assert (found.outcome, found.relation) == (Outcome.CONSISTENT, None), found.headline


def test_one_seed_for_the_table_alone_is_no_descent(tmp_path):
    seed, sides = noise(42, read_model("s0").tensors[EMBED].shape, 1.0), []
    for n, name in enumerate(("s0", "s1")):
        own = read_model(name).tensors
        table = 0.5 * seed + 0.866 * noise(n, seed.shape, 1.0)
        sides.append(written(tmp_path / name, {**own, EMBED: table.astype("f4")}, name))
    found = ask(*sides, TABLE)
    assert found.relation == "shared_initialisation"
    assert found.outcome is Outcome.INDETERMINATE
    assert "teacher" in str(found.headline)


def test_a_table_of_a_third_party_has_no_direction(tmp_path):
    public, sides = noise(7, read_model("s0").tensors[EMBED].shape, 1.0), []
    for n, name in enumerate(("s0", "s1")):
        own = read_model(name).tensors
        table = public + noise(n, public.shape, 0.1)
        sides.append(written(tmp_path / name, {**own, EMBED: table.astype("f4")}, name))
    found = ask(*sides, TABLE)
    assert (found.outcome, found.relation) == (Outcome.DERIVED, "shared_ancestry")
    assert "third party" in str(found.headline)


def test_a_single_linear_projector_is_not_comparable_and_a_copy_of_one_is(tmp_path):
    towers = {k: v for k, v in read_model("vl0").tensors.items() if "merger" not in k}
    name = "model.multi_modal_projector.linear_1.weight"
    solution = noise(1, (64, 48), 0.2)
    sides = [
        written(tmp_path / str(n), {**towers, name: solution + noise(n, (64, 48))}, "vl0")
        for n in (2, 3)
    ]
    found = ask(*sides, Component.PROJECTOR)
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "not_comparable")
    assert "single linear map" in str(found.headline)
    same = written(tmp_path / "same", {**towers, name: solution + noise(2, (64, 48))}, "vl0")
    assert ask(sides[0], same, Component.PROJECTOR).relation == "verbatim"


@pytest.mark.parametrize("model", ["s0-finetune", "s1"])
def test_a_head_drawn_anew_is_judged_by_itself(model, tmp_path):
    own = read_model(model).tensors
    fresh = written(tmp_path / "fresh", {**own, OUT: noise(5, own[OUT].shape)}, model)
    found = ask(fresh, READY / "s0", HEAD)
    assert found.direction.value != "toward_reuse", found.headline
    assert found.relation is None


@pytest.mark.parametrize("value", [0.0, 0.02])
def test_heads_of_one_number_are_as_like_as_any_two(value, tmp_path):
    sides = []
    for name in ("s1", "s0"):
        own = read_model(name).tensors
        head = np.full(own[OUT].shape, value, np.float32)
        sides.append(written(tmp_path / name, {**own, OUT: head}, name))
    found = ask(*sides, HEAD)
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "not_comparable")
    assert found.direction.value == "none"
    assert "as placeholders do" in str(found.headline)


@pytest.mark.parametrize("kept", [True, False])
def test_gains_of_one_or_none_are_not_asked_and_withhold_nothing(kept, tmp_path):
    sides = []
    for name in ("s1", "s0"):
        tensors = fold_norms(read_model(name)).tensors
        if not kept:
            tensors = {key: value for key, value in tensors.items() if value.ndim > 1}
        sides.append(FolderStore(written(tmp_path / name, tensors, name)))
    pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
    found = norm_control(pair, *sides, CALIBRATION)
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert not found.outcome.blocks


def formula(rows, cols):
    """The transposed cosine transform, of which every piece depends on the whole shape."""
    i, j = np.arange(rows)[:, None], np.arange(cols)[None]
    return (0.02 * np.cos(np.pi * j * (i + 0.5) / rows)).astype(np.float32)


def of_a_formula(name, seed, kinds, scale=0.01):
    """Take a model whose matrices of some kinds were trained away from a formula."""
    tensors = dict(read_model(name).tensors)
    for number, (key, value) in enumerate(sorted(tensors.items())):
        if any(kind in key for kind in kinds):
            tensors[key] = formula(*value.shape) + noise([seed, number], value.shape, scale)
    return tensors


def test_blocks_that_start_from_one_formula_are_no_ones_and_clear_nobody(tmp_path):
    kinds = ("gate_proj", "up_proj")
    sides = [
        written(tmp_path / name, of_a_formula(name, n, kinds), name)
        for n, name in enumerate(("s0", "s1"))
    ]
    found = ask(*sides, DECODER)
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, None), found.headline
    assert "cosine transform, transposed" in str(found.remedy)


def test_a_trained_formula_that_is_equal_is_a_copy_and_the_formula_alone_is_none(tmp_path):
    towers = {k: v for k, v in read_model("vl0").tensors.items() if "merger" not in k}
    name = "model.multi_modal_projector.linear_1.weight"
    said = {}
    for scale in (0.0, 0.01):
        table = formula(64, 48) + noise(1, (64, 48), scale)
        other = formula(64, 48) + noise(2, (64, 48), scale)
        sides = [
            written(tmp_path / f"{scale}-{n}", {**towers, name: values}, "vl0")
            for n, values in enumerate((table, table.copy(), other))
        ]
        for n in (1, 2):
            said[scale, n] = ask(sides[0], sides[n], Component.PROJECTOR)
    assert said[0.01, 1].relation == "verbatim"
    for key in ((0.0, 1), (0.0, 2), (0.01, 2)):
        assert said[key].outcome is Outcome.INDETERMINATE
        assert "public formula (cosine transform, transposed)" in str(said[key].headline)


def test_a_public_formula_in_all_models_makes_no_merge(tmp_path):
    names = ("s1", "s0", "s0-twin", "t0")
    folders = []
    for name in names:
        tensors = {
            key: formula(*value.shape) if "o_proj" in key else value
            for key, value in read_model(name).tensors.items()
        }
        folders.append(FolderStore(written(tmp_path / name, tensors, name)))
    others = dict(zip(names[1:], folders[1:], strict=True))
    found = weights_merge(ModelSpec(name="s1"), folders[0], others, CALIBRATION)
    assert found.outcome is Outcome.NOT_APPLICABLE
    assert found.relation is None
