"""Completeness by the number that a config accounts for: exact counts, and those that are none."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.completeness import incomplete
from pytest_scratchverify.tensors.reading import open_checkpoint
from tests.weights.saves import CONFIG, folder, stranger

LAYERS = CONFIG["num_hidden_layers"]


def why(tmp_path, tensors, **change):
    made = folder(tmp_path / "model", {"model.safetensors": tensors}, config={**CONFIG, **change})
    store = open_store(str(made), None, run_dir=RunDirectory(tmp_path), budget=ByteBudget())
    return incomplete(open_checkpoint(store), Component.TEXT_DECODER)


def without_gates():
    return {k: v for k, v in stranger().items() if "gate_proj" not in k}


@pytest.mark.parametrize(
    "change",
    [
        {"layer_types": ["full_attention"] * LAYERS},
        {"layer_types": ["sliding_attention"] * LAYERS, "sliding_window": 64},
    ],
)
def test_a_kind_of_matrix_that_is_missing_is_seen_by_the_count(tmp_path, change):
    assert "config.json accounts for" in str(why(tmp_path, without_gates(), **change))


def test_recurrent_layers_are_counted_too(tmp_path):
    sizes = {f"linear_{part}": 4 for part in ("num_key_heads", "num_value_heads")}
    sizes |= {f"linear_{part}_head_dim": 64 for part in ("key", "value")}
    change = {"model_type": "qwen3_5", "layer_types": ["linear_attention"] * LAYERS, **sizes}
    found = why(tmp_path, stranger(), linear_conv_kernel_dim=4, head_dim=16, **change)
    assert "config.json accounts for" in str(found)


def test_what_is_not_countable_blocks_nothing(tmp_path):
    assert why(tmp_path, stranger(), layer_types=["wave_mixer"] * LAYERS) is None


def test_a_whole_model_lacks_nothing(tmp_path):
    assert why(tmp_path, stranger()) is None
