"""Genuine logs of many kinds are recognised and not accused; what is joined on is not a stage."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_scratchverify.core.evidence import Direction, Outcome
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.stats.training_log.trend_residuals import noise_change
from tests.training_log import simulated
from tests.training_log.simulated import SIGMA, VOCABULARY, log_of, nats

SOUND = {Outcome.CONSISTENT, Outcome.NOT_APPLICABLE}
BATCH = 2**19
SEEDS = (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20)))


def findings(log, limits):
    return [
        methods.first_loss("m", log, VOCABULARY, limits),
        methods.continuity("m", log, limits),
        methods.duplicates("m", log),
        methods.smoothness("m", log, limits, BATCH, VOCABULARY),
        methods.smoothness("m", log, limits),
        methods.power_law("m", log, limits),
    ]


def alarms(name, log, limits):
    return [
        f"{name}: {f.method} {f.headline}"
        for f in findings(log, limits)
        if f.outcome not in SOUND or f.direction is not Direction.NONE or f.relation is not None
    ]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "kinds", [simulated.metrics, simulated.averages, simulated.stages], ids=lambda f: f.__name__
)
def test_no_genuine_kind_is_accused(kinds, seed, limits):
    made = kinds(np.random.default_rng(seed))
    found = [alarm for name, loss in made.items() for alarm in alarms(name, log_of(loss), limits)]
    assert not found


@pytest.mark.parametrize("seed", SEEDS)
def test_plain_logs_pass(seed, limits):
    assert not alarms("plain", log_of(nats(np.random.default_rng(seed))), limits)


def test_other_units_and_sums_are_named(limits):
    for name, loss in simulated.metrics(np.random.default_rng(5)).items():
        found = methods.first_loss(name, log_of(loss), VOCABULARY, limits)
        wanted = {"another unit or weights", "several losses or another unit"}
        assert set(found.kinds) <= wanted, name
        assert found.outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    "column",
    ["train/bpb", "bits_per_byte", "train/bits per character", "kl_loss", "train/kl", "distill_loss",
     "kd/loss", "run-3 - train/nats_per_byte", "perplexity", "loss/distillation"],
)  # fmt: skip
def test_a_column_whose_name_says_another_metric_is_not_judged(column, limits):
    """Not even where its course is that of a warm start in nats."""
    steps = np.arange(3000)
    loss = 2.1 + 1.4 * np.exp(-steps / 300) + np.random.default_rng(2).normal(0, 0.03, 3000)
    found = methods.first_loss("m", log_of(loss, column=column), VOCABULARY, limits)
    assert (found.outcome, found.kinds) == (Outcome.NOT_APPLICABLE, ("other metric",))
    plain = methods.first_loss("m", log_of(loss, column="train/lm_loss"), VOCABULARY, limits)
    assert plain.kinds == ("warm start",)


@pytest.mark.parametrize("seed", range(5))
def test_warm_starts_are_still_leads(seed, limits):
    """Continued pretraining of 3,000 steps whose loss falls by up to two fifths."""
    rng, steps = np.random.default_rng(seed), np.arange(3000)
    floor, excess = rng.uniform(1.6, 2.6), rng.uniform(0.7, 1.1)
    loss = floor + excess * (1 + steps / rng.uniform(50, 400)) ** -0.7 + rng.normal(0, SIGMA, 3000)
    found = methods.first_loss("m", log_of(loss), VOCABULARY, limits)
    assert found.kinds == ("warm start",), found.headline
    assert found.direction is Direction.TOWARD_REUSE


def test_no_genuine_start_in_any_unit_and_of_any_length_is_a_warm_start(logs, limits):
    """Real logs, cut to any length and divided by any unit."""
    starts = [log for log in logs.values() if log.steps[0] == 0 and log.loss[0] > 10]
    assert len(starts) == 8
    for log in starts:
        for cut in np.unique(np.geomspace(20, len(log), 12).astype(int)):
            for unit in (0.9, 0.7, 0.5, 0.33, 0.23, 0.1):
                part = log_of(log.loss[:cut] * unit, decimals=6)
                part.steps[:] = log.steps[:cut]
                found = methods.first_loss("m", part, 50304, limits)
                assert found.direction is Direction.NONE, (log.name, cut, unit)


@pytest.mark.parametrize("seed", range(3))
def test_averages_are_named_and_computed_curves_are_not_taken_for_them(seed, limits):
    rng = np.random.default_rng(seed)
    for name, loss in simulated.averages(rng).items():
        assert methods.smoothness(name, log_of(loss), limits).kinds == ("averaged",), name
    steps = np.arange(3000)
    curve = 2.2 + 8.6 * (1 + steps / 40) ** -0.45
    for faint in (0.0, 0.0002):
        loss = curve + rng.normal(0, 1, 3000) * faint
        found = methods.smoothness("m", log_of(loss), limits, BATCH)
        assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "contradicted"), faint


@pytest.mark.parametrize("blend", [0, 100])
@pytest.mark.parametrize("at", [300, 500, 1000])
def test_a_fine_tune_behind_genuine_first_steps_is_not_a_stage(at, blend, limits):
    for seed in range(3):
        loss = simulated.spliced(np.random.default_rng(seed), at, blend)
        found = methods.power_law("m", log_of(loss), limits)
        if at < 1000:  # later, one law explains .9 of it: a limit that docs/methods states
            assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "incomplete")
        assert found.kinds != ("stages",)


def test_stages_are_named_with_their_steps(limits):
    rng = np.random.default_rng(3)
    found = methods.power_law("m", log_of(simulated.stages(rng)["harder, then easier"]), limits)
    assert found.kinds == ("stages",)
    assert found.details["stages"] == pytest.approx([900, 1800], rel=0.05)


@pytest.mark.parametrize("name", sorted(simulated.schedules()))
@pytest.mark.parametrize("every", [1, 10])
def test_schedules_of_real_trainers_are_recognised(name, every, limits):
    rate = simulated.schedules()[name]
    found = methods.schedule("m", log_of(np.ones(3000), lr=rate), limits)
    joined = name == "three stages, two re-warmed"
    assert found.outcome is (Outcome.NOT_APPLICABLE if joined else Outcome.CONSISTENT), name
    thin = methods.schedule(
        "m", log_of(np.ones(3000 // every), lr=rate[::every], every=every), limits
    )
    assert thin.outcome in SOUND, name
    if "restarts" in name or name == "triangles":
        assert "with warm restarts" in str(found.headline)
        assert found.details["cycles"] >= 3


@pytest.mark.parametrize("seed", range(3))
def test_rates_by_no_formula_are_still_contradicted(seed, limits):
    rng = np.random.default_rng(seed)
    walk = 3e-4 * np.exp(np.cumsum(rng.normal(0, 0.03, 3000)))
    by_hand = simulated.cosine(3000) * (1 + 0.08 * np.sin(np.arange(3000) / 90))
    for rate in (walk, by_hand):
        found = methods.schedule("m", log_of(np.ones(3000), lr=rate), limits)
        assert found.relation == "contradicted"


@pytest.mark.parametrize("tail", ["normal", "heavy", "falling"])
def test_a_change_of_noise_has_the_rate_that_it_states(tail):
    """Of 300 logs of even noise fewer have p < .05 than 5 % and three standard errors."""
    low = {"normal": 0, "heavy": 1000, "falling": 2000}[tail]
    ps = []
    for seed in range(300):
        rng = np.random.default_rng(low + seed)
        noise = {"normal": lambda r: r.normal(0, 1, 3000), "heavy": lambda r: r.standard_t(5, 3000),
                 "falling": lambda r: nats(r)[300:]}[tail](rng)  # fmt: skip
        ps.append(noise_change(noise).pvalue)
    ps = np.array(ps)
    assert np.mean(ps < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert np.count_nonzero(ps < 1e-3) <= 2
