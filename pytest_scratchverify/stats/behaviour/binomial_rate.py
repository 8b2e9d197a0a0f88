"""Binomial rates with exact confidence intervals.

What a count out of so many says, and what it leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `n`, with bounds that hold the true rate with the asked confidence."""

    count: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The observed rate; None of nothing."""
        return self.count / self.n if self.n else None


def exact_rate(count: int, n: int, confidence: float = 0.95) -> Rate:
    """Return the Clopper-Pearson interval of a rate: never narrower than it says.

    For 0 of 10 at 95 % the bounds are 0 and .3085; for 5 of 10, .1871 and .8129.
    (C. Clopper and E. Pearson, Biometrika 26, 1934.) Of nothing: 0 and 1.
    """
    from scipy import stats  # noqa: PLC0415 - 1 s that a plain collection need not pay

    if not 0 <= count <= n:
        raise ValueError(f"{count} of {n} is no rate")
    if n == 0:
        return Rate(0, 0, 0.0, 1.0)
    found = stats.binomtest(count, n).proportion_ci(confidence, "exact")
    return Rate(count, n, float(found.low), float(found.high))


def above(count: int, n: int, allowed: float) -> float:
    """Return the exact p of a count at least this high, were the true rate `allowed`."""
    from scipy import stats  # noqa: PLC0415

    return float(stats.binomtest(count, n, allowed, "greater").pvalue) if n else 1.0
