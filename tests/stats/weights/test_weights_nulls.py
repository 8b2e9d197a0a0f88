"""The p-values of the weight statistics are uniform under independence, and small ones exact."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_scratchverify.stats.weights.assignment import (
    fixed_points,
    fixed_points_pvalue,
    row_similarity,
)
from pytest_scratchverify.stats.weights.centring import centred_cosine, is_degenerate
from pytest_scratchverify.stats.weights.channel_permutation import (
    ChannelSums,
    channel_similarity,
    permutation_pvalue,
)
from pytest_scratchverify.stats.weights.cross_view_matching import match_agreement, poisson_tail
from pytest_scratchverify.stats.weights.layer_map import layer_map, runs
from pytest_scratchverify.stats.weights.norm_gains import gain_similarity, moment_null, series_mean
from pytest_scratchverify.stats.weights.tensor_identity import is_rounding_of, tensor_identity

NULL_PAIRS = 2000


def trained_looking(rng: np.random.Generator, rows: int, width: int) -> np.ndarray:
    """A matrix with what training leaves: a few strong directions, uneven rows and columns."""
    low = rng.standard_normal((rows, 3)) @ rng.standard_normal((3, width))
    scale = np.exp(0.5 * rng.standard_normal((rows, 1)) + 0.5 * rng.standard_normal((1, width)))
    values = scale * (rng.standard_normal((rows, width)) + 0.7 * low) + 0.3
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def null_pairs():
    """z and exact p-values of pairs that share nothing but their shape and their manner."""
    rng = np.random.default_rng(1)
    normal, randomised, smallest = [], [], 1.0
    for _ in range(NULL_PAIRS):
        ours, theirs = trained_looking(rng, 40, 24), trained_looking(rng, 40, 24)
        sums = ChannelSums(np.arange(24))
        sums.add(ours, theirs)
        normal.append(sums.result().pvalue)
        match = fixed_points([row_similarity(ours[:20], theirs[:20]) for _ in range(1)])
        low, high = match.randomised_pvalue_bounds
        randomised.append(rng.uniform(low, high))
        smallest = min(smallest, match.pvalue)
    return np.array(normal), np.array(randomised), smallest


def test_channel_pvalues_are_uniform_over_null_pairs(null_pairs):
    assert stats.kstest(null_pairs[0], "uniform").pvalue > 0.01


def test_neuron_pvalues_are_uniform_over_null_pairs(null_pairs):
    assert stats.kstest(null_pairs[1], "uniform").pvalue > 0.01


def test_no_null_pair_comes_near_an_accusation(null_pairs):
    normal, _, smallest = null_pairs
    assert normal.min() > 1e-6
    assert smallest > 1e-6


def test_matching_probability_is_the_count_over_all_permutations():
    counts = [
        sum(a == i for i, a in enumerate(p)) + sum(b == i for i, b in enumerate(q))
        for p in itertools.permutations(range(4))
        for q in itertools.permutations(range(3))
    ]
    for k in range(8):
        expected = float(np.mean([count >= k for count in counts]))
        assert fixed_points_pvalue(k, [4, 3]) == pytest.approx(expected, abs=1e-9)


def test_matching_probability_is_never_below_the_truth_in_the_far_tail():
    simulated = stats.poisson.sf(29, 8)
    assert fixed_points_pvalue(30, [64] * 8) >= simulated * 0.99
    assert fixed_points_pvalue(64, [64]) < 1e-80


def test_channel_variance_agrees_with_permutations():
    rng = np.random.default_rng(3)
    cross = rng.standard_normal((30, 30)) + np.diag(np.full(30, 0.6))
    found = channel_similarity(cross)
    assert found.pvalue == pytest.approx(permutation_pvalue(cross, rng, 4000), abs=0.01)


def test_less_alike_than_chance_is_never_significant():
    cross = -5 * np.eye(20) + 0.01 * np.random.default_rng(1).standard_normal((20, 20))
    found = channel_similarity(cross)
    assert found.statistic < -4
    assert found.pvalue > 0.99


def test_agreement_finds_renumbered_neurons_and_spares_strangers():
    rng = np.random.default_rng(4)
    gate, up = (trained_looking(rng, 60, 32) for _ in range(2))
    order = rng.permutation(60)
    found = match_agreement([((gate, gate[order]), (up, up[order]))])
    assert (found.effect, found.pvalue < 1e-20) == (1.0, True)
    strange = [trained_looking(rng, 60, 32) for _ in range(2)]
    assert match_agreement([((gate, strange[0]), (up, strange[1]))]).pvalue > 1e-3


def test_poisson_tail_is_scipys():
    for k, mean in [(1, 1.0), (5, 1.5), (40, 6.0), (3, 20.0)]:
        assert poisson_tail(k, mean) == pytest.approx(stats.poisson.sf(k - 1, mean), rel=1e-6)


@settings(max_examples=25)
@given(st.floats(0.1, 50), st.floats(-5, 5), st.integers(0, 1000))
def test_similarity_ignores_scale_and_a_common_mean(scale, shift, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((12, 10)).astype(np.float32) for _ in range(2))
    moved = (scale * b + shift).astype(np.float32)
    assert centred_cosine(a, moved) == pytest.approx(centred_cosine(a, b), abs=1e-4)


def test_gains_have_a_raw_cosine_near_one_that_says_nothing():
    rng = np.random.default_rng(5)
    pairs = [
        tuple((1 + 0.1 * rng.standard_normal(512)).astype(np.float32) for _ in range(2))
        for _ in range(6)
    ]
    found = gain_similarity(pairs, rng)
    assert found.raw > 0.98
    assert found.raw_is_empty
    assert found.pvalue > 1e-3
    assert found.raw == pytest.approx(np.mean([moment_null(a, b) for a, b in pairs]), abs=0.002)


def test_layers_that_depend_on_each_other_are_not_counted_one_by_one():
    rng = np.random.default_rng(6)
    base = rng.standard_normal((2, 400)).astype(np.float32)
    pairs = [
        tuple(1 + 0.1 * (b + 0.2 * rng.standard_normal(400)).astype(np.float32) for b in base)
        for _ in range(40)
    ]
    found = gain_similarity(pairs, rng)
    naive = found.effect * np.sqrt(399 * 40)
    assert abs(found.z) < abs(naive) / 3


def test_a_series_keeps_its_level_when_its_layers_are_independent():
    rng = np.random.default_rng(7)
    found = [series_mean(rng.standard_normal(46) / 64, 4097).pvalue for _ in range(300)]
    assert np.mean(np.array(found) < 0.05) < 0.1


def test_layer_map_recovers_dropped_and_repeated_layers():
    table = 0.05 * np.random.default_rng(8).random((4, 8))
    for a, b in enumerate([0, 2, 4, 6]):
        table[a, b] = 0.9
    assert layer_map(table, 0.3).pairs == (0, 2, 4, 6)
    assert runs((0, 1, 4, 5)) == [(0, 0, 2), (2, 4, 2)]
    repeated = np.zeros((4, 3))
    for a, b in enumerate([0, 1, 1, 2]):
        repeated[a, b] = 0.9
    assert layer_map(repeated, 0.3).pairs == (0, 1, 1, 2)


def test_a_rounding_is_told_from_its_original_and_from_everything_else():
    rng = np.random.default_rng(10)
    fine = rng.normal(0, 0.02, (48, 40)).astype(np.float32)
    for dtype in (ml_dtypes.bfloat16, np.float16):
        coarse = fine.astype(dtype).astype(np.float32)
        assert is_rounding_of(coarse, fine)
        assert not is_rounding_of(fine, coarse)
        assert not is_rounding_of(coarse, coarse)
        assert not is_rounding_of(coarse, fine * np.float32(1.01))
        assert not is_rounding_of(coarse[:4], fine[:4])  # too few to be sure of
        touched = coarse.copy()
        touched[-1, -1] *= 2
        assert not is_rounding_of(touched, fine)
    tiny = np.full((40, 40), 1e-30, np.float32) + fine[:40]
    huge = np.full((40, 40), 1e30, np.float32)  # beyond F16: no warning, no match
    assert not is_rounding_of(tiny, huge)


def test_equal_numbers_are_found_whatever_they_are_stored_as():
    values = np.random.default_rng(9).standard_normal((40, 40)).astype(np.float32)
    found = tensor_identity({"a": values, "b": np.ones((40, 40), np.float32)},
                            {"a": values.copy(), "b": np.ones((40, 40), np.float32)})  # fmt: skip
    assert (found.statistic, found.n) == (1, 1)  # the constant does not count
    assert is_degenerate(np.ones(8, np.float32))
    padded = np.zeros((2048, 64), np.float32)  # a table whose first rows stand for no token
    padded[1200:] = np.random.default_rng(9).standard_normal((848, 64))
    assert not is_degenerate(padded)
