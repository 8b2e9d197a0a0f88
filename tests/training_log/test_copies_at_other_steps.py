"""Copies that were shifted or stretched in time are found; logs of runs of their own are not."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.evidence import Direction, Outcome
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.stats.training_log.warped_copy import planted_copy, warped_copy
from tests.training_log import simulated
from tests.training_log.simulated import SIGMA, log_of, nats

SLOW = pytest.mark.slow


def found_between(a, b, limits):
    return methods.same_data_order("m", log_of(a), "source", log_of(b), limits)


def copied(loss, rng, scale=1.0, shift=0, noise=0.3):
    n = len(loss)
    at = np.minimum(shift + np.arange(n) / scale, n - 1)
    return np.interp(at, np.arange(n), loss) + noise * SIGMA * rng.standard_normal(n)


@pytest.mark.parametrize(
    ("scale", "shift", "noise"),
    [(1.37, 0, 0.3), (1.0, 37, 0.3), (0.73, 11, 1.0), (2.9, 200, 0.3),
     *(pytest.param(*row, marks=SLOW) for row in [
         (1.37, 0, 0.0), (1.0, -37, 0.3), (1.0, 400, 1.0), (0.5, 0, 0.3), (0.4, 5, 0.3),
         (2.0, 0, 1.0), (1.013, 0, 0.3), (3.7, 0, 0.3), (1.618, 90, 1.0)])],
)  # fmt: skip
def test_a_copy_at_other_steps_is_found(scale, shift, noise, limits):
    rng = np.random.default_rng(round(1000 * scale) + shift)
    source = nats(rng)
    found = found_between(copied(source, rng, scale, max(shift, 0), noise),
                          copied(source, rng, 1.0, max(-shift, 0), 0.0), limits)  # fmt: skip
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "same_data_order")
    assert found.kinds == ("shifted in steps" if scale == 1 else "stretched in time",)
    assert found.pvalue < 1e-3
    best = found.details["at_other_steps"]
    assert best["scale"] == pytest.approx(scale, rel=0.02)
    assert found.direction is Direction.NONE  # batches in one order are innocent of this too
    assert "or a copy" in str(found.headline)


def test_a_copy_with_steps_of_its_own_is_found_where_none_are_common(limits):
    rng = np.random.default_rng(4)
    source = nats(rng)
    moved = log_of(copied(source, rng))
    moved.steps[:] += 50_000
    found = methods.same_data_order("m", moved, "source", log_of(source), limits)
    assert found.relation == "same_data_order"


def test_a_constant_block_does_not_hide_a_copy(limits):
    rng = np.random.default_rng(6)
    source = nats(rng)
    copy = copied(source, rng, 1.37)
    copy[2500:] = 3.2
    assert found_between(copy, source, limits).relation == "same_data_order"


KINDS = {
    "raw": lambda loss: loss,
    "moving average .9": lambda loss: simulated.ema(loss, 0.9),
    "moving average .98": lambda loss: simulated.ema(loss, 0.98),
    "running mean of 20": lambda loss: simulated.running_mean(loss, 20),
    "mean so far": simulated.cumulative,
    "Gaussian of 8": lambda loss: simulated.kernel(loss, 8),
    "spikes together": lambda loss: loss + 0.4 * (np.arange(len(loss)) % 100 == 0),
    "shards of one difficulty": lambda loss: loss + np.repeat(
        np.random.default_rng(77).normal(0, 0.1, 1 + len(loss) // 150), 150)[: len(loss)],
    "heavy tails": lambda loss: loss + 0.05 * np.random.default_rng(
        abs(hash(float(loss[7]))) % 2**32).standard_t(3, len(loss)),
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=SLOW) for s in range(1, 12))])
@pytest.mark.parametrize("kind", KINDS)
def test_runs_of_their_own_are_not_found_whatever_their_noise(kind, seed, limits):
    rng = np.random.default_rng(500 + seed)
    a, b = (KINDS[kind](nats(rng)) for _ in range(2))
    found = found_between(a, b, limits)
    assert found.outcome is Outcome.CONSISTENT, (kind, found.headline)
    assert found.details["at_other_steps"]["p"] > 1e-3
    if seed == 0 and kind == "raw":
        assert "planted ones were found" in str(found.power.description)


def test_the_power_that_is_printed_holds_on_logs_that_it_was_not_measured_on(limits):
    """Planted copies with .3 of batch noise: 50 of 50 in real windows; here simulated ones."""
    hits = 0
    for seed in range(8):
        loss = nats(np.random.default_rng(900 + seed), 2000)
        best = warped_copy(planted_copy(loss, 2000, seed=seed), loss, limits.order_span)
        hits += best.pvalue < 1e-3 and best.statistic >= limits.same_order
    assert limits.planted["found"] >= 0.95 * limits.planted["n"]
    assert hits >= 7


def test_a_formula_with_white_noise_is_nobodys_copy_and_passes(limits):
    """The limit that docs/methods states: such a log has the noise of batches and no source."""
    rng = np.random.default_rng(8)
    loss = nats(rng)  # which is what a formula with white noise is
    assert found_between(loss, nats(rng), limits).outcome is Outcome.CONSISTENT
    assert methods.smoothness("m", log_of(loss), limits).outcome is Outcome.CONSISTENT


def test_short_logs_say_that_other_steps_were_not_looked_for(limits):
    rng = np.random.default_rng(9)
    found = found_between(nats(rng, 250), nats(rng, 250), limits)
    assert found.details["at_other_steps"] is None
    assert "not looked for" in str(found.power.description)
