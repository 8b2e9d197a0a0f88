"""Copies that hide behind names, configs and formulas, and strangers that share only a formula."""

from __future__ import annotations

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.derivation_order import REFERENCE, derivation_order
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.measure import measure
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.anchored_search import anchored_match
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.inventory import Slot
from tests.weights.shipped import CALIBRATION
from tools.zoo.ready_models import READY

DECODER, EMBEDDINGS = Component.TEXT_DECODER, Component.EMBEDDINGS


def read(name):
    weights = load_file(READY / name / "model.safetensors")
    return {key: value.astype(np.float32) for key, value in weights.items()}


def written(folder, weights, like="s0", **config):
    folder.mkdir()
    save_file({k: np.ascontiguousarray(v) for k, v in weights.items()},
              folder / "model.safetensors")  # fmt: skip
    found = json.loads((READY / like / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(found))
    shutil.copy(READY / like / "tokenizer.json", folder)
    return folder


def ask(model, reference, component=DECODER):
    pair = Pair(ModelSpec(name="model"), ModelSpec(name="reference"))
    hypothesis = ComponentHypothesis(pair=pair, component=component)
    return weights_origin(hypothesis, FolderStore(model), FolderStore(reference), CALIBRATION)


def decoy(ours, theirs):
    """The copied layers, and a stranger's in the same places under an earlier name."""
    layers = {k.replace("model.", "backbone.", 1): v for k, v in ours.items() if ".layers." in k}
    return {**ours, **theirs, **layers}


def nameless(ours, theirs):
    """A stranger's layers, and the copied ones under names that say nothing."""
    copied = {f"{k.replace('layers', 'mixers')}": v for k, v in theirs.items() if ".layers." in k}
    return {**ours, **copied}


def undecodable(ours, theirs):
    """The copied layers as integers that only the model's own code can scale."""
    copied = {
        k: np.clip(v / np.abs(v).max() * 127, -127, 127).astype(np.int8)
        for k, v in theirs.items()
        if v.ndim > 1 and ".layers." in k and ".layers.0." not in k
    }
    return {**ours, **copied}


@pytest.mark.parametrize("hide", [decoy, nameless])
def test_copied_layers_are_found_by_their_numbers_whatever_stands_in_their_places(hide, tmp_path):
    finding = ask(written(tmp_path / "hidden", hide(read("s1"), read("s0"))), READY / "s0")
    assert (finding.outcome, finding.relation) == (Outcome.DERIVED, "verbatim")
    assert "text_decoder/gate/0/" in finding.details["placed_by_numbers_or_shape"].values()


def another_decoder(ours, theirs):
    """A stranger's layers, and another stranger's under names that say nothing."""
    rng = np.random.default_rng(8)
    return nameless(ours, {k: v.std() * rng.standard_normal(v.shape, np.float32)
                           for k, v in theirs.items()})  # fmt: skip


@pytest.mark.parametrize("hide", [another_decoder, undecodable])
def test_layers_that_nothing_is_compared_with_clear_nobody(hide, tmp_path):
    stranger, original = read("s1"), read("s0")
    assert ask(READY / "s1", READY / "s0").outcome is Outcome.CONSISTENT
    finding = ask(written(tmp_path / "hidden", hide(stranger, original)), READY / "s0")
    assert finding.outcome is Outcome.INDETERMINATE
    assert "could be compared with nothing" in str(finding.remedy)


def test_two_models_without_a_known_name_are_compared_under_their_own(tmp_path):
    folders = {}
    for name in ("s0", "s0-finetune", "s1"):
        weights = {f"w.{n:03}": v for n, (_, v) in enumerate(sorted(read(name).items()))}
        folders[name] = written(tmp_path / name, weights)
    child = ask(folders["s0-finetune"], folders["s0"])
    assert (child.outcome, child.kinds) == (Outcome.DERIVED, ("fine-tune",))
    assert child.effect.value > 0.99
    stranger = ask(folders["s1"], folders["s0"])
    assert stranger.outcome is Outcome.CONSISTENT, stranger.remedy


def test_equal_constants_under_strange_names_are_no_reuse(tmp_path):
    """Two strangers of one home-made design: filters, masks and positions by formulas."""
    constants = {
        "model.layers.0.attn.filter_bank": sines(48, 96),
        "model.layers.1.attn.filter_bank": sines(48, 96),
        "model.layers.0.state.spectrum": np.log(1 + np.arange(96 * 48.0)).reshape(96, 48),
        "model.phases": sines(80, 64),
    }
    constants = {name: value.astype(np.float32) for name, value in constants.items()}
    folders = [written(tmp_path / name, read(name) | constants) for name in ("s1", "s0")]
    finding = ask(*folders)
    assert finding.relation is None, finding.headline
    assert abs(finding.effect.value) < 0.05
    assert ask(written(tmp_path / "child", read("s0-finetune") | constants),
               folders[1]).outcome is Outcome.DERIVED  # fmt: skip


def test_a_nameless_tower_is_probably_no_part_of_the_decoder(tmp_path):
    """It withholds what it probably belongs to, and that is compared with nothing."""
    rng = np.random.default_rng(9)
    tower = {f"image_stem.{n}.mix.weight": 0.02 * rng.standard_normal((96, 48), np.float32)
             for n in range(9)}  # fmt: skip
    folder = written(tmp_path / "model", read("s1") | tower)
    assert ask(folder, READY / "s0").outcome is Outcome.CONSISTENT
    seen = ask(folder, READY / "vl0", Component.VISION_ENCODER)
    assert seen.outcome is Outcome.INDETERMINATE


def test_a_tower_that_the_config_conceals_is_compared(tmp_path):
    config = json.loads((READY / "vl0" / "config.json").read_text())["text_config"]
    silent = tmp_path / "silent"
    shutil.copytree(READY / "vl0-vision-only", silent)
    (silent / "config.json").write_text(json.dumps(config))
    finding = ask(silent, READY / "vl0", Component.VISION_ENCODER)
    assert (finding.outcome, finding.relation) == (Outcome.DERIVED, "verbatim")
    without = ask(READY / "s1", READY / "s0", Component.VISION_ENCODER)
    assert without.outcome is Outcome.NOT_APPLICABLE


def sines(rows, width):
    angles = np.arange(rows)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def test_equal_tables_of_sines_are_no_reuse_and_padding_hides_no_rows(tmp_path):
    """Strangers with fixed positions; one pads its vocabulary, so that the tables differ in length."""
    folders = {}
    for name, rows in (("s0", 0), ("s1", 64), ("s0-finetune", 64)):
        weights = read(name) | {"model.embed_positions.weight": sines(512, 64)}
        table = weights["model.embed_tokens.weight"]
        padded = np.concatenate([table, np.zeros((rows, 64), np.float32)])
        weights["model.embed_tokens.weight"] = padded
        folders[name] = written(tmp_path / name, weights, name, vocab_size=len(padded))
    stranger = ask(folders["s1"], folders["s0"], EMBEDDINGS)
    assert stranger.outcome is Outcome.CONSISTENT, stranger.headline
    assert abs(stranger.effect.value) < 0.1
    assert ask(folders["s0-finetune"], folders["s0"], EMBEDDINGS).outcome is Outcome.DERIVED


@pytest.mark.parametrize(("child", "said"), [("s0-cpt-long", "model"), ("s0", REFERENCE)])
def test_what_was_published_in_few_bits_may_have_been_unpacked_and_trained_on(child, said):
    """Rounding explains no cosine of 0.87, so that the bits do not say which came first."""
    original, trained = read("s0"), read(child)
    step = {k: np.float32(np.abs(v).max() / 448) for k, v in original.items()}
    packed = {k: (v / step[k]).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * step[k]
              for k, v in original.items()}  # fmt: skip
    batch = {
        (Slot("text_decoder", "gate", layer), 0): (
            trained[f"model.layers.{layer}.mlp.gate_proj.weight"],
            packed[f"model.layers.{layer}.mlp.gate_proj.weight"],
        )
        for layer in range(4)
    }
    norms = {
        (Slot("text_decoder", "norm_post", layer), 0): tuple(
            w[f"model.layers.{layer}.post_attention_layernorm.weight"][None]
            for w in (trained, original)
        )
        for layer in range(4)
    }
    numbers = WeightsThresholds.from_json(CALIBRATION)
    found = derivation_order(measure(DECODER, [batch | norms]), (["F32"], ["F8_E4M3"]), numbers)
    assert (found.later, found.certain) == (said, False)


def test_one_layer_again_and_again_accuses_no_stranger():
    """Each of two strangers repeats one layer of its own: the coincidence of one pair of layers
    is met many times, and every meeting is paid for."""

    def views(name, layers):
        weights = read(name)
        parts = [weights[f"model.layers.0.mlp.{k}_proj.weight"] for k in ("gate", "up", "down")]
        return {(layer, ""): [parts[0], parts[1], parts[2].T.copy()] for layer in range(layers)}

    found = anchored_match(views("s1", 8), views("s0", 8))
    assert found.halves == (1.0, 1.0)  # there are no other layers to take anchors from
    assert found.pvalue > 1e-3


def test_a_neuron_of_zeros_more_clears_nobody(tmp_path):
    """Blocks too wide for any matching, copied whole but for one neuron that does nothing."""
    wide = 2304
    rng = np.random.default_rng(7)
    ours, theirs = read("s1"), read("s0")
    for name in [n for n in ours if ".mlp." in n]:
        shape = (64, wide) if "down" in name else (wide, 64)
        theirs[name] = 0.02 * rng.standard_normal(shape, np.float32)
        more = (64, 1) if "down" in name else (1, 64)
        added = np.zeros(more, np.float32)
        ours[name] = np.concatenate([theirs[name], added], axis=int("down" in name))
    original = written(tmp_path / "original", theirs, intermediate_size=wide)
    copy = written(tmp_path / "copy", ours, intermediate_size=wide + 1)
    finding = ask(copy, original)
    assert finding.outcome is Outcome.INDETERMINATE
    assert "met nothing" in str(finding.remedy)
