"""Forgeries made against the test itself: found in a descendant, and held against no stranger."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from tests.weights.shipped import CALIBRATION
from tools.zoo import disguises as d
from tools.zoo import forgeries as f
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

DECODER = Component.TEXT_DECODER
GAUGE = [d.every_disguise]
FOLDED = [d.permute_all, d.rotate_residual]  # no gains are left but ones
WHOLE = {  # of the model itself: a stranger can be treated so too
    "near-identity layers": [f.near_identity_layers, *GAUGE],
    "exchanged names": [*GAUGE, f.exchanged_names],
    "gains less one": [*GAUGE, f.gains_less_one],
    "folded gains less one": [*FOLDED, f.gains_less_one],
    "split in two, up": [f.split_neurons(2, "up"), *GAUGE],
    "split in four, down": [f.split_neurons(4, "down"), *GAUGE],
    "repeated neuron": [f.repeated_neuron(60), *GAUGE],
    "repeated neuron, renumbered channels": [d.permute_channels, f.repeated_neuron(60)],
    "all of it": [
        f.near_identity_layers,
        f.split_neurons(2, "down"),
        *GAUGE,
        f.exchanged_names,
        f.gains_less_one,
    ],
}
PARTS = {"odd layers": (1, 3), "even layers": (0, 2), "first layer": (0,), "third layer": (2,)}

QUICK = {"exchanged names", "folded gains less one", "split in four, down", "all of it"}
QUICK |= {"odd layers", "third layer"}


def cases(names):
    """Mark all but a few as slow: each alone is part of "all of it", or like another."""
    return [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in names]


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    root = tmp_path_factory.mktemp("forged")
    run = RunDirectory(root / "run")

    def ask(source, steps, reference, *, seed=0, **config):
        rng = np.random.default_rng(seed)
        model = read_model(source)
        for step in steps:
            model = step(model, rng)
        folder = root / f"{source}-{len(list(root.iterdir()))}"
        config = model.config | config
        checkpoints.write(folder, model.tensors, config=config, card={"license": "mit"})
        (folder / "tokenizer.json").write_bytes((READY / source / "tokenizer.json").read_bytes())
        names = [str(folder), str(reference)]
        stores = [open_store(name, run_dir=run, budget=ByteBudget()) for name in names]
        pair = Pair(*(ModelSpec(name=name, folder=True) for name in names))
        hypothesis = ComponentHypothesis(pair=pair, component=DECODER)
        ask.folder = folder
        return weights_origin(hypothesis, *stores, CALIBRATION)

    return ask


def assert_derived(found):
    assert (found.outcome, found.relation) == (Outcome.DERIVED, "derived"), found.headline
    assert found.pvalue < 1e-20
    assert all(control.passed for control in found.controls)


@pytest.mark.parametrize("case", cases(WHOLE))
def test_forged_descendant_is_found(case, ask):
    assert_derived(ask("s0-cpt-long", WHOLE[case], READY / "s0"))


@pytest.mark.parametrize("case", cases(PARTS))
def test_transplanted_layers_are_found_and_named(case, ask):
    steps = [f.transplanted(PARTS[case], read_model("s1")), *GAUGE]
    found = ask("s0-cpt-long", steps, READY / "s0")
    assert_derived(found)
    assert tuple(found.details["inherited_layers"]) == PARTS[case]


@pytest.mark.parametrize(
    "case", [c if c == "all of it" else pytest.param(c, marks=pytest.mark.slow) for c in WHOLE]
)
def test_stranger_in_the_same_clothes_is_cleared(case, ask):
    found = ask("s1", WHOLE[case], READY / "s0", seed=1)
    assert (found.outcome, found.relation) == (Outcome.CONSISTENT, None), found.headline


@pytest.mark.parametrize("child", ["s0-cpt-long", pytest.param("s1", marks=pytest.mark.slow)])
def test_families_that_store_gains_less_one_are_judged_on_their_gains(child, ask):
    """Both say so in their configs, as Gemma's do: neither truth depends on the convention."""
    ask("s0", [f.gains_less_one], READY / "s0", model_type="gemma2")
    reference = ask.folder
    found = ask(child, [*GAUGE, f.gains_less_one], reference, model_type="gemma2")
    if child == "s1":
        assert found.outcome is Outcome.CONSISTENT
    else:
        assert_derived(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", WHOLE)
def test_forged_descendant_is_found_in_every_draw(case, seed, ask):
    assert_derived(ask("s0-cpt-long", WHOLE[case], READY / "s0", seed=100 + seed))


def test_repeated_neurons_break_their_own_control_and_void_no_finding(ask):
    """The suspect's slices are no control any more: the reference's stand in for them."""
    found = ask("s0-cpt-long", WHOLE["repeated neuron, renumbered channels"], READY / "s0")
    own = next(c for c in found.controls if c.kind == "self_permuted")
    assert own.passed
    assert_derived(found)
