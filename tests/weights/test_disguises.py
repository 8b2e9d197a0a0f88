"""A forger's disguises, each applied to a descendant and to a stranger: found, named, spared.

The arithmetic is `tools/zoo/disguises.py`. It is applied here to models of the ready zoo that
were really trained: to s0-cpt-long, as many steps from s0 as s0 had itself, and to s1, which has
nothing of it. What is trained on *after* the disguise is in `benchmarks/detection.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.merge import weights_merge
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from tests.weights.merging import MERGES
from tests.weights.shipped import CALIBRATION
from tools.running import run_suites
from tools.zoo import disguises as d
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

DECODER, EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS


def fresh(model, rng):
    return d.new_vocabulary(model, model.number("vocab_size"), rng)


CASES = {
    "neurons": ([d.permute_neurons], "renumbered neurons"),
    "heads": ([d.permute_heads], "renumbered or rotated heads"),
    "head rotations": ([d.rotate_heads], "renumbered or rotated heads"),
    "channels": ([d.permute_channels], "renumbered channels"),
    "everything renumbered": ([d.permute_all], "renumbered channels, renumbered neurons"),
    "rotated": ([d.rotate_residual], "rotated"),
    "rescaled": ([d.rescale], "rescaled"),
    "all disguises": ([d.every_disguise], "rotated, renumbered neurons"),
    "all, new vocabulary": ([d.every_disguise, fresh], "rotated, renumbered neurons"),
    "renumbered, new vocabulary": (
        [d.permute_all, fresh],
        "renumbered channels, renumbered neurons",
    ),
    "rotated, pruned, new vocabulary": (
        [d.rotate_residual, lambda m, _: d.prune(m), fresh],
        "rotated, pruned copy",
    ),
    "layer dropped": ([lambda m, _: d.choose_layers(m, (0, 1, 3))], "layers moved"),
    "layers repeated": ([lambda m, _: d.choose_layers(m, (0, 1, 2, 1, 2, 3))], "layers repeated"),
    "rotated, layer dropped": (
        [d.rotate_residual, lambda m, _: d.choose_layers(m, (0, 1, 3))],
        "rotated, layers moved",
    ),
    "narrow blocks": ([lambda m, r: d.resize_ffn(m, 112, r)], "width changed"),
    "wide blocks": ([lambda m, r: d.resize_ffn(m, 256, r)], "width changed"),
    "narrow residual": ([lambda m, r: d.resize_residual(m, 48, r)], "width changed"),
    "wide residual": ([lambda m, r: d.resize_residual(m, 96, r)], "width changed"),
    "narrow, renumbered, pruned": (
        [lambda m, r: d.resize_residual(m, 48, r), d.permute_all, lambda m, _: d.prune(m)],
        "width changed, pruned copy",
    ),
}


TABLES_TOO = ("channels", "all, new vocabulary", "rotated")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Write a disguised model as a folder, BF16, once."""
    root = tmp_path_factory.mktemp("disguised")

    def make(source, label, steps, seed=3):
        folder = root / f"{source}-{label}".replace(" ", "-").replace(",", "")
        if not folder.exists():
            rng = np.random.default_rng(seed)
            model = read_model(source)
            for step in steps:
                model = step(model, rng)
            checkpoints.write(folder, model.tensors, config=model.config, card={"license": "mit"})
            (folder / "tokenizer.json").write_bytes(
                (READY / source / "tokenizer.json").read_bytes()
            )
        return folder

    return make


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("run"))

    def ask(model, reference, component=DECODER):
        names = [str(model), str(READY / reference)]
        stores = [open_store(name, run_dir=run, budget=ByteBudget()) for name in names]
        pair = Pair(*(ModelSpec(name=name, folder=True) for name in names))
        return weights_origin(
            ComponentHypothesis(pair=pair, component=component), *stores, CALIBRATION
        )

    return ask


@pytest.mark.parametrize("case", CASES)
def test_descendant_is_found_through_it_and_the_disguise_is_named(case, made, ask):
    steps, kind = CASES[case]
    found = ask(made("s0-cpt-long", case, steps), "s0")
    assert (found.outcome, found.relation) == (Outcome.DERIVED, "derived"), found.headline
    assert set(kind.split(", ")) <= set(found.kinds)
    assert found.pvalue < 1e-6
    assert found.replications >= 2
    assert all(control.passed for control in found.controls)


AT_ONCE = ("all disguises", "neurons")  # the others take a quarter of a minute each


@pytest.mark.parametrize(
    "case", [c if c in AT_ONCE else pytest.param(c, marks=pytest.mark.slow) for c in CASES]
)
def test_stranger_is_spared_in_it(case, made, ask):
    steps, _ = CASES[case]
    folder = made("s1", case, steps)
    tables = (Component.EMBEDDINGS, Component.LM_HEAD) if case in TABLES_TOO else ()
    for component in (DECODER, *tables):
        found = ask(folder, "s0", component)
        assert found.outcome in (Outcome.CONSISTENT, Outcome.INDETERMINATE), found.headline
        assert found.relation in (None, "not_comparable")
        assert found.outcome is Outcome.CONSISTENT or found.relation == "not_comparable"


@pytest.mark.parametrize("case", ["all disguises", "renumbered, new vocabulary"])
def test_disguised_twin_is_no_descendant(case, made, ask):
    """Twins share what a seed drew: in another basis nothing of it is recognised."""
    steps, _ = CASES[case]
    assert ask(made("s0-twin", case, steps), "s0").relation is None


def test_dense_model_made_experts_is_found_and_named(made, ask):
    steps = [lambda m, r: d.upcycle(m, 4, r), d.permute_all, fresh]
    folder = made("s0-cpt-long", "upcycled", steps)
    for component in (DECODER, EXPERTS):
        found = ask(folder, "s0", component)
        assert (found.outcome, found.relation) == (Outcome.DERIVED, "derived")
        assert "upcycled" in found.kinds
    stranger = ask(made("s1", "upcycled", steps), "s0", EXPERTS)
    assert stranger.relation == "not_comparable"


@pytest.mark.parametrize(("source", "relation"), [("moe0", "derived"), ("s0", "not_comparable")])
def test_experts_are_recognised_in_another_order_and_basis(source, relation, made, ask):
    if source == "moe0":
        found = ask(made("moe0", "all", [d.every_disguise]), "moe0", EXPERTS)
        assert (found.relation, found.outcome) == (relation, Outcome.DERIVED)
        assert "renumbered experts" in found.kinds
    else:
        steps = [lambda m, r: d.upcycle(m, 4, r)]
        assert ask(made("s1", "up", steps), "s0", EXPERTS).relation == relation


def test_embeddings_taken_along_into_another_basis_are_a_lead_and_new_ones_are_not(made, ask):
    taken = ask(
        made("s0-cpt-long", "all disguises", [d.every_disguise]), "s0", Component.EMBEDDINGS
    )
    assert (taken.outcome, taken.relation) == (Outcome.INDETERMINATE, "unclear")
    new = ask(made("s0-cpt-long", "fresh", [d.every_disguise, fresh]), "s0", Component.EMBEDDINGS)
    assert new.relation is None


def test_attention_alone_in_another_order_is_a_lead(made, ask):
    """The blocks are a stranger's; queries and keys still relate the channels as the parent's."""

    def other_blocks(model, _rng):
        out, stranger = model.copy(), read_model("s1")
        for name, value in stranger.tensors.items():
            if ".mlp." in name:
                out.tensors[name] = value
        return out

    found = ask(made("s0-cpt-long", "attention", [d.permute_channels, other_blocks]), "s0")
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "unclear"), found.headline
    assert found.details["step"] == "alignment by shared embeddings"
    aligned = found.details["aligned_by_embeddings"]
    assert aligned["attention_cka"] > 0.3 > aligned["attention_cka_of_deranged_tokens"]
    stranger = ask(made("s1", "attention", [d.permute_channels]), "s0")
    assert stranger.details["aligned_by_embeddings"]["attention_cka"] < 0.1


def test_layer_map_is_exact_in_any_basis(made, ask):
    folder = made(
        "s0-cpt-long", "mapped", [d.rotate_residual, lambda m, _: d.choose_layers(m, (0, 1, 3))]
    )
    layers = ask(folder, "s0").details["any_basis"]["layers"]
    assert [(int(row[0]), int(row[2])) for row in layers] == [(0, 0), (1, 1), (2, 3)]


@pytest.mark.parametrize("name", MERGES)
def test_merges_are_named_with_the_shares_of_their_parents(name, tmp_path):
    join, truth = MERGES[name]
    one, two, base = read_model("s0-finetune"), read_model("s0-cpt-long"), read_model("s0")
    merged = join(one, two, base, np.random.default_rng(9))
    checkpoints.write(tmp_path / "merged", merged.tensors, config=merged.config, card={})
    run = RunDirectory(tmp_path / "run")
    parents = ["s0-finetune", "s1" if name == "strangers" else "s0-cpt-long"]
    stores = {p: open_store(str(READY / p), run_dir=run, budget=ByteBudget()) for p in parents}
    ours = open_store(str(tmp_path / "merged"), run_dir=run, budget=ByteBudget())
    found = weights_merge(ModelSpec(name="merged"), ours, stores, CALIBRATION)
    assert found.relation == "merge", found.headline
    assert found.outcome is Outcome.INDETERMINATE  # a kind, and no accusation
    assert found.details["shares"] == pytest.approx(truth, abs=0.05)


@pytest.mark.parametrize("child", ["s0-twin", "s1"])
def test_what_is_no_merge_is_not_called_one(child, tmp_path):
    run = RunDirectory(tmp_path / "run")
    names = ("s0", "s0-cpt-long", "t0")
    stores = {n: open_store(str(READY / n), run_dir=run, budget=ByteBudget()) for n in names}
    ours = open_store(str(READY / child), run_dir=run, budget=ByteBudget())
    found = weights_merge(ModelSpec(name=child), ours, stores, CALIBRATION)
    assert found.relation is None


def test_layers_of_one_model_among_faint_layers_of_another_are_no_merge(tmp_path):
    """A first draw that both have leaves a third of a model's cosine in the layers that have it."""
    model, other, rng = read_model("s0"), read_model("s1"), np.random.default_rng(4)
    for name, value in other.tensors.items():
        if ".layers.0." in name or ".layers.3." in name:
            noise = value.std() * rng.normal(size=value.shape).astype(np.float32)
            model.tensors[name] = 0.5 * value + 0.7 * noise
    table = model.tensors["model.embed_tokens.weight"]
    model.tensors["model.embed_tokens.weight"] = rng.normal(size=table.shape).astype(np.float32)
    checkpoints.write(tmp_path / "mosaic", model.tensors, config=model.config, card={})
    run = RunDirectory(tmp_path / "run")
    stores = {n: open_store(str(READY / n), run_dir=run, budget=ByteBudget()) for n in ("s0", "s1")}
    ours = open_store(str(tmp_path / "mosaic"), run_dir=run, budget=ByteBudget())
    found = weights_merge(ModelSpec(name="mosaic"), ours, stores, CALIBRATION)
    assert found.relation is None, found.headline


def test_merge_is_what_the_verdict_names(tmp_path):
    merged = d.linear([read_model("s0-finetune"), read_model("s0-cpt-long")], (0.6, 0.4))
    folder = tmp_path / "merged"
    checkpoints.write(folder, merged.tensors, config=merged.config, card={"license": "mit"})
    ran = run_suites(
        "--model", str(folder), "--against", str(READY / "s0-finetune"),
        "--against", str(READY / "s0-cpt-long"), "--component", "text_decoder", home=tmp_path,
    )  # fmt: skip
    decoder = ran.model(str(folder))["components"]["text_decoder"]
    assert (ran.code, decoder["verdict"], decoder["kinds"]) == (1, "DERIVED", ["merge"])
    assert "0.60" in decoder["because"][0]["text"]
