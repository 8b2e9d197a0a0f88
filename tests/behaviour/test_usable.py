"""The gates of a comparison, in their order: the first that fails is the reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import Answers
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.methods.behaviour.usable import (
    FEWEST_UNRELATED,
    comparable_answers,
    probes_of,
)
from tests.behaviour import making

PROBES = probes_of(shipped_probes(), Kind.CONTINUATION)


def model(name, text="{name} says {id}"):
    return making.answers(name, lambda p: text.format(name=name, id=p.id))


def by_another_interface(answers):
    return Answers(
        answers.model,
        {key: replace(a, api="completions") for key, a in answers.by_probe.items()},
        answers.source,
    )


MINE, THEIRS = model("a/mine"), model("b/theirs")
OTHERS = tuple(model(f"c/{k}") for k in range(FEWEST_UNRELATED))
CONSTANT = model("d/constant", "Sorry.")
DIED = replace(THEIRS, notes=(Text("the server failed"),))
CASES = {
    "nothing is wrong": ((MINE, THEIRS, OTHERS), None),
    "the model's answers are one": ((CONSTANT, DIED, OTHERS), "d/constant gave one and the same"),
    "the reference's server died": ((MINE, DIED, ()), "the server failed"),
    "two interfaces": ((MINE, by_another_interface(THEIRS), ()), "different interfaces"),
    "one recording": ((replace(THEIRS, model="e/again"), THEIRS, ()), "one recording given twice"),
    "too few others": ((MINE, THEIRS, OTHERS[:2]), "2 unrelated models"),
    "unusable others": ((MINE, THEIRS, (*OTHERS[:2], CONSTANT)), "(d/constant not usable)"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_gate_that_fails_is_the_reason(case, limits):
    given, said = CASES[case]
    found = comparable_answers(PairedAnswers(*given), PROBES, limits)
    assert found.reason is None if said is None else said in str(found.reason)
    assert found.models[:2] == [given[0].model, given[1].model]


def test_unusable_models_and_other_interfaces_are_dropped_by_name(limits):
    others = (*OTHERS, CONSTANT, by_another_interface(model("f/completions")))
    found = comparable_answers(PairedAnswers(MINE, THEIRS, others), PROBES, limits)
    assert found.reason is None
    assert found.dropped == ["d/constant", "f/completions"]
    assert found.models[2:] == [answers.model for answers in OTHERS]
