"""2,200 pairs of strangers made of trained weights: uniform p-values and no accusation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.judge import judge
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from tools.running import ROOT
from tools.zoo.null_pairs import STRANGERS, null_pairs

NUMBERS = WeightsThresholds.load(ROOT / "suites" / "calibration" / "weights.json")
COUNT = 440
assert COUNT * len(STRANGERS) >= 2000


@pytest.mark.parametrize(
    "component",
    [
        # Experts take half of the time of all.
        pytest.param(c, marks=pytest.mark.slow if c is Component.ROUTER_EXPERTS else ())
        for c in STRANGERS
    ],
    ids=str,
)
def test_pvalues_are_uniform_and_nobody_is_accused(component):
    rng = np.random.default_rng(1)
    found = list(null_pairs(component, COUNT, seed=list(Component).index(component)))
    judged = [judge(Compared(measured=m), None, NUMBERS) for m in found]
    assert [j for j in judged if j.relation is not None] == []
    channels = [m.channels.pvalue for m in found]
    assert stats.kstest(channels, "uniform").pvalue > 1e-3
    neurons = [rng.uniform(*m.neurons.randomised_pvalue_bounds) for m in found if m.neurons]
    if neurons:
        assert stats.kstest(neurons, "uniform").pvalue > 1e-3
    agreed = [m.agreement.pvalue for m in found if m.agreement]
    assert not agreed or np.mean(np.array(agreed) < 0.05) < 0.08
