"""The weights method over really trained models whose ancestry is known."""

from __future__ import annotations

import json
import re
from itertools import combinations

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.norm_gains import norm_control
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.report.family import families_of
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.opening import open_store
from tests.weights.shipped import CALIBRATION
from tools.running import run_suites
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

DECODER = Component.TEXT_DECODER
STRANGERS = ("s0", "s1", "t0", "moe0", "vl0")
D, S = Outcome.DERIVED, Outcome.CONSISTENT


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("run"))

    def ask(model, reference, component=DECODER, **more):
        names = [str(m if hasattr(m, "parts") else READY / m) for m in (model, reference)]
        specs = [ModelSpec(name=name, folder=True) for name in names]
        stores = [open_store(n, None, run_dir=run, budget=ByteBudget()) for n in names]
        hypothesis = ComponentHypothesis(pair=Pair(*specs), component=component, **more)
        return weights_origin(hypothesis, *stores, CALIBRATION)

    return ask


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Descendants of s0 by arithmetic: noise, pruning, rounding, renumbered neurons."""
    root = tmp_path_factory.mktemp("made")

    def make(name, change):
        folder = root / name
        if folder.exists():
            return folder
        weights = read_model("s0").tensors
        config = json.loads((READY / "s0" / "config.json").read_text())
        changed = change(weights)
        layers = {int(k.split(".")[2]) for k in changed if k.startswith("model.layers.")}
        config["num_hidden_layers"] = len(layers)
        checkpoints.write(folder, changed, config=config, card={"license": "mit"})
        (folder / "tokenizer.json").write_bytes((READY / "s0" / "tokenizer.json").read_bytes())
        return folder

    return make


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pytest.param(*pair, marks=pytest.mark.slow) if pair == ("s1", "moe0") else pair
        for pair in combinations(STRANGERS, 2)
    ],
)
def test_strangers_are_never_accused(one, two, ask):
    for component in (Component.EMBEDDINGS, DECODER, Component.LM_HEAD):
        finding = ask(two, one, component)
        assert finding.outcome in (S, Outcome.INDETERMINATE), finding.headline
        assert finding.pvalue is None or finding.pvalue > 1e-6
        assert finding.outcome is S or finding.relation in ("not_comparable", None)


@pytest.mark.parametrize(
    ("model", "kind"), [("s0-finetune", "fine-tune"), ("s0-cpt-long", "continued pretraining")]
)
@pytest.mark.parametrize("component", [Component.EMBEDDINGS, DECODER, Component.LM_HEAD])
def test_descendants_are_found_in_every_component(model, kind, component, ask):
    finding = ask(model, "s0", component)
    assert (finding.outcome, finding.relation, finding.kinds) == (D, "derived", (kind,))
    assert finding.pvalue < 1e-6
    assert finding.replications >= 2
    kinds = {"positive", "negative", "self_permuted", "deranged"}
    assert {c.kind for c in finding.controls} == kinds
    assert all(c.passed for c in finding.controls)


@pytest.mark.parametrize("component", [Component.EMBEDDINGS, DECODER, Component.LM_HEAD])
def test_twins_from_one_seed_share_an_initialisation_and_no_more(component, ask):
    finding = ask("s0-twin", "s0", component)
    assert (finding.outcome, finding.relation) == (D, "shared_initialisation")


def test_a_frozen_vision_encoder_is_found_and_its_text_decoder_is_not(ask):
    vision = ask("vl0-vision-only", "vl0", Component.VISION_ENCODER)
    assert (vision.relation, vision.level.value, vision.outcome) == ("verbatim", "E4", D)
    assert ask("vl0-vision-only", "vl0").outcome is S


def test_declared_reuse_is_declared_not_derived(ask):
    assert ask("s0-finetune", "s0", declared=True).outcome is Outcome.DECLARED


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_noise_up_to_the_size_of_the_weights_hides_nothing(share, ask, made):
    def noisy(weights):
        rng = np.random.default_rng(1)
        return {
            k: v + share * v.std() * rng.standard_normal(v.shape, np.float32) if v.ndim > 1 else v
            for k, v in weights.items()
        }

    assert ask(made(f"noise{share}", noisy), "s0").relation == "derived"


def test_pruning_is_found_and_named(ask, made):
    def pruned(weights):
        return {
            k: np.where(abs(v) < np.quantile(abs(v), 0.6), 0, v) if v.ndim > 1 else v
            for k, v in weights.items()
        }

    assert ask(made("pruned", pruned), "s0").kinds == ("pruned copy",)


def test_renumbered_neurons_are_found_by_matching(ask, made):
    def renumbered(weights):
        rng = np.random.default_rng(2)
        out = dict(weights)
        for layer in range(4):
            prefix = f"model.layers.{layer}."
            order = rng.permutation(176)
            for name in ("gate_proj", "up_proj"):
                out[f"{prefix}mlp.{name}.weight"] = weights[f"{prefix}mlp.{name}.weight"][order]
            down = f"{prefix}mlp.down_proj.weight"
            out[down] = weights[down][:, order]
        noise = {
            k: 0.05 * v.std() * rng.standard_normal(v.shape, np.float32) for k, v in out.items()
        }
        return {k: v + noise[k] for k, v in out.items()}

    finding = ask(made("renumbered", renumbered), "s0")
    assert finding.relation == "derived"
    assert finding.details["matching"]["share"] == 1.0


def test_dropped_layers_are_mapped(ask, made):
    def dropped(weights):
        out = {k: v for k, v in weights.items() if "layers" not in k}
        for new, old in enumerate([1, 3]):
            out |= {
                k.replace(f"layers.{old}.", f"layers.{new}."): v
                for k, v in weights.items()
                if f"layers.{old}." in k
            }
        rng = np.random.default_rng(3)
        return {
            k: v + 0.05 * v.std() * rng.standard_normal(v.shape, np.float32) for k, v in out.items()
        }

    finding = ask(made("dropped", dropped), "s0")
    assert (finding.relation, finding.kinds) == ("derived", ("layers moved",))
    assert finding.details["layer_map"]["pairs"] == [1, 3]


def test_other_shapes_are_not_comparable_and_never_support(ask, tmp_path):
    small = checkpoints.independent(tmp_path / "small")
    finding = ask(small, "s0")
    assert (finding.outcome, finding.relation) == (Outcome.INDETERMINATE, "not_comparable")
    assert finding.power is None


def test_why_tables_cannot_be_compared_is_said(tmp_path):
    from pytest_scratchverify.methods.weights.applicability import incomparable
    from pytest_scratchverify.methods.weights.component_pair import ComponentPair
    from pytest_scratchverify.tensors.reading import CheckpointPair, open_checkpoint

    run = RunDirectory(tmp_path / "run")
    small = checkpoints.independent(tmp_path / "small")
    one, *others = (
        open_checkpoint(open_store(str(path), None, run_dir=run, budget=ByteBudget()))
        for path in (READY / "s0", READY / "t0", small)
    )
    alike, unlike = (
        ComponentPair(CheckpointPair(one, other), Component.EMBEDDINGS) for other in others
    )
    said = str(incomparable(alike, "r"))
    assert "too few tokens in common" in said  # as wide, so the shapes are not the reason
    assert "no tensor of one shape" in str(incomparable(unlike, "r"))


def test_no_verdict_rests_on_norm_gains(tmp_path):
    run = RunDirectory(tmp_path)
    stores = {
        n: open_store(str(READY / n), None, run_dir=run, budget=ByteBudget())
        for n in ("s0", "s1", "s0-cpt-long")
    }
    pair = Pair(ModelSpec(name="a"), ModelSpec(name="b"))
    stranger = norm_control(pair, stores["s1"], stores["s0"], CALIBRATION)
    assert stranger.effect.value < 0.1
    assert stranger.outcome is S
    assert stranger.level.value == "E2"
    child = norm_control(pair, stores["s0-cpt-long"], stores["s0"], CALIBRATION)
    assert (child.outcome, child.statistic.value > 0.65) == (D, True)
    assert child.level.value == "E2"  # the verdict on a decoder never rests on gains
    assert all(control.passed for control in child.controls)


def as_f16(weights):
    """s0 is stored in BF16; what is below 6e-5 does not fit into F16 as it is."""
    return {name: value.astype(np.float16) for name, value in weights.items()}


def finer(weights):
    """What s0 may have been rounded from: each number off by less than BF16 can hold."""
    rng = np.random.default_rng(8)
    return {n: v * (1 + rng.uniform(-9e-4, 9e-4, v.shape)).astype(np.float32) if v.ndim > 1 else v
            for n, v in weights.items()}  # fmt: skip


def test_a_copy_in_another_precision_is_no_fine_tune(ask, made):
    fine, half = made("finer", finer), made("half", as_f16)
    for model, reference, later in ((half, "s0", "model"), ("s0", fine, "model"),
                                    (fine, "s0", "reference")):  # fmt: skip
        for component in (DECODER, Component.EMBEDDINGS):
            finding = ask(model, reference, component)
            assert finding.outcome is D
            assert finding.kinds == ("copy in another precision",)
            if finding.relation == "derived":  # in F16 some matrices are the same numbers
                assert finding.details["later"] == later
                assert finding.details["later_certain"] is False


def renumbered_channels(weights):
    """Renumber the residual stream throughout: the same function, other indices everywhere."""
    order = np.random.default_rng(5).permutation(64)
    moved = {}
    for name, value in weights.items():
        if value.ndim == 1 or "o_proj" in name or "down_proj" in name:
            moved[name] = value[order]
        else:
            moved[name] = value[:, order]
    return moved


def test_tables_with_renumbered_channels_are_a_lead_and_never_cleared(ask, made):
    copy = made("channels", renumbered_channels)
    decoder = ask(copy, "s0")
    assert (decoder.outcome, decoder.relation, decoder.kinds) == (
        D,
        "derived",
        ("renumbered channels",),
    )
    for component in (Component.EMBEDDINGS, Component.LM_HEAD):
        finding = ask(copy, "s0", component)
        assert (finding.outcome, finding.relation) == (Outcome.INDETERMINATE, "unclear")
        assert finding.direction.value == "toward_reuse"
        assert finding.details["step"] == "matching in any basis"


def test_strangers_stay_strangers_after_the_same_renumbering(ask, made):
    def stranger(_weights):
        return renumbered_channels(read_model("s1").tensors)

    finding = ask(made("stranger", stranger), "s0")
    assert finding.outcome is S


def test_the_earlier_of_two_is_not_called_derived_from_the_later(ask):
    """Asked the wrong way round: kin, and the reference looks like the child."""
    finding = ask("s0", "s0-cpt-long")
    assert (finding.outcome, finding.relation) == (D, "shared_ancestry")
    assert finding.details["later"] == "reference"
    assert ask("s0-cpt-long", "s0").details["later"] == "model"
    undecided = ask("s0", "s0-finetune")  # a fine-tune moves too little to tell
    assert (undecided.relation, undecided.details["later"]) == ("derived", "unknown")
    assert undecided.details["order"]["earlier"] == "model"  # by growth, which decides nothing
    assert "the model lies before the reference" in str(undecided.remedy)
    right = ask("s0-finetune", "s0")
    assert (right.details["order"]["earlier"], right.remedy) == ("reference", None)


def test_twins_of_one_seed_have_no_earlier_one(ask):
    for model in ("s0-twin", "s0"):
        order = ask(model, "s0" if model == "s0-twin" else "s0-twin").details["order"]
        assert order["earlier"] == "unknown"
        assert abs(order["growth"]) < 0.1


def test_what_does_not_stand_in_its_place_has_no_order(ask, made):
    def swapped(weights):
        places = {0: 2, 1: 3, 2: 0, 3: 1}
        return {
            re.sub(r"layers\.(\d)", lambda m: f"layers.{places[int(m[1])]}", name): value
            for name, value in weights.items()
        }

    finding = ask(made("swapped", swapped), "s0")
    assert finding.relation == "derived"
    assert "order" not in finding.details


def test_strangers_have_no_order(ask):
    assert "order" not in ask("s1", "s0").details
    assert "order" not in ask("s0-finetune", "s0", Component.EMBEDDINGS).details


def test_the_family_of_the_ready_zoo_is_told(ask):
    names = ("s0", "s0-finetune", "s0-cpt-long")
    found = [ask(one, other) for i, one in enumerate(names) for other in names[:i]]
    (family,) = families_of(found)
    assert family.root.endswith("/s0")
    assert all(step.parent == family.root for step in family.steps)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("2025-12-31", "2025-07-28", "156 days after the reference"),
        ("2025-07-28", "2025-12-31", "156 days before the reference"),
        ("2025-07-28", None, None),
        ("2025", "2025-12-31", None),
    ],
)
def test_dates_of_publication_are_stated_and_decide_nothing(ours, theirs, said):
    model, reference = (READY / name for name in ("s0-cpt-long", "s0"))
    stores = [FolderStore(model), FolderStore(reference)]
    pair = Pair(
        ModelSpec(name="model", released=ours), ModelSpec(name="reference", released=theirs)
    )
    found = weights_origin(ComponentHypothesis(pair=pair, component=DECODER), *stores, CALIBRATION)
    assert (found.outcome, found.relation, found.details["later"]) == (D, "derived", "model")
    assert ("published" in found.details) is bool(said)
    assert found.remedy is None if said is None else said in str(found.remedy)


def test_what_was_pruned_is_the_later_one_for_certain(ask, made):
    def pruned(weights):
        return {
            k: np.where(abs(v) < np.quantile(abs(v), 0.6), 0, v) if v.ndim > 1 else v
            for k, v in weights.items()
        }

    copy = made("pruned", pruned)
    assert ask(copy, "s0").details["later_certain"] is True
    finding = ask("s0", copy)
    assert (finding.relation, finding.details["later"]) == ("shared_ancestry", "reference")


def test_shared_ancestry_is_the_verdict_where_the_reference_is_later(tmp_path):
    ran = run_suites("--model", str(READY / "s0"), "--against", str(READY / "s0-cpt-long"),
                     "--component", "text_decoder", home=tmp_path)  # fmt: skip
    decoder = ran.model(str(READY / "s0"))["components"]["text_decoder"]
    # The model may be the older one: strict leaves that open, and so does the exit code.
    assert (ran.code, decoder["verdict"]) == (10, "SHARED_ANCESTRY")
