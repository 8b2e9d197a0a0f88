"""Real weights from packages: the MiniLM family, its relatives, and three Silero networks.

Lineages are the developers' own: all-MiniLM-L6 was made of MiniLM-L12's layers 0, 2, ... 10 and
paraphrase-MiniLM-L3 of layers 3, 7, 11; the int8 file is a copy of L6; ColBERT-small started from
BGE-small. Silero 5, 6 and 6.2 share an architecture and one fixed STFT basis, and were trained apart.
"""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from safetensors.numpy import load_file

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from tests.weights.shipped import CALIBRATION
from tools.facts.artifact_registry import real_weights_path
from tools.zoo import small_checkpoints as checkpoints


@cache
def origin(suspect: str, reference: str, depth: str = "quick"):
    pair = Pair(ModelSpec(name=suspect), ModelSpec(name=reference))
    hypothesis = ComponentHypothesis(pair=pair, component=Component.TEXT_DECODER, depth=depth)
    stores = FolderStore(real_weights_path(suspect)), FolderStore(real_weights_path(reference))
    return weights_origin(hypothesis, *stores, CALIBRATION)


def test_the_int8_copy_is_found():
    finding = origin("minilm-l6-int8", "minilm-l6")
    assert finding.outcome is Outcome.DERIVED
    assert finding.effect.value > 0.99
    assert finding.replications >= 2


def test_colbert_small_started_from_bge_small():
    finding = origin("colbert-small", "bge-small")
    assert finding.outcome is Outcome.DERIVED
    assert finding.effect.value > 0.99


def test_bge_small_and_minilm_l12_are_kin_layer_by_layer():
    finding = origin("bge-small", "minilm-l12")
    assert finding.outcome is Outcome.DERIVED
    assert finding.effect.value == pytest.approx(0.88, abs=0.05)


@pytest.mark.parametrize(
    ("suspect", "layers"),
    [("minilm-l6", [0, 2, 4, 6, 8, 10]), ("minilm-l3", [3, 7, 11])],
)
def test_dropped_layers_are_mapped_exactly(suspect, layers):
    finding = origin(suspect, "minilm-l12")
    assert finding.outcome is Outcome.DERIVED
    assert finding.details["layer_map"]["pairs"] == layers
    assert finding.replications >= 2


def test_every_accusation_had_its_controls():
    for pair in (("minilm-l6-int8", "minilm-l6"), ("minilm-l3", "minilm-l12")):
        kinds = {control.kind: control.passed for control in origin(*pair).controls}
        assert kinds == dict.fromkeys(("positive", "negative", "self_permuted", "deranged"), True)


# ---- Silero: no language model, so its tensors have no roles; the statistics are asked directly --


def silero(version: str):
    return load_file(real_weights_path(version) / "model.safetensors")


VERSIONS = [("silero-5", "silero-6"), ("silero-6", "silero-6.2"), ("silero-5", "silero-6.2")]


@pytest.mark.parametrize(("first", "second"), VERSIONS)
def test_silero_versions_share_a_fixed_basis_and_nothing_learnt(first, second):
    ours, theirs = silero(first), silero(second)
    assert np.array_equal(ours["stft.forward_basis_buffer"], theirs["stft.forward_basis_buffer"])
    for name in sorted(ours):
        if "weight" not in name or ours[name].size < 10_000:
            continue
        left = ours[name].reshape(ours[name].shape[0], -1).astype(np.float64)
        right = theirs[name].reshape(theirs[name].shape[0], -1).astype(np.float64)
        left, right = (double_centred(x) for x in (left, right))
        cosine = float((left * right).sum() / np.linalg.norm(left) / np.linalg.norm(right))
        assert abs(cosine) < 0.1, (name, cosine)


def double_centred(x):
    return x - x.mean(0, keepdims=True) - x.mean(1, keepdims=True) + x.mean()


def test_unknown_tensors_are_reported_and_never_guessed():
    finding = origin("silero-6", "silero-5")
    assert finding.outcome in (Outcome.NOT_APPLICABLE, Outcome.INDETERMINATE)
    assert finding.outcome is not Outcome.CONSISTENT
    assert finding.details["unmapped"]


# ---- the same family in disguise ----------------------------------------------------------------


def renumbered(name: str, target, rng: np.random.Generator):
    """Write a BERT with its channels and neurons renumbered and embeddings that are not its own."""
    channels = rng.permutation(384)
    tensors = {}
    neurons = {}
    for key, value in load_file(real_weights_path(name) / "model.safetensors").items():
        layer = key.split(".layer.")[-1].split(".")[0]
        order = neurons.setdefault(layer, rng.permutation(1536))
        moved = value.astype(np.float32)
        if "embeddings." in key and value.ndim == 2:
            moved = rng.normal(0, 0.05, value.shape).astype(np.float32)
        elif "intermediate.dense" in key:
            moved = moved[order]
        elif key.endswith("output.dense.weight") and value.shape == (384, 1536):
            moved = moved[:, order]
        if "intermediate" in key or any(part in key for part in ("query", "key.", "value")):
            moved = moved[:, channels] if moved.ndim == 2 else moved
        elif "embeddings." not in key and moved.shape[0] == 384:
            moved = moved[channels]
        tensors[key] = moved
    config = json.loads((real_weights_path(name) / "config.json").read_text())
    checkpoints.write(target, tensors, config=config, card={})
    return target


@pytest.mark.slow
def test_l6_is_recognised_in_another_order_without_its_embeddings(tmp_path):
    suspect = renumbered("minilm-l6", tmp_path / "l6", np.random.default_rng(3))
    pair = Pair(ModelSpec(name="l6, renumbered"), ModelSpec(name="minilm-l12"))
    hypothesis = ComponentHypothesis(pair=pair, component=Component.TEXT_DECODER, depth="robust")
    stores = FolderStore(suspect), FolderStore(real_weights_path("minilm-l12"))
    finding = weights_origin(hypothesis, *stores, CALIBRATION)
    assert finding.outcome is Outcome.DERIVED, finding.headline
    layers = finding.details["any_basis"]["layers"]
    assert [int(row[2]) for row in layers] == [0, 2, 4, 6, 8, 10]
    assert {"renumbered channels", "renumbered neurons"} <= set(finding.kinds)
