"""Monotone alignment of the layers of two models: which comes from which.

Depth changes hide descent from every comparison of layer 3 with layer 3: dropped layers,
every second layer, layers repeated. All layers are compared with all, and the best order-
preserving path says what became of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ALPHA = 1e-6  # of one layer with its partner, among all pairs of layers
Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayerMap:
    """For each layer of A the layer of B that it comes from, or -1.

    `statistic` is the mean similarity along the path, `effect` the share of A's layers that
    have a partner, `pvalue` that of the best entry after Bonferroni over all entries;
    `replications` counts the layers whose partner is significant by itself after Bonferroni.
    `similarity` is the whole table, row by row, for a picture; None where a layer was not read.
    """

    pairs: tuple[int, ...]
    statistic: float
    effect: float
    pvalue: float
    minimum_detectable_effect: float
    monotone: bool
    replications: int = 1
    similarity: tuple[tuple[float | None, ...], ...] = ()
    null: str = "entry-wise exact null, Bonferroni over all pairs of layers"

    @property
    def is_identity(self) -> bool:
        """Whether every mapped layer sits where it was."""
        return all(b in (-1, a) for a, b in enumerate(self.pairs))


def layer_map(similarity: Table, threshold: float, pvalues: Table | None = None) -> LayerMap:
    """Find the path through a layer-by-layer table that keeps the order and is most alike.

    Parameters
    ----------
    similarity : (layers of A, layers of B) array
        Share of neurons that keep their number, or a centred cosine.
    threshold : float
        Entries below it are no relation. Adjacent layers of one lineage are alike too.
    pvalues : array of the same shape, optional
        Exact p-values of the entries.

    Returns
    -------
    LayerMap

    Notes
    -----
    Dynamic programming over paths that are monotone in both models; a layer of B may serve
    several layers of A (depth up-scaling). Where the free best partners disagree with the
    order, `monotone` is False and the free partners are reported.
    """
    rows, columns = similarity.shape
    gain = np.where(similarity >= threshold, similarity, 0.0)
    best = np.zeros((rows + 1, columns + 1))
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            # A may stay on j (the layer was repeated), skip a layer of B, or map to none.
            taken = best[i - 1, j] + gain[i - 1, j - 1] if gain[i - 1, j - 1] else 0.0
            best[i, j] = max(best[i - 1, j], best[i, j - 1], taken)
    path = _trace(best, gain)
    free = [int(row.argmax()) if row.max() > 0 else -1 for row in gain]
    kept = math.fsum(gain[a, b] for a, b in enumerate(path) if b >= 0)
    loose = float(gain.max(axis=1).sum()) if columns else 0.0
    monotone = kept >= 0.9 * loose
    chosen = path if monotone else free
    found = [similarity[a, b] for a, b in enumerate(chosen) if b >= 0]
    smallest = float(pvalues.min()) * pvalues.size if pvalues is not None else 1.0
    partners = [(a, b) for a, b in enumerate(chosen) if b >= 0]
    repeated = [p for p in partners if pvalues is not None and pvalues[p] * pvalues.size < ALPHA]
    return LayerMap(
        pairs=tuple(chosen),
        statistic=float(np.mean(found)) if found else 0.0,
        effect=len(found) / rows if rows else 0.0,
        pvalue=min(1.0, smallest),
        minimum_detectable_effect=threshold,
        monotone=monotone,
        replications=max(1, len(repeated)),
    )


def _trace(best: Table, gain: Table) -> list[int]:
    i, j = best.shape[0] - 1, best.shape[1] - 1
    path = [-1] * i
    while i > 0 and j > 0:
        value = gain[i - 1, j - 1]
        if value and best[i, j] == best[i - 1, j] + value:
            path[i - 1] = j - 1
            i -= 1
        elif best[i, j] == best[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return path


def runs(pairs: Sequence[int]) -> list[tuple[int, int, int]]:
    """Group a map into runs (first layer of A, first of B, length) for a report."""
    found: list[tuple[int, int, int]] = []
    for a, b in enumerate(pairs):
        if b < 0:
            continue
        if found and found[-1][0] + found[-1][2] == a and found[-1][1] + found[-1][2] == b:
            found[-1] = (*found[-1][:2], found[-1][2] + 1)
        else:
            found.append((a, b, 1))
    return found
