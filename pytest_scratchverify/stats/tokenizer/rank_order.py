"""Rank correlations of two token orders, and tests of whether they could be chance.

Two vocabularies learnt apart still agree that " the" comes before " quixotic": frequency
orders both, so the null of a random permutation is rejected for every pair and says
nothing. What chance cannot do is put *neighbours* in the same order: among tokens that are
next to one another in one vocabulary, an independent training decides the order anew. The
functions here measure both. They read no file and decide nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ranks = NDArray[np.int32] | NDArray[np.int64]
Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Kendall's tau and Spearman's rho of `n` shared tokens; None below two tokens."""

    kendall: float | None
    spearman: float | None
    n: int


@dataclass(frozen=True, slots=True)
class NeighbourOrder:
    """How often neighbours of one order stand in the same order in the other.

    `concordance` runs from 0 to 1 and is one half for orders without a common history;
    `inherited` is the share of tokens whose order is common beyond that, 0 to 1; `low` and
    `high` bound the concordance with 95 % confidence (Wilson's interval).
    """

    concordance: float
    inherited: float
    n: int
    concordant: int
    low: float
    high: float


class Offset(NamedTuple):
    """The most frequent difference of ids, and the share of tokens that have it."""

    offset: int
    share: float
    same_id_share: float


def rank_correlation(a: Ranks, b: Ranks) -> RankCorrelation:
    """Compute Kendall's tau and Spearman's rho: text alike ranks words alike.

    Kendall's tau-b and Spearman's rho of the ranks `a` and `b` (shape ``(n,)``, the same
    token at the same place): what scipy.stats computes, which takes longer to import than all
    orders of a run to compare. Independent vocabularies reach .70, so the number must be read
    against that population, never against zero.
    """
    if len(a) < 2:
        return RankCorrelation(None, None, len(a))
    with np.errstate(invalid="ignore"):  # of constant ranks: no number, and said so
        rho = float(np.corrcoef(_ranked(a), _ranked(b))[0, 1])
    return RankCorrelation(_kendall(a, b), _finite(rho), len(a))


def _kendall(a: Ranks, b: Ranks) -> float | None:
    """Return tau-b (M. Kendall, The treatment of ties in ranking problems, 1945)."""
    pairs = math.comb(len(a), 2)
    tied_a, tied_b = _tied(a), _tied(b)
    scale = math.sqrt((pairs - tied_a) * (pairs - tied_b))
    if not scale:
        return None
    both = _tied(
        np.unique(a, return_inverse=True)[1] * len(b) + np.unique(b, return_inverse=True)[1]
    )
    discordant = _inversions(b[np.lexsort((b, a))])
    return (pairs - tied_a - tied_b + both - 2 * discordant) / scale


def _ranked(values: Ranks) -> NDArray[np.float64]:
    """Return ranks, of equal values their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return found


def _tied(values: Ranks) -> int:
    """Count the pairs of equal values."""
    counts = np.unique(values, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())


def _inversions(values: Ranks) -> int:
    """Count the pairs of which the larger comes first, in O(n log n).

    Bit by bit from the highest: among those alike in all bits above, ones that stand before zeros.
    """
    ranks = np.unique(values, return_inverse=True)[1]
    found = 0
    for bit in range(int(ranks.max()).bit_length() - 1, -1, -1):
        ones = (ranks >> bit) & 1
        above = ranks >> (bit + 1)  # sorted, and in the order of the values where it is equal
        before = np.cumsum(ones) - ones
        first = np.searchsorted(above, above)
        found += int((before - before[first])[ones == 0].sum())
        ranks = ranks[np.argsort(ranks >> bit, kind="stable")]
    return found


def longest_ordered_share(a: Ranks, b: Ranks) -> float | None:
    """The largest share of shared tokens that both vocabularies list in one order.

    Length of the longest increasing subsequence of `b` in the order of `a`, over n
    (patience sorting, Fredman 1975; O(n log n)). It shrinks with n for unrelated orders
    (about 2/sqrt(n) for random ones), so compare only shares of equal n.
    """
    if len(a) == 0:
        return None
    tails: list[int] = []
    for value in b[np.argsort(a, kind="stable")].tolist():
        at = bisect_left(tails, value)
        if at == len(tails):
            tails.append(value)
        else:
            tails[at] = value
    return len(tails) / len(a)


def neighbour_order(a: Ranks, b: Ranks) -> NeighbourOrder | None:
    """Whether neighbours in one vocabulary are in the same order in the other.

    Tokens are sorted by `a` and cut into disjoint pairs of neighbours; a pair is concordant
    if `b` rises too. The same is done with the roles exchanged and the smaller concordance
    is kept, which makes the result symmetric and the claim the weaker one. Pairs are
    disjoint, so under independent training they are coin flips with a chance a little above
    one half (`concordance_pvalue`). If a share s of tokens keeps its order and the rest is
    unrelated, the concordance is about (1 + s) / 2: `inherited` solves that for s.

    None below two shared tokens.
    """
    pairs = len(a) // 2
    if pairs == 0:
        return None
    concordant = min(_concordant(a, b), _concordant(b, a))
    low, high = wilson_interval(concordant, pairs)
    share = concordant / pairs
    return NeighbourOrder(share, max(0.0, 2 * share - 1), pairs, concordant, low, high)


def _concordant(a: Ranks, b: Ranks) -> int:
    pairs = b[np.argsort(a, kind="stable")][: len(a) // 2 * 2].reshape(-1, 2)
    return int(np.count_nonzero(pairs[:, 1] > pairs[:, 0]))


def wilson_interval(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Bounds of a share that hold near 0 and 1 too (Wilson 1927)."""
    share, square = successes / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * float(np.sqrt(share * (1 - share) / n + square / (4 * n)))
    return max(0.0, middle - half), min(1.0, middle + half)


def concordance_pvalue(order: NeighbourOrder, chance: float) -> float:
    """Return the binomial p of so many concordant neighbours, were both orders learnt apart.

    Upper tail of the binomial distribution of ``order.n`` disjoint pairs. `chance` is not
    one half but the highest concordance that the calibration allows an independent pair,
    since frequency orders even neighbours a little; the p-value is exact for that chance and
    conservative below it. It rejects *learnt apart*, and does not say who copied whom.
    """
    from scipy.special import bdtrc  # noqa: PLC0415 - scipy is imported where it is used

    return float(bdtrc(order.concordant - 1, order.n, chance))


def detectable_share(n: int, chance: float, alpha: float = 0.001) -> float | None:
    """The smallest inherited share that `n` pairs would reveal nine times in ten.

    The concordance whose tenth percentile reaches the critical value of
    `concordance_pvalue` at `alpha`, put as an inherited share. None if no share would.
    """
    if n == 0:
        return None
    from scipy.special import bdtrc  # noqa: PLC0415 - scipy is imported where it is used

    critical = 1 + bisect_left(range(n + 1), x=True, key=lambda k: bdtrc(k, n, chance) <= alpha)
    shares = np.linspace(chance, 1.0, 501)
    power = bdtrc(critical - 1, n, shares)
    found = np.flatnonzero(power >= 0.9)
    return float(max(0.0, 2 * shares[found[0]] - 1)) if len(found) else None


def id_offset(a: Ranks, b: Ranks) -> Offset | None:
    """How many shared tokens have the same id, once ids may be shifted as a block.

    `a` and `b` are the ids of the shared tokens, shape ``(n,)``. Adding specials in front
    shifts every id by one number, so the most frequent difference is removed first. None
    without a shared token.
    """
    if len(a) == 0:
        return None
    difference = b.astype(np.int64) - a.astype(np.int64)
    values, counts = np.unique(difference, return_counts=True)
    at = int(np.argmax(counts))
    same = float(np.mean(difference == 0))
    return Offset(int(values[at]), float(counts[at] / len(a)), same)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
