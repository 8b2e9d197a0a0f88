"""Linear assignment between parts of two networks, and exact p-values of its fixed points.

The neurons of a layer, the experts of a router, the channels of a residual stream carry
numbers that mean nothing: initialisation draws them from one distribution and every optimiser
in use treats them alike, so a network with its neurons renumbered is as likely an outcome as
the network itself. Two networks trained from independent initialisations therefore have
independent numberings, and the permutation that makes them most alike is uniformly random.
How many parts are its fixed points, that is keep their number, is the problem of the hats.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.centring import centred, unit_rows

Array = NDArray[np.float32]

_EXACT = 64  # counts up to here by convolution, beyond by a bound that is sharp there


@dataclass(frozen=True, slots=True)
class FixedPoints:
    """Fixed points of the best permutation: parts that keep their place.

    `statistic` is their number, `n` how many parts there are, `effect` the quotient.
    `minimum_detectable_effect` is the smallest share that `ALPHA_SHOWN` would reject at.
    """

    statistic: int
    n: int
    pvalue: float
    sizes: tuple[int, ...] = field(repr=False, default=())
    null: str = "fixed points of independent uniform permutations (exact)"

    @property
    def effect(self) -> float:
        """The share of parts that are fixed points."""
        return self.statistic / self.n if self.n else 0.0

    @property
    def minimum_detectable_effect(self) -> float:
        """The smallest share of fixed points at which p falls below one in a million."""
        for k in range(self.n + 1):
            if fixed_points_pvalue(k, self.sizes) <= 1e-6:
                return k / self.n
        return math.inf

    @property
    def randomised_pvalue_bounds(self) -> tuple[float, float]:
        """P(K > k) and P(K >= k): a uniform draw between them is uniform under the null."""
        return fixed_points_pvalue(self.statistic + 1, self.sizes), self.pvalue


def fixed_points_pvalue(k: int, sizes: Sequence[int]) -> float:
    """Return P(K >= k) for the fixed points of independent uniform permutations.

    Parameters
    ----------
    k : int
        The observed number of fixed points over all permutations.
    sizes : sequence of int
        How many elements each permutation moves.

    Returns
    -------
    float
        The probability; exact by convolution of the rencontres numbers for small k. Beyond,
        the bound E[(K)_k] / k! <= B**k / k! for B permutations, which holds for every k.

    Notes
    -----
    A permutation of n has j fixed points with probability D(n-j) / (j! (n-j)!), D the number
    of derangements; all factorial moments up to n are one, hence the bound.
    P. R. de Montmort, Essay d'analyse sur les jeux de hazard (1713).

    Examples
    --------
    >>> round(fixed_points_pvalue(1, [2]), 3), round(fixed_points_pvalue(3, [3]), 4)
    (0.5, 0.1667)
    """
    if k <= 0:
        return 1.0
    if k > sum(sizes):
        return 0.0
    count = len(sizes)
    bound = math.exp(min(0.0, k * math.log(count) - math.lgamma(k + 1)))
    if k > _EXACT or bound < 1e-12:
        return bound
    tail = 1.0 - float(_distribution(sizes, k).sum())
    return min(bound, max(tail, 0.0)) if tail > 1e-9 else bound


def _distribution(sizes: Sequence[int], k: int) -> NDArray[np.float64]:
    """P(K = 0), ..., P(K = k-1)."""
    total = np.zeros(k)
    total[0] = 1.0
    for size in sizes:
        total = np.convolve(total, _rencontres(min(size, 40), k))[:k]
    return total


@lru_cache(2**10)
def _rencontres(n: int, k: int) -> NDArray[np.float64]:
    derangements = [
        math.fsum((-1) ** i / math.factorial(i) for i in range(m + 1)) for m in range(n + 1)
    ]
    return np.array([derangements[n - j] / math.factorial(j) if j <= n else 0.0 for j in range(k)])


def best_permutation(similarity: Array) -> NDArray[np.intp]:
    """Return, for each row, the column it is matched to when total similarity is largest.

    Of equally good matchings, one is drawn: rows and columns are shuffled with a seed that the
    weights decide. The solver by itself takes the first, which turns every tie into a fixed point.
    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second to import

    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(similarity).data))
    order = [rng.permutation(size) for size in similarity.shape]
    rows, columns = linear_sum_assignment(_reduced(similarity[np.ix_(*order)]))
    matched = np.full(similarity.shape[0], -1, np.intp)
    matched[order[0][rows]] = order[1][columns]
    return matched


def _reduced(similarity: Array) -> NDArray[np.float64]:
    """Return costs whose best assignment is that of the similarity, and is found in half the time.

    What all of a row's entries have less is no row's choice, nor a column's where every one is
    taken: the first step of the Hungarian method (H. W. Kuhn, 1955), which the solver leaves out.
    """
    costs = np.negative(similarity, dtype=np.float64)
    height, width = costs.shape
    if 0 < height <= width:
        costs -= costs.min(axis=1, keepdims=True)
    if 0 < width <= height:
        costs -= costs.min(axis=0, keepdims=True)
    return costs


def row_similarity(ours: Array, theirs: Array) -> Array:
    """Cosines between the doubly centred rows of two matrices of equal width."""
    similarity: Array = unit_rows(centred(ours)) @ unit_rows(centred(theirs)).T
    return similarity


def fixed_points(similarities: Iterable[Array]) -> FixedPoints:
    """Count the fixed points of the best permutations, over independent groups of parts.

    Parameters
    ----------
    similarities : iterable of (n, n) arrays
        One for each group whose numbers were drawn by themselves: the neurons of one layer or
        expert, the experts of one router. Entry (i, j) is how alike part i of one model and
        part j of the other are, by any measure that treats all parts alike.

    Returns
    -------
    FixedPoints

    Notes
    -----
    Null: independent initialisation. Exact at every size, whatever the measure, because a
    renumbering of one model permutes the columns of the similarity, given that no two parts of
    one model are equal: groups come from `exchangeable`, which leaves zeros and repeats out.

    It misleads where numbers have a meaning: positions, tokens, frequencies of a rotary
    embedding, fixed bases. It finds no relation to a descendant whose parts were renumbered;
    `match_agreement` does. A small p says "not independently initialised", never "derived":
    models of the same seed keep their numbers too.
    """
    fixed = 0
    sizes: list[int] = []
    for similarity in similarities:
        matched = best_permutation(similarity)
        fixed += int(np.count_nonzero(matched == np.arange(len(matched))))
        sizes.append(len(matched))
    return FixedPoints(fixed, sum(sizes), fixed_points_pvalue(fixed, sizes), tuple(sizes))
