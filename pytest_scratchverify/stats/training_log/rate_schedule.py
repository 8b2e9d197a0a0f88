"""Learning-rate schedules: which of five families a column of rates follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Steps = NDArray[np.int64]
MAX_POINTS = 4000


@dataclass(frozen=True, slots=True)
class RateSchedule:
    """The best of five families, its error, and the steps of its warm-up."""

    kind: str  # constant, linear, cosine, inverse_sqrt, wsd
    statistic: float  # root mean square error, of the peak
    peak: float
    final: float
    warmup: int  # steps from the first point to the peak
    starts_low: bool  # whether the first rate is below half the peak
    jumps: int  # rises after the peak by more than a tenth of it


def rate_schedule(steps: Steps, rate: Floats) -> RateSchedule | None:
    """The schedule is a formula, so a real log follows one of few to rounding.

    After the peak, with x from 0 to 1: constant; linear or cosine to the last rate, counted
    from the peak or from step 0; a cosine cut off before its end; 1/sqrt(step); warm-up,
    stable, decay (constant, then linear). The smallest root mean square error stands. A rise
    after the peak is a restart: of the schedule, or of the run (Loshchilov and Hutter 2017;
    Hu et al. 2024 for WSD). None below eight points or without a positive rate.
    """
    known = np.isfinite(rate)
    t, y = steps[known].astype(np.float64), rate[known].astype(np.float64)
    if len(t) < 8 or not y.max() > 0 or t[-1] <= t[0]:
        return None
    thin = np.unique(np.linspace(0, len(t) - 1, MAX_POINTS).astype(int))
    t, y = t[thin], y[thin] / y.max()
    top = int(np.argmax(y >= 0.995))
    x = (t[top:] - t[top]) / max(t[-1] - t[top], 1.0)
    z = y[top:]
    low = z[-1]
    fits = {
        "constant": np.ones_like(x),
        "linear": 1 + (low - 1) * x,
        "inverse_sqrt": np.sqrt(max(t[top], 1.0) / np.maximum(t[top:], 1.0)),
    }
    since = (t[top:] - t[0]) / (t[-1] - t[0])  # some trainers count the cosine from step 0
    ends = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0)
    curves = [("cosine", _cosine(at / end, low)) for end in ends for at in (x, since)]
    curves += [("wsd", np.interp(x, [0, at, 1], [1, 1, low])) for at in np.arange(0.3, 0.99, 0.02)]
    errors = [(_rms(fit - z), name) for name, fit in fits.items()]
    errors += [(_rms(fit - z), name) for name, fit in curves]
    error, kind = min(errors, key=lambda item: (round(item[0], 4), item[1] == "wsd"))
    return RateSchedule(
        kind,
        error,
        float(rate[known].max()),
        float(low * rate[known].max()),
        int(t[top] - t[0]),
        bool(y[0] < 0.5),
        int(np.count_nonzero(np.diff(z) > 0.1)),
    )


def _cosine(x: Floats, low: float) -> NDArray[np.float64]:
    """Half a cosine over x, from 1 at its first point to `low` at its last."""
    shape = np.cos(np.pi * x)
    whole = shape[0] - shape[-1]
    return np.asarray(low + (1 - low) * (shape - shape[-1]) / whole if whole > 0 else 0 * x + 1)


def _rms(error: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(error))))
