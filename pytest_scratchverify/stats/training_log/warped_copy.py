"""Batch noise of one log found in another at other steps: shifted, or stretched in time.

A copy need not stand at the steps of its source. Blocks of a log's residuals are looked for in the
other log at every lag and, resampled, at every scale between a quarter and four times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.training_log.trend_residuals import residuals

Floats = NDArray[np.float64]
MOST_ROWS = 1 << 13  # of either log, from its start: the time of a search grows with them
WIDTHS = (256, 128)  # rows of a block, by the length of the log
BLOCKS = 6
FARTHEST = 4.0  # scales from 1 / FARTHEST to FARTHEST
MISFIT = 3.0  # rows by which the ends of a block are off between two scales, times two
BESIDE = 5  # scales next to the best, which a true copy raises as well
AROUND = 16  # scales further on either side that its maximum is compared with
GUMBEL_MAD = 0.767  # median absolute deviation of Gumbel's distribution, of its scale
BATCH_NOISE = 0.3  # added to a planted copy, of its own noise


@dataclass(frozen=True, slots=True)
class WarpedCopy:
    """The block that fits best: where in both logs, at which scale, r, and p over all trials."""

    statistic: float  # Pearson's r over the block
    pvalue: float  # the larger of two tails, times all that was tried (Bonferroni)
    scale: float  # rows of ours to one row of theirs
    first: int  # row of ours at which the block begins
    there: int  # row of theirs that it is
    width: int  # rows
    trials: float
    null_sd: float


def warped_copy(ours: Floats, theirs: Floats, span: int) -> WarpedCopy | None:
    """Look for blocks of our residuals in theirs at any lag and scale.

    Null: *the batch noise of the two is unrelated*. r of a block at all lags and scales is its own
    null: its spread is measured on them, so that averaged losses, whose noise moves slowly, widen
    it, and the normal tail of the best is multiplied by all that was tried. The best must also
    stand out from the best at scales around it, whose maxima over all lags are Gumbel's where
    nothing was copied (times blocks and scales). Where the logs share a rhythm (a spike every
    hundred steps) r repeats at many lags and scales, and both nulls grow with it. Scales are so
    close that the ends of a block are off by less than a row. Scale 1 is among them: lags alone
    are looked for too. None below 256 rows of either.
    """
    ours, theirs = ours[:MOST_ROWS], theirs[:MOST_ROWS]
    width = next((w for w in WIDTHS if min(len(ours), len(theirs)) >= 2.5 * w), None)
    if width is None:
        return None
    x = residuals(ours, span)
    off = max(span // 2, len(ours) // 10)
    if len(x) < width or not x.any():
        return None
    starts = np.unique(np.linspace(0, len(x) - width, BLOCKS).astype(int))
    blocks = np.stack([x[start : start + width] for start in starts])
    blocks = blocks - blocks.mean(axis=1, keepdims=True)
    norms = np.sqrt((blocks**2).sum(axis=1))
    starts, blocks, norms = (part[norms > 0] for part in (starts, blocks, norms))
    best: tuple[float, int, int, int] | None = None
    scales = _scales(width)
    maxima = np.full((len(scales), len(starts)), np.nan)
    spectra: dict[int, NDArray[np.complex128]] = {}
    total = np.zeros(len(starts))
    squares, trials = np.zeros(len(starts)), 0
    for at, scale in enumerate(scales):
        stretched, cut = _stretched(theirs, scale, span)
        if len(stretched) < width:
            continue
        r = _sliding(blocks, norms, stretched, spectra)
        maxima[at] = r.max(axis=1)
        total += r.sum(axis=1)
        squares += (r**2).sum(axis=1)
        trials += r.shape[1]
        block, lag = divmod(int(np.argmax(r)), r.shape[1])
        if best is None or r[block, lag] > best[0]:
            best = (float(r[block, lag]), block, round((lag + cut) / scale), at)
    if best is None:
        return None
    value, block, there, at = best
    sd = float(np.sqrt(max(squares[block] / trials - (total[block] / trials) ** 2, 1e-12)))
    from scipy.special import ndtr  # noqa: PLC0415 - scipy is imported where it is used

    every = float(trials * len(starts))
    outstanding = _gumbel_tail(value, maxima, at) * maxima.size
    p = float(min(1.0, max(ndtr(-value / sd) * every, outstanding)))
    return WarpedCopy(
        value, p, float(scales[at]), int(starts[block]) + off, there, width, every, sd
    )


def _gumbel_tail(value: float, maxima: Floats, at: int) -> float:
    """The chance of a maximum as large, by those of all blocks at scales around but not next to it.

    Of Fisher's atanh r; Gumbel's place and scale from median and median absolute deviation.
    """
    far = np.abs(np.arange(len(maxima)) - at)
    near = maxima[(far > BESIDE) & (far <= BESIDE + AROUND)]
    others = np.arctanh(np.clip(near[np.isfinite(near)], -0.9999, 0.9999))
    if len(others) < AROUND:
        return 1.0
    middle = float(np.median(others))
    beta = max(float(np.median(np.abs(others - middle))) / GUMBEL_MAD, 1e-3)
    place = middle + beta * float(np.log(np.log(2)))
    reached = float(np.arctanh(min(value, 0.9999)))
    return float(-np.expm1(-np.exp(-(reached - place) / beta)))


def _scales(width: int) -> Floats:
    """Scales from a quarter to four times, 1 among them, as close as a block needs.

    Below 1 a block is as many more rows of the other log, and scales are so much closer.
    """
    step = MISFIT / width
    slower = np.exp(np.arange(np.ceil(np.log(FARTHEST) / step) + 1) * step)
    faster = 1 / (1 + np.arange(np.ceil((FARTHEST - 1) / step), 0, -1) * step)
    return np.concatenate([faster, slower])


def _stretched(loss: Floats, scale: float, span: int) -> tuple[Floats, int]:
    """Residuals of a loss resampled to `scale` times its rows, and the rows cut off in front."""
    n = int((len(loss) - 1) * scale) + 1
    at = np.interp(np.arange(n) / scale, np.arange(len(loss)), loss) if scale != 1.0 else loss
    return residuals(at, span), max(span // 2, len(at) // 10)


def _sliding(
    blocks: Floats, norms: Floats, y: Floats, spectra: dict[int, NDArray[np.complex128]]
) -> Floats:
    """Pearson's r of each block [blocks, width] with `y` at every lag: [blocks, lags]."""
    width, n = blocks.shape[1], len(y)
    size = 1 << int(np.ceil(np.log2(n + width)))
    if size not in spectra:
        spectra[size] = np.conj(np.fft.rfft(blocks, size, axis=1))
    products = np.fft.irfft(np.fft.rfft(y, size) * spectra[size], size, axis=1)
    one, two = (np.concatenate([[0.0], np.cumsum(v)]) for v in (y, y * y))
    mean = (one[width:] - one[:-width]) / width
    power = np.maximum(two[width:] - two[:-width] - width * mean**2, 0.0)
    floor = 1e-6 * width * float(y @ y) / n
    scale = np.sqrt(np.maximum(power, max(floor, 1e-300)))
    return np.asarray(products[:, : n - width + 1] / (norms[:, None] * scale))


def planted_copy(loss: Floats, rows: int, seed: int, noise: float = BATCH_NOISE) -> Floats:
    """A log of `rows` rows that is `loss` stretched by a drawn scale, shifted, and noised.

    The scale is drawn between 2/3 and 3/2 and `noise` is in units of the log's own batch noise.
    """
    rng = np.random.default_rng(seed)
    scale = float(np.exp(rng.uniform(np.log(2 / 3), np.log(1.5))))
    shift = int(rng.integers(0, max(1, len(loss) // 20)))
    at = np.minimum(shift + np.arange(rows) / scale, len(loss) - 1)
    copy = np.interp(at, np.arange(len(loss)), loss)
    own = residuals(loss, 15)
    return np.asarray(copy + noise * float(own.std()) * rng.standard_normal(rows))
