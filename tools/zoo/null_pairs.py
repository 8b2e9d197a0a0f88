"""Null pairs made of trained weights: two strangers, one of them renumbered at random.

Renumbering channels and neurons of a network gives a network that training could have given
as well, so every draw is a pair of strangers with all the structure that training leaves.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.controls import shipped
from pytest_scratchverify.methods.weights.measure import Measured, measure

STRANGERS = {
    Component.TEXT_DECODER: [("zoo-s0", "zoo-s1"), ("zoo-s0-cpt-long", "zoo-s1")],
    Component.EMBEDDINGS: [("zoo-s0", "zoo-s1"), ("zoo-s0-cpt-long", "zoo-s1")],
    Component.LM_HEAD: [("zoo-s0", "zoo-s1"), ("zoo-s0-cpt-long", "zoo-s1")],
    Component.ROUTER_EXPERTS: [("zoo-moe0", "zoo-moe1"), ("zoo-moe0-cpt-long", "zoo-moe1")],
    Component.VISION_ENCODER: [("zoo-vl0", "zoo-vl1"), ("zoo-vl0-finetune", "zoo-vl1")],
}


def null_pairs(component: Component, count: int, seed: int) -> Iterator[Measured]:
    """Measure `count` pairs of strangers of one component."""
    rng = np.random.default_rng(seed)
    pairs = STRANGERS[component]
    for number in range(count):
        one, two = (shipped(name) for name in pairs[number % len(pairs)])
        batch = one.beside(two, component.value)
        widths = {values.shape[1] for values, _ in batch.values()}
        columns = {width: rng.permutation(width) for width in widths}
        rows = {}
        moved = {}
        for (slot, start), (ours, theirs) in batch.items():
            key = (slot.layer, slot.expert, len(theirs))
            tokens = component in (Component.EMBEDDINGS, Component.LM_HEAD)
            order = rows.setdefault(key, rng.permutation(len(theirs)))
            renumbered = theirs if tokens else theirs[order]
            moved[slot, start] = (ours, renumbered[:, columns[theirs.shape[1]]])
        yield measure(component, [moved])
