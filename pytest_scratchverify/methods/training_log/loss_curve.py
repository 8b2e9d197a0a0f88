"""Whether a training log can be what it claims to be. It never clears and never convicts.

A log is a claim of its author (level E1): a careful forger passes every test here, and an
honest export may fail one. So a contradiction is stated with what else explains it, and only
a log that is another run's copy is called derived (`same_order`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Direction, Finding, Null, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.thresholds import ALPHA, Limits, finding, number

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog

_OK, _OPEN = Outcome.CONSISTENT, Outcome.INDETERMINATE
_GUESSED = 50_000  # vocabulary where the config does not say: ln moves by .7 for half or double


def first_loss(model: str, log: TrainingLog, vocabulary: int | None, limits: Limits) -> Finding:
    """A network that knows nothing starts at the loss of a guess among all tokens, ln(V)."""
    from pytest_scratchverify.stats.training_log.loss_curve import first_loss as measure  # noqa: PLC0415

    found = measure(log.steps, log.loss, vocabulary or _GUESSED)
    slack = 0.0 if vocabulary else limits["unknown_vocabulary"]
    low = _lowest(found.step, limits)
    words = {"first": round(found.first, 3), "step": found.step,
             "chance": round(found.first - found.statistic, 3)}  # fmt: skip
    direction, relation, outcome, kind = Direction.NONE, None, _OPEN, "unclear"
    if low is None:
        kind, relation = "truncated", "incomplete"
        said = Text("the log begins at step {step} with loss {first}: how the training began"
                    " it does not show. The export may be cut off, or the run have gone on"
                    " from a checkpoint.", **words)  # fmt: skip
    elif found.statistic > limits["first_loss_high"] + slack:
        said = Text("the first loss, {first} at step {step}, is above a guess at random, {chance}:"
                    " another normalisation (a sum, bits, several losses), another vocabulary,"
                    " or a large initialisation.", **words)  # fmt: skip
    elif found.statistic >= low - slack:
        kind, outcome = "random start", _OK
        said = Text("the first loss, {first} at step {step}, is that of a random start, {chance};"
                    " whoever writes a log can write this too", **words)  # fmt: skip
    elif found.early_drop < limits["under_way_drop"]:
        kind, relation = "under way", "incomplete"
        said = Text("the first loss, {first} at step {step}, is far below a random start, {chance},"
                    " and does not fall at first: the log shows a run already under way. An export"
                    " after a resume that counts steps anew looks like this; so does a warm start"
                    " on the same data, or another normalisation of the loss.",
                    **words)  # fmt: skip
    else:
        kind, direction = "warm start", Direction.TOWARD_REUSE
        relation = "contradicted"
        said = Text("the first loss, {first} at step {step}, is far below a random start, {chance},"
                    " and falls from there: weights were there before the log, as in a warm start."
                    " A resumed export, a file cut off at its front with new steps, or another"
                    " normalisation of the loss would look like this too.", **words)  # fmt: skip
    return finding(
        "first_loss", model, log, outcome, said,
        Text("the first loss is that of a network that guesses at random"),
        statistic=number("first_loss_minus_ln_vocabulary", found.statistic, len(log)),
        effect=number("first_loss_over_ln_vocabulary", found.ratio), null=limits.null(),
        direction=direction, relation=relation, kinds=(kind,),
        details={"vocabulary": vocabulary, "lowest_genuine": low, "drop": found.drop,
                 "early_drop": found.early_drop, "start": kind},
    )  # fmt: skip


def _lowest(step: int, limits: Limits) -> float | None:
    """The lowest loss minus ln(V) a random start may show by `step`; None if any may."""
    return next((low for until, low in limits["first_loss_low"] if step <= until), None)


def continuity(model: str, log: TrainingLog, limits: Limits) -> Finding:
    """A whole log begins at the start and counts on without holes, resets or repeats."""
    from pytest_scratchverify.stats.training_log.loss_curve import continuity as measure  # noqa: PLC0415

    found = measure(log.steps)
    faults = [name for name, there in (
        ("a late start", not found.begins_at_start), ("gaps", found.gaps),
        ("steps that go back", found.resets), ("repeated steps", found.duplicates),
    ) if there]  # fmt: skip
    words = {"first": found.first, "last": int(log.steps.max()), "n": len(log)}
    if log.counted:
        outcome, said = _OPEN, Text("the log has no steps, so gaps cannot be seen")
    elif faults:
        outcome = _OPEN
        said = Text("the log is no whole run from step 0: {faults} (steps {first} to {last},"
                    " largest gap {gap}). A resume, a cut export or a merge of files explains it"
                    " as well as something left out.", faults=faults, gap=found.largest_gap,
                    **words)  # fmt: skip
    else:
        outcome = _OK
        said = Text("{n} rows from step {first} to {last}, without gap or reset", **words)
    return finding(
        "continuity", model, log, outcome, said,
        Text("the log begins at the start and counts on without holes"),
        statistic=number("faults", len(found.gaps) + len(found.resets) + found.duplicates,
                         len(log)), null=limits.null(),
        relation="incomplete" if outcome is _OPEN else None,
        details={"interval": found.interval, "gaps": [list(g) for g in found.gaps],
                 "resets": [list(r) for r in found.resets], "duplicates": found.duplicates,
                 "begins_at_start": found.begins_at_start},
    )  # fmt: skip


def duplicates(model: str, log: TrainingLog) -> Finding:
    """No stretch of losses occurs twice: batches have no memory."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.training_log.repeated_stretch import repeated_stretch  # noqa: PLC0415

    steps, loss = log.steps, log.loss
    if not np.all(steps[1:] > steps[:-1]):  # rows written again after a resume are no copies
        rising = np.concatenate([[True], steps[1:] > np.maximum.accumulate(steps)[:-1]])
        steps, loss = steps[rising], loss[rising]
    found = repeated_stretch(loss, k=4)
    suspicious = found is not None and found.pvalue < ALPHA
    if found is not None and suspicious:
        said = Text("{n} losses in a row, from step {a}, occur again digit for digit from step {b}:"
                    " a copied segment, or an export that joined overlapping files.",
                    n=found.length, a=int(steps[found.first]),
                    b=int(steps[found.second]))  # fmt: skip
    else:
        said = Text("no stretch of losses occurs twice beyond chance")
    return finding(
        "duplicates", model, log, _OPEN if suspicious else _OK, said,
        Text("no stretch of losses was copied within the log"),
        statistic=number("longest_repeat", found.length if found else 0, len(loss)),
        pvalue=found.pvalue if found else 1.0,
        null=Null(kind="exact", description=Text(
            "Union bound over all pairs of places, with the chance that two values are equal"
            " taken from neighbours")),
    )  # fmt: skip


def smoothness(model: str, log: TrainingLog, limits: Limits, batch: float | None = None) -> Finding:
    """Real losses shake with their batches, evenly, and now and then spike."""
    from pytest_scratchverify.methods.training_log.figure_data import noise_data  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.loss_curve import spikes  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.trend_residuals import (  # noqa: PLC0415
        noise_change,
        noise_level,
    )

    noise = noise_level(log.loss[len(log) // 4 :])
    change = noise_change(log.loss[50:]) if len(log) > 200 else None
    size = batch or limits["largest_batch"]
    expected = limits["noise_times_root_batch"] / size**0.5
    smooth = noise is not None and noise < limits["smooth_share"] * expected
    edited = change is not None and change.pvalue < ALPHA
    outcome = _OPEN if smooth or edited else _OK
    if log.evaluation or noise is None:
        outcome = Outcome.NOT_APPLICABLE
        said = Text("held-out losses, or too few: their noise is not that of batches")
    elif smooth:
        said = Text("the losses shake by {noise} from row to row, where real batches give"
                    " {expected} or more: smoothed or averaged before export, or computed.",
                    noise=noise, expected=expected)  # fmt: skip
    elif edited and change is not None:
        said = Text("from step {a} to {b} the losses shake {ratio} times as much as around:"
                    " another batch size or logging interval, files joined, or a segment written"
                    " by hand.", a=int(log.steps[50 + change.start]),
                    b=int(log.steps[50 + change.stop]), ratio=round(change.ratio, 3))  # fmt: skip
    else:
        said = Text("the losses shake by {noise}, evenly, as real batches make them", noise=noise)
    found = spikes(log.loss)
    drawn = {} if log.evaluation else noise_data(log, change, judged=edited)
    return finding(
        "smoothness", model, log, outcome, said,
        Text("the losses have the noise of real batches throughout"),
        statistic=number("noise", noise, len(log)),
        effect=number("noise_ratio_of_stretch", change.ratio if change else None),
        pvalue=change.pvalue if change and outcome is not Outcome.NOT_APPLICABLE else None,
        null=Null(kind="block", description=Text(
            "The noise of a stretch against the eight around it, spread taken from all stretches")),
        details={"expected": expected, "batch_tokens": batch,
                 "figures": {"noise_by_block": drawn} if drawn else {},
                 "spikes": [
            {"step": int(log.steps[s.at]), "height": round(s.height, 2),
             "recovered_after_rows": s.recovered_after} for s in found]},
    )  # fmt: skip


def power_law(
    model: str, log: TrainingLog, limits: Limits, vocabulary: int | None = None
) -> Finding:
    """Losses fall by a power law of the steps, roughly; real ones never exactly."""
    from pytest_scratchverify.methods.training_log.figure_data import curve_data  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.loss_curve import power_law as measure  # noqa: PLC0415

    fit = measure(log.steps, log.loss)
    figures = {"training_curve": curve_data(log, fit, vocabulary)} if len(log) > 1 else {}
    hypothesis = Text("the losses fall by a power law, as those of trainings from the start do")
    if fit is None:
        return finding("power_law", model, log, Outcome.NOT_APPLICABLE,
                       Text("too few rows, or too short a stretch of the run, for a fit"),
                       hypothesis, details={"figures": figures})  # fmt: skip
    falls = fit.statistic >= limits["power_law_explained"]
    words = {"a": round(fit.a, 2), "c": round(fit.c, 3), "share": f"{max(fit.statistic, 0):.1%}"}
    if falls:
        said = Text("the losses fall towards {a} with exponent {c}; the law explains {share}",
                    **words)  # fmt: skip
    else:
        said = Text("the law of falling losses explains only {share}: a run under way, a fine-tune,"
                    " a restart or a changed mixture of data looks like this.",
                    **words)  # fmt: skip
    return finding(
        "power_law", model, log, _OK if falls else _OPEN, said, hypothesis,
        statistic=number("explained", fit.statistic, fit.bins),
        effect=number("exponent", fit.c), null=limits.null(),
        relation=None if falls else "incomplete",
        details={"a": fit.a, "b": fit.b, "c": fit.c, "rms": fit.rms,
                 "residual_lag_one": fit.lag_one, "misfit": fit.misfit, "figures": figures},
    )  # fmt: skip


def schedule(model: str, log: TrainingLog, limits: Limits) -> Finding:
    """The learning rate follows one formula from a warm-up to the end."""
    from pytest_scratchverify.stats.training_log.rate_schedule import rate_schedule  # noqa: PLC0415

    hypothesis = Text("the learning rate follows one schedule from a warm-up on")
    found = rate_schedule(log.steps, log.lr) if log.lr is not None else None
    if found is None:
        return finding("schedule", model, log, Outcome.NOT_APPLICABLE,
                       Text("the log has no learning rates, or too few"), hypothesis)  # fmt: skip
    whole = found.statistic <= limits["schedule_error"] and not found.jumps
    words = {"kind": found.kind, "peak": found.peak, "warmup": found.warmup}
    if whole and found.starts_low:
        said = Text("{kind} schedule, peak {peak}, warm-up of {warmup} steps", **words)
    elif whole:
        said = Text("{kind} schedule, peak {peak}, and no warm-up in the log", **words)
    else:
        said = Text("the learning rate follows no known schedule ({jumps} rises after its peak):"
                    " restarts, several stages, or rows of several runs.",
                    jumps=found.jumps)  # fmt: skip
    return finding(
        "schedule", model, log, _OK if whole else _OPEN, said, hypothesis,
        statistic=number("rms_error", found.statistic, len(log)),
        effect=number("peak", found.peak), null=limits.null(), kinds=(found.kind,),
        details={"warmup": found.warmup, "final": found.final, "jumps": found.jumps,
                 "starts_low": found.starts_low},
    )  # fmt: skip
