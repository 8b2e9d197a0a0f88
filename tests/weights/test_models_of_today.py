"""Children and strangers of today's families, by their own tensor names: found, and cleared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import ml_dtypes
import pytest
from safetensors.numpy import save_file

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.inventory import shared_slots
from tests.weights.shipped import CALIBRATION
from tools.facts.unmapped import inventory_of, read_patterns
from tools.zoo.disguises import Model
from tools.zoo.drawn_families import drawn, shapes, trained_on
from tools.zoo.ready_models import READY

NAMES = read_patterns()
T, E, V, A, P = (
    Component.TEXT_DECODER,
    Component.ROUTER_EXPERTS,
    Component.VISION_ENCODER,
    Component.AUDIO_ENCODER,
    Component.PROJECTOR,
)
# What is asked of each family: the components that its names show.
FAMILIES = {
    "qwen3_next": (T, E),  # gated delta nets
    "nemotron_h": (T, E),  # Mamba2, experts without a gate
    "granitemoehybrid": (T, E),
    "rwkv": (T,),
    "deepseek_v32": (T, E),  # indexers
    "axk2": (T, E),  # gated norms, indexers
    "exaone": (T,),
    "kimi_linear": (T, E),  # KDA
    "longcat_flash": (T, E),  # two blocks to a layer
    "qwen3_vl": (T, V, P),
    "whisper": (T, A),
    "t5": (T,),
    "bart": (T,),
    "falcon_h1": (T,),
    "jamba": (T, E),
    "deepseek_v4": (T, E),  # compressors, hyper-connections
    "gemma3n_text": (T,),  # embeddings of every layer
    "zaya": (T, E),  # a router of several matrices
    "zamba2": (T,),  # a block that layers share, and their adapters
    "phi4_multimodal": (T, V, A),  # Conformers: two feed-forward blocks to a layer
    "canary": (T, A),
    "blip-2": (T, V, P),  # a Q-Former
    "idefics": (T, V),  # layers between the text's, that read what a tower gives
    "t5gemma": (T,),  # two tables of tokens
}
QUICK = {("qwen3_next", T)}


@pytest.fixture
def write(tmp_path):
    def written(model: Model, name: str):
        folder = tmp_path / name
        folder.mkdir()
        tensors = {k: v.astype(ml_dtypes.bfloat16) for k, v in model.tensors.items()}
        save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"architectures": ["Drawn"]}))
        return FolderStore(folder)

    return written


def original(family):
    return drawn(NAMES[family]["tensors"], seed=1)


def ask(model, reference, component):
    pair = Pair(ModelSpec(name="model"), ModelSpec(name="reference"))
    hypothesis = ComponentHypothesis(pair=pair, component=component)
    return weights_origin(hypothesis, model, reference, CALIBRATION)


def asked(only=QUICK):
    return [
        pytest.param(family, component, id=f"{family}-{component.value}",
                     marks=() if (family, component) in only else pytest.mark.slow)
        for family, components in FAMILIES.items()
        for component in components
    ]  # fmt: skip


def inventory(family):
    return inventory_of(shapes(NAMES[family]["tensors"]).items())


@pytest.mark.parametrize("family", FAMILIES)
def test_all_of_a_family_is_placed_and_in_its_components(family):
    found = inventory(family)
    assert sum(found.parameters.values()) < 4_000_000
    for component in FAMILIES[family]:
        assert found.of(component), component
        assert found.unplaced_share(component) < 0.01
    towers = {V, A, P} - {*FAMILIES[family]}
    assert not any(found.of(component) for component in towers)


@pytest.mark.parametrize(("family", "component"), asked())
def test_a_child_is_found_by_its_familys_own_names(family, component, write):
    model = original(family)
    found = ask(write(trained_on(model, 0.95), "child"), write(model, "parent"), component)
    assert found.outcome is Outcome.DERIVED, (found.headline, found.remedy)
    assert found.effect.value == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "component"), asked())
def test_a_stranger_is_cleared_or_told_why_not(family, component, write):
    stranger = drawn(NAMES[family]["tensors"], seed=2)
    found = ask(write(stranger, "stranger"), write(original(family), "parent"), component)
    assert found.outcome in (Outcome.CONSISTENT, Outcome.INDETERMINATE), found.headline
    assert found.outcome is Outcome.CONSISTENT or found.remedy is not None


@pytest.mark.parametrize("tokenizer", ["s0", "t0"])
def test_a_second_table_that_no_tokens_align_withholds_the_clearance(tokenizer, write):
    """Only the first table's rows are laid side by side where tokens are numbered differently."""
    names = NAMES["t5gemma"]["tensors"]
    stores = [write(drawn(names, seed=seed, width=32), str(seed)) for seed in (1, 2)]
    for store, source in zip(stores, ("s0", tokenizer), strict=True):
        shutil.copy(READY / source / "tokenizer.json", Path(store.repo))
    found = ask(*stores, Component.EMBEDDINGS)
    if tokenizer == "s0":
        assert found.outcome is Outcome.CONSISTENT, found.headline
    else:
        assert found.outcome is Outcome.INDETERMINATE
        assert "model.encoder.embed_tokens.weight" in str(found.headline) + str(found.remedy)


def test_one_table_of_two_that_was_copied_is_not_cleared_by_the_other(write):
    names = NAMES["t5gemma"]["tensors"]
    parent, stranger = (drawn(names, seed=seed, width=32) for seed in (1, 2))
    copied = trained_on(parent, 0.95).tensors["model.encoder.embed_tokens.weight"]
    tensors = {**stranger.tensors, "model.encoder.embed_tokens.weight": copied}
    stores = write(Model(tensors, {}), "copy"), write(parent, "parent")
    for store in stores:
        shutil.copy(READY / "s0" / "tokenizer.json", Path(store.repo))
    found = ask(*stores, Component.EMBEDDINGS)
    assert found.outcome is Outcome.INDETERMINATE, found.headline
    assert found.pvalue < 1e-6


def test_a_mixer_of_another_family_is_held_against_all_of_its_shape(write):
    """Renaming a module of attention into a mixer's is no escape."""
    model = original("exaone")
    renamed = {
        k.replace("attn.attention.q_proj", "mixer.in_proj_z"): v for k, v in model.tensors.items()
    }
    copy = write(trained_on(Model(renamed, {}), 0.95), "copy")
    found = ask(copy, write(model, "parent"), T)
    assert found.outcome is Outcome.DERIVED
    assert any("mixer.in_proj_z" in name for name in found.details["placed_by_numbers_or_shape"])


def test_constants_of_state_spaces_are_no_evidence():
    """Decay rates start from one formula in everybody's model."""
    matrices = inventory("jamba").of(T)
    rates = [slot for slot in matrices if slot.kind.endswith("A_log")]
    assert rates
    assert not {*rates} & {*shared_slots(matrices, matrices)}
