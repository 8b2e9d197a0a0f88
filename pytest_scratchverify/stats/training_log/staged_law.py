"""A power law with changes of level: a training whose mixture of data changes by stages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]
MOST_STAGES = 5
BINS = 100
ENOUGH = 0.01  # of the variance: what is left is drift, not a change of level
FEWEST = 4  # bins of a stage
ENOUGH_ROWS = 200_000
SHORT = 0.1  # of all steps: what is shorter says nothing of how a stage falls
EXPONENTS = np.geomspace(0.03, 2.0, 24)


@dataclass(frozen=True, slots=True)
class StagedLaw:
    """``loss = a + b * step**-c + level of the stage``: where stages begin, and how it fits."""

    begins: tuple[int, ...]  # steps of all stages but the first
    changes: tuple[float, ...]  # of the level, in the unit of the loss
    statistic: float  # share of the variance of log-spaced bins explained
    continued: float  # fall within later stages over that which the first stage foretells


def staged_law(steps: Steps, loss: Floats, wanted: float, skip: int = 1000) -> StagedLaw | None:
    """Add changes of level to the power law, the best first, until it explains all but a hundredth.

    Each change is looked for at every bound of log-spaced bins, all with one exponent (greedy
    forward selection by least squares). `continued` compares what the losses go on to fall in
    later stages with what the law of the first stage alone foretells from there: about one where
    one training goes on, near nothing where another's fine-tune was joined to it, which no longer
    falls. None where there are too few rows, or `MOST_STAGES` stages explain less than `wanted`.
    """
    every = max(1, len(steps) // ENOUGH_ROWS)
    steps, loss = steps[::every], loss[::every]
    start = max(min(skip, int(steps[-1]) // 20), 1)
    keep = steps >= start
    t, y = steps[keep].astype(np.float64), loss[keep]
    if len(t) < 4 * BINS or t[-1] < 4 * t[0] or np.any(np.diff(t) < 0):
        return None
    edges = np.unique(np.searchsorted(t, np.geomspace(t[0], t[-1] + 1, BINS + 1)))
    size = np.diff(edges)
    if len(size) < 6 * FEWEST:
        return None
    centre = np.exp(np.add.reduceat(np.log(t), edges[:-1])[: len(size)] / size)
    mean = np.add.reduceat(y, edges[:-1])[: len(size)] / size
    total = float(((mean - mean.mean()) ** 2).sum())
    if not total > 0:
        return None
    found: list[int] = []
    explained = 0.0
    while len(found) < MOST_STAGES - 1 and 1 - explained > ENOUGH:
        free = [at for at in range(FEWEST, len(mean) - FEWEST + 1)
                if all(abs(at - other) >= FEWEST for other in found)]  # fmt: skip
        if not free:
            break
        error, at = min((_error(centre, mean, sorted([*found, at]))[0], at) for at in free)
        found = sorted([*found, at])
        explained = 1 - error / total
    if explained < wanted:
        return None
    _, changes = _error(centre, mean, found)
    begins = tuple(int(t[edges[place]]) for place in found)
    return StagedLaw(begins, changes, explained, _continued(centre, mean, found))


def _error(centre: Floats, mean: Floats, places: list[int]) -> tuple[float, tuple[float, ...]]:
    """Return the squared error of the best exponent with changes at `places`, and the changes."""
    steps = np.stack([np.arange(len(mean)) >= place for place in places], axis=1).astype(np.float64)
    # what the levels alone leave is fitted for all exponents at once
    fixed = np.concatenate([np.ones((len(mean), 1)), steps], axis=1)
    basis, _ = np.linalg.qr(fixed)
    rest = mean - basis @ (basis.T @ mean)
    laws = (centre / centre[0])[:, None] ** -EXPONENTS[None, :]
    left = laws - basis @ (basis.T @ laws)
    slope = np.maximum((left * rest[:, None]).sum(0) / np.maximum((left**2).sum(0), 1e-12), 0.0)
    errors = ((rest[:, None] - slope * left) ** 2).sum(0)
    best = int(np.argmin(errors))
    levels = np.linalg.lstsq(fixed, mean - slope[best] * laws[:, best], rcond=None)[0]
    return float(errors[best]), tuple(float(level) for level in levels[1:])


def _continued(centre: Floats, mean: Floats, places: list[int]) -> float:
    """What later stages fall, over what the law of the first stage foretells of them."""
    first = slice(0, places[0])
    t = centre / centre[0]
    best: tuple[float, Floats] | None = None
    for c in EXPONENTS:
        design = np.stack([np.ones(places[0]), t[first] ** -c], axis=1)
        beta = np.linalg.lstsq(design, mean[first], rcond=None)[0]
        error = float(((design @ beta - mean[first]) ** 2).sum())
        if best is None or error < best[0]:
            best = (error, beta[0] + beta[1] * t**-c)
    law = best[1] if best is not None else mean
    bounds = [*places, len(mean)]
    fell = foretold = 0.0
    for a, b in pairwise(bounds):
        if centre[b - 1] - centre[a] < SHORT * centre[-1]:  # a passage from one to the next
            continue
        x = np.arange(b - a) - (b - a - 1) / 2  # slopes within a stage, by least squares
        fell -= float(x @ mean[a:b] / (x @ x)) * (b - a)
        foretold -= float(x @ law[a:b] / (x @ x)) * (b - a)
    return fell / foretold if foretold > 0 else 0.0
