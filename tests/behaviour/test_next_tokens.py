"""Findings over a hundred recorded tokens of trained models: leads at most, and their controls."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from benchmarks.one_token import BASES, RECORDED, auc, equal_error, kind
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Level, Outcome
from pytest_scratchverify.methods import behaviour as methods
from pytest_scratchverify.methods.behaviour.asking import Answers, probe_set
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.asking.request import request_for
from pytest_scratchverify.methods.behaviour.next_tokens import beginning, next_token_agreement
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.verdict.fold import Plan, fold
from pytest_scratchverify.verdict.verdict import Verdict
from tests.behaviour.recorded import recorded as whole

PROBES = probe_set("next-token")
OPEN = Outcome.INDETERMINATE


@cache
def recorded(name):
    return read_answers(RECORDED / f"{name}.jsonl.gz", f"zoo/{name}")


def panel(model, reference, others=None, family=1):
    own = {model.split("-")[0], reference.split("-")[0]}
    names = [b for b in BASES if b not in own] if others is None else others
    return PairedAnswers(recorded(model), recorded(reference), tuple(map(recorded, names)), family)


def changed(given, change):
    """A copy with every answer changed by `change(answer)`."""
    rows = {key: change(one) for key, one in given.by_probe.items()}
    return Answers(given.model, rows, given.source)


@pytest.mark.parametrize("base", ["s2", "s3", "t1", "moe1"])
@pytest.mark.parametrize("change", ["int4", "lora"])
def test_a_quantised_copy_and_a_merged_adapter_are_leads(base, change, limits):
    found = next_token_agreement(panel(f"{base}-{change}", base), limits)
    assert found.outcome is OPEN, found.headline
    assert (found.direction, found.relation) == (Direction.TOWARD_REUSE, "shared_answers")
    assert (found.level, found.component) == (Level.E2, Component.BEHAVIOUR)
    assert found.pvalue < 1e-3
    assert {c.kind: c.passed for c in found.controls} == {"positive": True, "negative": True}
    assert "100 queries" in str(found.headline)
    assert "no finding on weights" in str(found.headline)
    assert found.details["known"] == "top"


@pytest.mark.parametrize(("one", "two"), [("t0", "t1"), ("t0-lora", "t1"), ("s2-lora", "s3"), ("t0-finetune", "s0"),
                                          ("moe0-int4", "s1-int4"), ("w0", "s2-cpt-short")])  # fmt: skip
@pytest.mark.parametrize("rivals", [True, False])
def test_strangers_are_no_lead(one, two, rivals, limits):
    given = panel(one, two)
    if not rivals:
        given = replace(given, mine=changed(given.mine, lambda a: replace(a, top=None)))
    found = next_token_agreement(given, limits)
    assert found.direction is Direction.NONE, found.headline
    assert found.details["known"] == ("top" if rivals else "token")


def test_a_token_is_compared_by_how_it_begins():
    """Strangers with one tokenizer were alike by their units: .30 beyond all others, p 1e-11."""
    assert [beginning(t) for t in (" river", "river", "\n    x", "    ", "", "\n")] == [
        " r", "r", "\nx", " ", "", "\n"
    ]  # fmt: skip


def test_it_answers_where_the_longer_continuations_were_not_asked(limits):
    found = methods.output_agreement(panel("s0-lora", "s0"), limits)
    assert found.method == "behaviour.output_agreement"
    assert found.details["queries"] == 100
    assert found.details["completion_tokens"] == 100
    both = panel("s0-lora", "s0")
    longer = {
        name: {**whole(name).by_probe, **recorded(name).by_probe} for name in ("s0-lora", "s0")
    }
    mine, theirs = (Answers(f"zoo/{name}", rows, "both") for name, rows in longer.items())
    others = tuple(map(whole, ("s1", "s2", "w0", "t0", "moe0")))
    found = methods.output_agreement(replace(both, mine=mine, theirs=theirs, others=others), limits)
    assert "queries" not in found.details


def test_a_declared_origin_and_the_size_of_the_family(limits):
    given = panel("s0-int4", "s0")
    found = next_token_agreement(given, limits, declared=True)
    assert found.outcome is Outcome.DECLARED
    among = next_token_agreement(panel("s0-int4", "s0", family=20), limits)
    assert among.pvalue == pytest.approx(20 * found.pvalue)


def test_too_few_unrelated_models_and_a_related_one(limits):
    few = next_token_agreement(panel("s0-int4", "s0", ["s1", "s2"]), limits)
    assert (few.outcome, few.level, few.pvalue) == (OPEN, Level.E0, None)
    kin = ["w0", "w0-lora", "s1", "s2", "s3", "s0"]
    void = next_token_agreement(panel("t0", "moe0", kin), limits)
    assert {c.kind: c.passed for c in void.controls}["negative"] is False
    assert void.direction is Direction.NONE


def test_prompts_at_which_everybody_says_the_same_carry_nothing(limits):
    """Sixty prompts made equal for all: as many are left out, and the lead is what it was."""
    said = {probe.id for probe in PROBES[:60]}

    def equal(given):
        rows = {
            key: replace(one, text="x", top={"x": -0.1, "y": -3.0}) if key in said else one
            for key, one in given.by_probe.items()
        }
        return Answers(given.model, rows, given.source)

    given = panel("s0-lora", "s0")
    made = PairedAnswers(equal(given.mine), equal(given.theirs), tuple(map(equal, given.others)))
    found = next_token_agreement(made, limits)
    assert found.details["prompts_that_tell_nothing"] >= 60
    assert found.statistic.n <= 40
    everything = PairedAnswers(*(changed(a, lambda one: replace(one, text="x", top=None))
                                 for a in (given.mine, given.theirs)), given.others)  # fmt: skip
    silent = next_token_agreement(everything, limits)
    assert (silent.outcome, silent.pvalue) == (OPEN, None)
    assert "one and the same answer" in str(silent.headline)


def test_white_space_is_a_token_and_silence_is_none(limits):
    given = panel("s0-int4", "s0")
    blank = changed(given.mine, lambda one: replace(one, text="\n") if one.text != "x" else one)
    assert next_token_agreement(replace(given, mine=blank), limits).level is not None
    empty = changed(given.mine, lambda one: replace(one, text="", top=None))
    found = next_token_agreement(replace(given, mine=empty), limits)
    assert (found.outcome, found.level, found.pvalue) == (OPEN, Level.E0, None)
    assert "empty: 100" in str(found.headline)


def test_one_recording_under_two_names_accuses_nobody(limits):
    given = panel("s0-int4", "s0")
    twice = Answers("zoo/other", given.theirs.by_probe, "again")
    found = next_token_agreement(replace(given, mine=twice), limits)
    assert (found.outcome, found.direction, found.level) == (OPEN, Direction.NONE, Level.E0)


def test_a_lead_makes_the_behaviour_suspected_and_no_other_component(limits):
    found = next_token_agreement(panel("s0-int4", "s0"), limits)
    verdicts = fold(Plan(model="zoo/s0-int4", intents=()), [found])
    suspected = {c for c, v in verdicts.items() if v.verdict is Verdict.SUSPECTED}
    assert suspected == {Component.BEHAVIOUR}


def test_every_recording_is_of_the_shipped_requests():
    keys = {request_for(probe, "completions").key for probe in PROBES}
    for name in BASES:
        found = recorded(name).by_probe.values()
        assert {one.key for one in found} == keys, name
        assert all(one.top for one in found)


def test_errors_by_hand():
    assert auc([3, 2], [1, 2]) == pytest.approx(7 / 8)
    assert equal_error([3, 4, 5], [0, 1, 2]) == 0
    assert equal_error([1, 4], [0, 3]) == pytest.approx(0.5)
    assert kind("s0-lora", "s0") == "lora"
    assert kind("s0-lora", "s0-int4") == "siblings"
    assert kind("s0", "s1-lora") == "unrelated"
