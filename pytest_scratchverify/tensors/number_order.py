"""Order of names that number all tensors, and the layers that shapes in that order show."""

from __future__ import annotations

import re
from collections.abc import Sequence

FEWEST = 2  # layers
SHORTEST, LONGEST = 4, 64  # tensors of a layer
MOST = 2**14  # tensors of a dense stack; the deepest of today has an eighth


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort numbers in names as numbers."""
    parts = re.split(r"(\d{1,9})", name)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in parts if p]


def repeated_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, int, int]:
    """Return start, length and number of the longest stretch of shapes that comes repeatedly."""
    best = (0, 1, 0)
    if len(shapes) > MOST:
        return best
    for period in range(SHORTEST, min(LONGEST, len(shapes) // FEWEST) + 1):
        run = 0
        for place in range(len(shapes) - period + 1):
            same = place + period < len(shapes) and shapes[place] == shapes[place + period]
            layers = run // period + 1
            if not same and layers >= FEWEST and layers * period > best[1] * best[2]:
                best = (place - run, period, layers)
            run = run + 1 if same else 0
    return best
