"""Loss-curve statistics: first loss, continuity of steps, spikes, power-law fit.

Everything here is plausibility. A log is a claim of its author; whoever forges one with care
passes all of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.training_log.trend_residuals import noise_level

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]
SLICE = 1 << 20
MOST_SPIKES = 50
SMALLEST_LOSS = 1e-12
ENOUGH_ROWS = 200_000  # for a fit of forty bins


@dataclass(frozen=True, slots=True)
class FirstLoss:
    """The first loss over the loss of a guess at random, ln(V), and how it goes on."""

    statistic: float  # first loss - ln(V)
    ratio: float  # first loss / ln(V)
    first: float
    step: int
    drop: float  # how far the loss falls from its first to its last values, of the first
    early_drop: float  # the same over the first tenth of the steps
    last_step: int


@dataclass(frozen=True, slots=True)
class Continuity:
    """Where the steps of a log begin, jump, go back or repeat."""

    first: int
    interval: int
    gaps: tuple[tuple[int, int], ...]  # (step before, step after), the largest first
    resets: tuple[tuple[int, int], ...]
    duplicates: int
    largest_gap: int

    @property
    def begins_at_start(self) -> bool:
        """Whether the first step is 0, 1 or the first of the logging interval."""
        return 0 <= self.first <= max(1, self.interval)


@dataclass(frozen=True, slots=True)
class Spike:
    """A loss far above the five before it, and after how many points it was back."""

    at: int
    height: float  # in units of the log's noise
    recovered_after: int | None


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """``loss = a + b * step**-c``: its parameters and how the residuals look."""

    a: float
    b: float
    c: float
    statistic: float  # share of the variance of log-spaced bins explained
    rms: float
    lag_one: float  # autocorrelation of the bins' residuals at lag one
    misfit: float  # rms of the bins' residuals over what the noise of points explains
    bins: int


def first_loss(steps: Steps, loss: Floats, vocabulary: int) -> FirstLoss:
    """A network that knows nothing guesses among all tokens: its loss is ln(V).

    The median of the values at the first step and at most two more is taken. Initial logits
    of variance s add about s/2 to ln(V) (genuine starts: -0.01 to +.26). `drop` tells a run
    already under way (nothing left to learn at once) from one that begins on new text.
    """
    head = float(np.median(loss[: min(3, max(1, len(loss)))])) if steps[0] > 1 else float(loss[0])
    tail = float(np.median(loss[-max(3, len(loss) // 50) :]))
    early = loss[max(0, len(loss) // 10 - 10) : len(loss) // 10 + 11]
    chance = float(np.log(vocabulary))
    soon = float(np.median(early))
    whole = head if abs(head) > SMALLEST_LOSS else math.inf  # of nothing, nothing falls
    return FirstLoss(
        statistic=head - chance,
        ratio=head / chance,
        first=head,
        step=int(steps[0]),
        drop=1 - tail / whole,
        early_drop=1 - soon / whole,
        last_step=int(steps[-1]),
    )


def continuity(steps: Steps) -> Continuity:
    """Whether a log counts on, from the start to the end, without holes.

    A gap is an interval over three times the larger of its neighbours' medians (five on each
    side), so that a log that turns from every step to every hundredth has none. A reset is a
    step back; a duplicate a step that was there before, next to it or before a reset.
    """
    n = len(steps)
    if n < 2:
        return Continuity(int(steps[0]) if n else 0, 0, (), (), 0, 0)
    head = np.diff(steps[: min(n, 12)])
    interval = int(np.median(head[head > 0])) if (head > 0).any() else 0
    gaps: list[tuple[int, int]] = []
    resets: list[tuple[int, int]] = []
    for start in range(0, n - 1, SLICE):
        low, high = max(0, start - 5), min(n, start + SLICE + 6)
        d = np.diff(steps[low:high])
        back = [int(at) for at in np.flatnonzero(d < 0) + low if start <= at < start + SLICE]
        resets += [(int(steps[at]), int(steps[at + 1])) for at in back]
        wide = np.flatnonzero(d > 3 * max(1, int(np.median(d[d > 0])) if (d > 0).any() else 1))
        steep = np.flatnonzero(d[1:] > 3 * np.maximum(d[:-1], 1)) + 1
        wider = [int(at) for at in np.union1d(wide, steep) + low if start <= at < start + SLICE]
        gaps += [(int(steps[at]), int(steps[at + 1])) for at in wider if _is_gap(steps, at)]
    gaps = sorted(set(gaps), key=lambda gap: (gap[0] - gap[1], gap))
    ordered = steps if not resets else np.sort(steps)
    same = sum(
        int(
            np.count_nonzero(
                ordered[s + 1 : s + SLICE + 1]
                == ordered[s : s + SLICE][: len(ordered[s + 1 : s + SLICE + 1])]
            )
        )
        for s in range(0, n, SLICE)
    )
    largest = gaps[0][1] - gaps[0][0] if gaps else 0
    return Continuity(int(steps[0]), interval, tuple(gaps[:20]), tuple(resets[:20]), same, largest)


def _is_gap(steps: Steps, at: int) -> bool:
    left = np.diff(steps[max(0, at - 5) : at + 1])
    right = np.diff(steps[at + 1 : at + 7])
    typical = [float(np.median(side[side > 0])) for side in (left, right) if (side > 0).any()]
    return bool(typical) and steps[at + 1] - steps[at] > 3 * max(typical)


def spikes(loss: Floats, height: float = 10.0) -> tuple[Spike, ...]:
    """Losses that jump up by over `height` times the noise, as real trainings now and then do.

    The jump is measured from the median of the five points before. Recovery: the first later
    point at or below that median plus three times the noise (Chowdhery et al. 2022 on spikes).
    """
    noise = noise_level(loss[len(loss) // 4 :])
    if not noise or len(loss) < 24:
        return ()
    found: list[Spike] = []
    until = -1
    for start in range(0, len(loss) - 5, SLICE // 8):
        part = loss[start : start + SLICE // 8 + 5]
        before = np.median(np.lib.stride_tricks.sliding_window_view(part[:-1], 5), axis=1)
        for at in np.flatnonzero(part[5:] - before > height * noise).tolist():
            place = start + at + 5
            if place <= until or len(found) >= MOST_SPIKES:
                continue
            back = np.flatnonzero(loss[place + 1 : place + 1001] <= before[at] + 3 * noise)
            gone = int(back[0]) + 1 if len(back) else None
            until = place + (gone or 1000)
            with np.errstate(over="ignore"):  # of a noise next to nothing: infinitely high
                found.append(Spike(place, float((loss[place] - before[at]) / noise), gone))
    return tuple(found)


def power_law(steps: Steps, loss: Floats, *, skip: int = 1000, bins: int = 40) -> PowerLaw | None:
    """Fit a + b t^-c to log-spaced bins, and ask whether it fits too badly or too well.

    For each c of a grid, a and b by least squares; the best c stands. Steps before `skip` (or
    the first twentieth) are warm-up. `misfit` compares the residuals of the bins with what
    the noise of the points explains: a formula with white noise has about 1, real trainings
    more, because data, learning rate and batches drift (Kaplan et al. 2020, Hoffmann et al.
    2022 for the law). None below ten bins, or where steps do not grow.
    """
    every = max(1, len(steps) // ENOUGH_ROWS)
    steps, loss = steps[::every], loss[::every]
    start = max(min(skip, int(steps[-1]) // 20), 1)
    keep = steps >= start
    t, y = steps[keep].astype(np.float64), loss[keep]
    if len(t) < 60 or t[-1] < 4 * t[0] or np.any(np.diff(t) < 0):
        return None
    noise = noise_level(y) or 0.0
    edges = np.unique(np.searchsorted(t, np.geomspace(t[0], t[-1] + 1, bins + 1)))
    wide = edges[np.concatenate([[True], np.diff(edges) >= 1])]
    if len(wide) < 11:
        return None
    size = np.diff(wide)
    centre = np.exp(np.add.reduceat(np.log(t), wide[:-1])[: len(size)] / size)
    mean = np.add.reduceat(y, wide[:-1])[: len(size)] / size
    weight = np.sqrt(size / size.sum())
    best: tuple[float, Floats, float] | None = None
    for c in np.geomspace(0.02, 2.0, 60):
        design = np.stack([np.ones_like(centre), (centre / centre[0]) ** -c], axis=1)
        beta, *_ = np.linalg.lstsq(design * weight[:, None], mean * weight, rcond=None)
        error = float((((design @ beta - mean) * weight) ** 2).sum())
        if best is None or error < best[2]:
            best = (float(c), beta, error)
    c, beta, _ = best or (0.0, np.zeros(2), 0.0)
    rest = mean - beta[0] - beta[1] * (centre / centre[0]) ** -c
    total = float(((mean - mean.mean()) ** 2).sum())
    energy = float(rest @ rest)
    expected = noise**2 / size
    misfit = float(np.sqrt(np.median(rest**2 / expected) / 0.455)) if noise > 0 else float("inf")
    return PowerLaw(
        a=float(beta[0]),
        b=float(beta[1] * centre[0] ** c),
        c=c,
        statistic=1 - energy / total if total > 0 else 0.0,
        rms=float(np.sqrt(energy / len(rest))),
        lag_one=float(rest[1:] @ rest[:-1] / energy) if energy > 0 else 0.0,
        misfit=misfit,
        bins=len(rest),
    )
