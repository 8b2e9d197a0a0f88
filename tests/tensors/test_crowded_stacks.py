"""A shape is a claim: a stack of more experts than any model has must not fill the memory."""

from __future__ import annotations

import math

import pytest

from pytest_scratchverify.checkpoint.attention_shape import AttentionShape
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors import inventory
from pytest_scratchverify.tensors.inventory import take_inventory
from pytest_scratchverify.tensors.layouts import MOST_ROWS

UP, DOWN = ("model.layers.{}.mlp.experts." + name for name in ("gate_up_proj", "down_proj"))


def _index(**shapes):
    tensors, place = {}, 0
    for name, shape in shapes.items():
        end = place + 2 * math.prod(shape)
        tensors[name] = TensorInfo(name, "F16", tuple(shape), place, end, "f")
        place = end
    return TensorIndex(tensors)


@pytest.mark.parametrize("count", [2**20, 2**31, 2**40])
def test_an_absurd_stack_is_named_and_compared_with_nothing(count):
    crowded = {DOWN.format(0): (count, 1, 1), UP.format(0): (count, 2, 1)}
    sound = {DOWN.format(1): (4, 8, 8), UP.format(1): (4, 16, 8)}
    found = take_inventory(_index(**crowded, **sound))
    assert set(found.oversized) == set(crowded)
    assert {matrix.info.name for matrix in found.matrices.values()} == set(sound)
    assert found.unplaced[Component.ROUTER_EXPERTS.value] == 3 * count
    assert found.unplaced_share(Component.ROUTER_EXPERTS) > 0.9


def test_stacks_are_counted_together(monkeypatch):
    monkeypatch.setattr(inventory, "MOST_EXPERTS", 20)
    stacks = {DOWN.format(layer): (8, 4, 4) for layer in range(4)}
    found = take_inventory(_index(**stacks))
    assert found.oversized == (DOWN.format(2), DOWN.format(3))
    assert len(found.matrices) == 16


@pytest.mark.parametrize("rows", [64, 2 * MOST_ROWS, 2**40])
def test_rows_beyond_any_projection_are_not_listed_one_by_one(rows):
    name = "layers.0.attention.wq.weight"
    shape = AttentionShape(2, 2, rows // 2)
    found = take_inventory(_index(**{name: (rows, 8)}), attention=shape)
    (matrix,) = found.matrices.values()
    assert matrix.rows == rows
    assert (matrix.codec is not None) == (rows == 64)
