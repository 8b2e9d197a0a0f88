"""Cross-view matching: gate and up matrices must match neuron i of A to the same one of B.

Neurons can be renumbered for nothing, and a forger will. But the gate and the up matrix of a
block share their neurons: matched separately, by independent weights, the two matchings agree
on a descendant and on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.assignment import best_permutation, row_similarity

Array = NDArray[np.float32]

DISPERSION = 1.5  # a margin over the variance-to-mean ratio of 1.1 that peers measured


@dataclass(frozen=True, slots=True)
class MatchAgreement:
    """Neurons on whose partner both matchings agree, over several blocks.

    `statistic` counts them, `effect` is their share; `shares` are the shares by block.
    """

    statistic: int
    n: int
    pvalue: float
    shares: tuple[float, ...]
    fixed_share: float  # of the agreed neurons, those that are fixed points of both matchings
    expected: float = field(repr=False, default=0.0)
    null: str = "Poisson, one agreement per block, mean inflated by 1.5 (approximate)"

    @property
    def effect(self) -> float:
        """The share of neurons on which both matchings agree."""
        return self.statistic / self.n if self.n else 0.0

    @property
    def minimum_detectable_effect(self) -> float:
        """The smallest share whose p is below one in a million."""
        k = 1
        while k < self.n and poisson_tail(k, DISPERSION * self.expected) > 1e-6:
            k += 1
        return k / self.n if self.n else math.inf


def match_agreement(
    blocks: Iterable[tuple[tuple[Array, Array], tuple[Array, Array]]], *, largest: int = 1024
) -> MatchAgreement:
    """Match the neurons of two blocks twice and count agreements.

    Parameters
    ----------
    blocks : iterable of ((gate_A, gate_B), (up_A, up_B))
        Matrices with neurons as rows and the residual channels as columns. The numbers of
        neurons may differ. For blocks without a gate: fc1 and the transpose of fc2.
    largest : int
        Neurons of A that take part; the first ones. B's take part all.

    Returns
    -------
    MatchAgreement

    Notes
    -----
    Two independent matchings agree on n_A / n_B * n / n = one neuron or fewer per block,
    whatever their size. p is P(Poisson(1.5 sum of expectations) >= k). It is approximate:
    gate and up rows of one neuron are trained together, so their matchings are not quite
    independent under the null, and controls decide beside it. For index-aligned channels
    only; after an alignment that was fitted to the weights no p-value is valid.
    Follows the MATCH statistic of Zhu et al., arXiv 2502.12292, without activations.
    """
    agreed = total = fixed = 0
    expected = 0.0
    shares: list[float] = []
    for gates, ups in blocks:
        size = min(len(gates[0]), largest)
        by_gate = best_permutation(row_similarity(gates[0][:size], gates[1]))
        by_up = best_permutation(row_similarity(ups[0][:size], ups[1]))
        same = (by_gate == by_up) & (by_gate >= 0)
        agreed += int(same.sum())
        fixed += int((same & (by_gate == np.arange(size))).sum())
        total += size
        expected += min(1.0, size / max(1, len(gates[1])))
        shares.append(float(same.mean()))
    pvalue = poisson_tail(agreed, DISPERSION * expected)
    return MatchAgreement(
        agreed, total, pvalue, tuple(shares), fixed / agreed if agreed else 0.0, expected
    )


def poisson_tail(k: int, mean: float) -> float:
    """Return P(Poisson(mean) >= k), accurate in the far tail.

    Examples
    --------
    >>> round(poisson_tail(1, 1.0), 4)
    0.6321
    """
    if k <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if k <= mean:
        head = math.fsum(math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(k))
        return max(0.0, 1.0 - head)
    term = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
    total, i = 0.0, k
    while term > 1e-17 * total and term > 0.0:
        total += term
        i += 1
        term *= mean / i
    return min(1.0, total)
