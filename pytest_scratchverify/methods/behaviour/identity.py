"""Self-identification: how often a model claims to be another vendor's."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Direction, Finding, Null, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.paired_answers import CAVEAT, hypothesis
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.behaviour.usable import constant_answers_reason
from pytest_scratchverify.methods.findings import statistic

if TYPE_CHECKING:  # collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answers

HYPOTHESIS = Text("the model does not call itself another vendor's")


class SelfIdentification(StrEnum):
    """Whom a model says it is."""

    FOREIGN = "another vendor's, more often than models of their own do"
    UNKNOWN_VENDOR = "a vendor's, and its own is not in the table"
    OWN = "its own"


HEADLINES: Mapping[SelfIdentification, str] = {
    SelfIdentification.FOREIGN: "{n} of {total} answers claim another vendor: {vendors} (rate"
    " {low} to {high}). Answers of other models in the training data do this too. {caveat}",
    SelfIdentification.UNKNOWN_VENDOR: "{n} of {total} answers claim a vendor: {vendors}; who made"
    " this model is not in the table of vendors, so none can be called foreign.",
    SelfIdentification.OWN: "{n} of {total} answers claim another vendor: {vendors} (rate {low} to"
    " {high})",
}


def identity(
    answers: Answers, thresholds: BehaviourThresholds, own: tuple[str, ...] = ()
) -> Finding:
    """Test the rate of answers that claim a foreign vendor.

    `own` are repositories, beside the model's, whose vendors it may name.
    """
    from pytest_scratchverify.methods.behaviour import claims  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.binomial_rate import above, exact_rate  # noqa: PLC0415

    tested = hypothesis("identity", HYPOTHESIS, answers)
    if (reason := constant_answers_reason(answers, thresholds)) is not None:
        return tested.undecided(reason)
    mine = claims.own_vendors(answers.model, *own)
    claimed = claims.identity_claims(answers, shipped_probes(), mine)
    if claimed.n < thresholds.fewest_identity:
        return tested.undecided(
            Text("{n} answers say who the model is or are complete: too few.", n=claimed.n)
        )
    rate = exact_rate(claimed.foreign, claimed.n)
    pvalue = above(claimed.foreign, claimed.n, thresholds.identity_allowed)
    if pvalue < thresholds.alpha:
        found = SelfIdentification.FOREIGN
    else:
        found = SelfIdentification.OWN if mine else SelfIdentification.UNKNOWN_VENDOR
    names = {v.key: v.name for v in claims.vendors()}
    shown = ", ".join(f"{names[k]} ({n})" for k, n in claimed.by_vendor.items())
    foreign = found is SelfIdentification.FOREIGN
    return tested.finding(
        Outcome.CONSISTENT if found is SelfIdentification.OWN else Outcome.INDETERMINATE,
        Text(
            HEADLINES[found],
            n=claimed.foreign,
            total=claimed.n,
            low=f"{rate.low:.0%}",
            high=f"{rate.high:.0%}",
            vendors=shown or "-",
            **({"caveat": CAVEAT} if foreign else {}),
        ),
        direction=Direction.TOWARD_REUSE if foreign else Direction.NONE,
        statistic=statistic(
            "rate_of_foreign_claims", rate.value, rate.n, low=rate.low, high=rate.high
        ),
        effect=statistic("rate_of_own_claims", claimed.own / claimed.n),
        pvalue=pvalue,
        null=Null(
            kind="exact",
            description=Text(
                "Binomial: a model of its own claims a foreign vendor in one answer of twenty at"
                " most (chosen, not measured)"
            ),
        ),
        details={
            "by_vendor": {**claimed.by_vendor},
            "own_vendors": [*sorted(mine)],
            "examples": [[*example] for example in claimed.examples],
        },
    )
