"""Whole runs over the ready zoo: what a user sees, and that no verdict has changed unnoticed."""

from __future__ import annotations

import json
import shutil

import pytest

from tools.running import run_suites
from tools.zoo.ready_models import READY
from tools.zoo.verdicts import PAIRS, TARGET, record_of

RECORDED = json.loads(TARGET.read_text("utf-8"))
AT_ONCE = {("s0-cpt-long", "s0"), ("t0", "s0")}  # the others are slow


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Run all suites on a pair, once."""
    runs = {}

    def judge(model, reference):
        if (model, reference) not in runs:
            names = ("--model", str(READY / model), "--against", str(READY / reference))
            home = tmp_path_factory.mktemp("run")
            runs[model, reference] = run_suites(*names, "--offline", home=home)
        return runs[model, reference]

    return judge


@pytest.mark.parametrize(
    ("model", "reference", "code", "verdict"),
    [("s0-cpt-long", "s0", 1, "DERIVED"), ("t0", "s0", 0, "NO_EVIDENCE_OF_REUSE")],
)
def test_a_user_sees_the_verdict(model, reference, code, verdict, judged):
    ran = judged(model, reference)
    assert ran.code == code, ran.output
    decoder = ran.model(str(READY / model))["components"]["text_decoder"]
    assert decoder["verdict"] == verdict
    if code == 0:
        sentence = decoder["because"][0]["text"]
        assert str(READY / reference) in sentence
        assert "would have been found with probability" in sentence


def test_a_user_sees_that_a_copy_is_one(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(READY / "vl0", copy)
    ran = run_suites("--model", str(READY / "vl0"), "--against", str(copy), home=tmp_path)
    assert ran.code == 1, ran.output
    verdict = ran.model(str(READY / "vl0"))["components"]["text_decoder"]["verdict"]
    assert verdict == "REUSED_VERBATIM"


def close(found, recorded, relative):
    if found is None or recorded is None:
        return found is recorded
    return found == pytest.approx(recorded, rel=relative, abs=0)


def test_the_record_holds_every_pair():
    assert [tuple(pair.split(":")) for pair in RECORDED] == [*PAIRS]


@pytest.mark.parametrize(
    ("model", "reference"),
    [pair if pair in AT_ONCE else pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS],
)
def test_no_verdict_has_changed(model, reference, judged):
    """After a change that is meant to change verdicts: python -m tools.zoo.verdicts."""
    found = record_of(judged(model, reference).run)
    recorded = RECORDED[f"{model}:{reference}"]
    assert found["verdicts"] == recorded["verdicts"]
    assert found["policies"] == recorded["policies"]
    assert found["findings"].keys() == recorded["findings"].keys()
    for name, row in recorded["findings"].items():
        *words, statistic, effect, pvalue, replications = found["findings"][name]
        assert [*words, replications] == [*row[:4], row[7]], name
        # Another machine sums in another order, which a p-value of 1e-100 shows first.
        assert close(statistic, row[4], 1e-5), name
        assert close(effect, row[5], 1e-5), name
        assert close(pvalue, row[6], 1e-3), name
