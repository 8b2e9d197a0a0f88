"""Many references: leads and accusations adjusted, clearances that name what they hold for."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Level, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.registry import SHIPPED_METHODS, calibrated_areas
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.wording import reasons
from pytest_scratchverify.verdict.fold import Plan, fold
from pytest_scratchverify.verdict.policy import judge, shipped_policies
from pytest_scratchverify.verdict.verdict import Result, Verdict
from tests.verdict.findings import MODEL, finding, intent_of

DECODER = Component.TEXT_DECODER
REMEDY = Text("Set HF_TOKEN.")


def folded(*found, complete=True):
    plan = Plan(
        model=MODEL,
        intents=tuple(map(intent_of, found)),
        components=(DECODER,),
        complete=complete,
        calibrated=calibrated_areas(SHIPPED_METHODS),
    )
    return fold(plan, found)


def clean(count):
    return [finding(Outcome.CONSISTENT, reference=f"org/clean-{n}") for n in range(count)]


def lead(pvalue, **more):
    return finding(
        Outcome.INDETERMINATE,
        reference="org/lead",
        pvalue=pvalue,
        direction=Direction.TOWARD_REUSE,
        headline=Text("more alike than strangers"),
        **more,
    )


# ---- leads and accusations -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pvalue", "references", "suspected"),
    [
        (9e-5, 1, True),
        (9e-5, 10, True),
        (9e-5, 100, False),
        (9e-5, 1000, False),  # adjusted: .09
        (1e-7, 1000, True),
        (2e-3, 1, False),
    ],
)
def test_a_lead_has_to_outlive_the_adjustment(pvalue, references, suspected):
    verdict = folded(lead(pvalue), *clean(references))[DECODER]
    if suspected:
        assert verdict.verdict is Verdict.SUSPECTED
        assert verdict.reference == "org/lead"
        return
    # No suspicion, and no clearance against this one reference either.
    assert verdict.verdict is Verdict.NO_EVIDENCE_OF_REUSE
    assert [entry.reference for entry in verdict.not_compared] == ["org/lead"]
    assert "org/lead" not in verdict.cleared


def test_a_lead_that_is_lost_clears_nothing_by_itself():
    verdict = folded(lead(0.2))[DECODER]
    assert verdict.verdict is Verdict.INSUFFICIENT_EVIDENCE


def test_circumstance_without_a_pvalue_stays_a_lead_beside_any_number_of_references():
    verdict = folded(lead(None, level=Level.E2), *clean(1000))[DECODER]
    assert verdict.verdict is Verdict.SUSPECTED


@pytest.mark.parametrize("references", [1, 10, 100, 1000])
def test_many_references_lose_no_true_finding(references):
    """The largest p that the weights method calls derived is a millionth."""
    accusation = finding(Outcome.DERIVED, pvalue=9e-7, reference="org/parent")
    verdict = folded(accusation, *clean(references))[DECODER]
    assert verdict.verdict is Verdict.DERIVED
    assert verdict.reference == "org/parent"
    assert verdict.p_adjusted == pytest.approx(9e-7 * (references + 1))


def test_planned_tests_that_do_not_apply_take_nothing_from_a_finding():
    """A hundred references plan tests of towers that neither model has."""
    accusation = finding(Outcome.DERIVED, pvalue=9e-7, reference="org/parent")
    towers = [
        finding(Outcome.NOT_APPLICABLE, component=part, reference=f"org/clean-{n}", level=Level.E0)
        for part in (Component.VISION_ENCODER, Component.AUDIO_ENCODER, Component.PROJECTOR)
        for n in range(500)
    ]
    verdict = folded(accusation, *clean(500), *towers)[DECODER]
    assert verdict.p_adjusted == pytest.approx(9e-7 * 501)
    assert verdict.verdict is Verdict.DERIVED


def test_an_accusation_that_only_misses_the_adjustment_stays_a_lead_and_says_so():
    found = folded(finding(Outcome.DERIVED, pvalue=9e-6, reference="org/parent"), *clean(999))
    assert found[DECODER].verdict is Verdict.SUSPECTED
    assert "after the adjustment" in str(found[DECODER].because[1])
    assert strict(found).result is Result.UNDETERMINED


# ---- clearances ----------------------------------------------------------------------------------

OPEN = [
    finding(Outcome.UNAVAILABLE, reference="org/gated", level=Level.E0, remedy=REMEDY),
    finding(
        Outcome.INDETERMINATE,
        reference="org/other-shape",
        level=Level.E0,
        relation="not_comparable",
        headline=Text("no tensor of one shape in common"),
    ),
]


def strict(found):
    return judge(shipped_policies()["strict"], found, partial=False)


@pytest.mark.parametrize("count", [1, 10, 100, 1000])
@pytest.mark.parametrize("question", OPEN, ids=lambda f: f.reference)
def test_an_open_reference_does_not_withdraw_the_clearance_against_the_others(question, count):
    found = folded(*clean(count), question)
    verdict = found[DECODER]
    assert verdict.verdict is Verdict.NO_EVIDENCE_OF_REUSE
    assert set(verdict.cleared) == {f"org/clean-{n}" for n in range(count)}
    assert [entry.reference for entry in verdict.not_compared] == [question.reference]
    said = " ".join(map(str, verdict.because))
    assert "org/clean-0" in said
    assert f"does not hold for {question.reference}" in said
    # What was asked and not compared is not thereby different: no policy passes on it.
    policy = strict(found)
    assert policy.result is Result.UNDETERMINED
    assert question.reference in " ".join(map(str, policy.because))


def test_all_compared_passes():
    found = folded(*clean(100))
    assert found[DECODER].not_compared == ()
    assert strict(found).result is Result.PASS


def test_open_references_alone_clear_nothing():
    verdict = folded(*OPEN)[DECODER]
    assert verdict.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert "no weight of this component was compared" in str(verdict.missing[0])
    assert verdict.cleared == ()


def test_a_reference_compared_without_power_is_named_as_open():
    weak = finding(Outcome.CONSISTENT, reference="org/weak", power=None)
    verdict = folded(*clean(1), weak)[DECODER]
    assert verdict.cleared == ("org/clean-0",)
    assert [entry.reference for entry in verdict.not_compared] == ["org/weak"]


@pytest.mark.parametrize(
    "question",
    [
        finding(Outcome.INDETERMINATE, reference=None, method="weights.other", level=Level.E0),
        finding(Outcome.HARNESS_ERROR, reference="org/second", level=Level.E0),
        finding(Outcome.MISSING, reference="org/second", level=Level.E0),
    ],
    ids=["on the model", "our error", "lost"],
)
def test_what_belongs_to_no_reference_withholds_all(question):
    assert folded(*clean(3), question)[DECODER].verdict is Verdict.INSUFFICIENT_EVIDENCE


def test_a_planned_reference_that_never_reported_withholds_all():
    plan = Plan(
        model=MODEL,
        intents=tuple(map(intent_of, clean(3))),
        components=(DECODER,),
        calibrated=calibrated_areas(SHIPPED_METHODS),
    )
    assert fold(plan, clean(2))[DECODER].verdict is Verdict.INSUFFICIENT_EVIDENCE


def test_an_open_question_of_another_method_keeps_its_reference_open():
    """Cleared by one test and left open by another, a reference is open."""
    other = finding(
        Outcome.INDETERMINATE, reference="org/clean-0", method="weights.x", level=Level.E0
    )
    verdict = folded(*clean(2), other)[DECODER]
    assert verdict.cleared == ("org/clean-1",)
    assert [entry.reference for entry in verdict.not_compared] == ["org/clean-0"]


def test_sentences_stay_short_and_the_lists_are_whole():
    verdict = folded(*clean(100))[DECODER]
    assert "and 95 more" in str(verdict.because[0])
    assert len(verdict.cleared) == 100


def unreachable(count, outcome=Outcome.UNAVAILABLE):
    """References that are out of reach, each with a sentence of its own and of two kinds."""
    templates = ("Name a place where {repo} can be read.", "Ask {repo} for access.")
    return [
        finding(
            outcome,
            reference=f"org/gone-{n}",
            level=Level.E0,
            remedy=Text(templates[n % 2], repo=f"org/gone-{n}"),
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("cleared", [0, 3])
def test_a_thousand_references_out_of_reach_are_a_few_sentences(cleared):
    found = folded(*clean(cleared), *unreachable(1000))
    verdict = found[DECODER]
    assert len(reasons(verdict)) <= 13
    said = " ".join(map(str, reasons(verdict)))
    assert "org/gone-0" in said
    assert ("990 more" if cleared == 0 else "and 990 more") in said
    assert len(said) < 2000
    # The verdict itself, which is what the JSON holds, names all of them.
    kept = verdict.not_compared if cleared else verdict.missing
    assert len({str(item) for item in kept}) >= 1000
    for language in ("en", "ko"):
        assert all(translate(text, language) for text in reasons(verdict))
    assert len(" ".join(map(str, strict(found).because))) < 2000


def test_a_few_references_out_of_reach_are_named_one_by_one():
    said = " ".join(map(str, reasons(folded(*unreachable(5))[DECODER])))
    assert all(f"org/gone-{n}" in said for n in range(5))
    assert "more sentences" not in said
