"""Learning-rate schedules: which known family a column of rates follows, once or with restarts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Steps = NDArray[np.int64]
MAX_POINTS = 4000
RISE = 0.1  # of the peak: a rise after it by more is a restart
MOST_LEVELS = 12  # of a rate that falls in steps
MOST_CYCLES = 64
SHORTEST_CYCLE = 8  # points below which a stage cannot be told from any formula


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """The best family, its error, the steps of its warm-up, and its cycles."""

    kind: str  # constant, linear, polynomial, cosine, inverse_sqrt, exponential, wsd, steps
    statistic: float  # root mean square error, of the peak: the largest of all cycles
    peak: float
    final: float
    warmup: int  # steps from the first point to the peak
    starts_low: bool  # whether the first rate is below half the peak
    jumps: int  # rises after the peak by more than a tenth of it
    cycles: int  # 1 + jumps, where each part follows a formula
    regular: bool  # whether the cycles' lengths and peaks are those of one rule


def rate_schedule(steps: Steps, rate: Floats) -> RateSchedule | None:
    """The schedule is a formula, so a real log follows one of few to rounding.

    After the peak, with x from 0 to 1: constant; linear, polynomial (powers .5, 2, 3) or cosine
    to the last rate, counted from the peak or from step 0; a cosine cut off before its end;
    1/sqrt(step); exponential; falling in steps; warm-up, stable, decay (linear, cosine, 1 - sqrt
    or exponential). The smallest root mean square error stands. Where the rate rises again, each
    cycle from one trough to the next is fitted by itself: warm restarts (Loshchilov and Hutter
    2017: equal lengths, or each longer by one factor), stages, or rows of several runs. None
    below eight points or without a positive rate.
    """
    known = np.isfinite(rate)
    t, y = steps[known].astype(np.float64), rate[known].astype(np.float64)
    if len(t) < 8 or not y.max() > 0 or t[-1] <= t[0]:
        return None
    peak = float(y.max())
    thin = np.unique(np.linspace(0, len(t) - 1, MAX_POINTS).astype(int))
    t, y = t[thin], y[thin] / peak
    bounds = _troughs(y)
    parts = [slice(a, b) for a, b in pairwise(bounds)]
    fits = [_fit(t[part], y[part]) for part in parts]
    error = max(found for found, _ in fits)
    kinds = [kind for _, kind in fits]
    top = int(np.argmax(y >= 0.995))
    return RateSchedule(
        kind=max(kinds, key=kinds.count),
        statistic=error,
        peak=peak,
        final=float(y[-1] * peak),
        warmup=int(t[top] - t[0]),
        starts_low=bool(y[0] < 0.5),
        jumps=len(parts) - 1,
        cycles=len(parts),
        regular=_is_regular(t, y, parts),
    )


def _troughs(y: Floats) -> list[int]:
    """Where cycles begin: the first point, and the lowest one before each rise after a peak."""
    bounds, low, high, falling = [0], 0, 0, False
    for at in range(1, len(y)):
        if not falling:
            high = at if y[at] >= y[high] else high
            if y[at] < y[high] - RISE:
                falling, low = True, at
            continue
        low = at if y[at] <= y[low] else low
        if y[at] > y[low] + RISE:
            # the trough ends a cycle, or is the first point of the next one's warm-up
            fell = low > 1 and y[low - 1] - y[low] > 3 * abs(y[low - 2] - y[low - 1]) + 0.005
            jump = low + 1 < len(y) and y[low + 1] > y[low] + RISE / 2
            bounds.append(low + 1 if jump and not fell else low)
            falling, high = False, at
    return [*bounds[:MOST_CYCLES], len(y)] if len(bounds) <= MOST_CYCLES else [0, len(y)]


def _fit(t: Floats, y: Floats) -> tuple[float, str]:
    """Return the error of the best family, of the whole peak, and its name."""
    scale = float(y.max())
    if not scale > 0 or len(t) < SHORTEST_CYCLE:
        return (0.0, "constant") if len(t) < SHORTEST_CYCLE else (_rms(y), "constant")
    y = y / scale
    top = int(np.argmax(y >= 0.995))
    span = max(float(t[-1] - t[top]), 1.0)
    # Steps that go back, or lie closer than one, are no place in a schedule.
    x, z = np.clip((t[top:] - t[top]) / span, 0, 1), y[top:]
    low, least = float(z[-1]), max(float(z[-1]), 1e-3)
    curves: list[tuple[str, Floats]] = [
        ("constant", np.ones_like(x)),
        ("linear", 1 + (low - 1) * x),
        ("inverse_sqrt", np.sqrt(max(t[top], 1.0) / np.maximum(t[top:], 1.0))),
        ("exponential", least**x),
        ("steps", _steps(z)),
    ]
    since = np.clip(
        (t[top:] - t[0]) / max(float(t[-1] - t[0]), 1.0), 0, 1
    )  # some count the cosine from step 0
    for end in (1.0, 1.1, 1.25, 1.5, 2.0, 3.0):
        curves += [("cosine", _cosine(at / end, low)) for at in (x, since)]
    curves += [("polynomial", low + (1 - low) * (1 - x) ** power) for power in (0.5, 2.0, 3.0)]
    knee = int(np.flatnonzero(z >= 0.999)[-1]) if (z >= 0.999).any() else 0
    begins = [*np.arange(0.02, 0.99, 0.02), *x[knee : knee + 2]]
    for begin in [float(at) for at in begins if at < 0.995]:
        late = np.clip((x - begin) / (1 - begin), 0, 1)
        curves += [
            ("wsd", 1 + (low - 1) * late),
            ("wsd", 1 + (low - 1) * np.sqrt(late)),
            ("wsd", low + (1 - low) * 0.5 * (1 + np.cos(np.pi * late))),
            ("wsd", least**late),
        ]
    errors = [(_rms(curve - z), name) for name, curve in curves]
    error, kind = min(
        errors, key=lambda item: (round(item[0], 3), item[1] in ("wsd", "steps"), item[0])
    )
    return error * scale, kind


def _steps(z: Floats) -> Floats:
    """The same rates rounded to their levels, where few cover them; else far away."""
    ends = np.flatnonzero(np.abs(np.diff(z)) > 1e-3)
    bounds = np.concatenate([[0], ends + 1, [len(z)]])
    if len(bounds) - 1 > MOST_LEVELS:
        return z + 1.0
    size = np.diff(bounds)
    return np.repeat(np.add.reduceat(z, bounds[:-1]) / size, size)


def _is_regular(t: Floats, y: Floats, parts: list[slice]) -> bool:
    """Whether all cycles but the last are as long as one factor makes them, and peaks as high."""
    if len(parts) < 2:
        return True
    length = np.array([t[part][-1] - t[part][0] for part in parts[:-1]])
    high = np.array([y[part].max() for part in parts])
    return _is_geometric(length) and _is_geometric(high) and bool(np.all(length > 0))


def _is_geometric(values: Floats, slack: float = 0.05) -> bool:
    if len(values) < 2:
        return True
    ratio = values[1:] / np.maximum(values[:-1], 1e-12)
    return bool(np.all(np.abs(ratio / np.median(ratio) - 1) < slack))


def _cosine(x: Floats, low: float) -> NDArray[np.float64]:
    """Half a cosine over x, from 1 at its first point to `low` at its last."""
    shape = np.cos(np.pi * x)
    whole = shape[0] - shape[-1]
    return np.asarray(low + (1 - low) * (shape - shape[-1]) / whole if whole > 0 else 0 * x + 1)


def _rms(error: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(error))))
