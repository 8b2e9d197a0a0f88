"""Which gated blocks are compared: cheap to choose among ten thousand, and the same ones."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.gated_blocks import gated_blocks
from pytest_scratchverify.methods.weights.rotation_invariant import (
    FEW_BLOCKS,
    MOST_BLOCKS,
    _affordable,
)
from pytest_scratchverify.tensors.inventory import Inventory, Slot
from pytest_scratchverify.tensors.matrices import Matrix
from pytest_scratchverify.tensors.plan import layer_rank

EXPERTS = Component.ROUTER_EXPERTS.value
WIDTH, MANY = 8, 6


def inventory(sizes):
    """Return experts of these numbers of neurons, (layer, expert) by (layer, expert)."""
    found = {}
    for (layer, expert), rows in sizes.items():
        for kind in ("gate", "up", "down"):
            shape = (WIDTH, rows) if kind == "down" else (rows, WIDTH)
            name = f"{layer}.{expert}.{kind}"
            info = TensorInfo(name, "BF16", shape, 0, 2 * rows * WIDTH, "model.safetensors")
            slot = Slot(EXPERTS, kind, layer, str(expert))
            found[slot] = Matrix(slot, info, *shape)
    return Inventory(found, {EXPERTS: 1}, (), ())


def one_after_the_other(blocks, free, spare, *, third):
    """Choose as the rule is written: price every block, in its turn."""
    turns, ranked, chosen = {}, [], {}
    for key in sorted(blocks):
        turns[key[0]] = turns.get(key[0], -1) + 1
        ranked.append((turns[key[0]], layer_rank(key[0]), key))
    for _, _, key in sorted(ranked):
        cost = blocks[key].cost(free, third=third)
        most = FEW_BLOCKS if blocks[key].first.rows > MANY else MOST_BLOCKS
        if len(chosen) < most and cost <= spare:
            chosen[key] = blocks[key]
            spare -= cost
    return chosen


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 5), st.integers(0, 70)), st.integers(2, 9), min_size=1, max_size=40
    ),
    st.integers(0, 2000),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 70)), max_size=4),
    st.booleans(),
)
def test_what_fits_nowhere_is_passed_over_and_nothing_else(sizes, spare, read, third):
    sizes |= dict.fromkeys(((0, expert) for expert in range(65)), 5)  # no layer can be met whole
    blocks = gated_blocks(inventory(sizes), Component.ROUTER_EXPERTS)
    kinds = ("gate", "up", "down")
    free = frozenset(Slot(EXPERTS, k, layer, str(expert)) for layer, expert in read for k in kinds)
    expected = one_after_the_other(blocks, free, spare, third=third)
    found = _affordable(blocks, free, spare, MANY, third=third)
    assert list(found.items()) == list(expected.items())


def test_blocks_are_listed_once_for_all_components_that_ask(monkeypatch):
    asked = []
    monkeypatch.setattr(
        Inventory, "gains_at", lambda self, slot, width: asked.append((slot, width))
    )
    made = inventory({(layer, expert): 4 for layer in range(3) for expert in range(9)})
    found = [gated_blocks(made, Component.ROUTER_EXPERTS) for _ in range(4)]
    assert len(found[0]) == 27
    assert all(one is found[0] for one in found)
    assert len(asked) == 3 * 2  # the norms of a layer, whichever it is, and not of every expert
