"""Detrended loss residuals (batch noise): their level, changes, and correlation of two logs.

Two runs that saw the same batches in the same order had the same luck, whatever their size
and seed; two that did not, had not. The functions read no file and decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LAST = 1 << 20  # rows of a longer log that its noise is measured on
SPAN = 51  # points of the moving average that is taken for the trend
SHIFTS = 24
AVERAGING_ROWS = 1 << 16
FAINT = 1e-6  # of the loss: residuals below it are the errors of arithmetic
CENTRAL = 1.4826  # median absolute deviation to standard deviation, for a normal


@dataclass(frozen=True, slots=True)
class ResidualCorrelation:
    """Pearson's r of two residual series, and its p-value under circular shifts."""

    statistic: float
    pvalue: float
    n: int
    shifts: int
    null_sd: float


@dataclass(frozen=True, slots=True)
class NoiseChange:
    """The stretch whose noise differs most from the rest: its bounds, ratio and p-value."""

    start: int
    stop: int
    statistic: float  # z of the log ratio, largest over stretches
    ratio: float
    lag_one: float  # autocorrelation at lag one inside the stretch
    pvalue: float


@dataclass(frozen=True, slots=True)
class UncorrelatedStretch:
    """Where the residuals of two correlated logs are not: bounds, r there and around, p."""

    start: int
    stop: int
    statistic: float
    around: float
    pvalue: float


def detrended(loss: Floats, span: int = SPAN) -> Floats:
    """A loss minus its own moving average over `span` points (shorter at the ends)."""
    n = len(loss)
    if n == 0:
        return loss
    total = np.concatenate([[0.0], np.cumsum(loss - loss.mean())])
    half = min(span, n) // 2
    low = np.maximum(np.arange(n) - half, 0)
    high = np.minimum(np.arange(n) + half + 1, n)
    return np.asarray(loss - loss.mean() - (total[high] - total[low]) / (high - low))


def noise_level(loss: Floats) -> float | None:
    """How much a loss jumps from one point to the next, in nats, trend and spikes aside.

    ``1.4826 * median(|d - median(d)|) / sqrt(2)`` of first differences d: the standard
    deviation of white noise under a slow trend. Averaged or smoothed exports look quieter by
    the square root of the number of batches averaged. None below eight points.
    """
    if len(loss) < 8:
        return None
    d = np.diff(loss[-LAST:])
    return float(CENTRAL * np.median(np.abs(d - np.median(d))) / np.sqrt(2))


def averaging(loss: Floats, span: int = 201) -> float | None:
    """Autocorrelation at lag one of a loss's residuals, where they are not next to nothing.

    The noise of batches is white, or nearly: below .25 in every genuine log. Running means,
    moving averages and smoothed charts carry each batch on: w of them give 1 - 1/w, a moving
    average its own factor. A curve that was computed has no residuals, or white ones of
    rounding: None, or about 0. None below four spans' half.
    """
    if len(loss) < 2 * span:
        return None
    rest = detrended(detrended(loss[-LAST:], span), span)[span // 2 : -(span // 2)]
    rest = rest - np.median(rest)
    spread = CENTRAL * float(np.median(np.abs(rest)))
    if not spread > FAINT * float(np.median(np.abs(loss[-LAST:]))):
        return None
    count = max(1, len(rest) // span)
    rhos = []
    for block in np.array_split(rest[: 2 * AVERAGING_ROWS], min(count, 2 * AVERAGING_ROWS // span)):
        clipped = np.clip(block, -4 * spread, 4 * spread)
        power = float(clipped @ clipped)
        rhos.append(float(clipped[1:] @ clipped[:-1]) / power if power > 0 else 1.0)
    return float(np.median(rhos))


def residual_correlation(
    a: Floats, b: Floats, span: int = SPAN, guard: int = 20
) -> ResidualCorrelation | None:
    """Pearson correlation of the loss residuals of two logs, step by step.

    r is Pearson's correlation of `a` and `b` (losses at equal steps) after `detrended`. Null:
    *the batch noise of the two is unrelated*; each circular shift of one against the other by
    at least `guard` points is one draw of it, with both autocorrelations kept. All shifts are
    evaluated at once by FFT. ``pvalue = max((1 + #{r_shift >= r}) / (1 + shifts), normal tail
    of r / null_sd)``: the first bound never claims more than the number of shifts allows.

    It misleads where both logs share a rhythm (an evaluation, a learning-rate restart): a
    periodic null is then too wide and hides a relation, never invents one. It says *same data
    order*, not *copied*: sizes of one suite reach .99 (Biderman et al. 2023 trained all
    Pythias on one order). None below 4 * guard points or without any noise.
    """
    if len(a) < 4 * guard:
        return None
    x, y = residuals(a, span), residuals(b, span)
    scale = float(np.sqrt((x @ x) * (y @ y)))
    n = len(x)
    if not scale > 0 or n < 3 * guard:
        return None
    every = np.fft.irfft(np.fft.rfft(x) * np.conj(np.fft.rfft(y)), n) / scale
    r = float(x @ y / scale)
    null = every[guard : n - guard + 1]
    sd = float(null.std())
    counted = (1 + int(np.count_nonzero(null >= r))) / (1 + len(null))
    from scipy.special import ndtr  # noqa: PLC0415 - scipy is imported where it is used

    return ResidualCorrelation(
        r, float(max(counted, ndtr(-r / sd))) if sd > 0 else 1.0, n, len(null), sd
    )


def residuals(loss: Floats, span: int) -> Floats:
    """Loss residuals without the steep start, detrended twice, clipped and centred.

    Detrended twice, which leaves only the fourth derivative of a smooth trend; half a span is
    cut from both ends, where the average is one-sided, and a tenth of the log in front; what
    is beyond four times the robust spread is drawn in to it.
    """
    rest = detrended(detrended(loss, span), span)
    rest = rest[max(span // 2, len(loss) // 10) : len(loss) - span // 2]
    if not len(rest):
        return rest
    middle = float(np.median(rest))
    spread = 4 * CENTRAL * float(np.median(np.abs(rest - middle)))
    rest = np.clip(rest, middle - spread, middle + spread) if spread > 0 else rest
    return np.asarray(rest - rest.mean())


@dataclass(frozen=True, slots=True)
class CorrelatedStretch:
    """The stretch in which the residuals of two logs correlate most: where it starts, r and p."""

    start: int
    statistic: float
    pvalue: float


def best_stretch(a: Floats, b: Floats, width: int = 128) -> CorrelatedStretch | None:
    """The `width` points in which the residuals of two logs correlate most.

    Detrended by an average of half the width; stretches start every quarter of the width. Null:
    *the batch noise of the two is unrelated*; its spread is that of r of the same stretches
    against shifted ones (up to `SHIFTS` of them), which averaged losses widen. p is the normal
    tail of the best times the number of stretches.
    """
    if len(a) < width:
        return None
    x, y = residuals(a, width // 2 + 1), residuals(b, width // 2 + 1)
    off = max((width // 2 + 1) // 2, len(a) // 10)
    starts = np.arange(0, len(x) - width + 1, width // 4)
    if not len(starts):
        return None
    windows = _centred(x, starts, width)
    rs = (windows * _centred(y, starts, width)).sum(axis=1)
    shifts = np.unique(np.linspace(width // 4, len(y) - width // 4, SHIFTS).astype(int))
    null = [(windows * _centred(np.roll(y, by), starts, width)).sum(axis=1) for by in shifts]
    best = int(np.argmax(rs))
    sd = float(np.std(np.concatenate(null)))
    from scipy.special import ndtr  # noqa: PLC0415

    p = min(1.0, float(ndtr(-rs[best] / sd)) * len(starts)) if sd > 0 else 1.0
    return CorrelatedStretch(int(starts[best]) + off, float(rs[best]), p)


def _centred(x: Floats, starts: NDArray[np.int64], width: int) -> Floats:
    """Stretches of `x` as rows of mean 0 and length 1 (0 where they are constant)."""
    rows = np.lib.stride_tricks.sliding_window_view(x, width)[starts]
    rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0))


def stretch_apart(a: Floats, b: Floats, width: int = 32) -> UncorrelatedStretch | None:
    """The stretch in which the residuals of two logs of one data order stop correlating.

    Pearson's r of the residuals in blocks of `width`, as Fisher's atanh r; the lowest block
    against the median of the 24 around it. The standard error is the larger of
    1 / sqrt(width - 3) and the robust spread over all blocks. Null: *the logs agree as much
    everywhere as nearby*; p is the normal tail times the number of blocks (Bonferroni). White
    noise of the right size, which one log alone cannot tell from batches, has no sibling's
    luck. Restarts on other data do the same. It finds less in logs of every hundredth step, in
    which two honest runs drift apart and together. None below twelve blocks.
    """
    span = width // 4 + 1
    x, y = residuals(a, span), residuals(b, span)
    count = len(x) // width
    if count < 12:
        return None
    rs = [_pearson(x[i : i + width], y[i : i + width]) for i in range(0, count * width, width)]
    z = np.arctanh(np.clip(rs, -0.9999, 0.9999))
    around = np.array([np.median(z[_around(i, count, 12)]) for i in range(count)])
    excess = z - around
    sd = max(CENTRAL * float(np.median(np.abs(excess))), float(1 / np.sqrt(width - 3)))
    at = int(np.argmin(excess))
    from scipy.special import ndtr  # noqa: PLC0415

    off = max(span // 2, len(a) // 10)
    first, last = off + at * width, off + (at + 1) * width
    p = min(1.0, float(ndtr(excess[at] / sd)) * count)
    return UncorrelatedStretch(first, last, rs[at], float(np.tanh(around[at])), p)


def _pearson(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale > 0 else 0.0


def noise_change(loss: Floats, width: int = 64) -> NoiseChange | None:
    """The stretch of a log that is noisier or calmer than its neighbourhood.

    Log of the variance of first differences d in blocks of `width`, against the median of
    the eight blocks around; the standard error is measured on all blocks (median absolute
    deviation), so heavy tails widen it. Null: *noise changes slowly along the run*; p is
    Student's tail times the number of blocks (Bonferroni). A change of batch size, of the
    logging interval or a merge of two exports does this too (Levene 1960 for the idea).
    None below twelve blocks.
    """
    count = (len(loss) - 1) // width
    if count < 12:
        return None
    spread = noise_by_block(loss, width)
    level = 2 * np.log(np.maximum(spread, 1e-12))
    around = np.array([np.median(level[_around(i, count)]) for i in range(count)])
    excess = level - around
    # at least the sd of the log of a robust variance, sqrt(2 * 2.72 / width) for white noise; with
    # Student's tail of 30 degrees p < .05, .01, .001 in 4.3, .8 and 0 % of 400 even logs
    sd = max(CENTRAL * float(np.median(np.abs(excess))), float(np.sqrt(5.4 / width)))
    at = int(np.argmax(np.abs(excess)))
    z = float(excess[at] / sd)
    from scipy.special import stdtr  # noqa: PLC0415

    inside = np.diff(loss[at * width : (at + 1) * width + 1])
    inside = inside - inside.mean()
    power = float(inside @ inside)
    lag = float(inside[1:] @ inside[:-1] / power) if power > 0 else 1.0
    p = min(1.0, float(2 * stdtr(30, -abs(z))) * count)
    return NoiseChange(at * width, (at + 1) * width, z, float(np.exp(excess[at] / 2)), lag, p)


def noise_by_block(loss: Floats, width: int = 64) -> Floats:
    """The robust spread of first differences in each block of `width` rows, in nats."""
    count = (len(loss) - 1) // width
    if count < 1:
        return np.zeros(0)
    return np.concatenate(
        [
            _spread(loss[start * width : min(start + 4096, count) * width + 1], width)
            for start in range(0, count, 4096)
        ]
    )


def _spread(loss: Floats, width: int) -> Floats:
    blocks = np.diff(loss).reshape(-1, width)
    middle = np.median(blocks, axis=1)[:, None]
    return np.asarray(CENTRAL * np.median(np.abs(blocks - middle), axis=1))


def _around(at: int, count: int, reach: int = 4) -> list[int]:
    first = min(max(0, at - reach), max(0, count - 2 * reach - 1))
    return [i for i in range(first, min(count, first + 2 * reach + 1)) if i != at]
