"""The two published recipes for a start from an own earlier model: found, with words and share.

By arithmetic here; what is left after real training stands in docs/methods/weights.md and is asked
of the trained zoo where it is (``python -m tools.zoo.train``).
"""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights import growth
from pytest_scratchverify.methods.weights.growth import grown
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.side_by_side import side_by_side
from tests.weights.shipped import CALIBRATION
from tools.running import ROOT
from tools.zoo import recipes
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.disguises import upcycle
from tools.zoo.ready_models import READY, read_model

DECODER, EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS
REPEATED = (0, 1, 2, 1, 2, 3)
ZOO = ROOT / ".artifacts" / "zoo"
TRAINED = pytest.mark.skipif(
    not (ZOO / "s1-carried").exists(), reason="python -m tools.zoo.train --into .artifacts/zoo"
)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    return lambda name: open_store(str(name), None, run_dir=run, budget=ByteBudget())


@pytest.fixture(scope="module")
def ask(opened):
    def ask(model, reference, component=DECODER):
        specs = [ModelSpec(name=str(name), folder=True) for name in (model, reference)]
        hypothesis = ComponentHypothesis(pair=Pair(*specs), component=component)
        return weights_origin(hypothesis, opened(model), opened(reference), CALIBRATION)

    return ask


@pytest.fixture
def made(tmp_path):
    def make(model, noise=0.3, name="made", base="moe0"):
        """Write a start; noise stands for training, in size only."""
        rng = np.random.default_rng(7)
        tensors = {
            key: value + noise * value.std() * rng.standard_normal(value.shape, np.float32)
            if value.ndim > 1
            else value
            for key, value in model.tensors.items()
        }
        folder = tmp_path / name
        checkpoints.write(folder, tensors, config=model.config, card={"license": "mit"})
        (folder / "tokenizer.json").write_bytes((READY / base / "tokenizer.json").read_bytes())
        return folder

    return make


def doubled(side, base="moe0", seed=1):
    return recipes.repeat_and_double(
        read_model(base), REPEATED, np.random.default_rng(seed), side=side
    )


def test_layers_repeated_and_experts_doubled_are_said_with_their_share(made, ask):
    folder = made(doubled("output"))
    found = ask(folder, READY / "moe0", EXPERTS)
    assert found.outcome is Outcome.DERIVED, found.headline
    assert found.kinds[:3] == ("layers repeated", "experts doubled", "the copies rotated")
    assert found.coverage.inherited == pytest.approx(found.coverage.size, rel=0.01)
    assert found.details["growth"]["layers"] == {str(i): b for i, b in enumerate(REPEATED)}
    decoder = ask(folder, READY / "moe0")
    assert (decoder.outcome, decoder.kinds[0]) == (Outcome.DERIVED, "layers repeated")
    assert "98.6 % of the component's parameters are made of" in str(decoder.headline)


@pytest.mark.parametrize("side", recipes.SIDES)
def test_copies_are_recognised_on_whatever_side_they_were_turned(side, made, opened):
    pair = side_by_side(opened(made(doubled(side), 0.1)), opened(READY / "moe0"))
    found = grown(pair, limited=True)
    assert dict(found.layers) == dict(enumerate(REPEATED))
    assert found.repeated
    assert found.doubled
    assert found.turned


def test_copies_that_were_not_turned_are_not_called_so(made, opened):
    plain = doubled("output")
    for layer in plain.layers:
        for expert in range(4):
            name = f"model.layers.{layer}.mlp.experts.{{}}.down_proj.weight"
            plain.tensors[name.format(expert + 4)] = plain.tensors[name.format(expert)]
    found = grown(side_by_side(opened(made(plain)), opened(READY / "moe0")), limited=True)
    assert (found.doubled, found.turned) == (True, False)


def test_experts_that_were_added_fresh_are_not_called_copies(made, opened):
    """The router's rows are there twice, and the second experts are drawn anew."""
    fresh, rng = doubled("output"), np.random.default_rng(3)
    for name, value in fresh.tensors.items():
        if any(f".experts.{expert}." in name for expert in range(4, 8)):
            fresh.tensors[name] = rng.normal(0, value.std(), value.shape).astype(np.float32)
    found = grown(side_by_side(opened(made(fresh)), opened(READY / "moe0")), limited=True)
    assert found.repeated
    assert (found.doubled, found.turned) == (False, False)
    assert found.share_of_experts == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("budget", "known"), [(26_000, True), (12_000, False)])
def test_layers_are_recognised_by_as_many_rows_as_are_affordable(
    budget, known, made, opened, monkeypatch
):
    """Of wide models 64 rows of every layer are too many; of fewer than a dozen none is said."""
    monkeypatch.setattr(growth, "MOST_BYTES", budget)
    found = grown(
        side_by_side(opened(made(doubled("output"))), opened(READY / "moe0")), limited=True
    )
    assert (found is not None and dict(found.layers) == dict(enumerate(REPEATED))) is known


def test_what_does_not_fit_whole_leaves_the_bytes_for_a_part(made, opened, monkeypatch):
    pair = side_by_side(opened(made(doubled("output"))), opened(READY / "moe0"))
    whole = grown(pair, limited=False)
    monkeypatch.setattr(growth, "ROWS", 16)
    monkeypatch.setattr(growth, "MOST_BYTES", 400_000)  # of 590,000 for the experts of one layer
    part = grown(pair, limited=True)
    assert whole.experts.keys() >= part.experts.keys() > set()


def test_a_stranger_made_by_the_same_recipe_is_not_recognised(made, opened):
    stranger = upcycle(read_model("s1"), 4, np.random.default_rng(5))
    grown_up = recipes.repeat_and_double(stranger, REPEATED, np.random.default_rng(6))
    pair = side_by_side(opened(made(grown_up, base="s1")), opened(READY / "moe0"))
    assert grown(pair, limited=True) is None


def test_roles_that_were_carried_over_are_said_beside_what_was_drawn_anew(made, ask):
    kept = recipes.tables_norms_and("v", "o", layers=(0, 1, 2))
    start = recipes.carry_over(read_model("moe0"), kept, np.random.default_rng(2))
    found = ask(made(start), READY / "moe0")
    assert found.outcome is Outcome.DERIVED, found.headline
    assert found.kinds == ("roles inherited, the rest drawn anew",)
    assert found.coverage.roles == ("v", "o", "norms")
    assert found.coverage.inherited / found.coverage.size == pytest.approx(0.37, abs=0.005)


@TRAINED
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "reference", "component", "kinds", "share"),
    [
        ("moe0-doubled", "moe0", EXPERTS,
         {"layers repeated", "experts doubled", "the copies rotated"}, 1.0),
        ("moe0-doubled", "moe0", DECODER, {"layers repeated"}, 0.986),
        ("moe0-carried", "moe0", DECODER, {"roles inherited, the rest drawn anew"}, 0.37),
        ("s0-carried", "s0", DECODER, {"roles inherited, the rest drawn anew"}, 0.1),
    ],
)  # fmt: skip
def test_they_are_found_after_real_training(model, reference, component, kinds, share, ask):
    found = ask(ZOO / model, READY / reference, component)
    assert found.outcome is Outcome.DERIVED, found.headline
    assert kinds <= set(found.kinds)
    assert found.coverage.inherited / found.coverage.size == pytest.approx(share, abs=0.01)
    assert found.pvalue < 1e-6


@TRAINED
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "reference"),
    [
        ("moe1-doubled", "moe0"),
        ("moe1-carried", "moe0"),
        ("s1-carried", "s0"),
        ("s0-carried", "s1"),
    ],
)
def test_strangers_treated_the_same_way_are_not_accused(model, reference, ask):
    for component in (Component.EMBEDDINGS, DECODER, Component.LM_HEAD, EXPERTS):
        found = ask(ZOO / model, READY / reference, component)
        assert not found.derived, found.headline
