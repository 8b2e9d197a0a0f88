"""Training trajectory in weight space: random initialisation, then steps that lead on.

Pure functions on arrays. Whether two checkpoints descend from one initialisation at all is
asked with `stats.weights.channel_permutation`; here are distances and the spectrum of a fresh
matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.floating]
# Tracy-Widom (beta = 1) as a shifted gamma: shape, scale, shift (Chiani 2014)
_GAMMA = (46.446, 0.186054, 9.84801)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Distances along a run, relative to the norm of the later checkpoint."""

    from_start: tuple[float, ...]
    between: tuple[float, ...]
    growth: float  # Spearman's correlation of the distance from the start with time
    detours: tuple[float, ...]  # of every checkpoint but the first and the last

    @property
    def farthest(self) -> int:
        """Which checkpoint leads away the most; its detour is `detours[farthest - 1]`."""
        return int(np.argmax(self.detours)) + 1


@dataclass(frozen=True, slots=True)
class RandomEdge:
    """The largest singular value of a matrix against those of matrices of independent entries."""

    statistic: float  # standardised as Tracy and Widom's law wants it
    ratio: float  # over the Marchenko-Pastur edge
    pvalue: float


def trajectory(checkpoints: Sequence[Weights], steps: Sequence[int]) -> Trajectory | None:
    """Training moves away from its start, and every checkpoint lies on the way.

    ``||w_i - w_0|| / ||w_i||`` grows with time (`growth` near 1). The detour of a checkpoint
    is ``min(||w_i - w_i-1||, ||w_i+1 - w_i||) / ||w_i+1 - w_i-1||``: below 1 for a straight
    path and a random walk alike, near 1 at rest in a noisy minimum, above where a checkpoint
    is farther from both neighbours than they are from one another, as one of another run is.
    A whole tail of another run has no detour: for that, ask whether neighbours are related.
    Averaged checkpoints and restarts of the learning rate mislead. None below four.
    """
    if len(checkpoints) < 4:
        return None
    flat = [np.asarray(w, np.float64).ravel() for w in checkpoints]
    away = [_distance(flat[0], w) for w in flat[1:]]
    between = [_distance(a, b) for a, b in pairwise(flat)]
    far = [float(np.linalg.norm(a - b)) for a, b in pairwise(flat)]
    across = [float(np.linalg.norm(a - b)) for a, b in zip(flat, flat[2:], strict=False)]
    detours = [
        min(near) / over if over > 0 else 0.0
        for near, over in zip(pairwise(far), across, strict=True)
    ]
    from scipy.stats import spearmanr  # noqa: PLC0415

    moved = len(set(away)) > 1
    growth = float(spearmanr(away, steps[1:]).statistic) if moved else 0.0
    return Trajectory(tuple(away), tuple(between), growth, tuple(detours))


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))


def random_edge(weights: Weights) -> RandomEdge | None:
    """Whether a matrix looks freshly drawn: no singular value beyond the edge of chance.

    Null: *the entries are independent, of one variance* and finite fourth moment; normal or
    uniform makes no difference. The largest eigenvalue of W'W / var, centred by
    ``(sqrt(n - 1) + sqrt(p))^2`` and scaled by ``(sqrt(n - 1) + sqrt(p)) * (1 / sqrt(n - 1) +
    1 / sqrt(p))^(1/3)``, then follows Tracy and Widom's law (Johnstone 2001); its tail is
    taken from a gamma law (Chiani 2014), good to some per cent of p down to 1e-4 and only an
    order of magnitude below. Training grows outliers (Martin and Mahoney 2021).
    Orthogonal initialisation lies below the edge and passes. It misleads where parts of one
    tensor were drawn with different variances. None for a matrix without variance, or one
    with fewer than eight rows or columns.
    """
    matrix = np.asarray(weights, np.float64)
    if matrix.ndim != 2 or min(matrix.shape) < 8:
        return None
    matrix = matrix - matrix.mean()
    sd = float(matrix.std())
    if not sd > 0:
        return None
    n, p = (float(np.sqrt(matrix.shape[0] - 1)), float(np.sqrt(matrix.shape[1])))
    top = float(np.linalg.norm(matrix, 2)) / sd
    z = (top**2 - (n + p) ** 2) / ((n + p) * (1 / n + 1 / p) ** (1 / 3))
    shape, scale, shift = _GAMMA
    from scipy.stats import gamma  # noqa: PLC0415

    tail = float(gamma.sf(z + shift, shape, scale=scale)) if z + shift > 0 else 1.0
    return RandomEdge(float(z), marchenko_pastur_excess(weights), tail)


def marchenko_pastur_excess(weights: Weights) -> float:
    """The largest singular value over the edge of a random matrix of the same variance.

    Edge: ``sd * (sqrt(rows) + sqrt(columns))`` (Marchenko and Pastur 1967). Near 1 for a
    fresh initialisation with independent entries; training grows outliers (Martin and Mahoney
    2021). Orthogonal initialisation lies below 1 and is random all the same.
    """
    matrix = np.asarray(weights, np.float64)
    matrix = matrix - matrix.mean()
    edge = float(matrix.std()) * (np.sqrt(matrix.shape[0]) + np.sqrt(matrix.shape[1]))
    return float(np.linalg.norm(matrix, 2) / edge) if edge > 0 else 0.0
