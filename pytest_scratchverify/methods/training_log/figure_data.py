"""The numbers behind a log's figures: a few hundred, kept in the finding, whatever the length."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

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


def curve_data(log: TrainingLog, fit: PowerLaw | None, vocabulary: int | None) -> dict[str, Any]:
    """Return the loss in log-spaced groups of rows: median and the middle nine tenths."""
    n = len(log)
    edges = np.unique(np.geomspace(1, n, min(POINTS, n) + 1).round().astype(int)) - 1
    edges[-1] = n
    parts = [log.loss[a:b] for a, b in pairwise(edges)]
    at = [(a + b - 1) // 2 for a, b in pairwise(edges)]
    start = int(max(1, log.steps[0], min(1000, log.steps[-1] // 20)))
    return {
        "steps": [int(log.steps[i]) for i in at],
        "middle": _rounded(np.median(part) for part in parts),
        "low": _rounded(np.quantile(part, 0.05) for part in parts),
        "high": _rounded(np.quantile(part, 0.95) for part in parts),
        "fit": {"a": fit.a, "b": fit.b, "c": fit.c, "from": start} if fit else None,
        "chance": float(np.log(vocabulary)) if vocabulary else None,
    }


def noise_data(log: TrainingLog, change: NoiseChange | None, *, judged: bool) -> dict[str, Any]:
    """Return the noise of every block of rows, at most `POINTS` groups of blocks."""
    noise = noise_by_block(log.loss, BLOCK)
    if len(noise) < 2:
        return {}
    edges = np.linspace(0, len(noise), min(POINTS, len(noise)) + 1).round().astype(int)
    spans = list(pairwise(edges))
    at = [min(len(log) - 1, (a + b) * BLOCK // 2) for a, b in spans]
    worst = None
    if change is not None:
        first, last = 50 + change.start, min(50 + change.stop, len(log) - 1)
        worst = {"from": int(log.steps[first]), "to": int(log.steps[last]),
                 "ratio": change.ratio, "judged": judged}  # fmt: skip
    return {
        "steps": [int(log.steps[i]) for i in at],
        "middle": _rounded(np.median(noise[a:b]) for a, b in spans),
        "low": _rounded(noise[a:b].min() for a, b in spans),
        "high": _rounded(noise[a:b].max() for a, b in spans),
        "width": BLOCK,
        "worst": worst,
    }


def residual_data(steps: Any, a: Floats, b: Floats, span: int, r: float) -> dict[str, Any]:
    """Return a window of two residual series, and points of both, in standard deviations."""
    mine, theirs = (_standardised(residuals(loss, span)) for loss in (a, b))
    off = max(span // 2, len(a) // 10)
    middle = max(0, (len(mine) - POINTS) // 2)
    window = slice(middle, middle + POINTS)
    some = np.linspace(0, len(mine) - 1, min(2 * POINTS, len(mine))).round().astype(int)
    return {
        "steps": [int(s) for s in steps[off : off + len(mine)][window]],
        "mine": _rounded(mine[window], 2),
        "theirs": _rounded(theirs[window], 2),
        "scatter_mine": _rounded(mine[some], 2),
        "scatter_theirs": _rounded(theirs[some], 2),
        "r": r,
        "n": len(a),
    }


def _standardised(values: Floats) -> Floats:
    sd = float(values.std())
    return np.asarray(values / sd) if sd > 0 else values


def _rounded(values: Any, digits: int = 5) -> list[float]:
    return [round(float(value), digits) for value in values]
