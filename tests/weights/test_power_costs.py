"""What measured power costs: tests whose answer is known already are not made, and none changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.measure import Measure
from pytest_scratchverify.stats.weights import (
    assignment,
    channel_permutation,
    framed_recognition,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.power_by_dilution import diluted
from pytest_scratchverify.tensors.inventory import Slot

LEVEL = 2e-7
LEAST = 0.09


def slices(component, rng):
    """Return what a plan reads of a component: neurons and channels, or channels alone."""
    if component is Component.EMBEDDINGS:
        shapes = {(Slot(component.value, "embed"), 0): (256, 96)}
    else:
        kinds = ("gate", "up", "q")
        shapes = {(Slot(component.value, k, n), 0): (64, 96) for k in kinds for n in range(4)}
    return {piece: rng.standard_normal(shape, np.float32) for piece, shape in shapes.items()}


@pytest.mark.parametrize("component", [Component.TEXT_DECODER, Component.EMBEDDINGS])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.12, 0.15, 0.2, 0.3, 0.9])
def test_power_asks_the_test_that_would_have_been_asked(component, share):
    rng = np.random.default_rng(int(100 * share))
    for _ in range(3):
        batch = {p: (a, diluted(a, share, rng)) for p, a in slices(component, rng).items()}
        whole = Measure(component, matching=False)
        whole.add(batch)
        found = whole.result(halves=False)
        expected = found.pvalue <= LEVEL and found.similarity >= LEAST
        assert Measure(component).rejects(batch, LEVEL, LEAST) is expected


def test_channels_are_not_assigned_where_neurons_have_rejected(monkeypatch):
    asked = []
    known = assignment.best_permutation
    for module in (assignment, channel_permutation):
        monkeypatch.setattr(
            module, "best_permutation", lambda s: [known(s), asked.append(s.shape)][0]
        )
    rng = np.random.default_rng(7)
    made = slices(Component.TEXT_DECODER, rng)
    batch = {piece: (a, diluted(a, 0.5, rng)) for piece, a in made.items()}
    assert Measure(Component.TEXT_DECODER).rejects(batch, LEVEL, LEAST)
    assert asked == [(64, 64)] * 4  # gate and up of four layers; channels would be 96
    asked.clear()
    assert not Measure(Component.TEXT_DECODER).rejects(batch, LEVEL, 0.6)
    assert not asked  # too faint, whatever its p


@given(arrays(np.float32, st.tuples(*[st.integers(1, 9)] * 2), elements=st.floats(-4, 4, width=16)))
def test_reduced_costs_have_the_best_assignments_of_the_similarity(similarity):
    """Of any shape, and with ties: what is matched is worth as much as what could be."""
    matched = assignment.best_permutation(similarity)
    rows = np.flatnonzero(matched >= 0)
    assert len(rows) == min(similarity.shape)
    assert len({*matched[rows].tolist()}) == len(rows)
    best = similarity[linear_sum_assignment(similarity, maximize=True)]
    assert similarity[rows, matched[rows]].sum(dtype=float) == pytest.approx(best.sum(dtype=float))


def test_the_second_network_of_many_is_described_once(monkeypatch):
    """Power asks a network about copies of itself, again and again: its own side stays."""
    described = []
    known = framed_recognition.leading
    monkeypatch.setattr(
        framed_recognition, "leading", lambda layers: [known(layers), described.append(layers)][0]
    )
    rng = np.random.default_rng(3)

    def network():
        rows = rng.standard_normal((2, 3, 8, 4, 32), np.float32)
        return framed_recognition.Network(
            {layer: [HeadReads(part) for part in rows[:, layer]] for layer in range(3)}
        )

    asked, other = [network() for _ in range(3)], network()
    found = [framed_recognition.recognise_by_frames(one, other) for one in asked]
    asked_for = [tuple(id(heads) for layer in layers for heads in layer) for layers in described]
    assert len(asked_for) > 4 * len(asked)  # folds, rows and spans, of four networks
    assert len(asked_for) == len({*asked_for})
    fresh = framed_recognition.Network(other.heads)
    again = framed_recognition.recognise_by_frames(asked[-1], fresh)
    assert (again.pvalue, again.held) == (found[-1].pvalue, found[-1].held)
