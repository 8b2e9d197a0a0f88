"""The nulls hold, the laws hold: on simulated series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.stats.training_log.checkpoint_trajectory import (
    marchenko_pastur_excess,
    random_edge,
    trajectory,
)
from pytest_scratchverify.stats.training_log.loss_curve import continuity, power_law, spikes
from pytest_scratchverify.stats.training_log.rate_schedule import rate_schedule
from pytest_scratchverify.stats.training_log.repeated_stretch import repeated_stretch
from pytest_scratchverify.stats.training_log.training_compute import compute_budget, training_flops
from pytest_scratchverify.stats.training_log.trend_residuals import (
    detrended,
    noise_change,
    noise_level,
    residual_correlation,
)


def autocorrelated(rng, n, phi):
    noise = rng.standard_normal(n)
    out = np.empty(n)
    out[0] = noise[0]
    for i in range(1, n):
        out[i] = phi * out[i - 1] + noise[i]
    return out


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_circular_shifts_hold_their_rate_under_autocorrelation(phi):
    """Simulated: 400 pairs of unrelated autocorrelated series on a falling trend."""
    rng = np.random.default_rng(3)
    trend = 3 + 8 * np.arange(1, 501) ** -0.5
    ps = np.array([
        residual_correlation(trend + 0.02 * autocorrelated(rng, 500, phi),
                             trend + 0.02 * autocorrelated(rng, 500, phi), 25).pvalue
        for _ in range(400)
    ])  # fmt: skip
    assert np.mean(ps < 0.05) < 0.085
    assert np.mean(ps < 0.01) < 0.03


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.95])
def test_a_planted_correlation_is_recovered(rho):
    rng = np.random.default_rng(4)
    shared, a, b = rng.standard_normal((3, 2000))
    x = np.sqrt(rho) * shared + np.sqrt(1 - rho) * a
    y = np.sqrt(rho) * shared + np.sqrt(1 - rho) * b
    found = residual_correlation(x, 5 + 2 * y)
    assert found.statistic == pytest.approx(rho, abs=0.05)
    assert found.pvalue < 1e-3


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-5, 5))
def test_residual_correlation_ignores_scale_and_shift_and_is_symmetric(seed, scale, shift):
    x, y = np.random.default_rng(seed).standard_normal((2, 300))
    r = residual_correlation(x, y).statistic
    assert residual_correlation(scale * x + shift, y).statistic == pytest.approx(r, abs=1e-9)
    assert residual_correlation(y, x).statistic == pytest.approx(r, abs=1e-9)
    assert residual_correlation(x, scale * x + shift).statistic == pytest.approx(1)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 80))
def test_detrending_removes_a_line_inside(seed, span):
    x = np.random.default_rng(seed).standard_normal(200)
    line = np.linspace(5, 3, 200)
    inside = slice(span, -span)
    assert np.allclose(detrended(x + line, span)[inside], detrended(x, span)[inside], atol=1e-9)


def test_the_noise_level_is_that_of_white_noise_under_a_trend():
    rng = np.random.default_rng(5)
    loss = 2 + 9 * np.arange(1, 4001) ** -0.4 + 0.03 * rng.standard_normal(4000)
    assert noise_level(loss[1000:]) == pytest.approx(0.03, rel=0.06)


def test_noise_change_holds_its_rate():
    """Simulated: 300 logs of even noise, half of them heavy-tailed."""
    rng = np.random.default_rng(6)
    draws = [rng.standard_normal(1500) if i % 2 else rng.standard_t(4, 1500) for i in range(300)]
    assert np.mean([noise_change(x).pvalue < 0.01 for x in draws]) <= 0.03
    assert sum(noise_change(x).pvalue < 1e-3 for x in draws) <= 2


def test_repeats_hold_their_rate_and_find_what_was_planted():
    """Simulated: rounded noise repeats by chance; 200 logs give no p below .001."""
    rng = np.random.default_rng(7)
    for decimals in (2, 3, 5):
        ps = [1.0]
        for _ in range(70):
            found = repeated_stretch(np.round(2.5 + 0.03 * rng.standard_normal(800), decimals), k=4)
            ps.append(found.pvalue if found else 1.0)
        assert min(ps) > 1e-3, decimals
    loss = np.round(2.5 + 0.03 * rng.standard_normal(800), 5)
    loss[500:520] = loss[100:120]
    found = repeated_stretch(loss, k=4)
    assert (found.first, found.second, found.length) == (100, 500, 20)
    assert found.pvalue < 1e-12


def test_a_constant_stretch_is_no_copy():
    loss = np.r_[np.linspace(11, 3, 500), np.zeros(300)]
    found = repeated_stretch(loss, k=4)
    assert found is None or found.pvalue > 1e-3


@settings(max_examples=60)
@given(st.lists(st.integers(1, 1000), min_size=14, max_size=60), st.integers(0, 5))
def test_steady_steps_have_no_gap_and_a_hole_is_one(widths, start):
    steady = np.arange(start, start + 10 * len(widths), 10)
    assert continuity(steady).gaps == ()
    hole = np.delete(steady, slice(6, 11))
    assert len(continuity(hole).gaps) == (1 if len(hole) > 7 else len(continuity(hole).gaps))
    assert continuity(np.r_[steady, steady]).duplicates == len(steady)


def test_a_power_law_is_recovered_and_a_plain_formula_has_misfit_one():
    steps = np.arange(1, 20000, 5)
    noise = 0.03 * np.random.default_rng(8).standard_normal(len(steps))
    fit = power_law(steps, 2 + 20 * steps**-0.5 + noise)
    assert fit.a == pytest.approx(2, abs=0.05)
    assert fit.c == pytest.approx(0.5, abs=0.05)
    assert fit.statistic > 0.99
    assert 0.4 < fit.misfit < 1.7


def test_spikes_and_their_recovery():
    loss = 2.5 + 0.02 * np.random.default_rng(9).standard_normal(500)
    loss[300:304] += [1.0, 0.8, 0.5, 0.3]
    found = spikes(loss)
    assert [(s.at, s.recovered_after) for s in found] == [(300, 4)]


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine", "wsd", "inverse_sqrt"])
def test_schedules_are_told_apart(kind):
    steps = np.arange(0, 10000, 10)
    x = np.clip((steps - 500) / (9990 - 500), 0, 1)
    shape = {
        "constant": np.ones_like(x),
        "linear": 1 - 0.9 * x,
        "cosine": 0.1 + 0.45 * (1 + np.cos(np.pi * x)),
        "wsd": np.interp(x, [0, 0.8, 1], [1, 1, 0.1]),
        "inverse_sqrt": np.sqrt(500 / np.maximum(steps, 500)),
    }[kind]
    found = rate_schedule(steps, 3e-4 * np.minimum(steps / 500, 1) * shape)
    assert found.kind == kind
    assert found.statistic < 0.01
    assert found.starts_low
    assert found.warmup == pytest.approx(500, abs=20)


def test_a_restart_of_the_schedule_is_a_jump():
    half = 0.5 * (1 + np.cos(np.pi * np.linspace(0, 1, 500)))
    assert rate_schedule(np.arange(1000), np.r_[half, half]).jumps == 1


def test_compute_is_six_operations_per_parameter_and_token():
    assert training_flops(33e9, 10e12) == 1.98e24
    budget = compute_budget(33e9, 10e12, 1843200, 989e12)
    assert budget.utilisation == pytest.approx(0.3017, abs=1e-3)
    assert budget.tokens_per_parameter == pytest.approx(303, abs=1)
    assert compute_budget(1e9, 1e9, None, None).utilisation is None


def path_of_sgd(seed, steps=60, start=None):
    """SIMULATED: noisy gradient descent of a matrix towards a planted one of rank three."""
    rng = np.random.default_rng(seed)
    target = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 40))
    weights = start.copy() if start is not None else 0.3 * rng.standard_normal((60, 40))
    kept = [weights.copy()]
    for _ in range(steps):
        for _ in range(10):
            weights -= 0.001 * (weights - target) + 0.01 * rng.standard_normal(weights.shape)
        kept.append(weights.copy())
    return kept


def test_a_simulated_run_moves_away_in_short_steps_and_begins_random():
    path = path_of_sgd(0)
    found = trajectory(path, [10 * i for i in range(len(path))])
    assert found.growth > 0.99
    assert max(found.detours) < 1
    assert marchenko_pastur_excess(path[0]) == pytest.approx(1, abs=0.1)
    assert marchenko_pastur_excess(path[-1]) > 2


def test_a_single_foreign_checkpoint_is_a_detour_and_a_foreign_tail_is_not():
    a, b = path_of_sgd(1), path_of_sgd(2)
    steps = [10 * i for i in range(len(a))]
    one = trajectory([*a[:30], b[30], *a[31:]], steps)
    assert one.farthest == 30
    assert one.detours[29] > 5
    assert max(trajectory(a[:30] + b[30:], steps).detours) < 1  # that is what relatedness is for


def test_a_random_walk_and_a_path_at_rest_are_no_detours():
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.standard_normal((40, 500)), axis=0)
    assert max(trajectory(list(walk), list(range(40))).detours) < 0.85
    rest = 5 + 0.1 * rng.standard_normal((40, 500))
    assert 0.8 < max(trajectory(list(rest), list(range(40))).detours) < 1.25


@pytest.mark.parametrize("shape", [(64, 64), (176, 64), (32, 256)])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_fresh_matrices_have_uniform_p_in_the_tail(shape, kind):
    """Null: independent entries, 400 matrices each; light tails make small ones conservative."""
    rng = np.random.default_rng(shape[0])
    draw = rng.standard_normal if kind == "normal" else lambda s: rng.uniform(-1, 1, s)
    ps = np.array([random_edge(draw(shape)).pvalue for _ in range(400)])
    assert 0.005 < (ps < 0.05).mean() < 0.085
    assert (ps < 0.01).mean() < 0.028
    assert (ps < 0.001).mean() <= 0.005


def test_the_edge_sees_a_planted_direction_and_passes_orthogonal_matrices():
    rng = np.random.default_rng(7)
    fresh = rng.standard_normal((176, 64))
    u, v = rng.standard_normal(176), rng.standard_normal(64)
    planted = 2 * 22 * np.outer(u / np.linalg.norm(u), v / np.linalg.norm(v))
    assert random_edge(fresh + planted).pvalue < 1e-6
    assert random_edge(np.linalg.qr(fresh)[0]).pvalue == 1.0
    assert random_edge(np.zeros((64, 64))) is None
    assert random_edge(np.ones((4, 64))) is None


def test_a_run_that_starts_from_a_trained_model_does_not_begin_random():
    warm = path_of_sgd(3, start=path_of_sgd(4)[-1])
    assert marchenko_pastur_excess(warm[0]) > 2
