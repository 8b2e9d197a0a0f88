"""One copied layer: found, held by the fold, and never of a stranger."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.verdict.fold import Plan, fold
from pytest_scratchverify.verdict.verdict import Verdict
from tests.weights.shipped import CALIBRATION
from tools.zoo import disguises as d
from tools.zoo import forgeries as f
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

DECODER = Component.TEXT_DECODER
MLP = ("gate_proj", "up_proj", "down_proj")


def only(kinds):
    """Put back what a layer has beside some kinds of matrices."""

    def step(model, _):
        own = read_model("s1").tensors
        return d.Model(
            {k: v if any(kind in k for kind in kinds) else own[k]
             for k, v in model.tensors.items()}, model.config)  # fmt: skip

    return step


def ask(folder, source, steps, reference=READY / "s0"):
    model, rng = read_model(source), np.random.default_rng(11)
    for step in steps:
        model = step(model, rng)
    checkpoints.write(folder, model.tensors, config=model.config, card={"license": "mit"})
    (folder / "tokenizer.json").write_bytes((READY / "s0" / "tokenizer.json").read_bytes())
    pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
    hypothesis = ComponentHypothesis(pair=pair, component=DECODER)
    return weights_origin(hypothesis, FolderStore(folder), FolderStore(reference), CALIBRATION)


def verdict_of(finding):
    plan = Plan(model="suspect", intents=(), components=(DECODER,))
    return fold(plan, [finding])[DECODER].verdict


def one(layer):
    return f.transplanted((layer,), read_model("s1"))


@pytest.mark.parametrize(
    ("source", "steps", "kind"),
    [
        ("s0-finetune", [one(2)], Kind.PARTIAL),
        ("s0-cpt-long", [one(0)], Kind.PARTIAL),
        ("s0-cpt-long", [one(1), d.every_disguise], Kind.PARTIAL),
        ("s0-finetune", [one(3), only(MLP)], Kind.SOME_ROLES),
        ("s0-finetune", [one(3), only(("self_attn",))], Kind.SOME_ROLES),
    ],
    ids=["tuned", "trained on", "trained on, in any basis", "its block", "its attention"],
)
def test_one_copied_layer_is_held_by_the_fold(source, steps, kind, tmp_path):
    found = ask(tmp_path / "suspect", source, steps)
    assert (found.outcome, found.relation) == (Outcome.DERIVED, Relation.DERIVED), found.headline
    assert kind in found.kinds
    assert found.replications >= 2
    assert verdict_of(found) is Verdict.DERIVED


@pytest.mark.parametrize("steps", [[], [d.every_disguise]], ids=["plain", "in any basis"])
def test_a_stranger_is_not_replicated(steps, tmp_path):
    found = ask(tmp_path / "suspect", "s1", steps)
    assert (found.outcome, found.replications) == (Outcome.CONSISTENT, 1)
