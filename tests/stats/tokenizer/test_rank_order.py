"""The statistics on made-up orders whose truth is known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_scratchverify.stats.tokenizer.rank_order import (
    concordance_pvalue,
    detectable_share,
    id_offset,
    longest_ordered_share,
    neighbour_order,
    rank_correlation,
    wilson_interval,
)
from pytest_scratchverify.stats.tokenizer.script_profile import script_shares, tokens_per_syllable


def _noisy_frequency_orders(rng: np.random.Generator, n: int, noise: float):
    """Two vocabularies learnt apart: one frequency, two samples of it."""
    frequency = rng.normal(size=n) * 3
    return tuple(
        np.argsort(np.argsort(-(frequency + noise * rng.normal(size=n)))) for _ in range(2)
    )


def test_the_permutation_null_is_the_wrong_one_and_the_neighbours_null_holds():
    """Independent orders agree far beyond chance, but not between neighbours."""
    rng = np.random.default_rng(1)
    pvalues, taus = [], []
    for _ in range(200):
        a, b = _noisy_frequency_orders(rng, 2000, 1.0)
        taus.append(rank_correlation(a, b).kendall)
        order = neighbour_order(a, b)
        pvalues.append(concordance_pvalue(order, 0.5))
    assert min(taus) > 0.6  # any permutation test would reject every one of these
    assert np.mean(np.array(pvalues) < 0.05) <= 0.05


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_the_inherited_share_is_recovered(share):
    rng = np.random.default_rng(2)
    n = 8000
    a = np.arange(n)
    b = np.arange(n)
    moved = rng.permutation(n)[: round(n * (1 - share))]
    b[np.sort(moved)] = b[moved]
    # A pair keeps its order if both tokens did, and half of the others do by chance.
    assert neighbour_order(a, b).inherited == pytest.approx(share**2, abs=0.06)


def test_equal_orders_reach_the_bounds():
    a = np.arange(100)
    order = neighbour_order(a, a + 7)
    assert (order.concordance, order.inherited, order.n) == (1.0, 1.0, 50)
    assert longest_ordered_share(a, a) == 1.0
    assert rank_correlation(a, a).kendall == pytest.approx(1.0)
    assert neighbour_order(a, a[::-1]).concordance == 0.0


def test_empty_and_tiny_input():
    none = np.array([], dtype=np.int64)
    assert neighbour_order(none, none) is None
    assert longest_ordered_share(none, none) is None
    assert id_offset(none, none) is None
    assert rank_correlation(np.array([1]), np.array([1])).kendall is None
    assert detectable_share(0, 0.52) is None


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=200, unique=True), st.randoms())
def test_longest_ordered_share_agrees_with_the_quadratic_definition(values, rng):
    b = np.array(values)
    a = np.arange(len(b))
    best = [1] * len(b)
    for i in range(len(b)):
        for j in range(i):
            if b[j] < b[i]:
                best[i] = max(best[i], best[j] + 1)
    shuffle = rng.sample(range(len(b)), len(b))
    assert longest_ordered_share(a[shuffle], b[shuffle]) == max(best) / len(b)


@given(st.lists(st.integers(0, 10**6), min_size=4, max_size=100, unique=True), st.integers(1, 9))
def test_order_statistics_see_order_only(values, scale):
    b = np.array(values)
    a = np.arange(len(b))
    assert neighbour_order(a, b) == neighbour_order(a * scale + 3, b * scale)
    assert neighbour_order(a, b) == neighbour_order(b, a)
    assert longest_ordered_share(a, b) == longest_ordered_share(a * scale, b + scale)


def test_offset_of_ids():
    a = np.array([0, 1, 2, 3])
    assert id_offset(a, np.array([5, 6, 7, 3])) == (5, 0.75, 0.25)


def test_pvalue_is_the_exact_binomial_tail():
    order = neighbour_order(np.arange(40), np.r_[np.arange(34), np.arange(34, 40)[::-1]])
    expected = stats.binomtest(order.concordant, order.n, 0.52, alternative="greater").pvalue
    assert concordance_pvalue(order, 0.52) == pytest.approx(expected)


def test_power_grows_with_the_sample():
    shares = [detectable_share(n, 0.518) for n in (100, 500, 2048)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.15


def test_wilson_interval_is_scipys():
    low, high = wilson_interval(180, 200)
    expected = stats.binomtest(180, 200).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_script_shares_of_a_small_vocabulary():
    words = ["the", "안녕", "中文", "1,", "ラ a"]
    points = np.frombuffer("".join(words).encode("utf-32-le"), dtype=np.uint32)
    owners = np.repeat(np.arange(5), [len(word) for word in words])
    shares = script_shares(points, owners, 5)
    assert {k: v for k, v in shares.items() if v} == {
        "latin": 0.4, "hangul": 0.2, "han": 0.2, "kana": 0.2, "other": 0.2,
    }  # fmt: skip
    assert tokens_per_syllable(np.array([2, 3]), np.array([4, 1])) == 1.0
    with pytest.raises(ValueError, match="no Hangul"):
        tokens_per_syllable(np.array([2]), np.array([0]))


def of_scipy(function, a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant ranks
        value = function(a, b).statistic
    return pytest.approx(value) if np.isfinite(value) else None


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 2), min_size=2, max_size=60))
def test_correlations_are_scipys_whatever_is_tied(pairs):
    a, b = np.array(pairs).T
    found = rank_correlation(a, b)
    assert found.kendall == of_scipy(stats.kendalltau, a, b)
    assert found.spearman == of_scipy(stats.spearmanr, a, b)


def test_correlations_of_many_are_scipys():
    a, b = _noisy_frequency_orders(np.random.default_rng(4), 4096, 1.0)
    assert rank_correlation(a, b).kendall == of_scipy(stats.kendalltau, a, b)


@pytest.mark.parametrize(
    ("n", "chance", "alpha"), [(9, 0.5, 0.001), (512, 0.52, 0.001), (2048, 0.6, 1e-6)]
)
def test_detectable_share_starts_from_the_critical_count_of_scipy(n, chance, alpha):
    critical = stats.binom.isf(alpha, n, chance) + 1
    shares = np.linspace(chance, 1.0, 501)
    enough = shares[stats.binom.sf(critical - 1, n, shares) >= 0.9]
    expected = 2 * enough[0] - 1 if len(enough) else None
    assert detectable_share(n, chance, alpha) == expected
