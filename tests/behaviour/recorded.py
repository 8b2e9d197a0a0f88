"""Answers that models of the zoo gave, recorded, and the frozen calibration."""

from __future__ import annotations

import json
from functools import cache

from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.thresholds import Limits, Panel
from tools.running import ROOT

RECORDED = ROOT / "tests" / "behaviour" / "answers"
STRANGERS = ("s0", "s1", "s2", "s3", "w0", "w1", "t0", "t1", "moe0", "moe1")
CALIBRATION = json.loads((ROOT / "suites" / "calibration" / "behaviour.json").read_text())


@cache
def recorded(name):
    return read_answers(RECORDED / f"{name}.jsonl.gz", f"zoo/{name}")


def panel(model, reference, others=None, family=1):
    names = [s for s in STRANGERS if s not in (model, reference)] if others is None else others
    return Panel(recorded(model), recorded(reference), tuple(map(recorded, names)), family)


@cache
def frozen_limits():
    return Limits.from_json(CALIBRATION)
