"""Aligned similarity of two networks, against the null of permuted residual channels.

Every matrix that reads the residual stream has a column for each channel. Between networks of
independent initialisation the numbering of channels is arbitrary, and one and the same
renumbering applies to all matrices at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.assignment import best_permutation, fixed_points_pvalue
from pytest_scratchverify.stats.weights.centring import centred

Array = NDArray[np.float32]


CHANNELS = 768  # at most so many channels take part in an assignment
MATCHED_FROM = 1e-3  # the exact test costs an assignment; it is made where it can matter
# What is added has 40 bits behind the point, and a sum below 8,192 needs no more than a double's
# 53: so sums are exact, whoever adds which part first. What is rounded away lies below the error
# of the product itself, which is made of single precision.
_ROUNDING = 1.5 * 2.0**12


@dataclass(frozen=True, slots=True)
class ChannelSimilarity:
    """Mean aligned centred cosine of matrices, against every permutation of the channels.

    `statistic` is the standardised trace, `effect` the mean aligned cosine. `fixed_points` channels
    of `n` are fixed points of the best permutation, which happens by chance with
    probability `exact_pvalue`; both are looked for where `pvalue` is below `MATCHED_FROM`.
    """

    statistic: float
    pvalue: float
    effect: float
    fixed_points: int
    n: int
    exact_pvalue: float
    minimum_detectable_effect: float
    matrices: int
    null: str = "joint permutation of the residual channels (exact mean and variance)"


@dataclass(slots=True)
class ChannelSums:
    """Accumulates matrices one pair after the other, at constant memory.

    `channels` picks the columns that take part; it must not depend on the weights.
    """

    channels: NDArray[np.intp]
    total: NDArray[np.float64] = field(init=False)
    matrices: int = 0

    def __post_init__(self) -> None:
        self.total = np.zeros((len(self.channels), len(self.channels)))

    def add(self, ours: Array, theirs: Array) -> None:
        """Add one pair of matrices with channels as columns and matching rows."""
        left, right = centred(ours[:, self.channels]), centred(theirs[:, self.channels])
        size = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
        if size > 0:
            part = ((left.T @ right) / size).astype(np.float64)
            part += _ROUNDING
            part -= _ROUNDING
            self.total += part
            self.matrices += 1

    def join(self, other: ChannelSums) -> None:
        """Add what was added elsewhere to sums over the same channels: exactly, in any order."""
        self.total += other.total
        self.matrices += other.matrices

    def result(self) -> ChannelSimilarity | None:
        """Evaluate what was added; None if nothing was."""
        if not self.matrices or len(self.channels) < 2:
            return None
        return channel_similarity(self.total / self.matrices, matrices=self.matrices)


def channel_similarity(cross: NDArray[np.float64], *, matrices: int = 1) -> ChannelSimilarity:
    """Compare the trace of a cross-similarity with its distribution under permutation.

    Parameters
    ----------
    cross : (d, d) array
        Mean over matrices of ``dc(X)' dc(Y) / (|dc X| |dc Y|)``, where dc is double centring;
        its trace is the mean aligned centred cosine.
    matrices : int
        How many matrices were averaged.

    Returns
    -------
    ChannelSimilarity

    Notes
    -----
    For a uniform permutation pi, T = sum_i C[i, pi(i)] has mean sum(C) / d and variance
    ``|dc(C)|^2 / (d - 1)``, and is asymptotically normal (W. Hoeffding, A combinatorial central
    limit theorem, 1951). `pvalue` is the normal upper tail: exact mean and variance, tail
    approximate beyond four or so standard deviations, where `exact_pvalue` decides.

    A trace far *below* its mean is "less alike than chance", never a sign of descent.
    It misleads where channels have a meaning of their own (sinusoidal positions) and between
    models that share an embedding matrix: there it says that the basis is shared.
    """
    size = len(cross)
    trace = float(np.trace(cross))
    mean = float(cross.sum()) / size
    deviation = math.sqrt(_spread(cross) / (size - 1))
    z = (trace - mean) / deviation if deviation > 0 else 0.0
    pvalue = 0.5 * math.erfc(z / math.sqrt(2))
    fixed = _fixed_points(cross) if pvalue <= MATCHED_FROM else 0
    return ChannelSimilarity(
        statistic=z,
        pvalue=pvalue,
        effect=trace,
        fixed_points=fixed,
        n=size,
        exact_pvalue=fixed_points_pvalue(fixed, [size]),  # 1 where nothing was matched
        minimum_detectable_effect=5.0 * deviation,
        matrices=matrices,
    )


def _spread(cross: NDArray[np.float64]) -> float:
    """Return ``|dc(C)|^2`` by the sums of C's squares, and of those of its means."""
    size = len(cross)
    whole = float(np.vdot(cross, cross))
    means = float((cross.mean(0) ** 2).sum() + (cross.mean(1) ** 2).sum())
    found = whole - size * means + (size * float(cross.mean())) ** 2
    return found if found > 1e-12 * whole else 0.0


def _fixed_points(cross: NDArray[np.float64]) -> int:
    matched = best_permutation(cross.astype(np.float32))
    return int(np.count_nonzero(matched == np.arange(len(cross))))


def permutation_pvalue(
    cross: NDArray[np.float64], rng: np.random.Generator, draws: int = 999
) -> float:
    """Return (1 + #{T_pi >= T}) / (1 + draws): what `channel_similarity` approximates."""
    size = len(cross)
    observed = float(np.trace(cross))
    rows = np.arange(size)
    drawn = [float(cross[rows, rng.permutation(size)].sum()) for _ in range(draws)]
    return (1 + sum(value >= observed for value in drawn)) / (1 + draws)


def channel_pvalue(channels: ChannelSimilarity) -> float:
    """Trust the normal tail to four standard deviations, and beyond only the exact test."""
    if channels.pvalue > 1e-4:
        return channels.pvalue
    return max(channels.pvalue, min(1e-4, channels.exact_pvalue))


def chosen_channels(width: int) -> NDArray[np.intp]:
    """Return which channels take part in assignments: a draw that depends on the width only."""
    if width <= CHANNELS:
        return np.arange(width)
    return np.sort(np.random.default_rng(width).permutation(width)[:CHANNELS])
