"""Residual frames: what they do not depend on, what they find, and what strangers show."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.stats.weights.framed_recognition import (
    Network,
    Sampled,
    recognise_by_frames,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.residual_frame import fit_frame, leading
from pytest_scratchverify.stats.weights.shuffled_cards import cards_pvalue
from tests.stats.weights.framed_networks import (
    HEAD,
    LAYERS,
    WIDTH,
    changed,
    network,
    orthogonal,
)


@pytest.mark.parametrize("spans", [False, True])
def test_nothing_that_is_done_to_heads_or_basis_changes_what_is_measured(spans):
    """The rotation and the order change nothing; a regular matrix inside of heads no span."""
    rng = np.random.default_rng(1)
    one = network(1)

    def inner(rng):
        if not spans:
            return orthogonal(rng, HEAD)
        return orthogonal(rng, HEAD) * np.exp(rng.normal(0, 0.7, HEAD)) @ orthogonal(rng, HEAD)

    copy = changed(one, rng, inner=inner)
    sides = [n.as_spans() if spans else n for n in (one, copy)]
    whole = np.eye(WIDTH, dtype=np.float32)
    for layer in range(LAYERS):
        for a, b in zip(*(side.heads[layer] for side in sides), strict=True):
            found = [np.linalg.eigvalsh(heads.within(whole)) for heads in (a, b)]
            assert found[0] == pytest.approx(found[1], rel=5e-2, abs=2e-3)
    frame = fit_frame(*(leading(list(side.heads.values())) for side in sides), drawn=8)
    assert frame.score > 0.95


def test_a_copy_is_recognised_neuron_by_neuron_from_a_sample():
    rng = np.random.default_rng(2)
    one = network(2)
    for noise, inner in ((0.0, None), (0.3, None), (0.0, lambda r: r.normal(size=(HEAD, HEAD)))):
        copy = changed(one, rng, noise=noise, inner=inner, size=100)
        match = recognise_by_frames(copy, one)
        assert match.pvalue < 1e-20
        assert match.effect > 0.9
        assert match.replications(1e-3) == LAYERS
        assert match.fixed_share < 0.1


def test_layers_under_other_numbers_are_recognised_two_by_two():
    one = network(3)
    copy = changed(one, np.random.default_rng(3))
    moved = Network(
        {layer + 1: heads for layer, heads in copy.heads.items() if layer < 3},
        {(layer + 1, ""): copy.neurons[layer, ""] for layer in range(3)},
    )
    few = Network({n: one.heads[n] for n in (0, 1, 2)}, one.neurons)
    match = recognise_by_frames(moved, few)
    assert match.pvalue < 1e-12
    assert match.held[0].ours[0] == match.held[0].theirs[0] + 1


def test_heads_tell_where_every_block_was_trained_anew():
    one, other = network(4, groups=16), network(5)
    copy = changed(one, np.random.default_rng(4))
    match = recognise_by_frames(Network(copy.heads, other.neurons), one)
    assert match.held[0].of_heads
    assert match.effect > 0.9
    assert match.pvalue < 1e-9
    assert recognise_by_frames(other, one).pvalue > 1e-3


COMMON = orthogonal(np.random.default_rng(0), WIDTH)
HARD = {
    "gates like ups": {"alike": 0.8},
    "one public basis": {"common": COMMON},
    "both": {"alike": 0.8, "common": COMMON},
}


@pytest.mark.parametrize(
    ("kind", "count"),
    [("both", 2), *(pytest.param(kind, 7, marks=pytest.mark.slow) for kind in HARD)],
)
def test_strangers_agree_on_what_chance_gives(kind, count):
    """Hard kinds: directions that both fill by convention, gate and up rows alike."""
    many = [network(10 + seed, **HARD[kind]) for seed in range(count)]
    found = [recognise_by_frames(a, b) for a, b in combinations(many, 2)]
    assert max((m.statistic for m in found if not m.held[0].of_heads), default=0) < 20
    assert min(match.pvalue for match in found) > 1e-3


@pytest.mark.parametrize("sizes", [[4], [3, 3], [5, 2]])
def test_shuffled_cards_are_counted_exactly(sizes):
    """Every way to shuffle, counted."""
    counts = np.zeros(sum(sizes) + 1)
    packs = [list(permutations(range(size))) for size in sizes]
    fixed = [[sum(i == p for i, p in enumerate(order)) for order in pack] for pack in packs]
    for chosen in np.ndindex(*(len(pack) for pack in packs)):
        counts[sum(fixed[k][i] for k, i in enumerate(chosen))] += 1
    tails = counts[::-1].cumsum()[::-1] / counts.sum()
    assert [cards_pvalue(k, sizes) for k in range(len(tails))] == pytest.approx(tails)


def test_a_full_agreement_of_many_heads_has_the_p_value_of_one_permutation():
    assert cards_pvalue(32, [32]) == pytest.approx(math.exp(-math.lgamma(33)), rel=1e-9)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_any_rows_give_a_p_value(seed, layers):
    """Zeros, repeats and rows of one direction are no reason to fail, and accuse nobody."""
    rng = np.random.default_rng(seed)
    sides = []
    for _ in range(2):
        heads, neurons = {}, {}
        for layer in range(layers):
            rows = rng.normal(size=(2, 3, 4, 12)).astype(np.float32)
            rows[:, rng.integers(3)] *= rng.choice([0, 1])
            heads[layer] = [HeadReads(part) for part in rows]
            views = rng.normal(size=(2, 20, 12)).astype(np.float32)
            views[:, : rng.integers(20)] = views[:, :1]
            neurons[layer, ""] = Sampled(list(views), 20)
        sides.append(Network(heads, neurons))
    match = recognise_by_frames(*sides)
    assert match is not None
    assert 1e-6 < match.pvalue <= 1
    assert 0 <= match.effect <= 1
