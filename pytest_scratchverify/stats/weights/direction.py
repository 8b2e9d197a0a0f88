"""Which of two related models came first, from how the numbers of either moved.

Training adds to a weight what hardly depends on it: a later model is the earlier one plus
something nearly orthogonal to it, so that squares grow by the square of what was added. Taken the
other way round the same difference would have had to point back, against the weights that it was
added to. Weight decay shrinks all weights by one factor, which the growth of the rows that moved
most against those that moved least does not see. Pruning and rounding are told by their own marks.

Three numbers per pair, each 1 in expectation for steps that are orthogonal to where they start,
and each changing its sign with the order of the two. None knows which of two branches of one
parent is older: what is measured is which of the two lies nearer to where they parted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

FEWEST_ROWS = 16
SMALLEST_MOVE = 2e-5  # squared relative difference; bfloat16's rounding of both alone is 3e-6
CLIPPED = 2.0  # a growth beyond twice the expected one says no more than that
GRID_LEVELS = (127, 7)  # of symmetric rounding to eight and four bits
GRID_GROUPS = (0, 16, 32, 64, 128)  # inputs that share a scale; 0 for all
GRID_OFF = 0.06  # mean distance from a grid; .25 by chance
GRID_ROWS = 64
HALF_STEP, WITHIN = 0.55, 0.98  # steps, and the share of numbers that must lie within them
PRUNED = 0.2  # zeros that one has beyond the other's
CERTAIN = 6.0  # log odds of a mark that nothing but the order explains
ROUNDED = 12  # matrices that are asked whether they are rounded
MOST = 4.0  # log odds that growth can have


@dataclass(frozen=True, slots=True)
class Movement:
    """How one matrix, or many together, differ between two models.

    `squares` are the sums of squares of the first and of the second, and of their products;
    `rows` the weighted squares and products of what rows moved and grew, about their matrix's mean.
    """

    squares: tuple[float, float, float]
    rows: tuple[float, float] = (0.0, 0.0)

    def __add__(self, other: Movement) -> Movement:
        """Add up what was measured of disjoint numbers."""
        first, second, product = (a + b for a, b in zip(self.squares, other.squares, strict=True))
        return Movement(
            (first, second, product), (self.rows[0] + other.rows[0], self.rows[1] + other.rows[1])
        )

    @property
    def reverse(self) -> Movement:
        """The same, the second model taken for the first."""
        first, second, product = self.squares
        return Movement((second, first, product), (self.rows[0], -self.rows[1]))

    @property
    def cosine(self) -> float:
        """The cosine of the two, not centred."""
        first, second, product = self.squares
        size = float(np.sqrt(first * second))
        return product / size if size > 0 else 0.0

    @property
    def distance(self) -> float:
        """The squared difference, relative to the geometric mean of both squares."""
        first, second, product = self.squares
        size = float(np.sqrt(first * second))
        return max(0.0, first + second - 2 * product) / size if size > 0 else 0.0

    @property
    def growth(self) -> float | None:
        """How much squares grew from the first to the second, by the square of the difference."""
        first, second, product = self.squares
        moved = first + second - 2 * product
        if self.distance < SMALLEST_MOVE:
            return None
        return (second - first) / moved

    @property
    def growth_of_rows(self) -> float | None:
        """By how much rows that moved more grew more, within matrices: free of weight decay."""
        if self.rows[0] <= 0 or self.distance < SMALLEST_MOVE:
            return None
        return self.rows[1] / self.rows[0]


def movement(first: Array, second: Array) -> Movement:
    """Measure how one matrix differs between two models.

    Parameters
    ----------
    first, second : (rows, columns)
        The same rows of the same matrix.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError("two matrices of one shape are compared")
    x, y, z = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    squares = float(x.sum()), float(y.sum()), float(z.sum())
    if not np.isfinite(squares).all():
        return Movement((0.0, 0.0, 0.0))
    size = np.sqrt(x * y)
    kept = size > 0
    if np.count_nonzero(kept) < FEWEST_ROWS:
        return Movement(squares)
    x, y, z, size = x[kept], y[kept], z[kept], size[kept]
    moved, grown = np.maximum(x + y - 2 * z, 0) / size, (y - x) / size
    if moved.mean() <= 0:
        return Movement(squares)
    weight = a.shape[1] / (4 * moved + 1e-3 * moved.mean())  # one over the variance of growth
    moved = moved - np.average(moved, weights=weight)
    grown = grown - np.average(grown, weights=weight)
    rows = float((weight * moved * moved).sum()), float((weight * moved * grown).sum())
    return Movement(squares, rows)


def growth_of_gains(gains: Iterable[tuple[Array, Array]]) -> float | None:
    """Return how much the spread of norm gains grew, by the spread of their difference.

    They start as ones, so that their spread is what training left; decay keeps its ratio to the
    mean, by which each is divided.
    """
    grown = moved = 0.0
    for first, second in gains:
        scale = abs(float(np.mean(first))), abs(float(np.mean(second)))
        if min(scale) == 0 or not np.isfinite(scale).all():
            continue
        a, b = np.asarray(first, np.float64) / scale[0], np.asarray(second, np.float64) / scale[1]
        grown += float(b.var() - a.var())
        moved += float((b - a).var())
    return grown / moved if moved > SMALLEST_MOVE / 10 else None


def is_rounded_from(first: Array, second: Array) -> bool:
    """Whether the second matrix is the first, rounded to eight or four bits and unpacked.

    Parameters
    ----------
    first, second : (rows, columns)
        Numbers as they are stored. Of the second those below a quarter of the largest of their
        group must be whole multiples of its scale, which bfloat16 leaves to be seen, and those of
        the first lie within half a step of them.
    """
    a, b = (np.asarray(side, np.float64)[:GRID_ROWS] for side in (first, second))
    for group in GRID_GROUPS:
        if group > b.shape[1] or (group and b.shape[1] % group):
            continue
        ours, theirs = (side.reshape(-1, group) if group else side for side in (a, b))
        largest = np.abs(theirs).max(axis=1, keepdims=True)
        kept = largest[:, 0] > 0
        for top in GRID_LEVELS:
            scale = largest[kept] / top
            before, after = ours[kept] / scale, theirs[kept] / scale
            small = np.abs(after) < max(3.0, top / 4)
            known = small & (np.abs(after) > 0.3)
            if np.count_nonzero(known) < FEWEST_ROWS:
                continue
            if np.abs(after - np.round(after))[known].mean() > GRID_OFF:
                continue
            if (np.abs(before - np.round(after)) < HALF_STEP)[small].mean() > WITHIN:
                return True
    return False


@dataclass(frozen=True, slots=True)
class OrderWeights:
    """What a unit of each measured growth adds to the log odds; calibrated on chains of descent.

    `bar` is the size of the log odds below which nothing is said of a pair, and `root` that by
    which the earliest of a family must come before each of the others. `wrong_pairs` and
    `wrong_roots` are the shares of such statements that were wrong on chains held out.
    """

    growth: float
    rows: float
    gains: float
    bar: float
    root: float
    wrong_pairs: float
    wrong_roots: float


@dataclass(frozen=True, slots=True)
class Marks:
    """What only the later of two models has: zeros of pruning, and steps of rounding."""

    zeros: tuple[float, float] = (0.0, 0.0)  # shares of either model's weights
    rounded: tuple[int, int] = (0, 0)  # matrices of either that are the other's, rounded

    @property
    def reverse(self) -> Marks:
        """The same, the second model taken for the first."""
        return Marks(self.zeros[::-1], self.rounded[::-1])

    @property
    def log_odds(self) -> float | None:
        """The log odds that the first came before the second; None without a mark."""
        if abs(more := self.zeros[1] - self.zeros[0]) >= PRUNED:
            return CERTAIN if more > 0 else -CERTAIN
        first, second = self.rounded
        if first != second and min(first, second) == 0:
            return CERTAIN if second else -CERTAIN
        return None


def marks_of(matrices: Sequence[tuple[Array, Array]]) -> Marks:
    """Return the marks of two models, from the same rows of the same matrices of either.

    Parameters
    ----------
    matrices : sequence of (first, second)
        All are counted for zeros, the first `ROUNDED` are asked whether they are rounded.
    """
    size = sum(first.size for first, _ in matrices)
    zeros = [sum(np.count_nonzero(pair[side] == 0) for pair in matrices) for side in (0, 1)]
    asked = matrices[:ROUNDED]
    rounded = (
        sum(is_rounded_from(second, first) for first, second in asked),
        sum(is_rounded_from(first, second) for first, second in asked),
    )
    return Marks((zeros[0] / size, zeros[1] / size), rounded)


Growths = tuple[float | None, float | None, float | None]


def log_odds(growths: Growths, weights: OrderWeights, marks: Marks | None = None) -> float:
    """Return the log odds that the first model came before the second.

    Parameters
    ----------
    growths : growth, growth of rows, growth of gains
        None where a number could not be measured: it adds nothing.
    """
    marked = marks.log_odds if marks is not None else None
    if marked is not None:
        return marked
    by = (weights.growth, weights.rows, weights.gains)
    found = sum(
        weight * min(CLIPPED, max(-CLIPPED, value))
        for weight, value in zip(by, growths, strict=True)
        if value is not None and np.isfinite(value)
    )
    return float(min(MOST, max(-MOST, found)))
