"""Permutation test on Gram matrices: equal numbering of neurons, in whatever basis.

A forger may rotate the residual stream, or renumber its channels, and train new embeddings:
then no two weights of the copy and the original are alike in place. But the angles between the
neurons of a layer stay what they were. So the table of angles of one network is compared with
that of the other, neuron by number, against the same table with neighbours renumbered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.centring import unit_rows

Array = NDArray[np.float32]
Views = Sequence[Array]  # several matrices with the same neurons as rows

DRAWS = 999
FIRST = 50  # draws for the effect; one that fits better ends the rest
FEWEST = 16  # rows; fewer have too few permutations for a rank of one in a thousand
NEIGHBOURS = 4  # successive rows that are renumbered among themselves
LARGEST = 96


@dataclass(frozen=True, slots=True)
class GramPermutation:
    """Blocks whose own numbering fits better than every permutation that was drawn.

    `statistic` counts such blocks, `n` the blocks; `effect` is by how much the two tables of
    angles correlate more than with neighbours renumbered; `correlations` has it by block.
    """

    statistic: int
    n: int
    pvalue: float
    effect: float
    draws: int
    correlations: tuple[float, ...] = field(repr=False, default=())
    null: str = "renumbered neighbours, layer by layer (rank among draws, binomial over layers)"

    @property
    def minimum_detectable_effect(self) -> float:
        """The smallest share of fitting blocks at which p falls below one in a million."""
        for hits in range(1, self.n + 1):
            if binomial_tail(hits, self.n, 1 / (1 + self.draws)) <= 1e-6:
                return hits / self.n
        return math.inf


def gram_permutation(
    blocks: Iterable[tuple[Views, Views]], rng: np.random.Generator, draws: int = DRAWS
) -> GramPermutation | None:
    """Compare the angles between equally numbered neurons of two networks.

    Parameters
    ----------
    blocks : iterable of (views of A, views of B)
        One for each layer or expert: matrices (n, d) whose row i belongs to neuron i, the same n
        in both networks; the widths d may differ.
    rng : numpy.random.Generator
        Draws the permutations.
    draws : int
        Permutations for each block.

    Returns
    -------
    GramPermutation or None
        None if no block has enough rows.

    Notes
    -----
    Null: independent initialisation. Training treats all neurons of a layer alike, so that B's
    numbering is uniformly random given the rest, whatever basis either residual stream has.
    Where a number means something it does so by its place: experts stand in groups, neurons in
    the order of what they load on. So only `NEIGHBOURS` successive rows change places in a draw,
    and what a convention of the order explains is in the draws as well. The true numbering
    is then best of 1 + draws with probability 1 / (1 + draws) at most (ties
    count against it), independently for every layer, and the number of such layers is binomial:
    exact, after N. Mantel (1967) and as for every randomisation test.

    It is blind to renumbered neurons (`anchored_matching` is not), and it finds models of
    the same seed as well as descendants: those are told apart by size.
    """
    hits = 0
    found: list[float] = []
    for ours, theirs in blocks:
        size = min(len(ours[0]), LARGEST)
        if size < FEWEST or len(ours[0]) != len(theirs[0]):
            continue
        left = [_angles(view[:size]) for view in ours]
        right = [_angles(view[:size]) for view in theirs]
        observed = _correlation(left, right)
        drawn = []
        for _ in range(draws):
            order = _neighbours(size, rng)
            drawn.append(_correlation(left, [table[order].take(order, axis=1) for table in right]))
            if len(drawn) >= FIRST and drawn[-1] >= observed:
                break
        hits += observed > max(drawn)
        found.append(observed - float(np.mean(drawn)))
    if not found:
        return None
    pvalue = binomial_tail(hits, len(found), 1 / (1 + draws))
    return GramPermutation(hits, len(found), pvalue, float(np.mean(found)), draws, tuple(found))


def _neighbours(size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Renumber rows among their neighbours only."""
    return np.argsort(np.arange(size) // NEIGHBOURS + rng.random(size))


def _angles(view: Array) -> Array:
    """Cosines between rows, with the diagonal and the common mean taken out, at unit norm."""
    unit = unit_rows(view)
    table: Array = unit @ unit.T
    size = len(table)
    outside = ~np.eye(size, dtype=bool)
    table = np.where(outside, table - table[outside].mean(), 0).astype(np.float32)
    norm = float(np.linalg.norm(table))
    return table / norm if norm > 0 else table


def _correlation(left: Sequence[Array], right: Sequence[Array]) -> float:
    pairs = zip(left, right, strict=True)
    return math.fsum(np.vdot(a, b) for a, b in pairs) / len(left)


def binomial_tail(hits: int, trials: int, chance: float) -> float:
    """Return P(Binomial(trials, chance) >= hits).

    Examples
    --------
    >>> round(binomial_tail(1, 2, 0.5), 3), binomial_tail(0, 5, 0.1)
    (0.75, 1.0)
    """
    if hits <= 0:
        return 1.0
    terms = (
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k)
        for k in range(hits, trials + 1)
    )
    return min(1.0, math.fsum(terms))
