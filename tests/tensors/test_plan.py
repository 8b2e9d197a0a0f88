"""Places depend on nothing but shapes, plans keep their budget, fused matrices come apart."""

from __future__ import annotations

import numpy as np

from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.control_slices import load_control_slices, save_control_slices
from pytest_scratchverify.tensors.slices import (
    Slot,
    block_of,
    plan_component,
    take_inventory,
)
from tools.zoo.giant import shapes

T, E = Component.TEXT_DECODER, Component.ROUTER_EXPERTS
L = "model.layers.7."


def index_of(shapes_by_name, dtype="BF16"):
    place, tensors = 0, {}
    for name, shape in shapes_by_name.items():
        size = 2 * int(np.prod(shape))
        tensors[name] = TensorInfo(name, dtype, shape, place, place + size, "m.safetensors")
        place += size
    return TensorIndex(tensors)


def test_places_do_not_depend_on_the_layer_or_the_number_of_layers():
    wide = {f"model.layers.{i}.mlp.gate_proj.weight": (8192, 4096) for i in range(40)}
    few = dict(list(wide.items())[:20])
    many, less = (take_inventory(index_of(x)).of(T) for x in (wide, few))
    assert len({(b.start, b.stop) for b in map(block_of, many.values())}) == 1
    some = {b.matrix.slot for b in plan_component(less, 10**6).blocks}
    assert some
    larger = {b.matrix.slot for b in plan_component(less, 3 * 10**6).blocks}
    assert some < larger


def test_a_plan_never_exceeds_its_budget():
    matrices = take_inventory(index_of(shapes())).of(E)
    for budget in (10**5, 10**6, 10**7):
        assert sum(b.nbytes for b in plan_component(matrices, budget).blocks) <= budget


def test_fused_and_stacked_matrices_are_taken_apart():
    fused = take_inventory(index_of({f"{L}mlp.gate_up_proj.weight": (40, 16)})).matrices
    assert {(s.kind, m.first_row, m.rows) for s, m in fused.items()} == {
        ("gate", 0, 20),
        ("up", 20, 20),
    }
    stack = take_inventory(index_of({f"{L}mlp.experts.gate_up_proj": (3, 40, 16)})).matrices
    assert stack[Slot("router_experts", "up", 7, "2")].first_row == 2 * 40 + 20


def test_a_fingerprint_comes_back_as_it_was(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    slices = {(Slot("embeddings", "embed"), 16): values}
    save_control_slices(tmp_path / "f", "org/model", slices)
    found = load_control_slices(tmp_path / "f")
    assert found.model == "org/model"
    assert np.array_equal(found.slices[Slot("embeddings", "embed"), 16], values)
