"""Two logs compared: the same luck of batches, or the very same record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import (
    Control,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Power,
)
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.thresholds import ALPHA, Limits, finding, number

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog
    from pytest_scratchverify.stats.training_log.trend_residuals import ResidualCorrelation

ENOUGH = 80  # common steps below which nothing is compared
HYPOTHESIS = Text("the log is not another run's: its batch noise is its own")
_NULL = Null(
    kind="block",
    description=Text("Circular shifts of one log's residuals against the other's"),
)


def same_order(  # noqa: PLR0913, PLR0915 - two logs with their names; one table of cases
    model: str,
    log: TrainingLog,
    reference: str,
    other: TrainingLog,
    limits: Limits,
    *,
    declared: bool = False,
) -> Finding:
    """A log of its own has batch noise of its own.

    Equal residuals, or a stretch that is equal digit for digit, make it a copy (`derived`).
    Correlated residuals mean the same batches in the same order: one team's suite does that.
    """
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.methods.training_log.log_figures import residual_figures  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log import trend_residuals  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.repeated_stretch import repeated_stretch  # noqa: PLC0415

    common, mine, theirs = np.intersect1d(log.steps, other.steps, return_indices=True)
    a, b = log.loss[mine], other.loss[theirs]
    dense = slice(int(np.searchsorted(common, limits["order_from_step"])), None)
    if len(a[dense]) >= ENOUGH:
        a, b, common = a[dense], b[dense], common[dense]
    last = trend_residuals.LAST
    a, b, common = a[-last:], b[-last:], common[-last:]
    span = int(limits["order_span"])
    found = trend_residuals.residual_correlation(a, b, span) if len(a) >= ENOUGH else None
    copy = repeated_stretch(log.loss, other.loss, k=6)
    copied = copy is not None and copy.pvalue < ALPHA
    r = found.statistic if found else None
    equal = _reaches(found, "copy", limits)
    together = _reaches(found, "same_order", limits)
    stretch = trend_residuals.best_stretch(a, b) if found and not together else None
    apart = trend_residuals.stretch_apart(a, b) if together else None
    partly = stretch is not None and stretch[1] >= limits["stretch"]
    checks = controls(limits)
    sound = all(check.passed for check in checks)
    outcome, relation, direction = Outcome.CONSISTENT, None, Direction.NONE
    words: dict[str, Any] = {"reference": reference, "r": r, "n": len(a)}
    if not sound:
        outcome, said = Outcome.INDETERMINATE, Text("a control of known truth failed")
    elif copied and copy is not None:
        outcome = Outcome.DECLARED if declared else Outcome.DERIVED
        relation, direction = "copied_segment", Direction.TOWARD_REUSE
        said = Text("{n} losses in a row, from step {step}, are digit for digit those of"
                    " {reference}'s log: a copy, or two branches of one run (the same weights on"
                    " the same batches)", n=copy.length, step=int(log.steps[copy.first]),
                    reference=reference)  # fmt: skip
    elif equal:
        outcome = Outcome.DECLARED if declared else Outcome.DERIVED
        relation, direction = "copied_record", Direction.TOWARD_REUSE
        said = Text("after detrending the log is {reference}'s: r {r} over {n} steps, more than"
                    " two runs on the same batches reach", **words)  # fmt: skip
    elif together or partly:
        outcome, relation = Outcome.INDETERMINATE, "same_data_order"
        if partly and stretch is not None:
            words["r"] = stretch[1]
            said = Text("from step {step} on, the log shakes like {reference}'s (r {r}): a stretch"
                        " on the same batches, or one taken over and rescaled.",
                        step=int(common[stretch[0]]), **words)  # fmt: skip
        elif apart is not None and apart.pvalue < ALPHA:
            relation = "stretch_apart"
            said = Text("the log shakes like {reference}'s (r {r}), but not from step {first} to"
                        " {last} (r {there}): other batches there, a restart, or a stretch that was"
                        " written by hand.", first=int(common[apart.start]),
                        last=int(common[min(apart.stop, len(common) - 1)]),
                        there=round(apart.statistic, 2), **words)  # fmt: skip
        else:
            said = Text("the log shakes like {reference}'s: r {r} over {n} steps. The two saw the"
                        " same batches in the same order, as models of one suite do; a copy with"
                        " noise added looks like this too.", **words)  # fmt: skip
    elif found is None:
        outcome, relation = Outcome.INDETERMINATE, "incomparable"
        said = Text("the logs have {n} steps in common: too few to compare", n=len(a))
    else:
        said = Text("the log shakes on its own: r {r} with {reference}'s over {n} steps", **words)
    drawn = residual_figures(common, a, b, span, found.statistic) if found else ()
    pvalue = found.pvalue if found else None
    if copied and copy is not None:
        pvalue = copy.pvalue
    return finding(
        "same_order", model, log, outcome, said, HYPOTHESIS, reference=reference,
        level=Level.E2, relation=relation, direction=direction,
        statistic=number("residual_correlation", r, len(a)),
        effect=number("equal_in_a_row", copy.length if copy else 0),
        pvalue=pvalue, null=_NULL, controls=checks,
        power=Power(minimum_detectable_effect=4.5 * found.null_sd, power=0.9,
                    description=Text("The correlation found nine times in ten"))
        if found else None,
        figures=drawn,
        details={"null_sd": found.null_sd if found else None,
                 "stretch_apart": [int(common[apart.start]), apart.statistic, apart.pvalue]
                 if apart else None,
                 "best_stretch": list(stretch) if stretch else None, "reference_file": other.name},
    )  # fmt: skip


def _reaches(found: ResidualCorrelation | None, threshold: str, limits: Limits) -> bool:
    """Whether logs shake alike up to a threshold: asked of the suspect as of the controls."""
    if found is None:
        return False
    return bool(found.statistic >= limits[threshold] and found.pvalue < limits["order_alpha"])


def controls(limits: Limits) -> tuple[Control, ...]:
    """Run the same statistic on windows of real logs of known truth, and find a planted copy."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.training_log.repeated_stretch import repeated_stretch  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.trend_residuals import residual_correlation  # noqa: PLC0415

    checks = []
    for kind in ("positive", "negative"):
        given = limits.controls[kind]
        a, b = np.array(given["a"]), np.array(given["b"])
        found = residual_correlation(a, b, int(limits["order_span"]))
        r = found.statistic if found else None
        planted = b.copy()
        if kind == "positive":
            planted[100:140] = a[200:240]
        copy = repeated_stretch(planted, a, k=6)
        alike = _reaches(found, "same_order", limits)
        passed = alike and copy is not None if kind == "positive" else not alike and copy is None
        pair = (str(given["pair"][0]), str(given["pair"][1]))
        checks.append(Control(kind=kind, pair=pair, passed=passed, value=r))
    return tuple(checks)
