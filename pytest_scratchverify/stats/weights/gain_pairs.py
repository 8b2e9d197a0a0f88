"""Pairs of norm gains whose names say nothing: paired by some channels, to be tested by the others.

The most alike of many are alike in strangers too. So a part of the channels decides what is paired
and is left out of every test, and of the channels that are left nothing was chosen: under the null
of `norm_gains.gain_similarity`, by which the channels of two models have nothing to do with each
other, they are as good as renumbered given the pairs. Which channels decide depends on the numbers
of both models, whatever their order, so that it is known to nobody beforehand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Channels = NDArray[np.intp]

PART = 3  # one channel in so many decides,
FEWEST, ENOUGH = 16, 512  # and at least and at most so many
DEVIATIONS = 4.0  # of the correlation of neighbouring channels without an order
ORDERED = 0.25  # and this at least
SMALLEST_HEAD = 8


@dataclass(frozen=True, slots=True)
class GainPairs:
    """Places in either list, one to one, and the channels by which nothing was paired."""

    pairs: tuple[tuple[int, int], ...]
    held_out: Channels


def pair_gains(
    ours: Sequence[Array], theirs: Sequence[Array], asked: NDArray[np.bool_] | None = None
) -> GainPairs | None:
    """Pair gains one to one so that their centred cosines over a third of the channels are largest.

    Parameters
    ----------
    ours, theirs : sequence of (d,) arrays
        Gains that vary, in any order and number.
    asked : array of bool (ours, theirs), optional
        Which pairs may be made at all; all of them otherwise. Must not depend on the numbers.

    Returns
    -------
    GainPairs or None
        None if there is nothing to pair, or too few channels to be divided.

    Examples
    --------
    >>> gains = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    >>> found = pair_gains(gains, gains[::-1])
    >>> found.pairs, len(found.held_out)
    (((0, 2), (1, 1), (2, 0)), 43)

    """
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second to import

    if not len(ours) or not len(theirs) or len(ours[0]) < 2 * FEWEST:
        return None
    order = _drawn(ours, theirs)
    count = min(max(len(order) // PART, FEWEST), ENOUGH)
    cosines = _units(ours, order[:count]) @ _units(theirs, order[:count]).T
    if asked is not None:
        cosines = np.where(asked, cosines, -2.0)
    places = zip(*linear_sum_assignment(cosines, maximize=True), strict=True)
    pairs = tuple((int(a), int(b)) for a, b in places if cosines[a, b] >= -1.5)
    return GainPairs(pairs, np.sort(order[count:])) if pairs else None


def follows_its_number(values: Array) -> bool:
    """Whether neighbouring channels of a vector, or those of equal number in a head, are alike.

    Decay rates and mixing weights of recurrent blocks follow the number of the channel, by a
    formula that strangers share, and gains of queries and keys the frequencies of a head.
    Renumbered channels are no null for these. What strangers share by it is no more than the
    geometric mean of what is in either's correlation with itself, so the bar lies below the
    smallest cosine of gains that is a lead.

    Parameters
    ----------
    values : (d,) array
        Correlated with itself by ranks, of which outliers have no say: one channel further, and
        further by any size that heads of equal size can have.

    Examples
    --------
    >>> follows_its_number(np.linspace(0, 1, 64, dtype=np.float32) ** 3)
    True

    """
    ranks = np.argsort(np.argsort(values)).astype(np.float64)
    ranks -= ranks.mean()
    width = len(ranks)
    heads = (size for size in range(SMALLEST_HEAD, width // 2 + 1) if width % size == 0)
    beside = [float(np.roll(ranks, lag) @ ranks) for lag in (1, *heads)]
    bar = max(ORDERED, DEVIATIONS / np.sqrt(width))
    return bool(np.max(np.abs(beside)) > bar * max(float(ranks @ ranks), 1e-9))


def _drawn(ours: Sequence[Array], theirs: Sequence[Array]) -> Channels:
    """Draw an order of the channels that does not depend on their numbers."""
    seed = hashlib.sha256()
    for values in (*ours, *theirs):
        seed.update(np.sort(values).tobytes())
    return np.random.default_rng(int.from_bytes(seed.digest()[:8], "little")).permutation(
        len(ours[0])
    )


def _units(gains: Sequence[Array], channels: Channels) -> NDArray[np.float64]:
    values = np.stack([values[channels] for values in gains]).astype(np.float64)
    values -= values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(lengths > 0, lengths, 1))
