"""Quality gates of answers: what must hold before any of them are compared.

Every gate returns a sentence, the reason why nothing is concluded, or None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds

if TYPE_CHECKING:  # collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answer, Answers, Kind, Probe

FEWEST_UNRELATED = 3  # models: with fewer the null has no spread


@dataclass(frozen=True)
class ComparableAnswers:
    """The answers that may be compared, the tested model's first and its reference's second.

    `reason` says why nothing may be concluded from them; `dropped` names unrelated models whose
    answers are unusable or came through another interface.
    """

    answers: tuple[Answers, ...]
    dropped: list[str]
    reason: Text | None

    @property
    def models(self) -> list[str]:
        """Return the models' names, in the order of their answers."""
        return [answers.model for answers in self.answers]


def comparable_answers(
    paired: PairedAnswers, probes: tuple[Probe, ...], thresholds: BehaviourThresholds
) -> ComparableAnswers:
    """Apply the gates of a comparison in their order: the first that fails ends it.

    Both models' answers usable; one interface; not one recording; enough unrelated models.
    """
    both = (paired.mine, paired.theirs)
    reason = next(filter(None, (unusable_reason(a, probes, thresholds) for a in both)), None)
    if reason is None and interface(paired.mine) != interface(paired.theirs):
        reason = Text("the two models were asked through different interfaces")
    reason = reason or identical_recordings_reason(paired, probes)
    if reason is not None:
        return ComparableAnswers(both, [], reason)
    others, dropped = usable_others(paired, probes, thresholds)
    if len(others) < FEWEST_UNRELATED:
        reason = Text(
            "{n} unrelated models have answers beside {reference}'s ({dropped} not usable);"
            " likeness means nothing without three: give more with --answers NAME=FILE.",
            n=len(others),
            reference=paired.theirs.model,
            dropped=dropped or "-",
        )
    return ComparableAnswers((*both, *others), dropped, reason)


def probes_of(probes: Iterable[Probe], *kinds: Kind) -> tuple[Probe, ...]:
    """Return the probes of these kinds."""
    return tuple(probe for probe in probes if probe.kind in kinds)


NOT_ANSWERED: Mapping[str, Text] = {  # what `grading.shares` counts beside answers
    "not asked": Text("not asked"),
    "error": Text("no answer came"),
    "empty": Text("empty"),
    "cut": Text("cut off"),
}


def unusable_reason(
    answers: Answers, probes: Iterable[Probe], thresholds: BehaviourThresholds
) -> Text | None:
    """Return why a model's answers to `probes` are unusable, or None.

    Too few answered, or one fallback given to everything: neither is ever a similarity.
    """
    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415

    probes = tuple(probes)
    counts = grading.shares(answers, probes)
    good = counts.get("answered", 0)
    if not probes or good < thresholds.usable_share * len(probes):
        rest = [
            Text("{what}: {n}", what=NOT_ANSWERED[name], n=n)
            for name, n in sorted(counts.items())
            if name != "answered"
        ]
        return Text(
            "{model} answered {n} of {total} probes ({rest}): too few to conclude anything.",
            model=answers.model,
            n=good,
            total=len(probes),
            rest=rest or "-",
        )
    return constant_answers_reason(answers, thresholds)


def constant_answers_reason(answers: Answers, thresholds: BehaviourThresholds) -> Text | None:
    """Return why the answers are a constant and not the model's, or None.

    A fallback given to everything, or a server that died while it was asked.
    """
    if answers.notes:
        return answers.notes[0]
    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415

    kinds = {
        thresholds.fallback_share: (Kind.CONTINUATION, Kind.KNOWLEDGE, Kind.STYLE),
        thresholds.next_token_fallback: (Kind.NEXT_TOKEN,),
    }
    shares = (
        (grading.fallback(answers, probes_of(shipped_probes(), *some)), limit)
        for limit, some in kinds.items()
    )
    found = next((one for one, limit in shares if one is not None and one[1] >= limit), None)
    if found is None:
        return None
    return Text(
        "{model} gave one and the same answer to {share} of its probes ({answer}): a fallback,"
        " not its behaviour.",
        model=answers.model,
        share=f"{found[1]:.0%}",
        answer=repr(found[0][:40]),
    )


def identical_recordings_reason(paired: PairedAnswers, probes: Iterable[Probe]) -> Text | None:
    """Return why two sets of answers that are equal throughout are not compared, or None.

    A server that ignores the model's name, or one file given twice, would make any two models
    one; so would an untouched copy, which the weights show at once.
    """
    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415

    mine, theirs = paired.mine.by_probe, paired.theirs.by_probe
    both = [
        (_said(mine[p.id]), _said(theirs[p.id]))
        for p in probes
        if grading.is_usable(p.kind, mine.get(p.id)) and grading.is_usable(p.kind, theirs.get(p.id))
    ]
    if not both or any(one != two for one, two in both):
        return None
    return Text(
        "all {n} answers equal {reference}'s: one recording given twice, or a server that ignores"
        " the model's name; an untouched copy would look like this too, and its weights show it.",
        n=len(both),
        reference=paired.theirs.model,
    )


def _said(answer: Answer) -> object:
    """What came of a request: log probabilities where there are any, else the text."""
    return answer.text if answer.top is None else dict(answer.top)


def usable_others(
    paired: PairedAnswers, probes: Iterable[Probe], thresholds: BehaviourThresholds
) -> tuple[tuple[Answers, ...], list[str]]:
    """Return unrelated models' answers that are usable and came through the model's interface.

    With the names of the models whose answers did not.
    """
    kept, dropped = [], []
    api = interface(paired.mine)
    for other in paired.others:
        if interface(other) != api or unusable_reason(other, probes, thresholds) is not None:
            dropped.append(other.model)
        else:
            kept.append(other)
    return tuple(kept), dropped


def interface(answers: Answers) -> str | None:
    """Return the interface that answers came through: chat or completions."""
    return next((answer.api for answer in answers.by_probe.values()), None)
