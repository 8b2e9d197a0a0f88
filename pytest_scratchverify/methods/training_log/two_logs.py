"""Correlation of loss residuals between two logs: same data order, or a copied log.

Two runs that saw the same batches in the same order had the same luck; a copy has it to the
last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import (
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Power,
    Relation,
)
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.decision import (
    HOLDS,
    Decision,
    about_log,
    number,
)
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog
    from pytest_scratchverify.methods.training_log.residual_comparison import LogComparison

UNSTRETCHED = 0.005  # scales this near to 1 are shifts: half the distance of two scales
HYPOTHESIS = Text("the log is not another run's: its batch noise is its own")
_NULL = Null(
    kind="block",
    description=Text("Circular shifts of one log's residuals against the other's"),
)


_NULL_OF_SEARCH = Null(
    kind="block",
    description=Text(
        "A block of one log's residuals at every lag and scale of the other's; the tail times the"
        " number of trials"
    ),
)


class LogRelation(Enum):
    """How two logs relate: the first of these that holds."""

    CONTROL_FAILED = auto()
    COPIED_SEGMENT = auto()
    COPIED_RECORD = auto()
    SAME_ORDER_IN_A_STRETCH = auto()
    SAME_ORDER_BUT_A_STRETCH = auto()
    SAME_ORDER = auto()
    SAME_ORDER_SHIFTED = auto()
    SAME_ORDER_STRETCHED = auto()
    INCOMPARABLE = auto()
    OWN_ORDER = auto()


DECISIONS: Mapping[LogRelation, Decision] = {
    LogRelation.CONTROL_FAILED: Decision(Outcome.INDETERMINATE),
    LogRelation.COPIED_SEGMENT: Decision(
        Outcome.DERIVED, Relation.COPIED_SEGMENT, Direction.TOWARD_REUSE
    ),
    LogRelation.COPIED_RECORD: Decision(
        Outcome.DERIVED, Relation.COPIED_RECORD, Direction.TOWARD_REUSE
    ),
    LogRelation.SAME_ORDER_IN_A_STRETCH: Decision(Outcome.INDETERMINATE, Relation.SAME_DATA_ORDER),
    LogRelation.SAME_ORDER_BUT_A_STRETCH: Decision(Outcome.INDETERMINATE, Relation.STRETCH_APART),
    LogRelation.SAME_ORDER: Decision(Outcome.INDETERMINATE, Relation.SAME_DATA_ORDER),
    LogRelation.SAME_ORDER_SHIFTED: Decision(
        Outcome.INDETERMINATE, Relation.SAME_DATA_ORDER, kind="shifted in steps"
    ),
    LogRelation.SAME_ORDER_STRETCHED: Decision(
        Outcome.INDETERMINATE, Relation.SAME_DATA_ORDER, kind="stretched in time"
    ),
    LogRelation.INCOMPARABLE: Decision(Outcome.INDETERMINATE, Relation.INCOMPARABLE),
    LogRelation.OWN_ORDER: HOLDS,
}

HEADLINES: Mapping[LogRelation, str] = {
    LogRelation.CONTROL_FAILED: "a control of known truth failed",
    LogRelation.COPIED_SEGMENT: "{n} losses in a row, from step {step}, are digit for digit those"
    " of {reference}'s log: a copy, or two branches of one run (the same weights on the same"
    " batches)",
    LogRelation.COPIED_RECORD: "after detrending the log is {reference}'s: r {r} over {n} steps,"
    " more than two runs on the same batches reach",
    LogRelation.SAME_ORDER_IN_A_STRETCH: "from step {step} on, the log shakes like {reference}'s"
    " (r {r}): a stretch on the same batches, or one taken over and rescaled.",
    LogRelation.SAME_ORDER_BUT_A_STRETCH: "the log shakes like {reference}'s (r {r}), but not from"
    " step {first} to {last} (r {there}): other batches there, a restart, or a stretch that was"
    " written by hand.",
    LogRelation.SAME_ORDER: "the log shakes like {reference}'s: r {r} over {n} steps. The two saw"
    " the same batches in the same order, as models of one suite do; a copy with noise added looks"
    " like this too.",
    LogRelation.SAME_ORDER_SHIFTED: "{width} rows from step {step} shake like {reference}'s from"
    " step {there} (r {r}): the same batches in the same order under other steps, as after a"
    " restart that counts anew, or a copy that was shifted.",
    LogRelation.SAME_ORDER_STRETCHED: "{width} rows from step {step} shake like {reference}'s from"
    " step {there}, if {scale} rows of this log are taken for one of that (r {r}): the same batches"
    " in the same order with another batch size or logging interval, or a copy that was stretched"
    " in time.",
    LogRelation.INCOMPARABLE: "the logs have {n} steps in common: too few to compare",
    LogRelation.OWN_ORDER: "the log shakes on its own: r {r} with {reference}'s over {n} steps",
}


def same_data_order(  # noqa: PLR0913 - two logs with their names
    model: str,
    log: TrainingLog,
    reference: str,
    other: TrainingLog,
    thresholds: TrainingLogThresholds,
    *,
    declared: bool = False,
) -> Finding:
    """Loss residuals of a run of its own do not correlate with another run's.

    Equal residuals, or a stretch that is equal digit for digit, make it a copy (`derived`).
    Correlated residuals mean the same batches in the same order: one team's suite does that.
    """
    from pytest_scratchverify.methods.training_log.residual_comparison import (  # noqa: PLC0415
        compare_logs,
        control_comparisons,
        figures_of,
    )

    compared = compare_logs(log, other, thresholds)
    controls = control_comparisons(thresholds)
    relation = (
        log_relation(compared, thresholds)
        if all(control.passed for control in controls)
        else LogRelation.CONTROL_FAILED
    )
    decision = DECISIONS[relation]
    if declared and decision.outcome is Outcome.DERIVED:
        decision = replace(decision, outcome=Outcome.DECLARED)
    repeat, apart, best = compared.repeat, compared.apart, compared.best
    correlation = compared.correlation
    at_other_steps = (LogRelation.SAME_ORDER_SHIFTED, LogRelation.SAME_ORDER_STRETCHED)
    warped = compared.warped if relation in at_other_steps else None
    return decision.finding(
        about_log("same_order", model, log, HYPOTHESIS, reference=reference, level=Level.E2),
        Text(HEADLINES[relation], **_values(relation, compared, log, other, reference)),
        statistic=number("residual_correlation", compared.r, len(compared.losses)),
        effect=number("equal_in_a_row", repeat.length if repeat else 0),
        pvalue=compared.pvalue if warped is None else warped.pvalue,
        null=_NULL if warped is None else _NULL_OF_SEARCH,
        controls=controls,
        power=_power(compared, thresholds),
        figures=figures_of(compared, thresholds.order_span),
        details={
            "null_sd": correlation.null_sd if correlation else None,
            "stretch_apart": [
                int(compared.losses.steps[apart.start]),
                apart.statistic,
                apart.pvalue,
            ]
            if apart
            else None,
            "best_stretch": [best.start, best.statistic, best.pvalue] if best else None,
            "at_other_steps": _search_details(compared),
            "reference_file": other.name,
        },
    )


def _power(compared: LogComparison, thresholds: TrainingLogThresholds) -> Power | None:
    """What the comparison would have found: correlation at equal steps, copies at other steps."""
    if compared.correlation is None:
        return None
    description = Text(
        "The correlation found nine times in ten. Copies at other steps were not looked for."
    )
    if compared.warped is not None:
        description = Text(
            "The correlation found nine times in ten. Of copies shifted and stretched in time (2/3"
            " to 3/2), with {noise} of the batch noise added, {found} of {n} planted ones were"
            " found, in logs of {rows} rows.",
            **thresholds.planted,
        )
    return Power(
        minimum_detectable_effect=4.5 * compared.correlation.null_sd,
        power=0.9,
        description=description,
    )


def _search_details(compared: LogComparison) -> dict[str, Any] | None:
    """What was tried at other steps, and the best of it."""
    warped = compared.warped
    if warped is None:
        return None
    return {
        "r": warped.statistic,
        "p": warped.pvalue,
        "scale": warped.scale,
        "row": warped.first,
        "row_there": warped.there,
        "rows": warped.width,
        "trials": warped.trials,
        "null_sd": warped.null_sd,
    }


def log_relation(compared: LogComparison, thresholds: TrainingLogThresholds) -> LogRelation:
    """Decide how two logs relate, by what was measured between them."""
    from pytest_scratchverify.methods.training_log.residual_comparison import (  # noqa: PLC0415
        is_stretch,
        is_warped,
    )

    if compared.repeat_is_certain:
        return LogRelation.COPIED_SEGMENT
    if compared.copied:
        return LogRelation.COPIED_RECORD
    if is_stretch(compared.best, thresholds):
        return LogRelation.SAME_ORDER_IN_A_STRETCH
    if compared.same_order:
        apart = compared.parts_somewhere
        return LogRelation.SAME_ORDER_BUT_A_STRETCH if apart else LogRelation.SAME_ORDER
    if compared.warped is not None and is_warped(compared.warped, thresholds):
        stretched = abs(compared.warped.scale - 1) > UNSTRETCHED
        return LogRelation.SAME_ORDER_STRETCHED if stretched else LogRelation.SAME_ORDER_SHIFTED
    return LogRelation.OWN_ORDER if compared.correlation else LogRelation.INCOMPARABLE


def _values(
    relation: LogRelation,
    compared: LogComparison,
    log: TrainingLog,
    other: TrainingLog,
    reference: str,
) -> dict[str, Any]:
    """Return what the headline of a relation names."""
    steps, n = compared.losses.steps, len(compared.losses)
    values = {"reference": reference, "r": compared.r, "n": n}
    if relation is LogRelation.CONTROL_FAILED:
        return {}
    if relation is LogRelation.INCOMPARABLE:
        return {"n": n}
    if relation is LogRelation.COPIED_SEGMENT and compared.repeat is not None:
        step = int(log.steps[compared.repeat.first])
        return {"reference": reference, "n": compared.repeat.length, "step": step}
    if relation is LogRelation.SAME_ORDER_IN_A_STRETCH and compared.best is not None:
        best = compared.best
        return values | {"step": int(steps[best.start]), "r": best.statistic}
    warped = compared.warped
    shifted = (LogRelation.SAME_ORDER_SHIFTED, LogRelation.SAME_ORDER_STRETCHED)
    if relation in shifted and warped is not None:
        values = {
            "reference": reference,
            "r": round(warped.statistic, 3),
            "width": warped.width,
            "step": int(log.steps[warped.first]),
            "there": int(other.steps[min(warped.there, len(other) - 1)]),
        }
        stretched = relation is LogRelation.SAME_ORDER_STRETCHED
        return values | ({"scale": round(warped.scale, 3)} if stretched else {})
    if relation is LogRelation.SAME_ORDER_BUT_A_STRETCH and compared.apart is not None:
        apart = compared.apart
        return values | {
            "first": int(steps[apart.start]),
            "last": int(steps[min(apart.stop, n - 1)]),
            "there": round(apart.statistic, 2),
        }
    return values
