"""Influence of single probes on a distance: the check that a public fingerprint missed.

A published fingerprint of a hundred answers kept the first 128 numbers of a concatenation of 99
per answer: it compared 1.3 answers, and replacing the other 98 moved it by .012. So every
distance is asked what each single probe does to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Distance = Callable[[Float, Float], float]


@dataclass(frozen=True, slots=True)
class Dependence:
    """How a distance depends on its n probes.

    `influence` is the change of the distance when one probe's answer is replaced by another
    probe's; `top` is the share of all influence that the `k` strongest probes have; `silent` the
    share of probes without any; `effective` the number of equally strong probes that would give
    the same concentration (the inverse of the sum of squared shares).
    """

    influence: Float
    k: int
    top: float
    silent: float
    effective: float


def probe_dependence(distance: Distance, one: Float, two: Float, k: int = 2) -> Dependence | None:
    """Measure each probe's influence: replace one answer at a time, see what the distance does.

    Parameters
    ----------
    distance
        Any function of two arrays of shape (n, d), one row per probe.
    one, two
        The answers of two models as numbers, shape (n, d).
    k
        How many of the strongest probes to sum up.

    Returns
    -------
    None with fewer than three probes, or where no replacement moves the distance at all.
    """
    n = len(one)
    if n < 3:
        return None
    base = distance(one, two)
    moved = np.zeros(n)
    for probe in range(n):
        changed = one.copy()
        changed[probe] = one[(probe + n // 2) % n]
        moved[probe] = abs(distance(changed, two) - base)
    return concentration(moved, k)


def concentration(influence: Float, k: int = 2) -> Dependence | None:
    """Summarise influences of shape (n,), zero or larger; None where all are zero."""
    total = float(influence.sum())
    if total <= 0:
        return None
    shares = np.sort(influence / total)[::-1]
    return Dependence(
        influence=influence,
        k=k,
        top=float(shares[:k].sum()),
        silent=float(np.mean(shares <= 1e-9)),
        effective=float(1.0 / np.sum(shares**2)),
    )
