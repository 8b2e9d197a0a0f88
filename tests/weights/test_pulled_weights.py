"""Weights that were trained towards another's: found, and no order or common start is made up."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from tests.weights.shipped import CALIBRATION
from tools.zoo import disguises as d
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

TOWARDS = "trained towards"


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Ask about a pair, either way round; models are read from the zoo or written first."""
    root = tmp_path_factory.mktemp("pulled")

    def store(name, model):
        if model is None:
            return FolderStore(READY / name)
        if not (root / name).exists():
            checkpoints.write(root / name, model.tensors, config=model.config, card={})
        return FolderStore(root / name)

    def ask(ours, theirs):
        pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
        hypothesis = ComponentHypothesis(pair=pair, component=Component.TEXT_DECODER)
        return weights_origin(hypothesis, store(*ours), store(*theirs), CALIBRATION)

    return ask


def pulled(share, *, gains="s1", size=0.8):
    """Matrices of s0 to a share, the rest a stranger's, smaller; gains of one of the two."""
    public, stranger = read_model("s0"), read_model("s1")
    out = public.copy()
    for name, value in public.tensors.items():
        if value.ndim == 1:
            own = read_model(gains).tensors[name]
            out.tensors[name] = (own.mean() + 0.6 * (own - own.mean())).astype(np.float32)
        else:
            other = stranger.tensors[name]
            other = other * value.std() / other.std()
            mixed = share * value + (1 - share**2) ** 0.5 * other
            out.tensors[name] = (size * mixed).astype(np.float32)
    return out


FORGED = ("forged", pulled(0.95))
PUBLIC = ("s0", None)


@pytest.mark.parametrize(("ours", "theirs"), [(FORGED, PUBLIC), (PUBLIC, FORGED)])
def test_growth_tells_no_order_where_gains_are_strangers(ask, ours, theirs):
    found = ask(ours, theirs)
    # The numbers are in both files, whichever of them is accused. Nobody is called the later one.
    assert (found.outcome, found.relation) == (Outcome.DERIVED, Relation.DERIVED)
    assert found.details["later"] == "unknown"
    assert "order" not in found.details
    assert TOWARDS in str(found.remedy)


def test_growth_still_tells_it_where_gains_are_kin(ask):
    found = ask(PUBLIC, ("kin", pulled(0.95, gains="s0")))
    assert found.details["later"] == "model"
    assert found.remedy is None


def test_growth_tells_no_order_where_some_layers_are_strangers(ask):
    spliced, host = read_model("s0"), pulled(0, gains="s0", size=0.8)
    rng = np.random.default_rng(5)
    for name, value in spliced.tensors.items():
        if ".layers.0." in name or ".layers.1." in name:  # taken and trained on, and smaller
            noise = 0.1 * value.std() * rng.normal(size=value.shape)
            host.tensors[name] = (0.8 * (value + (noise if value.ndim > 1 else 0))).astype("f4")
    for ours, theirs in ((("spliced", host), PUBLIC), (PUBLIC, ("spliced", host))):
        found = ask(ours, theirs)
        assert found.relation is Relation.DERIVED
        assert found.details["later"] == "unknown"


def test_a_weaker_pull_is_not_said_to_be_a_common_start(ask):
    found = ask(("weak", pulled(0.4)), PUBLIC)
    assert found.relation is Relation.SHARED_INITIALISATION
    assert TOWARDS.replace("trained", "training one of the two") in str(found.remedy)


def test_a_fine_tune_is_told_plainly(ask):
    assert ask(("s0-finetune", None), PUBLIC).remedy is None


def test_gains_in_other_places_are_named_as_the_other_explanation(ask):
    rng = np.random.default_rng(3)
    copied = d.fold_norms(read_model("s0"), lambda size: np.exp(rng.normal(0, 0.2, size)))
    for name, value in copied.tensors.items():  # and trained on, so that no number is the same
        noise = 0.02 * value.std() * rng.normal(size=value.shape)
        copied.tensors[name] = (value + noise).astype(np.float32)
    found = ask(("regained", copied), PUBLIC)
    assert found.outcome is Outcome.DERIVED
    assert "gains were rescaled" in str(found.remedy)


def test_a_student_of_hidden_states_is_not_accused_by_its_gains(tmp_path):
    """A table and gains by channel are what a teacher gives; no neuron keeps its number."""
    teacher, student = read_model("s0"), read_model("s1")
    rng = np.random.default_rng(1)
    table = teacher.tensors["lm_head.weight"]
    noise = 0.48 * table.std() * rng.normal(size=table.shape)
    student.tensors["lm_head.weight"] = (table + noise).astype(np.float32)
    for name, value in teacher.tensors.items():
        if value.ndim == 1:
            own, spread = student.tensors[name], value.std()
            learnt = 0.5 * (value - value.mean()) / spread
            rest = 0.87 * (own - own.mean()) / own.std()
            student.tensors[name] = (own.mean() + spread * (learnt + rest)).astype(np.float32)
    checkpoints.write(tmp_path / "student", student.tensors, config=student.config, card={})
    shutil.copy(READY / "s0" / "tokenizer.json", tmp_path / "student")
    pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
    hypothesis = ComponentHypothesis(pair=pair, component=Component.LM_HEAD)
    stores = FolderStore(tmp_path / "student"), FolderStore(READY / "s0")
    found = weights_origin(hypothesis, *stores, CALIBRATION)
    assert found.details["norm_gains"]["centred_cosine"] > 0.3
    assert (found.outcome, found.relation) == (
        Outcome.INDETERMINATE,
        Relation.SHARED_INITIALISATION,
    )
    assert "teacher" in str(found.headline)
