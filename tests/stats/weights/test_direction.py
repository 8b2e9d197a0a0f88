"""Order of two models by growth, as a statistic: right on steps of known order, open on twins."""

import numpy as np
import pytest

from pytest_scratchverify.stats.weights.direction import (
    CERTAIN,
    Marks,
    Movement,
    OrderWeights,
    growth_of_gains,
    is_rounded_from,
    log_odds,
    movement,
)
from tests.weights.shipped import CALIBRATION

SHIPPED = OrderWeights(**CALIBRATION["thresholds"]["direction"])
SHAPE = 96, 64


def drawn(rng, size=1.0):
    return size * rng.normal(size=SHAPE)


def step(weights, rng, size, decay=0.0):
    """Add what is independent of the weights, more of it in some rows than in others."""
    by_row = size * rng.uniform(0.2, 2.0, (len(weights), 1))
    return (1 - decay) * weights + by_row * rng.normal(size=weights.shape)


def odds(first, second):
    moved = movement(first, second)
    return log_odds((moved.growth, moved.growth_of_rows, None), SHIPPED)


def several(rng, size, decay=0.0, matrices=24):
    """Return matrices of a parent and of its child."""
    parents = [drawn(rng) for _ in range(matrices)]
    return parents, [step(parent, rng, size, decay) for parent in parents]


def summed(parents, children):
    pairs = list(zip(parents, children, strict=True))
    total = movement(*pairs[0])
    for pair in pairs[1:]:
        total = total + movement(*pair)
    return total


@pytest.mark.parametrize("size", [0.05, 0.2, 0.5])
def test_independent_steps_have_a_growth_of_one(size):
    rng = np.random.default_rng(1)
    found = [summed(*several(rng, size)) for _ in range(8)]
    growths = np.array([moved.growth for moved in found])
    error = 2 / size / np.sqrt(24 * SHAPE[0] * SHAPE[1])  # of one
    assert abs(growths.mean() - 1) < 4 * error / np.sqrt(len(found))
    assert all(moved.reverse.growth == pytest.approx(-moved.growth) for moved in found)


def test_decay_hides_growth_and_not_that_of_rows():
    moved = summed(*several(np.random.default_rng(2), 0.3, decay=0.1, matrices=48))
    assert moved.growth < 0
    assert moved.growth_of_rows == pytest.approx(1, abs=0.35)


def test_twins_of_one_length_have_no_direction():
    """Two children of one parent: the sign is a coin's, and most stay below the bar."""
    rng = np.random.default_rng(3)
    said = []
    for _ in range(60):
        parents = [drawn(rng) for _ in range(6)]
        one, other = ([step(p, rng, 0.4) for p in parents] for _ in range(2))
        moved = summed(one, other)
        said.append(log_odds((moved.growth, moved.growth_of_rows, None), SHIPPED))
    assert np.mean(np.abs(said) >= SHIPPED.bar) <= 0.05
    assert 0.3 < np.mean(np.array(said) > 0) < 0.7


def test_a_child_is_later_whichever_is_asked_first():
    rng = np.random.default_rng(4)
    for size in (0.1, 0.4, 1.0):
        moved = summed(*several(rng, size))
        growths = moved.growth, moved.growth_of_rows, 1.0
        back = moved.reverse
        assert log_odds(growths, SHIPPED) > 0
        reverse = back.growth, back.growth_of_rows, -1.0
        assert log_odds(reverse, SHIPPED) == pytest.approx(-log_odds(growths, SHIPPED))


def test_what_has_not_moved_or_cannot_be_measured_says_nothing():
    weights = drawn(np.random.default_rng(5))
    same = movement(weights, weights)
    assert (same.growth, same.growth_of_rows) == (None, None)
    assert log_odds((None, None, None), SHIPPED) == 0
    assert movement(np.full(SHAPE, np.nan), weights) == Movement((0.0, 0.0, 0.0))
    assert movement(np.zeros(SHAPE), weights).growth is None
    with pytest.raises(ValueError, match="one shape"):
        movement(weights, weights[:, :8])


def test_rounding_of_storage_is_no_movement():
    weights = drawn(np.random.default_rng(6)).astype(np.float32)
    stored = (weights.view(np.uint32) + 0x8000 & 0xFFFF0000).view(np.float32)
    assert movement(weights, stored).growth is None


def rounded(weights, bits, group):
    top = 2 ** (bits - 1) - 1
    parts = weights.reshape(-1, group)
    scale = abs(parts).max(1, keepdims=True) / top
    return (np.round(parts / scale) * scale).reshape(weights.shape)


@pytest.mark.parametrize(("bits", "group"), [(8, 64), (8, 32), (4, 64), (4, 16)])
def test_what_was_rounded_is_told_from_what_it_was_rounded_from(bits, group):
    rng = np.random.default_rng(7)
    weights = drawn(rng, 0.05)
    after = rounded(weights, bits, group)
    assert is_rounded_from(weights, after)
    assert not is_rounded_from(after, weights)
    assert not is_rounded_from(drawn(rng, 0.05), after)  # a stranger's rounding
    assert not is_rounded_from(weights, step(weights, rng, 0.01))


def test_the_shipped_error_rates_are_what_is_promised():
    """Of chains that were held out; `tools.calibrate.direction` measures them."""
    assert 0 < SHIPPED.wrong_pairs <= 0.05
    assert 0 < SHIPPED.wrong_roots <= 0.05


def test_marks_decide_before_growth():
    grown = 2.0, 2.0, 2.0
    assert log_odds(grown, SHIPPED, Marks(zeros=(0.5, 0.0))) == -CERTAIN
    assert log_odds(grown, SHIPPED, Marks(rounded=(3, 0))) == -CERTAIN
    assert log_odds(grown, SHIPPED, Marks(rounded=(3, 3))) > 0
    assert log_odds(grown, SHIPPED, Marks(zeros=(0.11, 0.0))) > 0  # four bits have zeros too
    marks = Marks((0.5, 0.0), (0, 2))
    assert marks.reverse.reverse == marks


def test_gains_grow_whatever_decay_does_to_their_mean():
    rng = np.random.default_rng(8)
    first = [1 + 0.05 * rng.normal(size=256) for _ in range(8)]
    second = [0.8 * (gain + 0.05 * rng.normal(size=256)) for gain in first]
    found = growth_of_gains(zip(first, second, strict=True))
    assert found == pytest.approx(1, abs=0.3)
    assert growth_of_gains(zip(first, first, strict=True)) is None
    assert growth_of_gains([(np.zeros(8), np.ones(8))]) is None
