"""Gains that were chosen as the most alike are tested by channels that had no say in the choice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pytest_scratchverify.stats.weights.gain_pairs import follows_its_number, pair_gains
from pytest_scratchverify.stats.weights.norm_gains import gain_similarity

PAIRS = 300


def gains_of(rng: np.random.Generator, count: int, width: int = 64) -> np.ndarray:
    """Gains as layers have them: positive, uneven, each much like the one before (.78)."""
    found = [rng.standard_normal(width)]
    while len(found) < count:
        found.append(0.78 * found[-1] + np.sqrt(1 - 0.78**2) * rng.standard_normal(width))
    spread = 0.02 + 0.03 * rng.random((count, 1))
    return (rng.uniform(0.5, 2, (count, 1)) + spread * np.stack(found)).astype(np.float32)


@pytest.fixture(scope="module", params=[(9, 9), (9, 14)])
def of_strangers(request):
    """p-values of strangers' gains, by the channels that were held out and by all of them."""
    rng = np.random.default_rng(7)
    held_out, all_of_them = [], []
    for _ in range(PAIRS):
        ours, theirs = (gains_of(rng, count) for count in request.param)
        found = pair_gains(ours, theirs)
        chosen = [(ours[a], theirs[b]) for a, b in found.pairs]
        rest = [(a[found.held_out], b[found.held_out]) for a, b in chosen]
        held_out.append(gain_similarity(rest, rng, 99).pvalue)
        all_of_them.append(gain_similarity(chosen, rng, 99).pvalue)
    return np.array(held_out), np.array(all_of_them)


def test_pvalues_of_strangers_are_uniform_whatever_was_paired(of_strangers):
    smoothed = of_strangers[0] - np.random.default_rng(8).random(PAIRS) / 100
    assert stats.kstest(smoothed, "uniform").pvalue > 0.01


def test_by_all_channels_the_choice_itself_would_have_been_found(of_strangers):
    found = int(np.count_nonzero(of_strangers[1] <= 0.05))
    assert stats.binomtest(found, PAIRS, 0.05, alternative="greater").pvalue < 1e-4


@pytest.mark.parametrize("left_out", [0, 3])
def test_a_childs_gains_find_their_own_in_any_order_and_number(left_out):
    rng = np.random.default_rng(9)
    parent = gains_of(rng, 21, 256)
    child = parent + 0.5 * parent.std(axis=1, keepdims=True) * rng.standard_normal(parent.shape)
    order = rng.permutation(21)[left_out:]
    found = pair_gains(child[order].astype(np.float32), parent)
    assert len(found.pairs) == 21 - left_out
    assert np.mean([order[a] == b for a, b in found.pairs]) > 0.9


def test_which_channels_are_held_out_is_not_in_their_order():
    rng = np.random.default_rng(10)
    ours, theirs = gains_of(rng, 5), gains_of(rng, 5)
    found = pair_gains(ours, theirs)
    renumbered = pair_gains(ours, theirs[:, rng.permutation(64)])
    np.testing.assert_array_equal(found.held_out, renumbered.held_out)
    other = pair_gains(ours, theirs * np.float32(1.01))  # and other numbers, other channels
    assert not np.array_equal(found.held_out, other.held_out)


def test_what_may_not_be_paired_is_not():
    gains = gains_of(np.random.default_rng(11), 4)
    asked = ~np.eye(4, dtype=bool)
    assert all(a != b for a, b in pair_gains(gains, gains, asked).pairs)
    assert pair_gains(gains, gains, np.zeros((4, 4), bool)) is None
    assert pair_gains(gains[:, :20], gains[:, :20]) is None  # too few channels for both


@pytest.mark.parametrize(
    "formula",
    [
        np.linspace(0, 1, 256) ** 0.7,  # RWKV's mixing weights
        -5 + 8 * (np.arange(256) / 255) ** 2.2,  # its decay rates
        np.log(np.tile(np.arange(1, 17), 16)),  # Mamba's, channel by channel of a state
        np.repeat(2.0 ** -np.arange(1, 9), 32),  # slopes of ALiBi, head by head
        np.tile(np.random.default_rng(14).random(32), 8),  # gains of queries, whatever a head's are
    ],
)
def test_what_follows_the_number_of_the_channel_is_no_gain(formula):
    assert follows_its_number(formula.astype(np.float32))
    shuffled = np.random.default_rng(12).permutation(formula).astype(np.float32)
    assert not follows_its_number(shuffled)


def test_gains_do_not_follow_their_number():
    rng = np.random.default_rng(13)
    found = [follows_its_number(gain) for _ in range(50) for gain in gains_of(rng, 9)]
    assert np.mean(found) < 0.03
