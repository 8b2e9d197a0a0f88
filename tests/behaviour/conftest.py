from __future__ import annotations

from functools import cache

import pytest

from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from tools.running import ROOT

RECORDED = ROOT / "tests" / "behaviour" / "answers"
STRANGERS = ("s0", "s1", "s2", "s3", "w0", "w1", "t0", "t1", "moe0", "moe1")
CALIBRATION = ROOT / "suites" / "calibration" / "behaviour.json"


@cache
def recorded(name):
    return read_answers(RECORDED / f"{name}.jsonl.gz", f"zoo/{name}")


def panel(model, reference, others=None, family=1):
    names = [s for s in STRANGERS if s not in (model, reference)] if others is None else others
    return PairedAnswers(recorded(model), recorded(reference), tuple(map(recorded, names)), family)


@pytest.fixture(scope="session")
def limits():
    return BehaviourThresholds.load(CALIBRATION)
