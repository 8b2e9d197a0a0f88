"""What must be found in real logs, and in logs that were forged from them."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Direction, Level, Outcome
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.methods.training_log.compute import compute_facts
from tests.training_log.shipped import CALIBRATION

STARTS = ["nanogpt-2024-06-06_AdamW", "pythia-14m-1", "pythia-14m-2", "pythia-160m-0",
          "pythia-160m-5", "pythia-70m-0", "pythia-70m-1", "pythia-70m-2",
          "olmo-ladder-190M-1xC", "olmo-ladder-370M-1xC", "olmo-ladder-760M-1xC",
          "olmo-ladder-1B-1xC"]  # fmt: skip
SAME_ORDER = {("14m-1", "70m-1"), ("14m-2", "70m-2"), ("160m-0", "70m-0")}


# Exports whose steps are counted anew or begin at 1: one data order under other steps. 410m-0 was
# resumed at 35,000 and 410m-1 at 116,000: with their last rows they make 143,000 steps.
SHIFTED = {("160m-0", "410m-0"): 35_000, ("410m-0", "70m-0"): -35_000,
           ("14m-1", "410m-1"): 116_000, ("410m-1", "70m-1"): -116_000,
           ("14m-2", "70m-seed2-from95001"): -1, ("70m-2", "70m-seed2-from95001"): -1}  # fmt: skip


def vocabulary(name):
    return 100278 if "olmo" in name else 50304


def all_of(name, log, limits):
    return [
        methods.first_loss(name, log, vocabulary(name), limits),
        methods.continuity(name, log, limits),
        methods.duplicates(name, log),
        methods.smoothness(name, log, limits, 2097152 if "pythia" in name else None),
        methods.power_law(name, log, limits),
        methods.schedule(name, log, limits),
    ]


@pytest.mark.parametrize("name", STARTS)
def test_every_genuine_start_passes_everything(name, logs, limits):
    found = all_of(name, logs[name], limits)
    assert {f.outcome for f in found} <= {Outcome.CONSISTENT, Outcome.NOT_APPLICABLE}, found
    assert found[0].kinds == ("random start",)
    assert all(f.level is Level.E1 and f.direction is Direction.NONE for f in found)


@pytest.mark.parametrize("name", ["pythia-410m-0", "pythia-410m-1"])
def test_resumed_exports_are_under_way_and_say_what_else(name, logs, limits):
    found = methods.first_loss(name, logs[name], 50304, limits)
    assert found.outcome is Outcome.INDETERMINATE
    assert found.kinds == ("under way",)
    assert found.direction is Direction.NONE
    assert "export after a resume" in str(found.headline)
    assert methods.power_law(name, logs[name], limits).outcome is Outcome.INDETERMINATE


def test_the_cut_log_is_called_cut_and_not_a_warm_start(logs, limits):
    log = logs["pythia-70m-seed2-from95001"]
    start = methods.first_loss("m", log, 50304, limits)
    assert (start.outcome, start.kinds) == (Outcome.INDETERMINATE, ("truncated",))
    assert "warm" not in str(start.headline)
    whole = methods.continuity("m", log, limits)
    assert whole.outcome is Outcome.INDETERMINATE
    assert "a late start" in str(whole.headline)


def test_the_spike_is_found_with_its_recovery(logs, limits):
    spikes = methods.smoothness("m", logs["pythia-160m-0"], limits).details["spikes"]
    assert [spike["step"] for spike in spikes] == [1400]
    assert spikes[0]["recovered_after_rows"] == 1
    for name in STARTS:
        if name != "pythia-160m-0":
            assert not methods.smoothness("m", logs[name], limits).details["spikes"], name


def test_same_order_pairs_are_found_and_no_others(logs, limits):
    pairs, shifts = 0, {}
    for a, b in combinations([name for name in logs if name.startswith("pythia")], 2):
        if ("window" in a) != ("window" in b):
            continue
        found = methods.same_data_order(a, logs[a], b, logs[b], limits)
        short = tuple(sorted(name.removeprefix("pythia-").split(".")[0] for name in (a, b)))
        assert not found.derived, (a, b)
        if short in SAME_ORDER:
            pairs += 1
            assert found.relation == "same_data_order", (a, b, found.headline)
            assert found.statistic.value > 0.88
            assert found.pvalue < 1e-3
        elif short in SHIFTED:
            best = found.details["at_other_steps"]
            steps = logs[a].steps[best["row"]], logs[b].steps[best["row_there"]]
            shifts[short] = int(steps[0]) - int(steps[1])
            assert (found.outcome, found.kinds) == (Outcome.INDETERMINATE, ("shifted in steps",))
            assert found.pvalue < 1e-6
        elif found.relation != "incomparable":
            assert found.outcome is Outcome.CONSISTENT, (a, b, found.headline)
            assert abs(found.statistic.value) < (0.08 if found.statistic.n > 1000 else 0.2)
            assert all(control.passed for control in found.controls)
    assert pairs == 5
    assert shifts == SHIFTED


def test_a_log_that_is_another_runs_copy_is_derived(logs, limits):
    log = logs["pythia-70m-0"]
    shifted = replace(log, loss=np.round(log.loss * 1.01 + 0.2, 5))
    found = methods.same_data_order("copy", shifted, "true", log, limits)
    assert found.derived
    assert found.relation == "copied_record"
    assert {c.kind: c.passed for c in found.controls} == {"positive": True, "negative": True}
    assert found.level is Level.E2  # a lead for the verdict, never a conviction
    assert methods.same_data_order("copy", shifted, "true", log, limits, declared=True).outcome is (
        Outcome.DECLARED
    )


def test_a_segment_copied_from_another_run_is_derived(logs, limits):
    log, other = logs["pythia-70m-0"], logs["pythia-14m-2"]
    loss = log.loss.copy()
    loss[700:730] = other.loss[900:930]  # at other steps
    found = methods.same_data_order("m", replace(log, loss=loss), "o", other, limits)
    assert found.derived
    assert found.relation == "copied_segment"
    assert found.effect.value == 30
    assert found.pvalue < 1e-3


def test_a_rescaled_segment_of_another_run_is_a_lead(logs, limits):
    log, other = logs["pythia-70m-0"], logs["pythia-14m-2"]
    loss = log.loss.copy()
    loss[700:900] = other.loss[700:900] - 0.7
    found = methods.same_data_order("m", replace(log, loss=loss), "o", other, limits)
    assert found.outcome is Outcome.INDETERMINATE
    assert found.relation == "same_data_order"


def test_a_segment_copied_within_the_log_is_caught(logs):
    log = logs["pythia-70m-1"]
    loss = log.loss.copy()
    loss[1200:1212] = loss[600:612]
    found = methods.duplicates("m", replace(log, loss=loss))
    assert found.outcome is Outcome.INDETERMINATE
    assert found.relation == "contradicted"
    assert found.pvalue < 1e-3


@pytest.mark.parametrize("how", ["smooth", "noisy"])
def test_a_forged_segment_is_caught(how, logs, limits):
    log = logs["pythia-70m-0"]
    loss, rng = log.loss.copy(), np.random.default_rng(0)
    inside = slice(800, 1000)
    trend = np.linspace(loss[800], loss[999], 200)
    noise = {"smooth": 0.004, "noisy": 0.09}[how]
    loss[inside] = np.round(trend + noise * rng.standard_normal(200), 5)
    found = methods.smoothness("m", replace(log, loss=loss), limits)
    assert found.outcome is Outcome.INDETERMINATE
    assert found.pvalue < 1e-3
    assert "a segment written by hand" in str(found.headline)


def test_a_computed_curve_is_too_smooth(logs, limits):
    steps = np.arange(0, 20000, 10)
    loss = 2.5 + 8.5 * (1 + steps / 30) ** -0.5
    loss += 0.0005 * np.random.default_rng(1).standard_normal(len(loss))
    log = replace(logs["pythia-70m-0"], steps=steps, loss=loss)
    found = methods.smoothness("m", log, limits, 2097152)
    assert found.outcome is Outcome.INDETERMINATE
    assert "smoothed or averaged" in str(found.headline)


def test_a_warm_start_is_a_lead_and_says_what_else(logs, limits):
    steps = np.arange(3000)
    noise = 0.03 * np.random.default_rng(2).standard_normal(3000)
    loss = np.round(2.1 + 1.4 * np.exp(-steps / 300) + noise, 5)
    log = replace(logs["pythia-70m-0"], steps=steps, loss=loss)
    found = methods.first_loss("m", log, 50304, limits)
    assert (found.outcome, found.kinds) == (Outcome.INDETERMINATE, ("warm start",))
    assert found.direction is Direction.TOWARD_REUSE
    assert found.relation == "contradicted"
    for word in ("resumed export", "cut off", "normalisation"):
        assert word in str(found.headline)
    unknown = methods.first_loss("m", log, None, limits)
    assert unknown.kinds == ("warm start",)


def test_gaps_resets_and_repeats_are_seen(logs, limits):
    log = logs["pythia-70m-0"]
    hole = np.r_[0:500, 560:1480]
    gap = methods.continuity("m", replace(log, steps=log.steps[hole], loss=log.loss[hole]), limits)
    assert gap.details["gaps"] == [[int(log.steps[499]), int(log.steps[560])]]
    twice = np.r_[0:800, 700:1480]
    back = replace(log, steps=log.steps[twice], loss=log.loss[twice])
    found = methods.continuity("m", back, limits)
    assert len(found.details["resets"]) == 1
    assert found.details["duplicates"] == 100
    assert methods.duplicates("m", back).outcome is Outcome.CONSISTENT  # re-exported, not copied


def test_gradient_norms_are_judged_by_what_holds_in_every_genuine_log(logs):
    log, rng = logs["pythia-70m-0"], np.random.default_rng(3)
    noise = log.loss - np.convolve(log.loss, np.ones(15) / 15, "same")
    moving = np.exp(np.clip(noise, -0.1, 0.1) * 5 + 0.05 * rng.standard_normal(len(log)))
    found = methods.gradient_norms("m", replace(log, grad_norm=moving))
    assert found.outcome is Outcome.CONSISTENT
    r, p = found.details["agreement"]
    assert r > 0.5
    assert p < 1e-3
    still = np.round(np.exp(0.05 * rng.standard_normal(len(log))), 4)
    assert methods.gradient_norms("m", replace(log, grad_norm=still)).outcome is Outcome.CONSISTENT
    copied = still.copy()
    copied[900:912] = still[300:312]
    found = methods.gradient_norms("m", replace(log, grad_norm=copied))
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "contradicted")
    assert found.pvalue < 1e-3
    negative = methods.gradient_norms("m", replace(log, grad_norm=-still))
    assert negative.relation == "contradicted"
    clipped = np.minimum(still, np.quantile(still, 0.2))
    for norms in (None, clipped):
        found = methods.gradient_norms("m", replace(log, grad_norm=norms))
        assert found.outcome is Outcome.NOT_APPLICABLE


def test_white_noise_of_the_right_size_is_caught_beside_a_sibling(logs, limits):
    """One log alone cannot tell it from batches; another on the same data order can."""
    name = "pythia-70m-0.window20000-22000"
    log, sibling = logs[name], logs["pythia-160m-0.window20000-22000"]
    loss, rng = log.loss.copy(), np.random.default_rng(5)
    inside = slice(900, 1000)
    genuine = methods.same_data_order("m", log, "sibling", sibling, limits)
    assert genuine.relation == "same_data_order"
    noise = float(np.std(loss[inside] - np.convolve(loss, np.ones(15) / 15, "same")[inside]))
    trend = np.linspace(loss[880:900].mean(), loss[1000:1020].mean(), 100)
    loss[inside] = np.round(trend + noise * rng.standard_normal(100), 5)
    forged = replace(log, loss=loss)
    assert methods.smoothness("m", forged, limits).outcome is Outcome.CONSISTENT
    found = methods.same_data_order("m", forged, "sibling", sibling, limits)
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "stretch_apart")
    assert log.steps[850] < found.details["stretch_apart"][0] < log.steps[1020]
    assert found.direction is Direction.NONE


def test_schedules_are_recognised(logs, limits):
    found = {n: methods.schedule(n, logs[n], limits).kinds for n in logs if "olmo" in n}
    assert set(found.values()) == {("cosine",)}


def test_tokens_of_pythia_are_its_claim(logs):
    name = "EleutherAI/pythia"
    found = methods.tokens(name, logs["pythia-70m-0"])
    assert found.outcome is Outcome.CONSISTENT
    assert found.statistic.value == pytest.approx(1.0)
    half = replace(logs["pythia-70m-0"], steps=logs["pythia-70m-0"].steps // 2)
    assert methods.tokens(name, half).outcome is Outcome.INDETERMINATE
    with pytest.raises(Unavailable, match=r"--training-log|column of tokens"):
        methods.tokens("nobody/knows", logs["pythia-70m-0"])


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        ("skt/A.X-K1", 0.30, 0.39),
        ("deepseek-ai/DeepSeek-V3", 0.33, 0.34),
        ("meta-llama/Llama-3.1-405B", 0.33, 0.34),
        ("meta-llama/Llama-3.1-70B", 0.25, 0.26),
        ("meta-llama/Llama-3.1-8B", 0.13, 0.14),
        ("NC-AI-consortium-VAETKI/VAETKI", 0.03, 0.08),
    ],
)
def test_published_compute_implies_this_utilisation(model, low, high, limits):
    found = methods.compute(model, limits)
    assert found.outcome is Outcome.CONSISTENT
    assert low <= found.statistic.low <= found.statistic.high <= high
    assert all(fact["status"] for fact in found.details["facts"].values())


@pytest.mark.parametrize(
    "model", ["upstage/Solar-Open-100B", "LGAI-EXAONE/K-EXAONE-236B-A23B",
              "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B", "nobody/knows"],
)  # fmt: skip
def test_unverified_or_missing_numbers_make_compute_unavailable(model, limits):
    with pytest.raises(Unavailable, match="no verified"):
        methods.compute(model, limits)


def test_every_compute_fact_has_source_and_status():
    for facts in compute_facts().values():
        for name, fact in facts.items():
            if name != "hours_cover_more":
                assert {"value", "status", "source"} <= set(fact)


def test_false_alarms_over_all_genuine_logs(logs, limits):
    """No genuine log is contradicted or called a warm start: what docs/methods says."""
    alarms = [
        f"{name}: {f.method}"
        for name, log in logs.items()
        for f in all_of(name, log, limits)
        if f.relation == "contradicted" or f.direction is Direction.TOWARD_REUSE or f.derived
    ]
    assert not alarms
    assert len(logs) == 20


def test_calibration_holds_the_population_and_reasons():
    data = json.loads(CALIBRATION.read_text("utf-8"))
    assert set(data["chosen"]) == set(data["thresholds"]) - {"first_loss_low"}
    highest = max(row[3] for row in data["pairs"] if row[3] < 0.5)
    assert highest < 0.2
    assert max(row[3] for row in data["pairs"]) < data["thresholds"]["copy"]
