"""Power by dilution: how little inheritance the test would have found, with added noise.

A test that finds nothing clears nobody until it is known what it would have found. The
suspect's own slices are mixed with noise of their own size, and the smallest share at which
the same test, with the same bytes, still finds them is reported beside the negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SHARES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.45, 0.65, 0.9)


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """At which cosine with its parent a descendant is found, and how often.

    `minimum_detectable_effect` is the smallest aligned cosine at which all but 5 % of the
    draws are found; `power` is the share found there. Both are None where none is.
    """

    shares: tuple[float, ...]
    found: tuple[float, ...]
    draws: int

    @property
    def minimum_detectable_effect(self) -> float | None:
        """The smallest share that is found as often as `power` says."""
        return next((s for s, f in zip(self.shares, self.found, strict=True) if f >= 0.95), None)

    @property
    def power(self) -> float | None:
        """The share of draws that were found at that effect."""
        return next((f for f in self.found if f >= 0.95), None)


def diluted(values: Array, share: float, rng: np.random.Generator) -> Array:
    """Mix weights with noise of their own size so that `share` is the cosine with the original."""
    noise = rng.standard_normal(values.shape, np.float32) * float(values.std())
    mixed: Array = (share * values + np.sqrt(1 - share**2) * noise).astype(np.float32)
    return mixed


def repeated(detects: Callable[[], bool], draws: int) -> tuple[int, int, bool]:
    """Ask a test again and again; return hits, draws made, and whether it kept its word.

    It does where it misses no more than one draw in twenty; one miss more ends the asking.
    """
    hits = misses = 0
    while hits + misses < draws and misses <= max(1, draws // 20):
        found = detects()
        hits, misses = hits + found, misses + (not found)
    return hits, hits + misses, misses <= draws // 20


@dataclass(frozen=True, slots=True)
class Promise:
    """The smallest cosine at which copies were found, and how many of how many.

    `read` of `blocks` (or layers) were at hand; `renumbered` says that experts were looked for
    under other numbers.
    """

    cosine: float
    hits: int
    draws: int
    read: int = 0
    blocks: int = 0
    renumbered: bool = True


def promised(
    shares: Sequence[float],
    detects: Callable[[float], bool],
    draws: int,
    *,
    read: int = 0,
    blocks: int = 0,
) -> Promise | None:
    """Return the smallest share at which all draws but one in twenty are found."""
    for share in shares:
        hits, made, kept = repeated(partial(detects, share), draws)
        if kept:
            return Promise(share, hits, made, read, blocks)
    return None


def power_curve(
    slices: Sequence[Array],
    detects: Callable[[Sequence[Array]], bool],
    rng: np.random.Generator,
    *,
    draws: int = 20,
    shares: Sequence[float] = SHARES,
) -> PowerCurve:
    """Find the smallest share of inheritance that a test still detects.

    Parameters
    ----------
    slices : sequence of arrays
        The suspect's slices, as the test sees them.
    detects : callable
        The test itself: whether it finds these diluted slices to come from the originals.
    rng : numpy.random.Generator
    draws : int
        Noise draws per share. Two misses end a share early; a share that is found ends all.
    shares : sequence of float
        Cosines with the original, ascending.

    Returns
    -------
    PowerCurve

    Notes
    -----
    The noise is Gaussian and unstructured. A descendant's own training is neither, so the
    figure is a lower bound on what training at full rate would leave findable; the lineage
    zoo says what real descendants look like.
    """

    def is_found(share: float) -> bool:
        return detects([diluted(values, share, rng) for values in slices])

    tried: list[float] = []
    found: list[float] = []
    for share in shares:
        hits, made, kept = repeated(partial(is_found, share), draws)
        tried.append(share)
        found.append(hits / made)
        if kept:
            break
    return PowerCurve(tuple(tried), tuple(found), draws)
