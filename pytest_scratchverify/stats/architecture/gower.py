"""Gower distance of two designs: a mean over the fields that both state.

It does not weigh fields by importance, and it is not evidence about weights: independently
trained models share a design exactly (OpenLLaMA and Llama).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GowerResult:
    """Distance in [0, 1] (None where nothing could be compared) and what went into it."""

    statistic: float | None
    shared: tuple[str, ...]
    differing: tuple[str, ...]

    @property
    def n(self) -> int:
        """Return the number of compared fields."""
        return len(self.shared) + len(self.differing)


def gower_distance(
    a: Mapping[str, object],
    b: Mapping[str, object],
    sizes: Sequence[str],
    choices: Sequence[str],
    *,
    absent: object,
) -> GowerResult:
    """Gower distance: the average of the distances of single fields.

    Parameters
    ----------
    a, b
        Field values by name; a missing name is unknown and takes no part.
    sizes
        Names compared by ratio: ``min(1, |log2(a / b)|)``, so a factor of two is the most.
    choices
        Names compared for equality: 0 or 1.
    absent
        The value for "does not apply": against a number it counts 1, against itself nothing.

    Returns
    -------
    The mean, with the names that agree and that differ. Symmetric; 0 for equal designs.

    Notes
    -----
    J. C. Gower, "A general coefficient of similarity and some of its properties", Biometrics
    27 (1971) 857-871, with log-ratio for sizes.

    """
    parts: dict[str, float] = {}
    for name in (*sizes, *choices):
        left, right = a.get(name), b.get(name)
        if left is None or right is None or (left == absent and right == absent):
            continue
        parts[name] = _size_part(left, right) if name in sizes else float(left != right)
    if not parts:
        return GowerResult(None, (), ())
    return GowerResult(
        sum(parts.values()) / len(parts),
        tuple(name for name, part in parts.items() if part == 0),
        tuple(name for name, part in parts.items() if part > 0),
    )


def _size_part(left: object, right: object) -> float:
    if left == right:
        return 0.0
    if isinstance(left, (int, float)) and isinstance(right, (int, float)) and left > 0 < right:
        return _log_ratio(max(left, right), min(left, right))  # symmetric to the bit
    return 1.0


def _log_ratio(larger: float, smaller: float) -> float:
    try:
        return min(1.0, math.log2(larger / smaller))
    except (OverflowError, ValueError):  # beyond float64, or not a number: as far as can be
        return 1.0
