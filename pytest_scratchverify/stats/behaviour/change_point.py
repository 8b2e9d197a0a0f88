"""Change point of binary answers to dated questions: when a model stops knowing what happened.

Right answers are frequent up to some month and rare after it. The month comes with an interval,
because questions are few; without a clear step there is no month. Where knowledge thins out
slowly, the month is that of the steepest fall and the interval too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
# Twice the log-likelihood below the best that a month of the interval may lie. A change point is
# no regular parameter: on simulated steps 5 holds the true month in 92 % of cases, this in 97 %.
DEPTH = 6.6
FEWEST = 24  # questions
EDGE = 6  # questions before and after a step, at least


@dataclass(frozen=True, slots=True)
class Step:
    """A fall of the rate of right answers after month `at` (an index as given).

    `low` and `high` bound the last month known; `statistic` is the likelihood ratio against no
    step, `pvalue` its permutation p. `before` and `after` are the rates on both sides.
    """

    at: int
    low: int
    high: int
    before: float
    after: float
    statistic: float
    pvalue: float
    draws: int

    @property
    def fall(self) -> float:
        """How much the rate falls."""
        return self.before - self.after


def change_point(months: Ints, right: Bools, *, draws: int = 999, seed: int = 0) -> Step | None:
    """Estimate the change point after which right answers become rare.

    Parameters
    ----------
    months
        Shape (n,): the month of each question, as a count of months.
    right
        Shape (n,): whether it was answered rightly.
    draws
        Permutations of `right` over the questions: the null is that time plays no part.

    Returns
    -------
    None with fewer than `FEWEST` questions. The best step even where there is none to speak of:
    judge by `pvalue` and `fall`.

    Notes
    -----
    Two binomial rates with the earlier one higher, likelihood maximised over all months with
    `EDGE` questions on each side (D. Hinkley 1970; profile likelihood for the interval).
    """
    if len(months) < FEWEST:
        return None
    order = np.argsort(months, kind="stable")
    when, hits = months[order], right[order].astype(np.float64)
    cuts = np.array([c for c in np.flatnonzero(np.diff(when)) + 1 if EDGE <= c <= len(when) - EDGE])
    if len(cuts) == 0:
        return None
    ratio = _ratios(hits, cuts)
    best = int(np.argmax(ratio))
    rng = np.random.default_rng(seed)
    reached = sum(
        bool(_ratios(rng.permutation(hits), cuts).max() >= ratio[best] - 1e-12)
        for _ in range(draws)
    )
    inside = np.flatnonzero(ratio >= ratio[best] - DEPTH)
    cut = cuts[best]
    return Step(
        at=int(when[cut - 1]),
        low=int(when[cuts[inside[0]] - 1]),
        high=int(when[cuts[inside[-1]]]) - 1,
        before=float(hits[:cut].mean()),
        after=float(hits[cut:].mean()),
        statistic=float(ratio[best]),
        pvalue=(1 + reached) / (1 + draws),
        draws=draws,
    )


def _ratios(hits: NDArray[np.float64], cuts: Ints) -> NDArray[np.float64]:
    """Twice the log-likelihood of a fall at each cut over that of one rate throughout."""
    n, total = len(hits), hits.sum()
    left = np.cumsum(hits)[cuts - 1]
    before, after = left / cuts, (total - left) / (n - cuts)
    two = _binomial(left, cuts) + _binomial(total - left, n - cuts)
    one = _binomial(np.array(total), np.array(n))
    return np.where(before > after, 2 * (two - one), 0.0)


def _binomial(count: NDArray[np.float64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    from scipy.special import xlogy  # noqa: PLC0415 - 1 s that a plain collection need not pay

    rate = count / n
    found: NDArray[np.float64] = xlogy(count, rate) + xlogy(n - count, 1 - rate)
    return found
