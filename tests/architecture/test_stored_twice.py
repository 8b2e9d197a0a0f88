"""What is stored under two names, and equal, is counted once by `architecture.parameter_count`."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.methods.architecture import (
    ArchitectureThresholds,
    Config,
    parameter_count,
    stored_parameters,
)
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.side_by_side import side_by_side
from tests.weights.saves import CONFIG, folder, stranger
from tools.running import ROOT
from tools.zoo.ready_models import READY

CALIBRATION = ArchitectureThresholds.load(ROOT / "suites" / "calibration" / "architecture.json")
TIED = {**CONFIG, "tie_word_embeddings": True}


def counted(path, tensors, config=CONFIG):
    store = FolderStore(folder(path, {"model.safetensors": tensors}, config=config))
    artifact = store.config()
    read = Config(artifact.value, artifact.record)
    stored = stored_parameters(store)
    return parameter_count(ModelSpec(name="m"), read, (None, None), stored, CALIBRATION)


def both_prefixes(tensors):
    return {f"language_model.{k}": v for k, v in tensors.items() if k.startswith("model.")}


def wrapped(tensors):
    return {f"module.{k}": v for k, v in tensors.items()}


def alias(tensors):
    return {"transformer.wte.weight": tensors["model.embed_tokens.weight"]}


def aliases(tensors):
    table = tensors["model.embed_tokens.weight"]
    return {"transformer.wte.weight": table, "model.word_embeddings.weight": table}


def unknown_prefix(tensors):
    return {f"shadow.net.{k.removeprefix('model.')}": v for k, v in tensors.items()}


@pytest.mark.parametrize("twice", [both_prefixes, wrapped, alias, aliases, unknown_prefix])
def test_equal_copies_count_once(tmp_path, twice):
    tensors = stranger()
    finding = counted(tmp_path / "m", {**tensors, **twice(tensors)})
    assert finding.outcome is Outcome.CONSISTENT
    assert finding.details["stored"] == sum(v.size for v in tensors.values())


@pytest.mark.parametrize("twice", [both_prefixes, alias, unknown_prefix])
def test_copies_that_differ_are_counted(tmp_path, twice):
    tensors = stranger()
    other = {k: v + np.float32(0.5) for k, v in twice(tensors).items()}
    assert counted(tmp_path / "m", {**tensors, **other}).outcome is Outcome.INDETERMINATE


def test_a_tied_head_that_is_stored_and_equal_counts_once(tmp_path):
    tensors = {**stranger(), "lm_head.weight": stranger()["model.embed_tokens.weight"]}
    assert counted(tmp_path / "tied", tensors, TIED).outcome is Outcome.CONSISTENT
    assert counted(tmp_path / "untied", tensors).outcome is Outcome.CONSISTENT
    stored = counted(tmp_path / "other", stranger(), TIED).details["stored"]
    assert stored == sum(v.size for v in stranger().values())  # a head of its own is no copy


def test_copies_under_names_that_no_table_knows_leave_nothing_uncounted(tmp_path):
    """And one number that differs, anywhere, leaves its tensor what it was: compared with none."""
    tensors = stranger()
    copies = unknown_prefix(tensors)
    changed = "shadow.net.layers.2.mlp.down_proj.weight"
    copies_of_most = {**copies, changed: copies[changed].copy()}
    copies_of_most[changed][-1, -1] += 1
    for number, (extra, differs) in enumerate(((copies, False), (copies_of_most, True))):
        made = folder(tmp_path / str(number), {"model.safetensors": {**tensors, **extra}})
        pair = side_by_side(FolderStore(made), FolderStore(READY / "s0"))
        inventory = pair.ours.inventory
        left = {m.info.name for m in inventory.matrices.values() if m.info.name in copies}
        assert left == ({changed} if differs else set())
        assert inventory.unmapped == ()
        assert inventory.nameless == {}
        assert inventory.unplaced == {}
