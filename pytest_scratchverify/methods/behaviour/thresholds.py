"""What the tests of behaviour have in common: limits, gates, the shape of a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.thresholds import Thresholds

if TYPE_CHECKING:  # collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answers, Kind, Probe

CAVEAT = Text(
    "A lead, no finding on weights: post-training changes answers, and shared data or a shared"
    " tokenizer make strangers alike."
)


@dataclass(frozen=True, kw_only=True)
class BehaviourThresholds(Thresholds):
    """Read from suites/calibration/behaviour.json, which tools/calibrate/behaviour.py writes.

    Shares are of probes (0 to 1). `least_excess_distance` is the smallest effect that counts, by
    the name of a test of distances.
    """

    method: ClassVar[str] = "behaviour"

    alpha: float
    usable_share: float
    fallback_share: float
    least_excess: float
    least_excess_distance: Mapping[str, float]
    power_share: float
    fewest_shared: int
    top_two_share: float
    fewest_identity: int
    identity_allowed: float
    cutoff_alpha: float
    cutoff_fall: float


@dataclass(frozen=True)
class Panel:
    """The answers of a pair, and those of models that have nothing to do with it.

    `family` is how many references the model is tested against: the chances of a false alarm.
    """

    mine: Answers
    theirs: Answers
    others: tuple[Answers, ...]
    family: int = 1


def finding(
    method: str,
    model: str,
    outcome: Outcome,
    headline: Text,
    hypothesis: Text,
    *answers: Answers,
    **parts: Any,
) -> Finding:
    """Return a finding on behaviour: circumstantial (E2) at most, one dependence group."""
    details = dict(parts.pop("details", {}))
    details["answers"] = {a.model: {"source": a.source, "digest": a.digest} for a in answers}
    return Finding(
        method=f"behaviour.{method}",
        component=Component.BEHAVIOUR,
        model=model,
        outcome=outcome,
        headline=headline,
        hypothesis=hypothesis,
        level=parts.pop("level", Level.E2),
        direction=parts.pop("direction", Direction.NONE),
        dependence_group="behaviour",
        details=details,
        **parts,
    )


def open_finding(
    method: str, model: str, why: Text, hypothesis: Text, *answers: Answers, **parts: Any
) -> Finding:
    """Return what a test says that could not be made: nothing is concluded, in no direction."""
    return finding(
        method, model, Outcome.INDETERMINATE, why, hypothesis, *answers, level=Level.E0, **parts
    )


def number(name: str, value: float | None, n: int | None = None, *bounds: float) -> Statistic:
    """Return a named number for a finding, with its interval where there is one."""
    low, high = bounds or (None, None)
    return Statistic(
        name=name, value=None if value is None else float(value), n=n, low=low, high=high
    )


def chosen(probes: Iterable[Probe], *kinds: Kind) -> tuple[Probe, ...]:
    """Return the probes of these kinds."""
    return tuple(probe for probe in probes if probe.kind in kinds)


def flaw(answers: Answers, probes: Iterable[Probe], limits: BehaviourThresholds) -> Text | None:
    """Return why nothing may be concluded from a model's answers to `probes`, or None.

    Too few answered, or one fallback given to everything: neither is ever a likeness.
    """
    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415

    probes = tuple(probes)
    counts = grading.shares(answers, probes)
    good = counts.get("answered", 0)
    if not probes or good < limits.usable_share * len(probes):
        rest = ", ".join(f"{name}: {n}" for name, n in sorted(counts.items()) if name != "answered")
        return Text(
            "{model} answered {n} of {total} probes ({rest}): too few to conclude anything.",
            model=answers.model,
            n=good,
            total=len(probes),
            rest=rest or "-",
        )
    return same_to_all(answers, limits)


def same_to_all(answers: Answers, limits: BehaviourThresholds) -> Text | None:
    """Return why nothing may be made of a model's answers: a fallback, or a server that died."""
    if answers.notes:
        return answers.notes[0]
    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415

    asked = chosen(shipped_probes(), Kind.CONTINUATION, Kind.KNOWLEDGE, Kind.STYLE)
    found = grading.fallback(answers, asked)
    if found is None or found[1] < limits.fallback_share:
        return None
    return Text(
        "{model} gave one and the same answer to {share} of its probes ({answer}): a fallback,"
        " not its behaviour.",
        model=answers.model,
        share=f"{found[1]:.0%}",
        answer=repr(found[0][:40]),
    )


def same_recording(panel: Panel, probes: Iterable[Probe]) -> Text | None:
    """Return why two sets of answers that are equal throughout are not compared, or None.

    A server that ignores the model's name, or one file given twice, would make any two models
    one; so would an untouched copy, which the weights show at once.
    """
    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415

    mine, theirs = panel.mine.by_probe, panel.theirs.by_probe
    both = [
        (mine[p.id].text, theirs[p.id].text)
        for p in probes
        if grading.is_usable(p.kind, mine.get(p.id)) and grading.is_usable(p.kind, theirs.get(p.id))
    ]
    if not both or any(one != two for one, two in both):
        return None
    return Text(
        "all {n} answers equal {reference}'s: one recording given twice, or a server that ignores"
        " the model's name; an untouched copy would look like this too, and its weights show it.",
        n=len(both),
        reference=panel.theirs.model,
    )


def comparable(
    panel: Panel, probes: Iterable[Probe], limits: BehaviourThresholds
) -> tuple[Panel, list[str]]:
    """Drop controls whose answers are flawed or came through another interface; name them."""
    kept, dropped = [], []
    api = interface(panel.mine)
    for other in panel.others:
        if interface(other) != api or flaw(other, probes, limits) is not None:
            dropped.append(other.model)
        else:
            kept.append(other)
    return Panel(panel.mine, panel.theirs, tuple(kept), panel.family), dropped


def interface(answers: Answers) -> str | None:
    """Return the interface that answers came through: chat or completions."""
    return next((answer.api for answer in answers.by_probe.values()), None)
