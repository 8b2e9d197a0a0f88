"""The figures of a log: its rows in a few hundred groups, whatever its length."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_scratchverify.core.figure import Figure
from pytest_scratchverify.methods.training_log.figure_data import (
    FittedLaw,
    NoiseByBlock,
    OddStretch,
    OrderResiduals,
    TrainingCurve,
)
from pytest_scratchverify.stats.training_log.loss_curve import PowerLaw
from pytest_scratchverify.stats.training_log.trend_residuals import (
    Floats,
    NoiseChange,
    noise_by_block,
    residuals,
)

if TYPE_CHECKING:
    from pytest_scratchverify.methods.training_log.readers import TrainingLog

POINTS = 160
BLOCK = 64


def curve_figures(
    log: TrainingLog, fit: PowerLaw | None, vocabulary: int | None
) -> tuple[Figure, ...]:
    """Return the figure of the loss in log-spaced groups of rows; none of a single row."""
    n = len(log)
    if n < 2:
        return ()
    edges = np.unique(np.geomspace(1, n, min(POINTS, n) + 1).round().astype(int)) - 1
    edges[-1] = n
    parts = [log.loss[a:b] for a, b in pairwise(edges)]
    at = [(a + b - 1) // 2 for a, b in pairwise(edges)]
    start = int(max(1, log.steps[0], min(1000, log.steps[-1] // 20)))
    curve = TrainingCurve(
        steps=tuple(int(log.steps[i]) for i in at),
        middle=_rounded(np.median(part) for part in parts),
        low=_rounded(np.quantile(part, 0.05) for part in parts),
        high=_rounded(np.quantile(part, 0.95) for part in parts),
        fit=FittedLaw(fit.a, fit.b, fit.c, start) if fit else None,
        chance=float(np.log(vocabulary)) if vocabulary else None,
    )
    return (curve.to_json(),)


def noise_figures(
    log: TrainingLog, change: NoiseChange | None, *, judged: bool
) -> tuple[Figure, ...]:
    """Return the figure of the noise of every block of rows, at most `POINTS` groups of blocks."""
    noise = noise_by_block(log.loss, BLOCK)
    if len(noise) < 2:
        return ()
    edges = np.linspace(0, len(noise), min(POINTS, len(noise)) + 1).round().astype(int)
    spans = list(pairwise(edges))
    at = [min(len(log) - 1, (a + b) * BLOCK // 2) for a, b in spans]
    worst = None
    if change is not None:
        lead = max(50, len(log) // 10)  # rows that `smoothness` leaves out in front
        first, last = lead + change.start, min(lead + change.stop, len(log) - 1)
        worst = OddStretch(int(log.steps[first]), int(log.steps[last]), change.ratio, judged)
    found = NoiseByBlock(
        steps=tuple(int(log.steps[i]) for i in at),
        middle=_rounded(np.median(noise[a:b]) for a, b in spans),
        low=_rounded(noise[a:b].min() for a, b in spans),
        high=_rounded(noise[a:b].max() for a, b in spans),
        width=BLOCK,
        worst=worst,
    )
    return (found.to_json(),)


def residual_figures(steps: Any, a: Floats, b: Floats, span: int, r: float) -> tuple[Figure, ...]:
    """Return the figure of two residual series: a window of both, and points of the whole."""
    mine, theirs = (_standardised(residuals(loss, span)) for loss in (a, b))
    off = max(span // 2, len(a) // 10)
    middle = max(0, (len(mine) - POINTS) // 2)
    window = slice(middle, middle + POINTS)
    some = np.linspace(0, len(mine) - 1, min(2 * POINTS, len(mine))).round().astype(int)
    found = OrderResiduals(
        steps=tuple(int(s) for s in steps[off : off + len(mine)][window]),
        mine=_rounded(mine[window], 2),
        theirs=_rounded(theirs[window], 2),
        scatter_mine=_rounded(mine[some], 2),
        scatter_theirs=_rounded(theirs[some], 2),
        r=r,
        n=len(a),
    )
    return (found.to_json(),)


def _standardised(values: Floats) -> Floats:
    sd = float(values.std())
    return np.asarray(values / sd) if sd > 0 else values


def _rounded(values: Iterable[Any], digits: int = 5) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
