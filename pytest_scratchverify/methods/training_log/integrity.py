"""Integrity of a log: missing or repeated rows, copied stretches, smoothed or edited losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import Finding, Null, Outcome, Relation
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
from pytest_scratchverify.methods.training_log.thresholds import ALPHA, TrainingLogThresholds

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog
    from pytest_scratchverify.stats.training_log.loss_curve import Continuity
    from pytest_scratchverify.stats.training_log.trend_residuals import NoiseChange

OTHER_METRIC_NOISE = 0.1  # of that in nats, at least: bits per byte have .33, divergences less
# Step columns of trainers whose losses are means since the last row: LLaMA-Factory, ms-swift
MEANS_SINCE_LAST = ("current_steps", "global_step/max_steps")
LOST_SHARE = 0.01  # of rows without a number, as skipped steps leave in whole runs too
LEAD_IN = 50  # rows in front that a change of noise is not looked for in
REPEAT_NULL = Null(
    kind="exact",
    description=Text(
        "Union bound over all pairs of places, with the chance that two values are equal"
        " taken from neighbours"
    ),
)


class Counting(Enum):
    """Whether a log counts on from the start to the end."""

    OVERFLOWN = auto()
    WITHOUT_STEPS = auto()
    BROKEN = auto()
    WHOLE = auto()


COUNTINGS: Mapping[Counting, Decision] = {
    Counting.OVERFLOWN: Decision(Outcome.INDETERMINATE, Relation.INCOMPLETE, kind="overflow"),
    Counting.WITHOUT_STEPS: INCOMPLETE,
    Counting.BROKEN: INCOMPLETE,
    Counting.WHOLE: HOLDS,
}

CONTINUITY_HEADLINES: Mapping[Counting, str] = {
    Counting.OVERFLOWN: "{n} rows of the log, {where}, have no number for a loss: {zeros} are"
    " exactly 0 and the rest NaN or infinite, {norms} beside a gradient norm that is no number"
    " either. An overflow leaves this; the run failed there, or went on from a checkpoint.",
    Counting.WITHOUT_STEPS: "the log has no steps, so gaps cannot be seen",
    Counting.BROKEN: "the log is no whole run from step 0: {faults} (steps {first} to {last},"
    " largest gap {gap}). A resume, a cut export or a merge of files explains it as well as"
    " something left out.",
    Counting.WHOLE: "{n} rows from step {first} to {last}, without gap or reset",
}


def continuity(model: str, log: TrainingLog, thresholds: TrainingLogThresholds) -> Finding:
    """A whole log begins at the start and counts on without holes, resets or repeats."""
    from pytest_scratchverify.stats.training_log.loss_curve import continuity as measure  # noqa: PLC0415

    found = measure(log.steps if log.every_step is None else log.every_step)
    faults = _faults(found)
    values: dict[str, Any] = {"first": found.first, "last": int(log.steps.max()), "n": len(log)}
    lost = log.lost
    if lost is not None and lost.n > LOST_SHARE * (len(log) + lost.n):
        counting = Counting.OVERFLOWN
        where = Text("from step {a} to {b}", a=lost.first, b=lost.last)
        where = Text("whose steps are not known") if log.counted else where
        values = {"n": lost.n, "where": where, "zeros": lost.zeros, "norms": lost.broken_norms}
    elif log.counted:
        counting, values = Counting.WITHOUT_STEPS, {}
    elif faults:
        counting = Counting.BROKEN
        values |= {"faults": faults, "gap": found.largest_gap}
    else:
        counting = Counting.WHOLE
    hypothesis = Text("the log begins at the start and counts on without holes")
    n_faults = len(found.gaps) + len(found.resets) + found.duplicates
    return COUNTINGS[counting].finding(
        about_log("continuity", model, log, hypothesis),
        Text(CONTINUITY_HEADLINES[counting], **values),
        statistic=number("faults", n_faults, len(log)),
        null=thresholds.null(),
        details={
            "interval": found.interval,
            "gaps": [list(gap) for gap in found.gaps],
            "resets": [list(reset) for reset in found.resets],
            "duplicates": found.duplicates,
            "begins_at_start": found.begins_at_start,
            "rows_without_a_number": lost.n if lost else 0,
        },
    )


def _faults(found: Continuity) -> list[str]:
    possible = {
        "a late start": not found.begins_at_start,
        "gaps": found.gaps,
        "steps that go back": found.resets,
        "repeated steps": found.duplicates,
    }
    return [name for name, there in possible.items() if there]


REPEAT_HEADLINES: Mapping[Outcome, str] = {
    Outcome.INDETERMINATE: "{n} losses in a row, from step {a}, occur again digit for digit from"
    " step {b}: a copied segment, or an export that joined overlapping files.",
    Outcome.CONSISTENT: "no stretch of losses occurs twice beyond chance",
}


def duplicates(model: str, log: TrainingLog) -> Finding:
    """No stretch of losses occurs twice: batches have no memory."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.training_log.repeated_stretch import repeated_stretch  # noqa: PLC0415

    steps, loss = log.steps, log.loss
    if not np.all(steps[1:] > steps[:-1]):  # rows written again after a resume are no copies
        rising = np.concatenate([[True], steps[1:] > np.maximum.accumulate(steps)[:-1]])
        steps, loss = steps[rising], loss[rising]
    found = repeated_stretch(loss, k=4)
    decision, values = HOLDS, {}
    if found is not None and found.pvalue < ALPHA:
        decision = CONTRADICTED
        a, b = int(steps[found.first]), int(steps[found.second])
        values = {"n": found.length, "a": a, "b": b}
    hypothesis = Text("no stretch of losses was copied within the log")
    return decision.finding(
        about_log("duplicates", model, log, hypothesis),
        Text(REPEAT_HEADLINES[decision.outcome], **values),
        statistic=number("longest_repeat", found.length if found else 0, len(loss)),
        pvalue=found.pvalue if found else 1.0,
        null=REPEAT_NULL,
    )


class Noise(Enum):
    """Whether the noise of the losses is that of batches."""

    NOT_OF_BATCHES = auto()
    AVERAGED = auto()
    TOO_SMOOTH = auto()
    UNEVEN = auto()
    EVEN = auto()


NOISES: Mapping[Noise, Decision] = {
    Noise.NOT_OF_BATCHES: NOT_ASKED,
    Noise.AVERAGED: Decision(Outcome.NOT_APPLICABLE, kind="averaged"),
    Noise.TOO_SMOOTH: CONTRADICTED,
    Noise.UNEVEN: CONTRADICTED,
    Noise.EVEN: HOLDS,
}

NOISE_HEADLINES: Mapping[Noise, str] = {
    Noise.NOT_OF_BATCHES: "held-out losses, or too few: their noise is not that of batches",
    Noise.AVERAGED: "each loss carries on the one before it (correlation {rho} of what is left"
    " without the trend): a running mean, a moving average or a smoothed chart, as trackers export."
    " The noise of single batches does not show in it and is not judged.",
    Noise.TOO_SMOOTH: "the losses shake by {noise} from row to row, where real batches give"
    " {expected} or more: smoothed or averaged before export, or computed.",
    Noise.UNEVEN: "from step {a} to {b} the losses shake {ratio} times as much as around: another"
    " batch size or logging interval, files joined, or a segment written by hand.",
    Noise.EVEN: "the losses shake by {noise}, evenly, as real batches make them",
}


def smoothness(
    model: str,
    log: TrainingLog,
    thresholds: TrainingLogThresholds,
    batch: float | None = None,
    vocabulary: int | None = None,
) -> Finding:
    """Losses carry the noise of their batches, evenly, and now and then spike.

    The noise that batches of `batch` tokens make is that of losses in nats; in another unit it is
    smaller by as much as the first loss is below ln(`vocabulary`). A trainer that prints the mean
    since the last row divides it by the root of the rows' distance.
    """
    from pytest_scratchverify.methods.training_log.log_figures import noise_figures  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.loss_curve import spikes  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.trend_residuals import (  # noqa: PLC0415
        averaging,
        noise_change,
        noise_level,
    )

    level = noise_level(log.loss[len(log) // 4 :])
    change = noise_change(log.loss[_lead(log) :]) if len(log) > 200 else None
    size = batch or thresholds.largest_batch
    expected = thresholds.noise_times_root_batch / size**0.5
    expected *= _of_the_unit(log, vocabulary) / _rows_apart(log) ** 0.5
    rho = averaging(log.loss[len(log) // 4 :])
    edited = change is not None and change.pvalue < ALPHA
    if log.evaluation or level is None:
        noise = Noise.NOT_OF_BATCHES
    elif rho is not None and rho >= thresholds.averaged:
        noise = Noise.AVERAGED
    elif level < thresholds.smooth_share * expected:
        noise = Noise.TOO_SMOOTH
    else:
        noise = Noise.UNEVEN if edited else Noise.EVEN
    drawn = edited and noise is not Noise.AVERAGED
    figures = () if log.evaluation else noise_figures(log, change, judged=drawn)
    judged = change is not None and noise not in (Noise.NOT_OF_BATCHES, Noise.AVERAGED)
    hypothesis = Text("the losses have the noise of real batches throughout")
    return NOISES[noise].finding(
        about_log("smoothness", model, log, hypothesis),
        Text(NOISE_HEADLINES[noise], **_noise_values(noise, log, level, expected, change, rho)),
        statistic=number("noise", level, len(log)),
        effect=number("noise_ratio_of_stretch", change.ratio if change else None),
        pvalue=change.pvalue if change is not None and judged else None,
        null=Null(
            kind="block",
            description=Text(
                "The noise of a stretch against the eight around it, spread taken from all"
                " stretches"
            ),
        ),
        figures=figures,
        details={
            "expected": expected,
            "batch_tokens": batch,
            "lag_one": rho,
            "spikes": [
                {
                    "step": int(log.steps[spike.at]),
                    "height": round(spike.height, 2),
                    "recovered_after_rows": spike.recovered_after,
                }
                for spike in spikes(log.loss)
            ],
        },
    )


def _lead(log: TrainingLog) -> int:
    """Rows in front in which noise still falls fast by itself: a tenth, as residuals leave out."""
    return max(LEAD_IN, len(log) // 10)


def _of_the_unit(log: TrainingLog, vocabulary: int | None) -> float:
    """How much smaller than in nats losses may be: in bits per byte, as a divergence."""
    if is_other_metric(log.columns.get("loss", "")):
        return OTHER_METRIC_NOISE
    if not vocabulary or log.steps[0] > 1:
        return 1.0
    return min(1.0, max(float(log.loss[0]), 0.0) / math.log(vocabulary))


def _rows_apart(log: TrainingLog) -> float:
    """Steps that each row is the mean of: those since the last one, where the trainer does so."""
    import numpy as np  # noqa: PLC0415

    means = log.format == "trainer_state" or log.columns.get("step") in MEANS_SINCE_LAST
    ahead = np.diff(log.steps[len(log) // 4 :][: 1 << 16])
    return float(np.median(ahead[ahead > 0])) if means and (ahead > 0).any() else 1.0


def _noise_values(  # noqa: PLR0913, PLR0917 - all that a headline may name
    noise: Noise,
    log: TrainingLog,
    level: float | None,
    expected: float,
    change: NoiseChange | None,
    rho: float | None,
) -> dict[str, Any]:
    """Return what the headline names."""
    if noise is Noise.AVERAGED and rho is not None:
        return {"rho": round(rho, 2)}
    if noise is Noise.TOO_SMOOTH:
        return {"noise": level, "expected": expected}
    if noise is Noise.EVEN:
        return {"noise": level}
    if noise is Noise.UNEVEN and change is not None:
        a, b = (int(log.steps[_lead(log) + at]) for at in (change.start, change.stop))
        return {"a": a, "b": b, "ratio": round(change.ratio, 3)}
    return {}
