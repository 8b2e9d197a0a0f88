"""Plausibility of a loss curve: first loss, power law, learning-rate schedule.

A log is a claim of its author (level E1): a careful forger passes every test here, and an
honest export may fail one. So a contradiction is stated with what else explains it, and only
a log that is another run's copy is called derived (`same_data_order`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import Direction, Finding, Outcome, Relation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.decision import (
    CONTRADICTED,
    HOLDS,
    INCOMPLETE,
    NOT_ASKED,
    Decision,
    about_log,
    number,
)
from pytest_scratchverify.methods.training_log.metric_names import is_other_metric
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog
    from pytest_scratchverify.stats.training_log.loss_curve import FirstLoss
    from pytest_scratchverify.stats.training_log.rate_schedule import RateSchedule

_GUESSED = 50_000  # vocabulary where the config does not say: ln moves by .7 for half or double


class Start(Enum):
    """How a log starts, by its first loss against that of a guess at random, ln(V)."""

    OTHER_METRIC = auto()
    TRUNCATED = auto()
    ABOVE_CHANCE = auto()
    RANDOM = auto()
    OTHER_UNIT = auto()
    UNDER_WAY = auto()
    WARM = auto()


STARTS: Mapping[Start, Decision] = {
    Start.OTHER_METRIC: Decision(Outcome.NOT_APPLICABLE, kind="other metric"),
    Start.TRUNCATED: Decision(Outcome.INDETERMINATE, Relation.INCOMPLETE, kind="truncated"),
    Start.ABOVE_CHANCE: Decision(Outcome.NOT_APPLICABLE, kind="several losses or another unit"),
    Start.RANDOM: Decision(Outcome.CONSISTENT, kind="random start"),
    Start.OTHER_UNIT: Decision(Outcome.NOT_APPLICABLE, kind="another unit or weights"),
    Start.UNDER_WAY: Decision(Outcome.INDETERMINATE, Relation.INCOMPLETE, kind="under way"),
    Start.WARM: Decision(
        Outcome.INDETERMINATE, Relation.CONTRADICTED, Direction.TOWARD_REUSE, "warm start"
    ),
}

START_HEADLINES: Mapping[Start, str] = {
    Start.OTHER_METRIC: "the losses are {column}: by its name no cross-entropy in nats per token,"
    " so that its first value, {first}, is not compared with ln(V), {chance}",
    Start.TRUNCATED: "the log begins at step {step} with loss {first}: how the training began it"
    " does not show. The export may be cut off, or the run have gone on from a checkpoint.",
    Start.ABOVE_CHANCE: "the first loss, {first} at step {step}, is {ratio} times a guess at"
    " random, {chance}: several losses in one (a sum over tokens, heads or micro-batches, auxiliary"
    " losses), another unit (1.44 for bits), or another vocabulary. It is not judged.",
    Start.RANDOM: "the first loss, {first} at step {step}, is that of a random start, {chance};"
    " whoever writes a log can write this too",
    Start.OTHER_UNIT: "the first loss, {first} at step {step}, is {ratio} of a random start,"
    " {chance}, and falls from there by {drop}, as trainings from a random start do in so many"
    " steps: another unit (bits or nats per byte or character, a divergence from a teacher)"
    " explains it, and so do weights that were there before. The log does not tell them apart.",
    Start.UNDER_WAY: "the first loss, {first} at step {step}, is far below a random start,"
    " {chance}, and does not fall at first: the log shows a run already under way. An export after"
    " a resume that counts steps anew looks like this; so does a warm start on the same data, or"
    " another normalisation of the loss.",
    Start.WARM: "the first loss, {first} at step {step}, is far below a random start, {chance},"
    " and falls from there: weights were there before the log, as in a warm start. A resumed"
    " export, a file cut off at its front with new steps, or another normalisation of the loss"
    " would look like this too.",
}


def first_loss(
    model: str, log: TrainingLog, vocabulary: int | None, thresholds: TrainingLogThresholds
) -> Finding:
    """The first loss of a randomly initialised network is that of a uniform guess, ln(V)."""
    from pytest_scratchverify.stats.training_log.loss_curve import first_loss as measure  # noqa: PLC0415

    found = measure(log.steps, log.loss, vocabulary or _GUESSED)
    slack = 0.0 if vocabulary else thresholds.unknown_vocabulary
    low = _lowest(found.step, thresholds)
    column = log.columns.get("loss", "")
    start = _start(found, low, slack, thresholds)
    if is_other_metric(column):
        start = Start.OTHER_METRIC
    headline = Text(
        START_HEADLINES[start],
        first=round(found.first, 3),
        step=found.step,
        chance=round(found.first - found.statistic, 3),
        ratio=round(found.ratio, 2),
        drop=f"{found.drop:.0%}",
        column=column,
    )
    hypothesis = Text("the first loss is that of a network that guesses at random")
    return STARTS[start].finding(
        about_log("first_loss", model, log, hypothesis),
        headline,
        statistic=number("first_loss_minus_ln_vocabulary", found.statistic, len(log)),
        effect=number("first_loss_over_ln_vocabulary", found.ratio),
        null=thresholds.null(),
        details={
            "vocabulary": vocabulary,
            "lowest_genuine": low,
            "drop": found.drop,
            "early_drop": found.early_drop,
            "start": STARTS[start].kind,
        },
    )


def _start(
    found: FirstLoss, low: float | None, slack: float, thresholds: TrainingLogThresholds
) -> Start:
    if low is None:
        return Start.TRUNCATED
    if found.statistic > thresholds.first_loss_high + slack:
        return Start.ABOVE_CHANCE
    if found.statistic >= low - slack:
        return Start.RANDOM
    if found.drop >= thresholds.unit_drop:
        return Start.OTHER_UNIT
    if found.early_drop < thresholds.under_way_drop:
        return Start.UNDER_WAY
    # by then a random start has lost `unit_drop`, in whatever unit; shorter logs do not tell
    long_enough = found.last_step - found.step >= thresholds.unit_steps
    return Start.WARM if long_enough else Start.OTHER_UNIT


def _lowest(step: int, thresholds: TrainingLogThresholds) -> float | None:
    """The lowest loss minus ln(V) a random start may show by `step`; None if any may."""
    return next((low for until, low in thresholds.first_loss_low if step <= until), None)


class Fall(Enum):
    """How the losses of a log fall: the first of these that holds."""

    TOO_FEW = auto()
    BY_ONE_LAW = auto()
    BY_STAGES = auto()
    OTHERWISE = auto()


FALLS: Mapping[Fall, Decision] = {
    Fall.TOO_FEW: NOT_ASKED,
    Fall.BY_ONE_LAW: HOLDS,
    Fall.BY_STAGES: Decision(Outcome.CONSISTENT, kind="stages"),
    Fall.OTHERWISE: INCOMPLETE,
}

FALL_HEADLINES: Mapping[Fall, str] = {
    Fall.TOO_FEW: "too few rows, or too short a stretch of the run, for a fit",
    Fall.BY_ONE_LAW: "the losses fall towards {a} with exponent {c}; the law explains {share}",
    Fall.BY_STAGES: "the losses fall by one law whose level changes at step {begins} (by"
    " {changes}): stages with other mixtures of data; law and levels explain {share}, and the"
    " losses go on to fall in the later stages as in the first",
    Fall.OTHERWISE: "the law of falling losses explains only {share}: a run under way, a fine-tune,"
    " a restart or a changed mixture of data looks like this.",
}


def power_law(
    model: str, log: TrainingLog, thresholds: TrainingLogThresholds, vocabulary: int | None = None
) -> Finding:
    """Losses fall by a power law of the steps, roughly, or by one in stages; never exactly."""
    from pytest_scratchverify.methods.training_log.log_figures import curve_figures  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.loss_curve import power_law as measure  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.staged_law import staged_law  # noqa: PLC0415

    fit = measure(log.steps, log.loss)
    figures = curve_figures(log, fit, vocabulary)
    hypothesis = Text("the losses fall by a power law, as those of trainings from the start do")
    tested = about_log("power_law", model, log, hypothesis)
    if fit is None:
        headline = Text(FALL_HEADLINES[Fall.TOO_FEW])
        return FALLS[Fall.TOO_FEW].finding(tested, headline, figures=figures)
    one_law = fit.statistic >= thresholds.power_law_explained
    stages = None if one_law else staged_law(log.steps, log.loss, thresholds.stages_explained)
    if stages is not None and stages.continued < thresholds.stages_continued:
        stages = None
    fall = Fall.BY_ONE_LAW if one_law else Fall.BY_STAGES if stages else Fall.OTHERWISE
    values: dict[str, Any] = {"share": f"{max(fit.statistic, 0):.1%}"}
    if fall is Fall.BY_ONE_LAW:
        values |= {"a": round(fit.a, 2), "c": round(fit.c, 3)}
    if stages is not None:
        values = {
            "share": f"{stages.statistic:.1%}",
            "begins": [*stages.begins],
            "changes": [round(change, 2) for change in stages.changes],
        }
    return FALLS[fall].finding(
        tested,
        Text(FALL_HEADLINES[fall], **values),
        statistic=number("explained", fit.statistic, fit.bins),
        effect=number("exponent", fit.c),
        null=thresholds.null(),
        figures=figures,
        details={
            "a": fit.a,
            "b": fit.b,
            "c": fit.c,
            "rms": fit.rms,
            "residual_lag_one": fit.lag_one,
            "misfit": fit.misfit,
            "stages": [*stages.begins] if stages else [],
            "stages_continued": stages.continued if stages else None,
        },
    )


class Schedule(Enum):
    """Whether a column of learning rates follows a formula, how it begins, and how often anew."""

    UNKNOWN = auto()
    RESTARTS = auto()
    STAGES = auto()
    WITH_WARM_UP = auto()
    WITHOUT_WARM_UP = auto()


SCHEDULES: Mapping[Schedule, Decision] = {
    Schedule.UNKNOWN: CONTRADICTED,
    Schedule.RESTARTS: HOLDS,
    Schedule.STAGES: NOT_ASKED,
    Schedule.WITH_WARM_UP: HOLDS,
    Schedule.WITHOUT_WARM_UP: HOLDS,
}

SCHEDULE_HEADLINES: Mapping[Schedule, str] = {
    Schedule.UNKNOWN: "the learning rate follows no known schedule ({jumps} rises after its peak):"
    " an unusual formula, a change by hand, or rows of several runs.",
    Schedule.RESTARTS: "{kind} schedule with warm restarts: {cycles} cycles, their lengths and"
    " peaks by one rule, the highest {peak}",
    Schedule.STAGES: "the learning rate rises anew {jumps} times, and each of its {cycles} parts"
    " follows a formula ({kind}), but no rule joins them: stages of a training, or rows of several"
    " runs. It is not judged.",
    Schedule.WITH_WARM_UP: "{kind} schedule, peak {peak}, warm-up of {warmup} steps",
    Schedule.WITHOUT_WARM_UP: "{kind} schedule, peak {peak}, and no warm-up in the log",
}


def schedule(model: str, log: TrainingLog, thresholds: TrainingLogThresholds) -> Finding:
    """The learning rate follows one schedule, from a warm-up to the end."""
    from pytest_scratchverify.stats.training_log.rate_schedule import rate_schedule  # noqa: PLC0415

    hypothesis = Text("the learning rate follows one schedule from a warm-up on")
    tested = about_log("schedule", model, log, hypothesis)
    found = rate_schedule(log.steps, log.lr) if log.lr is not None else None
    if found is None:
        return NOT_ASKED.finding(tested, Text("the log has no learning rates, or too few"))
    kind = _schedule(found, thresholds)
    values = {"kind": found.kind, "peak": found.peak, "warmup": found.warmup}
    if kind is Schedule.UNKNOWN:
        values = {"jumps": found.jumps}
    elif kind is Schedule.STAGES:
        values = {"kind": found.kind, "jumps": found.jumps, "cycles": found.cycles}
    elif kind is Schedule.RESTARTS:
        values = {"kind": found.kind, "peak": found.peak, "cycles": found.cycles}
    return SCHEDULES[kind].finding(
        tested,
        Text(SCHEDULE_HEADLINES[kind], **values),
        statistic=number("rms_error", found.statistic, len(log)),
        effect=number("peak", found.peak),
        null=thresholds.null(),
        kinds=(found.kind,),
        details={
            "warmup": found.warmup,
            "final": found.final,
            "jumps": found.jumps,
            "cycles": found.cycles,
            "starts_low": found.starts_low,
        },
    )


def _schedule(found: RateSchedule, thresholds: TrainingLogThresholds) -> Schedule:
    if found.statistic > thresholds.schedule_error:
        return Schedule.UNKNOWN
    if found.jumps:
        return Schedule.RESTARTS if found.regular else Schedule.STAGES
    return Schedule.WITH_WARM_UP if found.starts_low else Schedule.WITHOUT_WARM_UP
