"""Which decoders speak for a table: those of any architecture, by the rows that they hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from tests.weights.shipped import CALIBRATION
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.disguises import Model
from tools.zoo.layouts import TWO_SIDED
from tools.zoo.ready_models import READY, read_model

TABLE, HEAD = Component.EMBEDDINGS, Component.LM_HEAD
EMBED, OUT = "model.embed_tokens.weight", "lm_head.weight"


def plain(model):
    """As it is, without a single gain."""
    return Model({k: v for k, v in model.tensors.items() if "norm" not in k}, model.config)


def mixers(model):
    """Name four square or flat matrices a layer as a mixer's; no gate, no gain, no attention."""
    named = {"q_proj": "receptance", "k_proj": "key", "v_proj": "value", "o_proj": "output"}
    found = {}
    for name, values in model.tensors.items():
        if "norm" in name or "mlp" in name:
            continue
        kind = name.split(".")[-2]
        found[name.replace(f"self_attn.{kind}", f"time_mix.{named.get(kind)}")] = values
    return Model(found, {**model.config, "model_type": "mixer", "architectures": ["Mixer"]})


def gateless(model):
    """Name the blocks as an encoder's, with one matrix in and one out."""
    found = {}
    for name, values in model.tensors.items():
        if "norm" in name or "up_proj" in name:
            continue
        found[name.replace("gate_proj", "fc1").replace("down_proj", "fc2")] = values
    return Model(found, model.config)


BUILDS = {
    **{name: lambda m, f=f: plain(f(m)) for name, f in TWO_SIDED.items()},
    "no gain": plain,
    "mixers": mixers,
    "no gate": gateless,
}


def written(folder, model):
    checkpoints.write(folder, model.tensors, config=model.config, card={"license": "mit"})
    (folder / "tokenizer.json").write_bytes((READY / "s0" / "tokenizer.json").read_bytes())
    return folder


def ask(ours, theirs, component):
    pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
    hypothesis = ComponentHypothesis(pair=pair, component=component)
    return weights_origin(hypothesis, FolderStore(ours), FolderStore(theirs), CALIBRATION)


def with_tables_of(model, other):
    tables = {name: read_model(other).tensors[name] for name in (EMBED, OUT)}
    return Model({**read_model(model).tensors, **tables}, read_model(model).config)


@pytest.mark.parametrize("build", BUILDS)
def test_a_related_decoder_speaks_for_its_tables_whatever_it_is_built_of(build, tmp_path):
    parent = written(tmp_path / "parent", BUILDS[build](read_model("s0")))
    child = written(tmp_path / "child", BUILDS[build](read_model("s0-finetune")))
    for component in (TABLE, HEAD):
        found = ask(child, parent, component)
        assert (found.outcome, found.relation) == (Outcome.DERIVED, Relation.DERIVED), component


@pytest.mark.parametrize("build", BUILDS)
def test_strangers_around_public_tables_are_no_ones_children(build, tmp_path):
    parent = written(tmp_path / "parent", BUILDS[build](read_model("s0")))
    other = written(tmp_path / "other", BUILDS[build](with_tables_of("s1", "s0-finetune")))
    for component in (TABLE, HEAD):
        found = ask(other, parent, component)
        assert found.relation is Relation.SHARED_ANCESTRY, component
        assert "third party" in str(found.headline)


def test_one_role_of_a_decoder_speaks_for_its_tables(tmp_path):
    """All attention was taken, and all blocks and gains drawn anew."""
    taken, own = read_model("s0-finetune").tensors, read_model("s1").tensors
    tensors = {k: own[k] if "mlp" in k else v for k, v in taken.items() if "norm" not in k}
    parent = written(tmp_path / "parent", plain(read_model("s0")))
    child = written(tmp_path / "child", Model(tensors, read_model("s0").config))
    assert ask(child, parent, TABLE).relation is Relation.DERIVED


def test_little_alike_channels_do_not_speak_for_a_table(tmp_path):
    """What a teacher of hidden states gives: readers alike by channel, and no neuron."""
    parent = read_model("s0")
    other = with_tables_of("s1", "s0-finetune")
    tensors = dict(plain(other).tensors)
    for name, own in tensors.items():
        if "layers" in name and own.shape[1] == 64:
            channels = parent.tensors[name].mean(axis=0, keepdims=True)
            shared = 0.3 * own.std() * channels / channels.std()
            tensors[name] = own + shared.astype(np.float32)
    ours = written(tmp_path / "ours", Model(tensors, other.config))
    theirs = written(tmp_path / "theirs", plain(parent))
    found = ask(ours, theirs, TABLE)
    assert found.relation is Relation.SHARED_ANCESTRY, json.dumps(found.details, default=str)
