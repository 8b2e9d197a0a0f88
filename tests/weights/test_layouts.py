"""The same weights in another layout give the same verdict, and names alone decide nothing."""

from __future__ import annotations

import json
import shutil
from functools import cache

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.norm_gains import norm_control
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import ReadLog
from pytest_scratchverify.tensors.side_by_side import side_by_side
from tests.weights.shipped import CALIBRATION
from tools.zoo.disguises import Model, every_disguise, permute_all, permute_channels, rescale
from tools.zoo.layouts import EXPERTS, TWO_SIDED, UNGATED, WHOLE
from tools.zoo.ready_models import READY, read_model

DECODER, EXPERT = Component.TEXT_DECODER, Component.ROUTER_EXPERTS
TABLES = (Component.EMBEDDINGS, Component.LM_HEAD)


@pytest.fixture
def write(tmp_path):
    def written(model: Model, name: str):
        folder = tmp_path / name
        folder.mkdir()
        tensors = {k: np.ascontiguousarray(v).astype(ml_dtypes.bfloat16)
                   for k, v in model.tensors.items()}  # fmt: skip
        save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(model.config))
        shutil.copy(READY / "s0" / "tokenizer.json", folder)
        return folder

    return written


def ask(model, reference, component=DECODER):
    pair = Pair(ModelSpec(name="model"), ModelSpec(name="reference"))
    hypothesis = ComponentHypothesis(pair=pair, component=component)
    return weights_origin(hypothesis, FolderStore(model), FolderStore(reference), CALIBRATION)


@cache
def usual(name, reference="s0", component=DECODER):
    """What is said of a model in its own layout."""
    return ask(READY / name, READY / reference, component)


def same(found, expected):
    assert (found.outcome, found.relation, found.kinds) == (
        expected.outcome, expected.relation, expected.kinds), found.headline  # fmt: skip
    assert found.effect.value == pytest.approx(expected.effect.value, abs=2e-3)


def laid_beside(model, reference):
    """Return what stands at every place of the reference, ours beside theirs."""
    pair = side_by_side(FolderStore(model), FolderStore(reference))
    found = {}
    for slot, theirs in pair.theirs.inventory.matrices.items():
        ours = pair.ours.inventory.matrices.get(slot)
        if theirs.rows > 1:
            assert ours is not None, f"{slot} is absent"
            values = [
                side.read([Block(m, 0, m.rows)], ReadLog())[0]
                for side, m in ((pair.ours, ours), (pair.theirs, theirs))
            ]
            found[slot] = values
    # Vectors of unknown names that are no gains of the stream are compared with nothing: few.
    assert all(pair.ours.inventory.unplaced_share(component) < 0.02 for component in Component)
    return found


@pytest.mark.parametrize("layout", WHOLE)
def test_every_number_stands_where_it_stands_in_the_usual_layout(layout, write):
    found = laid_beside(write(WHOLE[layout](read_model("s0")), "copy"), READY / "s0")
    assert len(found) == 30
    for slot, (ours, theirs) in found.items():
        np.testing.assert_array_equal(ours, theirs, err_msg=str(slot))


@pytest.mark.parametrize("layout", EXPERTS)
def test_every_expert_stands_where_it_stands_in_the_usual_layout(layout, write):
    found = laid_beside(write(EXPERTS[layout](read_model("moe0")), "copy"), READY / "moe0")
    assert len(found) == 70
    for slot, (ours, theirs) in found.items():
        np.testing.assert_array_equal(ours, theirs, err_msg=str(slot))


@pytest.mark.parametrize("layout", ["strange", "numbered", "numbered backwards", "unknown prefix"])
def test_a_stranger_without_known_names_has_a_partner_for_everything(layout, write):
    stranger = write(WHOLE[layout](read_model("s1")), "stranger")
    for slot, (ours, theirs) in laid_beside(stranger, READY / "s0").items():
        assert ours.shape == theirs.shape, slot


def _some(*chosen):
    """Leave the others to the slow run: places are compared above, number for number."""
    return [pytest.param(n, marks=() if n in chosen else pytest.mark.slow) for n in WHOLE]


@pytest.mark.parametrize("layout", _some("native"))
def test_a_child_in_another_layout_is_the_same_child(layout, write):
    child = write(WHOLE[layout](read_model("s0-finetune")), "child")
    same(ask(child, READY / "s0"), usual("s0-finetune"))
    for table in TABLES:
        same(ask(child, READY / "s0", table), usual("s0-finetune", component=table))


@pytest.mark.parametrize("layout", _some("two names"))
def test_a_stranger_in_another_layout_is_cleared(layout, write):
    stranger = write(WHOLE[layout](read_model("s1")), "stranger")
    for component in (DECODER, *TABLES):
        finding = ask(stranger, READY / "s0", component)
        assert finding.outcome is Outcome.CONSISTENT, (finding.headline, finding.remedy)


@pytest.mark.slow
@pytest.mark.parametrize("layout", WHOLE)
def test_a_copy_in_another_layout_is_verbatim(layout, write):
    copy = ask(write(WHOLE[layout](read_model("s0")), "copy"), READY / "s0")
    assert (copy.relation, copy.kinds) == (Relation.VERBATIM, ("identical",))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["native", "strange", "numbered", "internlm2", "turned"])
def test_it_does_not_matter_which_of_the_two_has_the_layout(layout, write):
    original = write(WHOLE[layout](read_model("s0")), "original")
    same(ask(READY / "s0-finetune", original), usual("s0-finetune"))
    assert ask(READY / "s1", original).outcome is Outcome.CONSISTENT
    same(ask(write(WHOLE["ddp"](read_model("s0-cpt-long")), "trained"), original),
         usual("s0-cpt-long"))  # fmt: skip


STRANGE = ("strange", "numbered", "numbered backwards", "unknown prefix")
CHEAP = {("usual", "strange")}


def _either_side():
    """Strange names on either side, on both, and other ones on either: most in the slow run."""
    pairs = [
        (a, b) for a in ("usual", *STRANGE) for b in ("usual", *STRANGE) if a != b or a in STRANGE
    ]
    return [pytest.param(*p, marks=() if p in CHEAP else pytest.mark.slow) for p in pairs]


def in_layout(write, name, layout, called):
    return READY / name if layout == "usual" else write(WHOLE[layout](read_model(name)), called)


@pytest.mark.parametrize(("ours", "theirs"), _either_side())
def test_strange_names_on_either_side_hide_no_gains_and_accuse_nobody(ours, theirs, write):
    reference = in_layout(write, "s0", theirs, "reference")
    # Between the bars: that it is a descendant and no twin is told by its norm gains alone.
    child = ask(in_layout(write, "s0-cpt-long", ours, "child"), reference)
    assert (child.outcome, child.kinds) == (Outcome.DERIVED, ("continued pretraining",))
    stranger = ask(in_layout(write, "s1", ours, "stranger"), reference)
    # Two tables in the front hide the layers from both: no order but the stored one can be tried.
    told = (ours, theirs) != ("numbered backwards", "numbered backwards")
    expected = Outcome.CONSISTENT if told else Outcome.INDETERMINATE
    assert stranger.outcome is expected, stranger.remedy
    twin = ask(in_layout(write, "s0-twin", ours, "twin"), reference)
    assert twin.kinds == ("shared initialisation",)


def with_formulas(model, seed):
    """Add what recurrent blocks have, of the width of the stream and as a formula starts it."""
    rng = np.random.default_rng(seed)
    vectors = {
        f"model.layers.{layer}.{name}": (values + 0.05 * rng.standard_normal(64)).astype(np.float32)
        for layer in model.layers
        for name, values in {
            "mixing": np.linspace(0, 1, 64) ** 0.7,
            "rates": -5 + 8 * (np.arange(64) / 63) ** 2.2,
            "turns": np.tile(np.linspace(0.2, 1.8, 8), 8),
        }.items()
    }
    return Model({**model.tensors, **vectors}, model.config)


@pytest.mark.parametrize("theirs", ["strange", pytest.param("numbered", marks=pytest.mark.slow)])
def test_formulas_under_strange_names_are_no_gains_in_common(theirs, write):
    reference = write(WHOLE[theirs](with_formulas(read_model("s0"), 1)), "reference")
    stranger = write(WHOLE["strange"](with_formulas(read_model("s1"), 2)), "stranger")
    found = ask(stranger, reference)
    assert found.outcome is not Outcome.DERIVED
    assert found.details["norm_gains"]["centred_cosine"] < 0.3
    pair = Pair(ModelSpec(name="model"), ModelSpec(name="reference"))
    beside = norm_control(pair, FolderStore(stranger), FolderStore(reference), CALIBRATION)
    assert beside.outcome is Outcome.CONSISTENT


@pytest.mark.parametrize("layout", ["strange", pytest.param("numbered", marks=pytest.mark.slow)])
def test_a_disguised_copy_under_strange_names_is_folded_by_gains_found_for_it(layout, write):
    hidden = permute_all(
        rescale(read_model("s0"), np.random.default_rng(1)), np.random.default_rng(2)
    )
    found = ask(write(WHOLE[layout](hidden), "hidden"), READY / "s0")
    assert found.outcome is Outcome.DERIVED
    assert {"renumbered channels", "renumbered neurons"} <= {*found.kinds}


@pytest.mark.parametrize(
    "change", [permute_all, pytest.param(every_disguise, marks=pytest.mark.slow)]
)
def test_a_disguised_copy_is_not_cleared_where_neither_tells_a_layer(change, write):
    hidden = change(read_model("s0"), np.random.default_rng(4))
    reference = write(WHOLE["numbered backwards"](read_model("s0")), "reference")
    found = ask(write(WHOLE["numbered backwards"](hidden), "hidden"), reference)
    assert found.outcome is Outcome.INDETERMINATE, found.headline
    assert "tell no layer" in str(found.remedy)


@pytest.mark.slow
@pytest.mark.parametrize("change", [permute_channels, permute_all, every_disguise])
def test_a_disguised_copy_is_found_where_both_only_number_their_tensors(change, write):
    hidden = change(read_model("s0"), np.random.default_rng(1))
    reference = write(WHOLE["numbered"](read_model("s0")), "reference")
    found = ask(write(WHOLE["numbered"](hidden), "hidden"), reference)
    assert found.outcome is Outcome.DERIVED, found.headline


def lying_turned(model):
    """Store everything inputs first under strange names, tables too: no width is told by a name."""
    turned = {k: v.T if v.ndim == 2 else v for k, v in model.tensors.items()}
    return WHOLE["strange"](Model(turned, model.config))


@pytest.mark.parametrize("theirs", ["usual", pytest.param("strange", marks=pytest.mark.slow)])
def test_strange_names_of_what_lies_turned_hide_nothing(theirs, write):
    reference = in_layout(write, "s0", theirs, "reference")
    copy = ask(write(lying_turned(read_model("s0")), "copy"), reference)
    assert copy.kinds == ("identical",)
    stranger = ask(write(lying_turned(read_model("s1")), "stranger"), reference)
    assert stranger.outcome is Outcome.CONSISTENT, stranger.remedy


@pytest.mark.parametrize(
    "layout", [pytest.param(n, marks=pytest.mark.slow) for n in ("gpt2", "bigcode", "falcon")]
)
def test_models_without_a_gate_find_their_children_in_either_layout(layout, write):
    folders = {
        name: write(UNGATED[layout](read_model(name)), name) for name in ("s0", "s0-finetune", "s1")
    }
    plain = write(UNGATED["bigcode"](read_model("s0")), "plain")
    for reference in (folders["s0"], plain):
        child = ask(folders["s0-finetune"], reference)
        assert (child.outcome, child.kinds) == (Outcome.DERIVED, ("fine-tune",))
        assert child.effect.value == pytest.approx(0.998, abs=1e-3)
        stranger = ask(folders["s1"], reference)
        assert stranger.outcome is Outcome.CONSISTENT, stranger.remedy
        assert ask(folders["s0"], reference).relation is Relation.VERBATIM


def trained_on(model, share=0.05):
    """Move every weight a little, each in its own direction."""
    rng = np.random.default_rng(3)
    return Model(
        {k: v + (share * v.std() * rng.standard_normal(v.shape)).astype(np.float32)
         for k, v in model.tensors.items()},
        model.config,
    )  # fmt: skip


def drawn_anew(model):
    rng = np.random.default_rng(5)
    return Model(
        {k: (v.std() * rng.standard_normal(v.shape)).astype(np.float32) if v.ndim > 1 else v
         for k, v in model.tensors.items()},
        model.config,
    )  # fmt: skip


def trained_far(model):
    """Move every weight as far as lies between the bars, and gains by less than they vary."""
    rng = np.random.default_rng(3)
    return Model(
        {k: v + ((0.55 if v.ndim > 1 else 0.3) * v.std() * rng.standard_normal(v.shape)).astype(np.float32)
         for k, v in model.tensors.items()},
        model.config,
    )  # fmt: skip


def wholly_strange(model):
    words = [("input_layernorm", "xi"), ("post_attention_layernorm", "chi"), ("mlp.gate", "via"),
             ("q_norm", "rho"), ("k_norm", "tau"), ("model.norm", "core.last"),
             ("model.embed_tokens", "core.tokens"), ("lm_head", "core.way")]  # fmt: skip
    tensors = EXPERTS["strange"](model).tensors
    for old, new in words:
        tensors = {k.replace(old, new): v for k, v in tensors.items()}
    return Model(tensors, model.config)


MIXTURES = {**EXPERTS, "usual": lambda m: m, "wholly strange": wholly_strange,
            "numbered": WHOLE["numbered"]}  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), [
    *(pytest.param(*p, marks=pytest.mark.slow) for p in (
        ("usual", "wholly strange"), ("wholly strange", "usual"), ("wholly strange", "strange"), ("strange", "numbered"),
        ("numbered", "wholly strange"), ("inputs first", "strange"), ("usual", "numbered"),
    )),
])  # fmt: skip
def test_mixtures_under_strange_names_on_either_side_have_gains_and_innocents(ours, theirs, write):
    original = read_model("moe0")
    reference = write(MIXTURES[theirs](original), "reference")
    child = write(MIXTURES[ours](trained_far(original)), "child")
    stranger = write(MIXTURES[ours](drawn_anew(original)), "stranger")
    for component in (DECODER, EXPERT):
        found = ask(child, reference, component)
        assert (found.outcome, found.kinds) == (Outcome.DERIVED, ("continued pretraining",))
        cleared = ask(stranger, reference, component)
        assert cleared.outcome is Outcome.CONSISTENT, cleared.remedy


@pytest.mark.slow
@pytest.mark.parametrize("layout", EXPERTS)
def test_experts_in_any_layout_are_the_same_experts(layout, write):
    original = read_model("moe0")
    copy = write(EXPERTS[layout](original), "copy")
    for component in (DECODER, EXPERT):
        found = ask(copy, READY / "moe0", component)
        assert (found.relation, found.kinds) == (Relation.VERBATIM, ("identical",)), found.details
    child = ask(write(EXPERTS[layout](trained_on(original)), "child"), READY / "moe0", EXPERT)
    assert (child.outcome, child.kinds) == (Outcome.DERIVED, ("fine-tune",))
    assert child.effect.value > 0.99
    stranger = ask(write(EXPERTS[layout](drawn_anew(original)), "stranger"), READY / "moe0", EXPERT)
    assert stranger.outcome is Outcome.CONSISTENT, stranger.remedy


def test_experts_that_were_left_out_are_named_and_are_no_change_of_width(write):
    original = read_model("moe0")
    tensors = {k: v for k, v in original.tensors.items() if ".experts." not in k}
    kept = [(1, 3), (0, 2), (2, 3), (0, 1)]
    for layer in original.layers:
        root = f"model.layers.{layer}.mlp."
        tensors[f"{root}gate.weight"] = original.tensors[f"{root}gate.weight"][[*kept[layer]]]
        for new, old in enumerate(kept[layer]):
            for kind in ("gate", "up", "down"):
                name = f"{kind}_proj.weight"
                tensors[f"{root}experts.{new}.{name}"] = original.tensors[
                    f"{root}experts.{old}.{name}"
                ]
    pruned = write(Model(tensors, {**original.config, "num_experts": 2}), "pruned")
    found = ask(pruned, READY / "moe0", EXPERT)
    assert found.relation is Relation.VERBATIM
    assert found.effect.value == 1.0  # each beside the one that it was, whatever its number
    assert "experts left out" in found.kinds
    assert "width changed" not in found.kinds
    assert "experts added" in ask(READY / "moe0", pruned, EXPERT).kinds


@pytest.mark.parametrize("layout", ["t5", pytest.param("bart", marks=pytest.mark.slow)])
def test_encoder_and_decoder_are_both_compared(layout, write):
    reference = write(TWO_SIDED[layout](read_model("s0")), "reference")
    child = write(TWO_SIDED[layout](read_model("s0-finetune")), "child")
    found = ask(child, reference)
    assert (found.outcome, found.kinds) == (Outcome.DERIVED, ("fine-tune",))
    assert len(found.details["by_layer"]) == 4
    assert ask(child, reference, Component.EMBEDDINGS).outcome is Outcome.DERIVED
    stranger = write(TWO_SIDED[layout](read_model("s1")), "stranger")
    for component in (DECODER, Component.EMBEDDINGS):
        cleared = ask(stranger, reference, component)
        assert cleared.outcome is Outcome.CONSISTENT, cleared.remedy


@pytest.mark.parametrize("layout", [pytest.param("t5", marks=pytest.mark.slow), "bart"])
def test_a_strangers_encoder_is_no_fine_tune(layout, write):
    reference = write(TWO_SIDED[layout](read_model("s0")), "reference")
    child, stranger = (TWO_SIDED[layout](read_model(n)) for n in ("s0-finetune", "s1"))
    mixed = {k: (stranger if "encoder." in k else child).tensors[k] for k in child.tensors}
    found = ask(write(Model(mixed, child.config), "mixed"), reference)
    assert found.outcome is Outcome.DERIVED
    assert found.kinds[0] == "partial reuse"
    assert found.details["inherited_layers"] == [2, 3]
