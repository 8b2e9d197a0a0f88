"""Cross-view matching: gate and up matrices must match neuron i of A to the same one of B.

Neurons can be renumbered for nothing, and a forger will. But the gate and the up matrix of a
block share their neurons: matched separately, by independent weights, the two matchings agree
on a descendant and on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.assignment import best_permutation, row_similarity
from pytest_scratchverify.stats.weights.exchangeable_rows import distinct_rows

Array = NDArray[np.float32]

DISPERSION = 1.5  # a margin over the variance-to-mean ratio of 1.1 that peers measured
SURROGATES = 3  # draws of the pair under its null, for the mean
SUSPICIOUS = 0.3  # p of one block by the least mean, below which its mean is measured on the pair


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
    null: str = "Poisson, mean of the pair itself under flipped channels, by 1.5 (approximate)"

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
    whatever their size, if gate and up rows of one neuron have nothing in common. They have
    something: at a cosine of .7 of the two, eleven neurons agree by chance. So where there are
    more agreements than the least mean allows, the mean is measured on the pair: the signs of
    B's channels are flipped at random, in gate and up alike, which is as likely a network as B
    (initialisation and optimiser treat both signs alike) and keeps all that gate and up of a
    neuron, and large channels, have in common. p is P(Poisson(1.5 mean) >= k): approximate, and
    controls decide beside it. Neurons that are zero, or another one's repeat, take no part.
    For index-aligned channels only; after an alignment that was fitted to the weights no p-value
    is valid. Follows the MATCH statistic of Zhu et al., arXiv 2502.12292, without activations.
    """
    agreed = total = fixed = 0
    expected = 0.0
    shares: list[float] = []
    for gates, ups in blocks:
        size = min(len(gates[0]), largest)
        mine = distinct_rows([gates[0][:size], ups[0][:size]])
        other = distinct_rows([gates[1], ups[1]])
        if not len(mine) or not len(other):
            continue
        ours = gates[0][mine], ups[0][mine]
        theirs = gates[1][other], ups[1][other]
        partner = _agreed(ours, theirs)
        same = partner >= 0
        found = int(same.sum())
        agreed += found
        fixed += int((other[partner[same]] == mine[same]).sum())
        total += len(mine)
        chance = min(1.0, len(mine) / len(other))
        if poisson_tail(found, DISPERSION * chance) < SUSPICIOUS:
            rng = np.random.default_rng(found)
            draws = [_agreed(ours, _flipped(theirs, rng)) for _ in range(SURROGATES)]
            chance = surrogate_mean([int((draw >= 0).sum()) for draw in draws], chance)
        expected += chance
        shares.append(float(same.mean()))
    pvalue = poisson_tail(agreed, DISPERSION * expected)
    return MatchAgreement(
        agreed, total, pvalue, tuple(shares), fixed / agreed if agreed else 0.0, expected
    )


def _agreed(ours: tuple[Array, Array], theirs: tuple[Array, Array]) -> NDArray[np.intp]:
    """Return the partner on which both matchings agree, -1 elsewhere."""
    by_gate, by_up = (
        best_permutation(row_similarity(a, b)) for a, b in zip(ours, theirs, strict=True)
    )
    return np.where(by_gate == by_up, by_gate, -1)


def _flipped(views: tuple[Array, Array], rng: np.random.Generator) -> tuple[Array, Array]:
    """Flip the signs of channels at random, in both views alike."""
    signs = rng.choice(np.array([-1, 1], np.float32), views[0].shape[1])
    return views[0] * signs, views[1] * signs


def surrogate_mean(counts: Sequence[int], least: float) -> float:
    """Estimate a Poisson mean from draws under the null: three standard errors above their mean.

    Never below `least`, what independent matchings give.
    """
    total, draws = sum(counts), len(counts)
    return max(least, (total + 3 * math.sqrt(total)) / draws)


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
