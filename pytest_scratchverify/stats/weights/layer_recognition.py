"""Recognition of one layer by itself: cross-fitted between its own neurons.

Anchors from other layers find nothing where one layer was taken, or every second one, or where
strangers were put between. The neurons of one layer are many enough to be dealt into two
folds: those of one are matched by what no disguise changes and become anchors for the other,
where gate and up are matched apart. So a layer is recognised whatever its neighbours are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.agreement_null import expected_agreements
from pytest_scratchverify.stats.weights.anchored_matching import (
    Order,
    Views,
    agreement,
    anchors_of,
    refine,
)
from pytest_scratchverify.stats.weights.cross_view_matching import SUSPICIOUS, poisson_tail

Array = NDArray[np.float32]

FEWEST = 16  # neurons of a layer that can be dealt into two folds
SAMPLED = 512  # numbers of a matrix that decide how folds are drawn


@dataclass(frozen=True, slots=True)
class Recognised:
    """How many neurons of a layer both matchings gave the same partner, over both folds.

    `pvalue` is Bonferroni over the two folds, `weaker` the larger of theirs: what either says by
    itself, of rows that the other's anchors were not fitted to.
    """

    agreed: int
    fixed_points: int
    n: int
    pvalue: float
    weaker: float = 1.0


def fold_generator(layers: Iterable[Views]) -> np.random.Generator:
    """Return a generator whose seed all the weights decide: nobody knows the folds beforehand."""
    digest = hashlib.sha256()
    for views in layers:
        for view in views:
            flat = view.ravel()
            digest.update(flat[:: 1 + flat.size // SAMPLED].astype(np.float32).tobytes())
    return np.random.default_rng(int.from_bytes(digest.digest()[:8], "big"))


def recognise_layer(  # noqa: PLR0913 - either layer, and how they are compared
    ours: Views,
    theirs: Views,
    order: Order,
    rng: np.random.Generator,
    mean: float,
    *,
    numbers: Order | None = None,
) -> Recognised:
    """Recognise one layer of B in one of A, in any basis, order and scale.

    Parameters
    ----------
    ours, theirs : sequences of (n, d) arrays
        The views of either layer.
    order : (n,) array of int
        A first matching by invariants of single neurons.
    rng : numpy.random.Generator
        Deals the neurons of A into two folds.
    mean : float
        Of the Poisson tail, for as many neurons on either side.
    numbers : (n,) array of int, optional
        The numbers of the neurons of A, where some of its layer were chosen.

    Returns
    -------
    Recognised

    Notes
    -----
    A fold is matched with all of B and refined with nothing but itself as the anchor. The other
    fold meets the neurons of B that are left, gate and up apart, as the anchors describe them:
    one agreement is expected by chance, for none of these rows was fitted to, or as many as the
    pair itself shows where gate and up resemble each other. The null is that
    of `anchored_search.anchored_match`, and as approximate.
    """
    size = len(ours[0])
    own = np.arange(size) if numbers is None else numbers
    if min(size, len(theirs[0])) < FEWEST:
        return Recognised(0, 0, min(size, len(theirs[0])), 1.0)
    drawn = rng.permutation(size)
    parts = np.sort(drawn[: size // 2]), np.sort(drawn[size // 2 :])
    agreed = fixed = 0
    tails: list[float] = []
    for fitted, held in (parts, parts[::-1]):
        found = refine([view[fitted] for view in ours], theirs, order[fitted])
        rest = np.setdiff1d(np.arange(len(theirs[0])), found.order)
        if len(rest) < FEWEST // 2:
            continue
        views = [view[held] for view in ours], [view[rest] for view in theirs]
        anchors = anchors_of([found])
        partner = agreement(*views, anchors)
        known = partner >= 0
        agreed += int(np.count_nonzero(known))
        fixed += int(np.count_nonzero(rest[partner[known]] == own[held][known]))
        chance = mean * min(len(held), len(rest)) / max(len(held), len(rest))
        tail = poisson_tail(int(np.count_nonzero(known)), chance)
        if tail < SUSPICIOUS:
            chance = expected_agreements(*views, anchors, chance)
            tail = poisson_tail(int(np.count_nonzero(known)), chance)
        tails.append(tail)
    smallest = min(1.0, 2 * min(tails, default=1.0))
    weaker = max(tails) if len(tails) == len(parts) else 1.0
    return Recognised(agreed, fixed, min(size, len(theirs[0])), smallest, weaker)
