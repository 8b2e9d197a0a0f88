"""How often two matchings of one layer agree by chance, measured on the pair itself.

Gate and up rows of one neuron resemble each other, in some models much. Then two matchings by
anchors, one by gates and one by ups, are not independent even between strangers, and the count
of neurons on which they agree has a mean that no constant can give.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.anchored_matching import Anchors, Views, agreement
from pytest_scratchverify.stats.weights.cross_view_matching import DISPERSION, surrogate_mean

Array = NDArray[np.float32]

DRAWS = 3


def expected_agreements(
    ours: Views, theirs: Views, anchors: Anchors, least: float, *, signed: bool = True
) -> float:
    """Estimate how many neurons of two layers would agree if the networks were strangers.

    Parameters
    ----------
    ours, theirs : sequences of (n, d) arrays
        Two views of the layer in either network.
    anchors : Anchors
        That the layer was described by.
    least : float
        The mean below which no estimate falls.
    signed : bool
        Whether the first view has a sign of its own.

    Returns
    -------
    float
        The mean for the Poisson tail.

    Notes
    -----
    The anchors of B are reflected: the signs of their coordinates along their own principal axes
    are drawn at random. That keeps every length, how much either network's neurons have along
    each axis and what the two views of a neuron have in common, in both networks, and takes away
    which direction of A is which of B. A descendant's neurons agree on nothing under it, a
    stranger's on as many as before.
    """
    _, axes = np.linalg.eigh((anchors.theirs.T @ anchors.theirs).astype(np.float64))
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(anchors.theirs).data))
    counts = []
    for _ in range(DRAWS):
        signs = rng.choice([-1.0, 1.0], axes.shape[1])
        turned = (anchors.theirs @ ((axes * signs) @ axes.T)).astype(np.float32)
        order = agreement(ours, theirs, Anchors(anchors.ours, turned), signed=signed)
        counts.append(int(np.count_nonzero(order >= 0)))
    return max(least, DISPERSION * surrogate_mean(counts, least / DISPERSION))
