"""Measurements between two logs: correlation of loss residuals, exact repeats, single stretches.

Measures only; `two_logs` decides. The same functions run on the controls of known truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.evidence import Control
from pytest_scratchverify.core.figure import Figure
from pytest_scratchverify.methods.training_log.log_figures import residual_figures
from pytest_scratchverify.methods.training_log.readers import TrainingLog
from pytest_scratchverify.methods.training_log.thresholds import ALPHA, TrainingLogThresholds
from pytest_scratchverify.stats.training_log.repeated_stretch import Repeat, repeated_stretch
from pytest_scratchverify.stats.training_log.trend_residuals import (
    LAST,
    CorrelatedStretch,
    Floats,
    ResidualCorrelation,
    UncorrelatedStretch,
    best_stretch,
    residual_correlation,
    stretch_apart,
)
from pytest_scratchverify.stats.training_log.warped_copy import (
    WarpedCopy,
    planted_copy,
    warped_copy,
)

ENOUGH = 80  # common steps below which nothing is compared
_CONTROLS: dict[int, tuple[TrainingLogThresholds, tuple[Control, ...]]] = {}
SHORTEST_REPEAT = 6  # equal losses in a row


@dataclass(frozen=True, slots=True)
class AlignedLosses:
    """Losses of two logs at the steps that both have: three arrays [n]."""

    steps: NDArray[Any]
    ours: Floats
    theirs: Floats

    def __len__(self) -> int:
        return len(self.steps)

    def part(self, rows: slice) -> AlignedLosses:
        """Return some of the rows."""
        return AlignedLosses(self.steps[rows], self.ours[rows], self.theirs[rows])


@dataclass(frozen=True, slots=True)
class LogComparison:
    """What was measured between two logs.

    `correlation` is None where they have too few steps in common. The best stretch is looked for
    where the logs as a whole do not correlate, the stretch apart where they do. A copy at other
    steps is looked for where nothing else was found.
    """

    losses: AlignedLosses
    repeat: Repeat | None
    correlation: ResidualCorrelation | None
    same_order: bool  # the correlation reaches that of two runs on the same batches
    copied: bool  # it reaches more than that
    best: CorrelatedStretch | None
    apart: UncorrelatedStretch | None
    warped: WarpedCopy | None

    @property
    def repeat_is_certain(self) -> bool:
        """Whether a stretch is equal digit for digit, beyond chance."""
        return self.repeat is not None and self.repeat.pvalue < ALPHA

    @property
    def parts_somewhere(self) -> bool:
        """Whether logs of one data order do not correlate in one stretch, beyond chance."""
        return self.apart is not None and self.apart.pvalue < ALPHA

    @property
    def r(self) -> float | None:
        """Pearson's r of the residuals."""
        return self.correlation.statistic if self.correlation else None

    @property
    def pvalue(self) -> float | None:
        """The p-value of the repeat where there is one, else of the correlation."""
        if self.repeat is not None and self.repeat_is_certain:
            return self.repeat.pvalue
        return self.correlation.pvalue if self.correlation else None


def align(log: TrainingLog, other: TrainingLog, first_step: int) -> AlignedLosses:
    """Return the losses at common steps, from `first_step` on where enough are left."""
    steps, ours, theirs = np.intersect1d(log.steps, other.steps, return_indices=True)
    common = AlignedLosses(steps, log.loss[ours], other.loss[theirs])
    later = common.part(slice(int(np.searchsorted(steps, first_step)), None))
    return (later if len(later) >= ENOUGH else common).part(slice(-LAST, None))


def compare_logs(
    log: TrainingLog, other: TrainingLog, thresholds: TrainingLogThresholds
) -> LogComparison:
    """Measure everything that the decision needs."""
    losses = align(log, other, thresholds.order_from_step)
    ours, theirs = losses.ours, losses.theirs
    enough = len(losses) >= ENOUGH
    correlation = residual_correlation(ours, theirs, thresholds.order_span) if enough else None
    same_order = reaches(correlation, thresholds.same_order, thresholds)
    compared = LogComparison(
        losses=losses,
        repeat=repeated_stretch(log.loss, other.loss, k=SHORTEST_REPEAT),
        correlation=correlation,
        same_order=same_order,
        copied=reaches(correlation, thresholds.copy, thresholds),
        best=best_stretch(ours, theirs) if correlation and not same_order else None,
        apart=stretch_apart(ours, theirs) if same_order else None,
        warped=None,
    )
    if same_order or compared.repeat_is_certain or is_stretch(compared.best, thresholds):
        return compared
    return replace(compared, warped=warped_copy(log.loss, other.loss, thresholds.order_span))


def is_stretch(best: CorrelatedStretch | None, thresholds: TrainingLogThresholds) -> bool:
    """Whether logs that do not correlate as a whole do in one stretch, beyond chance."""
    return best is not None and best.statistic >= thresholds.stretch and best.pvalue < ALPHA


def is_warped(warped: WarpedCopy | None, thresholds: TrainingLogThresholds) -> bool:
    """Whether a block stands in the other log at other steps: asked of the controls too."""
    if warped is None:
        return False
    return warped.statistic >= thresholds.same_order and warped.pvalue < ALPHA


def reaches(
    correlation: ResidualCorrelation | None, least: float, thresholds: TrainingLogThresholds
) -> bool:
    """Whether residuals correlate up to a threshold: asked of the suspect as of the controls."""
    if correlation is None:
        return False
    significant = correlation.pvalue < thresholds.order_alpha
    return bool(correlation.statistic >= least and significant)


def figures_of(compared: LogComparison, span: int) -> tuple[Figure, ...]:
    """Return the data of the figure, where there is a correlation to draw."""
    if compared.correlation is None:
        return ()
    losses, r = compared.losses, compared.correlation.statistic
    return residual_figures(losses.steps, losses.ours, losses.theirs, span, r)


def control_comparisons(thresholds: TrainingLogThresholds) -> tuple[Control, ...]:
    """Run the same statistics on windows of real logs of known truth, and find planted copies.

    Once in a process for one set of thresholds: the answers are those of the first time.
    """
    known = _CONTROLS.get(id(thresholds))
    if known is None or known[0] is not thresholds:
        controls = tuple(_control(kind, thresholds) for kind in ("positive", "negative"))
        _CONTROLS.clear()
        known = _CONTROLS[id(thresholds)] = (thresholds, controls)
    return known[1]


def _control(kind: str, thresholds: TrainingLogThresholds) -> Control:
    given = thresholds.controls[kind]
    a, b = np.array(given["a"]), np.array(given["b"])
    correlation = residual_correlation(a, b, thresholds.order_span)
    planted = b.copy()
    if kind == "positive":
        planted[100:140] = a[200:240]
    repeat = repeated_stretch(planted, a, k=SHORTEST_REPEAT)
    alike = reaches(correlation, thresholds.same_order, thresholds)
    if kind == "positive":
        other = planted_copy(a, len(a), seed=0)
        found = (
            alike and repeat is not None and is_warped(_search(a, other, thresholds), thresholds)
        )
    else:
        found = alike or repeat is not None or is_warped(_search(a, b, thresholds), thresholds)
    return Control(
        kind=kind,
        pair=(str(given["pair"][0]), str(given["pair"][1])),
        passed=found if kind == "positive" else not found,
        value=correlation.statistic if correlation else None,
    )


def _search(ours: Floats, theirs: Floats, thresholds: TrainingLogThresholds) -> WarpedCopy | None:
    return warped_copy(theirs, ours, thresholds.order_span)
