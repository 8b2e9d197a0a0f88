"""Knowledge cutoff: the change point of right answers to dated questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Finding, Null, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers, hypothesis
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.behaviour.usable import constant_answers_reason, probes_of
from pytest_scratchverify.methods.findings import statistic

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answers
    from pytest_scratchverify.stats.behaviour.change_point import Step

HYPOTHESIS = Text("the model's knowledge of dated events ends at some month")
NO_DIFFERENCE = Text("the model's knowledge ends where the reference's does, or it cannot be told")
NULL = Text("Right answers put in any order over the months")


class CutoffDifference(StrEnum):
    """What two knowledge cutoffs are to each other."""

    APART = "intervals apart"
    TOGETHER = "intervals overlap"


HEADLINES: Mapping[CutoffDifference, str] = {
    CutoffDifference.APART: "knowledge ends after {mine}, {reference}'s after {theirs}: not the"
    " same cutoff, which continued pre-training explains as well as another origin",
    CutoffDifference.TOGETHER: "knowledge ends after {mine}, {reference}'s after {theirs}: no"
    " difference within their intervals; models of one season share a cutoff",
}


@dataclass(frozen=True)
class DatedAnswers:
    """Graded answers to dated questions, by quarter, and what of a step is in them.

    Either `step` or the `reason` why there is none to speak of.
    """

    n: int
    curve: list[Json]
    step: Step | None = None
    reason: Text | None = None


def cutoff(answers: Answers, thresholds: BehaviourThresholds) -> Finding:
    """Locate the month after which right answers fall, with an interval.

    A late cutoff says nothing of origin: continued pre-training moves it.
    """
    dated = _dated(answers, thresholds)
    tested = hypothesis("cutoff", HYPOTHESIS, answers)
    step = dated.step
    if step is None:
        return tested.undecided(dated.reason or Text("-"), details={"curve": dated.curve})
    month, low, high = (month_name(m) for m in (step.at, step.low, step.high))
    return tested.finding(
        Outcome.CONSISTENT,
        Text(
            "knowledge ends after {month} ({low} to {high}): {before} right before, {after}"
            " after, {n} questions; a cutoff says nothing of origin",
            month=month,
            low=low,
            high=high,
            before=f"{step.before:.0%}",
            after=f"{step.after:.0%}",
            n=dated.n,
        ),
        statistic=statistic("last_month_known", step.at, dated.n, low=step.low, high=step.high),
        effect=statistic("fall_of_right_answers", step.fall),
        pvalue=step.pvalue,
        null=Null(kind="permutation", description=NULL, draws=step.draws),
        details={"curve": dated.curve, "month": month, "interval": [low, high]},
    )


def cutoff_difference(paired: PairedAnswers, thresholds: BehaviourThresholds) -> Finding:
    """Compare the cutoffs of model and reference by the overlap of their intervals."""
    mine, theirs = paired.mine, paired.theirs
    tested = hypothesis("cutoff_difference", NO_DIFFERENCE, mine, theirs, reference=theirs.model)
    ours, others = (_dated(answers, thresholds) for answers in (mine, theirs))
    one, two = ours.step, others.step
    if one is None or two is None:
        return tested.undecided(ours.reason or others.reason or Text("-"))
    apart = one.low > two.high or two.low > one.high
    found = CutoffDifference.APART if apart else CutoffDifference.TOGETHER
    return tested.finding(
        Outcome.CONSISTENT,
        Text(
            HEADLINES[found],
            mine=month_name(one.at),
            theirs=month_name(two.at),
            reference=theirs.model,
        ),
        statistic=statistic(
            "months_later", one.at - two.at, low=one.low - two.high, high=one.high - two.low
        ),
        details={"intervals": [[one.low, one.high], [two.low, two.high]]},
    )


def _dated(answers: Answers, thresholds: BehaviourThresholds) -> DatedAnswers:
    """Grade the dated questions and look for one step of right answers."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.change_point import change_point  # noqa: PLC0415

    probes = probes_of(shipped_probes(), Kind.KNOWLEDGE)
    graded = [
        (month_number(probe.month or ""), right)
        for probe in probes
        if (answer := answers.by_probe.get(probe.id)) is not None
        and (right := grading.is_right(probe, answer)) is not None
    ]
    n, curve = len(graded), _by_quarter(graded)
    if (reason := constant_answers_reason(answers, thresholds)) is not None:
        return DatedAnswers(n, curve, reason=reason)
    if n < thresholds.usable_share * len(probes):
        too_few = Text(
            "{model} gave {n} gradable answers to {total} dated questions: too few to see where"
            " knowledge ends.",
            model=answers.model,
            n=n,
            total=len(probes),
        )
        return DatedAnswers(n, curve, reason=too_few)
    months, hits = np.array([m for m, _ in graded]), np.array([r for _, r in graded])
    step = change_point(months, hits)
    if step is None or step.pvalue > thresholds.cutoff_alpha or step.fall < thresholds.cutoff_fall:
        no_step = Text(
            "{model} answers {share} of dated questions rightly, without a clear step: it knows"
            " too little, or past the last question.",
            model=answers.model,
            share=f"{hits.mean():.0%}",
        )
        return DatedAnswers(n, curve, reason=no_step)
    return DatedAnswers(n, curve, step)


def _by_quarter(graded: list[tuple[int, bool]]) -> list[Json]:
    rows: dict[int, list[int]] = {}
    for month, right in graded:
        row = rows.setdefault(month // 3, [0, 0])
        row[0] += right
        row[1] += 1
    return [[f"{q // 4}-Q{q % 4 + 1}", *rows[q]] for q in sorted(rows)]


def month_number(month: str) -> int:
    """Return ``2024-03`` as a count of months."""
    year, number = month.split("-")
    return int(year) * 12 + int(number) - 1


def month_name(number: int) -> str:
    """Return a count of months as ``2024-03``."""
    return f"{number // 12}-{number % 12 + 1:02}"
