"""Answer quality: response rate, tokens and cost of a model's answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Finding, Level, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.paired_answers import hypothesis
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.behaviour.usable import constant_answers_reason, interface
from pytest_scratchverify.methods.findings import statistic

if TYPE_CHECKING:  # collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answers

HYPOTHESIS = Text("the model answers, and not the same to everything")


class Answered(StrEnum):
    """What became of the probes that a model was asked."""

    TOO_FEW = "too few"
    ENOUGH = "enough"
    ENOUGH_AT_A_PRICE = "enough, at a given price"


HEADLINES: Mapping[Answered, str] = {
    Answered.TOO_FEW: "{n} of {total} probes were answered ({tokens} tokens): too few.",
    Answered.ENOUGH: "{n} of {total} probes were answered: {tokens} tokens",
    Answered.ENOUGH_AT_A_PRICE: "{n} of {total} probes were answered: {tokens} tokens, {cost} by"
    " the given price",
}


def quality(
    answers: Answers, thresholds: BehaviourThresholds, price: tuple[float, float] | None = None
) -> Finding:
    """Count empty, cut and failed answers, tokens, and cost by a `price` per million tokens."""
    from pytest_scratchverify.methods.behaviour.asking import shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.grading import shares  # noqa: PLC0415

    asked = [p for p in shipped_probes() if p.id in answers.by_probe]
    counts = shares(answers, asked)
    came = counts.get("answered", 0) + counts.get("cut", 0)
    got = answers.by_probe.values()
    prompt = sum(a.prompt_tokens or 0 for a in got)
    completion = sum(a.completion_tokens or 0 for a in got)
    cost = None if price is None else (prompt * price[0] + completion * price[1]) / 1e6
    values: dict[str, object] = {"n": came, "total": len(asked), "tokens": prompt + completion}
    if not asked or came < thresholds.usable_share * len(asked):
        found = Answered.TOO_FEW
    elif cost is None:
        found = Answered.ENOUGH
    else:
        found = Answered.ENOUGH_AT_A_PRICE
        values["cost"] = f"{cost:.4f}"
    constant = constant_answers_reason(answers, thresholds)
    usable = constant is None and found is not Answered.TOO_FEW
    return hypothesis("answers", HYPOTHESIS, answers).finding(
        Outcome.CONSISTENT if usable else Outcome.INDETERMINATE,
        constant or Text(HEADLINES[found], **values),
        level=Level.E2 if usable else Level.E0,
        statistic=statistic("share_answered", came / len(asked) if asked else None, len(asked)),
        details={
            "counts": {**counts},
            "not_asked": _wanted(answers) - len(asked),
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "cost": cost,
            "interface": interface(answers),
            "lines_of_other_requests": answers.foreign,
            "lines_not_read": answers.broken,
            "parameters_rejected": [*sorted({d for a in got for d in a.dropped})],
            "versions": [*sorted({f"{p.kind.value} {p.version}" for p in asked})],
        },
    )


def _wanted(answers: Answers) -> int:
    """Count the probes of the sets of which the model was asked any; of all, if it was not."""
    from pytest_scratchverify.methods.behaviour.asking.probes import SETS, probe_set  # noqa: PLC0415

    sets = [probe_set(name) for name in SETS]
    begun = [some for some in sets if any(probe.id in answers.by_probe for probe in some)]
    return sum(map(len, begun or sets[:1]))
