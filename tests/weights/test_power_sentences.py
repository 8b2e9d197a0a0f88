"""Power sentences held to their word: what each promises is built, and found as often as it says.

Every sentence of `methods.weights.power.HEADLINES` has a test here that makes the descendant it
speaks of in fresh draws and asks the test that would have asked it, with all that p pays for.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights import alignment
from pytest_scratchverify.methods.weights import compare as compare_module
from pytest_scratchverify.methods.weights.angles import compare_angles
from pytest_scratchverify.methods.weights.compare import Effort, compare
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.framed_basis import match_by_frames, plan_frames
from pytest_scratchverify.methods.weights.framed_power import faint, power_of_frames, renumbered
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.judge import judge
from pytest_scratchverify.methods.weights.measure import measure
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.methods.weights.power import HEADLINES, measure_power, power_of
from pytest_scratchverify.methods.weights.step import Step
from pytest_scratchverify.methods.weights.thresholds import FRAMES_INHERITED, WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_matching import disguised
from pytest_scratchverify.stats.weights.anchored_search import anchored_match
from pytest_scratchverify.stats.weights.framed_recognition import (
    Network,
    Sampled,
    recognise_by_frames,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.power_by_dilution import diluted
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.reading import CheckpointPair, open_checkpoint
from pytest_scratchverify.tensors.side_by_side import side_by_side
from tests.weights.shipped import CALIBRATION
from tools.zoo import disguises as d
from tools.zoo import forgeries as f
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

DECODER, EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS
NUMBERS = WeightsThresholds.from_json(CALIBRATION)
TOLD = {"rotation_invariant", "own number", "frames", "frames, own number", "angles", "aligned",
        "in place"}  # fmt: skip
CHANCE = 1e-3  # of a true promise to fail here
DRAWS = 12


def kept(hits, draws, promised):
    """Whether so few hits are no wonder at the promised rate, of which 20 draws are a sample."""
    return binom.cdf(hits, draws, min(promised, 0.95)) > CHANCE


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Return how two folders are compared, with the stores kept."""
    run = RunDirectory(tmp_path_factory.mktemp("run"))

    def make(ours, theirs, component=DECODER):
        stores = [open_store(str(m), run_dir=run, budget=ByteBudget()) for m in (ours, theirs)]
        pair = ComponentPair(CheckpointPair(*map(open_checkpoint, stores)), component)
        return compare(pair, Effort())

    return make


@pytest.fixture(scope="module")
def strangers(compared):
    return compared(READY / "s1", READY / "s0")


@pytest.fixture(scope="module")
def power(strangers):
    return measure_power(DECODER, strangers, NUMBERS)


def test_every_sentence_is_held_to_its_word_here():
    assert set(HEADLINES) == TOLD


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(("s1", "s0"), "frames"), (("moe0", "moe0"), "frames, own number")],
)
def test_a_copy_in_any_basis_and_order_is_found_as_often_as_frames_promise(names, sentence):
    """The promise is measured on renumbered channels; here the stream is rotated.

    Where all neurons are of experts that have numbers, these are not looked for under others.
    """
    stores = [FolderStore(READY / name) for name in names]
    pair = ComponentPair(side_by_side(*stores), DECODER)
    found = match_by_frames(pair, plan_frames(pair, None))
    promise = power_of_frames(found, NUMBERS)
    assert promise.renumbered is (sentence == "frames")
    own, rng = found.network, np.random.default_rng(2)
    hits = 0
    for _ in range(DRAWS):
        copy = renumbered(faint(own, promise.cosine, rng), rng)
        width = copy.heads[0][0].width
        turn = np.linalg.qr(rng.normal(size=(width, width)))[0].astype(np.float32)
        turned = Network(
            {n: [HeadReads(one.rows @ turn) for one in pair] for n, pair in copy.heads.items()},
            {
                key: Sampled([view @ turn for view in block.views], block.total)
                for key, block in copy.neurons.items()
            },
        )
        match = recognise_by_frames(turned, own)
        hits += 5 * match.pvalue <= NUMBERS.alpha and match.effect >= FRAMES_INHERITED
    assert kept(hits, DRAWS, promise.hits / promise.draws)


def test_inheritance_in_its_order_is_found_as_often_as_it_says(strangers, power):
    rng = np.random.default_rng(1)
    effect = power.curve.minimum_detectable_effect
    hits = 0
    for _ in range(DRAWS):
        batch = {
            piece: (ours, diluted(ours, effect, rng))
            for piece, (ours, _) in strangers.sample.items()
            if len(ours) > 1
        }
        found = measure(DECODER, [batch], matching=False)
        hits += NUMBERS.tests * found.pvalue <= NUMBERS.alpha
    assert kept(hits, DRAWS, power.curve.power)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_one_block_alone_is_found_as_often_as_it_says(strangers, power, seed):
    """The copy stands among layers of a stranger, in any place, rotated and renumbered."""
    promise = power.rotation_invariant
    rng = np.random.default_rng(seed)
    views = strangers.rotated.views
    hits = 0
    for _ in range(DRAWS // 2):
        host = {
            key: [0.02 * rng.standard_normal(view.shape, np.float32) for view in block]
            for key, block in views.items()
        }
        source, place = (sorted(views)[i] for i in rng.integers(len(views), size=2))
        host[place] = [diluted(view, promise.cosine, rng) for view in views[source]]
        found = anchored_match(disguised(host, rng), views).among(strangers.rotated.tried)
        hits += NUMBERS.tests * found.pvalue <= NUMBERS.alpha and (
            found.effect >= NUMBERS.agreement_inherited
        )
        inherited = {layer.ours for layer in found.inherited(NUMBERS.agreement_inherited)}
        assert inherited <= {place}
    assert (promise.read, promise.blocks) == (len(views), 4)
    assert kept(hits, DRAWS // 2, promise.hits / promise.draws)
    assert "one whole block alone" in str(power_of(power).description)


@pytest.mark.slow
def test_copy_in_another_basis_is_found_by_angles_as_often_as_it_says(strangers, power):
    rng = np.random.default_rng(2)
    promise = measure_power(DECODER, replace(strangers, rotated=None), NUMBERS).angles
    hits = 0
    for _ in range(4):
        turn = np.linalg.qr(rng.normal(size=(64, 64)))[0].astype(np.float32)
        batch = {
            piece: (ours, diluted(ours, promise.cosine, rng) @ turn)
            for piece, (ours, _) in strangers.sample.items()
            if ours.shape[1] == len(turn)
        }
        found = compare_angles(batch, DECODER)
        hits += NUMBERS.tests * found.pvalue <= NUMBERS.alpha
    assert kept(hits, 4, promise.hits / promise.draws)
    assert power.angles is None  # said of nothing else where the stronger promise holds


def mixture(rng, experts, size=48, width=64, layers=4):
    """Return a model of the zoo's with `experts` fresh experts in every layer."""
    model = read_model("moe0").copy(
        num_experts=experts, moe_intermediate_size=size, intermediate_size=size
    )
    w = {name: value for name, value in model.tensors.items() if ".mlp." not in name}
    for layer in range(layers):
        root = f"model.layers.{layer}.mlp."
        w[f"{root}gate.weight"] = 0.02 * rng.standard_normal((experts, width), np.float32)
        for expert in range(experts):
            for kind in d.FFN:
                shape = (width, size) if kind == "down_proj" else (size, width)
                drawn = 0.02 * rng.standard_normal(shape, np.float32)
                w[f"{root}experts.{expert}.{kind}.weight"] = drawn
    model.tensors.clear()
    model.tensors.update(w)
    return model


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("mixtures")

    def write(model):
        folder = root / str(len(list(root.iterdir())))
        checkpoints.write(folder, model.tensors, config=model.config, card={"license": "mit"})
        (folder / "tokenizer.json").write_bytes((READY / "s0" / "tokenizer.json").read_bytes())
        return folder

    return write


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("asked"))

    def ask(ours, theirs, component):
        names = [str(ours), str(theirs)]
        stores = [open_store(name, run_dir=run, budget=ByteBudget()) for name in names]
        pair = Pair(*(ModelSpec(name=name, folder=True) for name in names))
        return weights_origin(
            ComponentHypothesis(pair=pair, component=component), *stores, CALIBRATION
        )

    return ask


@pytest.mark.parametrize(
    ("experts", "seed"),
    [
        (8, 0),
        *(pytest.param(n, s, marks=pytest.mark.slow) for n in (16, 32, 48) for s in range(4)),
    ],
)
def test_copied_experts_are_found_under_other_numbers(written, ask, experts, seed):
    rng = np.random.default_rng(1000 * experts + seed)
    reference = mixture(rng, experts)
    host = mixture(rng, experts)
    copy = d.permute_neurons(d.permute_experts(reference, rng), rng)
    for name, value in host.tensors.items():
        if ".mlp." not in name:
            copy.tensors[name] = value
    found = ask(written(copy), written(reference), EXPERTS)
    assert (found.outcome, found.relation) == (Outcome.DERIVED, "derived"), found.headline


@pytest.mark.slow
def test_experts_that_were_not_looked_for_are_not_promised(written, compared):
    """More experts in a layer than are compared: each is promised under its own number only.

    Of experts of 96 neurons; a lone one of 48 is not found often enough to be promised.
    """
    rng = np.random.default_rng(3)
    ours, theirs = (written(mixture(rng, 72, size=96)) for _ in range(2))
    found = compared(ours, theirs, EXPERTS)
    power = measure_power(EXPERTS, found, NUMBERS)
    promise, views = power.rotation_invariant, found.rotated.views
    assert not promise.renumbered
    assert "experts that were renumbered were not looked for" in str(power_of(power).description)
    hits = 0
    for _ in range(DRAWS):
        host = {
            key: [0.02 * rng.standard_normal(view.shape, np.float32) for view in block]
            for key, block in views.items()
        }
        key = sorted(views)[rng.integers(len(views))]
        host[key] = [diluted(view, promise.cosine, rng) for view in views[key]]
        match = anchored_match(disguised(host, rng), views).among(found.rotated.tried)
        hits += NUMBERS.tests * match.pvalue <= NUMBERS.alpha
    assert kept(hits, DRAWS, promise.hits / promise.draws)


@pytest.mark.slow
@pytest.mark.parametrize("copied", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_some_layers_of_four_are_found_in_any_basis(written, ask, copied, seed):
    rng = np.random.default_rng(seed)
    layers = rng.permutation(4)[:copied]
    copy = f.transplanted(layers, read_model("s0"))(read_model("s1"), rng)
    found = ask(written(d.every_disguise(copy, rng)), READY / "s1", DECODER)
    assert (found.outcome, found.relation) == (Outcome.DERIVED, "derived"), found.headline


def test_renumbered_channels_are_excluded_where_tokens_could_not_align_them(
    strangers, power, compared, monkeypatch
):
    alone = replace(power, rotation_invariant=None, angles=None)
    assert "together with new embeddings" in str(power_of(alone).description)
    monkeypatch.setattr(alignment, "WIDEST", 32)
    wide = compared(READY / "s1", READY / "s0")
    assert wide.aligned is None
    assert not measure_power(DECODER, wide, NUMBERS).by_tokens
    said = str(power_of(replace(alone, by_tokens=False)).description)
    assert "whose channels were renumbered or rotated would not" in said


def test_renumbered_channels_are_a_lead_where_the_embeddings_came_along(compared, tmp_path):
    model = d.permute_channels(read_model("s0"), np.random.default_rng(3))
    copy = checkpoints.write(
        tmp_path / "copy", model.tensors, config=model.config, card={"license": "mit"}
    )
    (copy / "tokenizer.json").write_bytes((READY / "s0" / "tokenizer.json").read_bytes())
    found = replace(compared(copy, READY / "s0"), rotated=None, angles=None)
    assert judge(found, None, NUMBERS).step is Step.ALIGNMENT


@pytest.mark.parametrize("share", [1.15, 1.2, 1.25, 1.3])
def test_what_is_read_whole_is_matched_in_any_basis_whatever_is_left_of_the_budget(
    share, written, tmp_path
):
    """Its blocks cost nothing more, and their norms come out of what is kept for norms."""
    rng = np.random.default_rng(8)
    folders = [written(mixture(rng, 8)) for _ in range(2)]
    run = RunDirectory(tmp_path / "run")
    stores = [open_store(str(f), run_dir=run, budget=ByteBudget()) for f in folders]
    pair = ComponentPair(CheckpointPair(*map(open_checkpoint, stores)), EXPERTS)
    whole = sum(m.rows * m.row_bytes for m in pair.matrices.values())
    effort = Effort(limit=1)
    while (compare_module._pair_budget(pair, effort.limit) or 0) < share * whole:
        effort = replace(effort, limit=int(1.02 * (effort.limit or 1)) + 1)
    assert compare(pair, effort).rotated is not None
