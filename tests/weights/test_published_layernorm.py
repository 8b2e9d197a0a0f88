"""The acceptance tests that the published figures support (docs/adr/0007, norm gains)."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from pytest_scratchverify.catalog.layernorm import GLM, SOLAR, published_series, series_of
from pytest_scratchverify.core.evidence import Control
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights import published_norm_gains
from pytest_scratchverify.methods.weights.published_norm_gains import published_norms
from pytest_scratchverify.stats.weights.norm_gains import series_mean
from pytest_scratchverify.verdict.holm import holm
from tools.running import ROOT

CALIBRATION = json.loads((ROOT / "suites" / "calibration" / "weights.json").read_text())

NORMS = ("input_layernorm", "post_attention_layernorm")
PHI, CHILD = "Phi-3.5-MoE", "INTELLECT-3"


@pytest.mark.parametrize("norm", NORMS)
def test_1_the_raw_cosine_is_what_two_moments_predict_on_every_layer(norm):
    raw = series_of((SOLAR, GLM), norm, "cosine").by_layer()
    predicted = series_of((SOLAR, GLM), norm, "moment_null_cosine").by_layer()
    assert len(predicted) == 46
    assert max(raw[layer] - predicted[layer] for layer in predicted) < 0.012


def test_1_no_layer_is_significant_after_holm_over_92_tensors():
    values = [v for n in NORMS for v in series_of((SOLAR, GLM), n, "pearson").by_layer().values()]
    assert len(values) == 92
    pvalues = [0.5 * math.erfc(v * math.sqrt(4095 / 2)) for v in values]
    assert min(holm(pvalues)) > 0.05


def test_2_the_true_child_is_decisive_although_most_values_changed():
    child = series_of((GLM, CHILD), "input_layernorm", "pearson").values
    assert min(child.values()) >= 0.995
    assert series_of((GLM, CHILD), "input_layernorm", "changed_ratio").values["0"] == 0.96


def merged(pair, metric):
    """Layer by layer over all sources; they publish one layer each."""
    found = {}
    for series in published_series():
        same = (series.pair, series.tensor, series.metric) == (pair, "input_layernorm", metric)
        if same and not series.suspect:
            for layer, value in series.by_layer().items():
                found.setdefault(layer, value)
    return found


def test_3_solar_and_glm_never_outrank_glm_and_phi():
    for metric in ("cosine", "centered_cosine"):
        ours, control = merged((SOLAR, GLM), metric), merged((GLM, PHI), metric)
        shared = sorted(ours.keys() & control.keys())
        assert {10, 20, 30} <= set(shared)
        if metric == "cosine":
            assert all(ours[layer] < control[layer] for layer in shared)
    # Centred, the pairs differ by noise alone: layer 30 is .036 and -.001. Over all layers:
    diagonal = [series_of(p, "input_layernorm", "pearson").values for p in ((SOLAR, GLM),)]
    assert np.mean(list(diagonal[0].values())) < 0.017  # what GLM and Phi publish


def test_4_layer_zero_is_no_baseline_for_a_model_against_itself():
    within = {}
    for series in published_series():
        if (series.pair, series.tensor, series.metric) == (
            (SOLAR, SOLAR),
            "input_layernorm",
            "cosine",
        ):
            within |= series.values
    with_zero = [v for k, v in within.items() if k.startswith("0x")]
    others = [v for k, v in within.items() if not k.startswith("0x")]
    assert max(with_zero) < 0.5 < min(others)


def test_6_the_naive_mean_over_layers_is_five_sigma_and_must_not_fire():
    values = list(series_of((SOLAR, GLM), "input_layernorm", "pearson").by_layer().values())
    found = series_mean(values, width=4096)
    assert found.naive == pytest.approx(5.5, abs=0.1)
    assert found.autocorrelation == pytest.approx(0.78, abs=0.01)
    assert found.statistic < 2
    assert found.pvalue > 0.01


def test_8_less_alike_than_the_null_is_never_significant():
    assert series_mean([-0.05] * 40, width=4096).pvalue > 0.5


def test_9_suspect_tables_contradict_the_raw_data_and_are_never_expected():
    suspects = [s for s in published_series() if s.suspect]
    assert sum(len(s.values) for s in suspects) > 0
    for suspect in suspects:
        if suspect.metric != "cosine" or suspect.pair != (SOLAR, GLM):
            continue
        raw = series_of((SOLAR, GLM), suspect.tensor, "cosine").by_layer()
        apart = [abs(v - raw[k]) for k, v in suspect.by_layer().items() if k in raw]
        assert not apart or max(apart) > 0.01
    assert not series_of((SOLAR, GLM), "input_layernorm", "cosine").suspect


@pytest.mark.parametrize(
    ("model", "reference", "outcome"),
    [
        ("upstage/Solar-Open-100B", "zai-org/GLM-4.5-Air", "consistent"),
        ("PrimeIntellect/INTELLECT-3", "zai-org/GLM-4.5-Air", "derived"),
        ("microsoft/Phi-3.5-MoE-instruct", "PrimeIntellect/INTELLECT-3", "consistent"),
        ("org/unknown", "zai-org/GLM-4.5-Air", "not-applicable"),
    ],
)
def test_the_suite_reads_published_pairs_as_their_truth_is(model, reference, outcome):
    pair = Pair(ModelSpec(name=model), ModelSpec(name=reference))
    finding = published_norms(pair, CALIBRATION)
    assert finding.outcome.value == outcome
    assert finding.level.value == "E2"  # no verdict on a decoder rests on its gains
    if outcome == "derived":
        assert {control.kind for control in finding.controls} == {"positive", "negative"}
        assert finding.pvalue <= 1e-3
        declared = published_norms(pair, CALIBRATION, declared=True)
        assert declared.outcome.value == "declared"


def test_gains_without_their_controls_are_a_lead_at_most(monkeypatch):
    pair = Pair(ModelSpec(name="PrimeIntellect/INTELLECT-3"), ModelSpec(name="zai-org/GLM-4.5-Air"))
    silent = Control(kind="positive", pair=("a", "b"), passed=None)
    monkeypatch.setattr(published_norm_gains, "known_gains", lambda _numbers: (silent, silent))
    assert published_norms(pair, CALIBRATION).outcome.value == "indeterminate"
