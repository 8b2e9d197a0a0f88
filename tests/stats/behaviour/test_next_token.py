"""Likeness of next-token distributions: small cases by hand, a null that holds, and power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pytest_scratchverify.stats.behaviour.next_token import (
    affinity,
    affinity_by_manner,
    from_tokens,
    from_top,
    mean_affinity,
    telling_prompts,
)
from pytest_scratchverify.stats.behaviour.round_robin import excess

LETTERS = [chr(97 + i) for i in range(12)]


def test_likeness_by_hand():
    rows = [[{"a": 0.8, "b": 0.2}, {"a": 1.0}], [{"b": 0.2, "a": 0.8}, {"c": 0.5}], [None, {}]]
    each = affinity(from_top(rows, 5))
    assert each[0, 1] == pytest.approx([1, 0])
    assert np.isnan(each[0, 2]).all()
    assert each[0, 0] == pytest.approx([1, 1])
    assert affinity(from_top(rows[:2], 1))[0, 1] == pytest.approx([1, 0])
    half = affinity(from_top([[{"a": 0.5, "b": 0.5}], [{"a": 0.5, "c": 0.5}]], 2))
    assert half[0, 1, 0] == pytest.approx(0.5)
    mean = mean_affinity(each)
    assert mean[0, 1] == pytest.approx(0.5)
    assert np.isnan(mean[0, 2])


def test_one_token_is_a_share_of_equal_tokens():
    rows = [["a", "b", "\n", None], ["a", "c", "\n", "x"]]
    assert mean_affinity(affinity(from_tokens(rows)))[0, 1] == pytest.approx(2 / 3)


def test_what_everybody_says_tells_nothing():
    rows = [["return", one, "self"] for one in ("a", "b", "a", "c")]
    assert telling_prompts(affinity(from_tokens(rows)), 0.9).tolist() == [False, True, False]


def test_manner_is_what_is_alike_at_different_prompts():
    same = from_tokens([["Sure"] * 6, ["Sure"] * 6])
    assert affinity_by_manner(same)[0, 1] == pytest.approx(1)
    apart = from_tokens([LETTERS[:6], LETTERS[:6]])
    assert affinity_by_manner(apart)[0, 1] == pytest.approx(0)
    assert np.isnan(affinity_by_manner(from_tokens([["a"], ["a"]]))[0, 1])


def drawn(rng, models, prompts, taken=0.0):
    """SIMULATED distributions about one of each prompt; model 0 takes over some of model 1's."""
    common = rng.gamma(0.3, size=(prompts, len(LETTERS)))
    own = rng.gamma(0.3, size=(models, prompts, len(LETTERS)))
    mixed = common + own
    mixed[0] = (1 - taken) * mixed[0] + taken * mixed[1]
    mixed /= mixed.sum(-1, keepdims=True)
    rows = [[dict(zip(LETTERS, row, strict=True)) for row in model] for model in mixed]
    return from_top(rows, 5)


def of_the_pair(tokens):
    each = affinity(tokens)
    return excess(mean_affinity(each[:, :, telling_prompts(each, 0.9)]), 0, 1)


def test_pvalues_of_models_that_share_their_prompts_only_are_uniform():
    rng = np.random.default_rng(4)
    p = [of_the_pair(drawn(rng, 7, 40)).pvalue for _ in range(120)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert min(p) > 1e-4


def test_a_model_that_took_half_over_is_found():
    rng = np.random.default_rng(5)
    found = [of_the_pair(drawn(rng, 7, 60, taken=0.5)) for _ in range(20)]
    assert sum(f.pvalue < 1e-3 for f in found) >= 19
