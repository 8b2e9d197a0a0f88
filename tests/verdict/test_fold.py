"""The fold's laws and rules: what may accuse, what may clear, what must block."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Control, Coverage, Finding, Level, Outcome, Statistic
from pytest_scratchverify.methods.registry import SHIPPED_METHODS, calibrated_areas
from pytest_scratchverify.verdict.fold import Plan, fold
from pytest_scratchverify.verdict.policy import judge, shipped_policies
from pytest_scratchverify.verdict.verdict import Result, Verdict
from tests.verdict.findings import CONTROLS, MODEL, finding, intent_of

DECODER = Component.TEXT_DECODER
CALIBRATED = calibrated_areas(SHIPPED_METHODS)


def verdict_of(*found: Finding, plan: tuple[Finding, ...] | None = None, complete: bool = True):
    intents = tuple(intent_of(f) for f in (found if plan is None else plan))
    return fold(
        Plan(
            model=MODEL,
            intents=intents,
            components=(DECODER,),
            complete=complete,
            calibrated=CALIBRATED,
        ),
        found,
    )[DECODER]


def equal(share: float, **changes):
    """Equal numbers in a share of the component."""
    effect = Statistic(name="identical_share", value=share)
    given = {"level": Level.E4, "relation": "verbatim", "effect": effect, "controls": ()}
    return finding(Outcome.DERIVED, **{**given, **changes})


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(1.0, Verdict.REUSED_VERBATIM), (0.5, Verdict.REUSED_VERBATIM), (0.49, Verdict.DERIVED),
     (0.14, Verdict.DERIVED)],
)  # fmt: skip
def test_verbatim_is_what_most_of_a_component_is(share, verdict):
    assert verdict_of(equal(share)).verdict is verdict


def test_a_smaller_share_beside_it_takes_nothing_from_a_whole_copy():
    whole, part = equal(0.9, pvalue=1e-60), equal(0.1, method="weights.other", pvalue=None)
    assert verdict_of(whole, part).verdict is Verdict.REUSED_VERBATIM
    assert verdict_of(part, whole).verdict is Verdict.REUSED_VERBATIM


def test_nothing_measured_is_insufficient_evidence():
    verdict = verdict_of()
    assert verdict.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "no weight of this component was compared" in str(verdict.missing[0])


def test_a_powered_negative_with_controls_clears_and_names_the_reference():
    verdict = verdict_of(finding(Outcome.CONSISTENT))
    assert verdict.verdict is Verdict.NO_EVIDENCE_OF_REUSE
    assert "org/reference" in str(verdict.because[0])


@pytest.mark.parametrize(
    "weakness",
    [
        {"power": None},
        {"controls": ()},
        {"controls": CONTROLS[:1]},
        {"controls": (CONTROLS[0], dataclasses.replace(CONTROLS[1], passed=None))},
        {"controls": (dataclasses.replace(CONTROLS[0], passed=False), CONTROLS[1])},
        {"coverage": None},
        {"coverage": Coverage(parameters=3.7e-6)},  # norm gains alone, ADR 7, point 10
        {"level": Level.E2},
    ],
)
def test_a_negative_without_power_controls_or_coverage_never_clears(weakness):
    verdict = verdict_of(finding(Outcome.CONSISTENT, **weakness))
    assert verdict.verdict is Verdict.INSUFFICIENT_EVIDENCE


def test_a_complete_accusation_is_derived():
    verdict = verdict_of(finding(Outcome.DERIVED))
    assert verdict.verdict is Verdict.DERIVED
    assert verdict.reference == "org/reference"
    assert verdict.p_adjusted == pytest.approx(1e-9)


@pytest.mark.parametrize(
    "weakness",
    [
        {"pvalue": None},
        {"pvalue": 0.02},
        {"effect": None},
        {"controls": ()},
        {"controls": (CONTROLS[0],)},
        {"controls": (dataclasses.replace(CONTROLS[0], passed=False), CONTROLS[1])},
        {"controls": (*CONTROLS, Control(kind="negative", pair=("x", "y"), passed=None))},
        {"replications": 1},
        {"level": Level.E2},
    ],
)
def test_an_incomplete_accusation_is_a_lead_and_no_more(weakness):
    verdict = verdict_of(finding(Outcome.DERIVED, **weakness))
    assert verdict.verdict is Verdict.SUSPECTED


def test_two_kinds_of_evidence_replace_a_replication():
    first = finding(Outcome.DERIVED, replications=1, dependence_group="matching")
    second = finding(
        Outcome.DERIVED, method="weights.aligned", replications=1, dependence_group="aligned"
    )
    assert verdict_of(first, second).verdict is Verdict.DERIVED


def test_two_findings_of_one_dependence_group_count_once():
    first = finding(Outcome.DERIVED, replications=1, dependence_group="shape")
    second = finding(
        Outcome.DERIVED, method="weights.other", replications=1, dependence_group="shape"
    )
    assert verdict_of(first, second).verdict is Verdict.SUSPECTED


def test_a_verbatim_file_outvotes_any_number_of_negatives():
    copy = finding(
        Outcome.DERIVED,
        method="weights.shard_digests",
        level=Level.E4,
        relation="verbatim",
        pvalue=None,
        controls=(),
        replications=1,
    )
    negatives = [finding(Outcome.CONSISTENT, method=f"weights.m{i}") for i in range(20)]
    assert verdict_of(copy, *negatives).verdict is Verdict.REUSED_VERBATIM


def test_twins_from_one_seed_are_shared_ancestry():
    twins = finding(Outcome.DERIVED, relation="shared_initialisation")
    assert verdict_of(twins).verdict is Verdict.SHARED_ANCESTRY


def test_a_lead_does_not_hide_a_declaration():
    declared = finding(Outcome.DECLARED, method="disclosure.component", level=Level.E1)
    lead = finding(Outcome.DERIVED, reference="org/another", controls=())
    assert verdict_of(declared, lead).verdict is Verdict.DECLARED_REUSE


def test_declared_reuse_is_declared_unless_something_undeclared_is_found():
    declared = finding(Outcome.DECLARED, method="disclosure.component", level=Level.E1)
    assert verdict_of(declared).verdict is Verdict.DECLARED_REUSE
    other = finding(Outcome.DERIVED, reference="org/another")
    assert verdict_of(declared, other).verdict is Verdict.DERIVED


def test_sources_that_disagree_are_conflicting():
    disputed = finding(Outcome.INDETERMINATE, relation="conflicting", level=Level.E1)
    assert verdict_of(disputed).verdict is Verdict.CONFLICTING


def test_holm_counts_every_hypothesis_of_the_model():
    accusation = finding(Outcome.DERIVED, pvalue=5e-5)
    assert verdict_of(accusation).verdict is Verdict.DERIVED
    others = [finding(Outcome.CONSISTENT, method=f"weights.m{i}") for i in range(40)]
    assert verdict_of(accusation, *others).verdict is Verdict.SUSPECTED


@pytest.mark.parametrize(
    "outcome", [Outcome.INDETERMINATE, Outcome.UNAVAILABLE, Outcome.HARNESS_ERROR, Outcome.MISSING]
)
def test_one_open_question_blocks_a_clean_verdict(outcome):
    question = finding(outcome, method="weights.other", level=Level.E0)
    assert (
        verdict_of(finding(Outcome.CONSISTENT), question).verdict is Verdict.INSUFFICIENT_EVIDENCE
    )


def test_a_partial_run_never_clears():
    verdict = verdict_of(finding(Outcome.CONSISTENT), complete=False)
    assert verdict.verdict is Verdict.INSUFFICIENT_EVIDENCE


def test_a_rerun_that_overcomes_a_network_fault_counts():
    first = finding(Outcome.UNAVAILABLE, level=Level.E0)
    assert verdict_of(first, finding(Outcome.CONSISTENT)).verdict is Verdict.NO_EVIDENCE_OF_REUSE


def test_planned_tests_of_a_calibrated_area_are_in_holms_family():
    """A third party's too, and whether they arrive or not."""
    accusation = finding(Outcome.DERIVED, pvalue=5e-5)
    absent = [
        intent_of(finding(Outcome.CONSISTENT, method=f"mylab.m{i}", component=Component.EMBEDDINGS))
        for i in range(40)
    ]
    plan = Plan(model=MODEL, intents=(intent_of(accusation), *absent), calibrated=CALIBRATED)
    alone = fold(plan, [accusation])[DECODER]
    registered = fold(dataclasses.replace(plan, calibrated=CALIBRATED | {"mylab"}), [accusation])[
        DECODER
    ]
    assert alone.p_adjusted == pytest.approx(5e-5)
    assert (alone.verdict, registered.verdict) == (Verdict.DERIVED, Verdict.SUSPECTED)


def test_a_word_that_is_no_relation_is_refused():
    with pytest.raises(ValueError, match="akin"):
        finding(Outcome.DERIVED, relation="akin")


# ---- laws -------------------------------------------------------------------------------------

RANK = [Result.FAIL, Result.UNDETERMINED, Result.PASS]
METHODS = st.sampled_from(["weights.match", "weights.aligned", "weights.norms", "disclosure.card"])
FINDINGS = st.builds(
    lambda outcome, method, reference, level, weak, relation: finding(
        outcome,
        method=method,
        reference=reference,
        level=level,
        relation=relation,
        **({"controls": ()} if weak else {}),
    ),
    outcome=st.sampled_from(list(Outcome)),
    method=METHODS,
    reference=st.sampled_from(["org/reference", "org/second"]),
    level=st.sampled_from(list(Level)),
    weak=st.booleans(),
    relation=st.sampled_from([None, None, None, "verbatim", "conflicting", "audited"]),
)
RUNS = st.lists(FINDINGS, max_size=6, unique_by=lambda f: f.id)


def outcome_of(plan, found, complete=True):
    intents = tuple(intent_of(f) for f in plan)
    components = fold(
        Plan(
            model=MODEL,
            intents=intents,
            components=(DECODER,),
            complete=complete,
            calibrated=CALIBRATED,
        ),
        found,
    )
    result = judge(shipped_policies()["strict"], components, partial=not complete)
    return components[DECODER].verdict, result.result


@given(RUNS, st.randoms())
def test_law_order_does_not_matter(found, random):
    shuffled = found[:]
    random.shuffle(shuffled)
    assert outcome_of(found, found) == outcome_of(found, shuffled)


@given(RUNS)
def test_law_repeats_do_not_matter(found):
    assert outcome_of(found, found) == outcome_of(found, found + found)


@given(RUNS, FINDINGS)
def test_law_an_accusation_never_improves_a_verdict(found, extra):
    accusation = dataclasses.replace(extra, outcome=Outcome.DERIVED, method="weights.extra")
    plan = [*found, accusation]
    before, result_before = outcome_of(plan, found)
    after, result_after = outcome_of(plan, plan)
    assert not after.is_clean
    assert RANK.index(result_after) <= RANK.index(result_before)
    if before.is_reuse:
        assert after.is_reuse


@given(RUNS, st.data())
def test_law_removing_a_finding_never_acquits(found, data):
    """What was planned and did not arrive blocks: a killed worker acquits nobody."""
    if not found:
        return
    lost = data.draw(st.sampled_from(found))
    rest = [f for f in found if f is not lost]
    before, result_before = outcome_of(found, found)
    after, result_after = outcome_of(found, rest)
    assert not after.is_clean
    assert result_after is not Result.PASS
    if lost.outcome is not Outcome.DERIVED and lost.outcome is not Outcome.DECLARED:
        assert RANK.index(result_after) <= RANK.index(result_before)
    if after.is_reuse:
        assert before.is_reuse
