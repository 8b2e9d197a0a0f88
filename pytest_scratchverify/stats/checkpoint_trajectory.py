"""Whether the checkpoints of a run form one path: away from the start, in short steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Distances along a run, relative to the norm of the later checkpoint."""

    from_start: tuple[float, ...]
    between: tuple[float, ...]
    growth: float  # Spearman's correlation of the distance from the start with time
    jump: int | None  # the checkpoint that is farther from its neighbour than from the rest
    jump_ratio: float  # largest step over the median step, each by sqrt of its time


def trajectory(
    checkpoints: Sequence[Weights], steps: Sequence[int], *, ratio: float = 8.0
) -> Trajectory | None:
    """Training moves away from its start, and no faster between two checkpoints than ever.

    ``||w_i - w_0|| / ||w_i||`` grows; steps ``||w_i+1 - w_i|| / ||w_i+1||`` over the square
    root of the steps between are of one size while the learning rate is. A step over `ratio`
    times the median whose cosine across is near zero is a jump to a foreign model. The first
    step out of the initialisation is the largest of honest runs, and is not counted. It
    misleads at restarts with another learning rate. None below four checkpoints.
    """
    if len(checkpoints) < 4:
        return None
    flat = [np.asarray(w, np.float64).ravel() for w in checkpoints]
    away = [_distance(flat[0], w) for w in flat[1:]]
    between = [_distance(a, b) for a, b in pairwise(flat)]
    pace = np.array(between) / np.sqrt(np.maximum(np.diff(steps), 1))
    later = pace[1:]
    at = int(np.argmax(later)) + 1
    typical = float(np.median(later))
    largest = float(pace[at] / typical) if typical > 0 else 1.0
    a, b = flat[at], flat[at + 1]
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) or 1.0))
    jumped = at + 1 if largest > ratio and cosine < 0.5 else None
    from scipy.stats import spearmanr  # noqa: PLC0415

    growth = float(spearmanr(away, steps[1:]).statistic)
    return Trajectory(tuple(away), tuple(between), growth, jumped, largest)


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))


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
