"""Longest exact repeat in a log, or shared by two: longer than rounding makes by chance.

Losses are printed with a few decimals, so single values repeat. A run of k equal values in a
row repeats with the k-th power of that chance: a copied segment stands out at k = 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
KEYS = NDArray[np.uint64]
SLICE = 1 << 20


@dataclass(frozen=True, slots=True)
class Repeat:
    """The longest stretch that occurs twice, where, and how likely chance makes one."""

    first: int
    second: int
    length: int
    pvalue: float


def repeated_stretch(a: Floats, b: Floats | None = None, *, k: int = 6) -> Repeat | None:
    """The longest stretch of at least `k` equal values at two places of a log, or of two logs.

    Null: *values at different places are unrelated*. With q the chance that two values are
    equal, the expected number of equal stretches of length m is at most ``pairs * q**m``
    (union bound), which is the p-value. q is taken from neighbours up to 50 points apart,
    which a trend makes the most alike, and is never below one in the number of values. It
    misleads where a log has a constant stretch (a padded export, a loss of zero): q is then
    near one and nothing is found, by design. In averaged losses equal values follow each other:
    each further one counts with the chance that equality goes on. Constant stretches are not
    counted as copies.
    """
    other = a if b is None else b
    if len(a) < 2 * k or len(other) < k:
        return None
    place = _first_match(a, other, k, same=b is None)
    if place is None:
        return None
    first, second, length = place
    q = max(chance_equal(a), chance_equal(other))
    again = max(q, *(chance_continued(values) for values in (a, other)))
    pairs = len(a) * len(other) / (2 if b is None else 1)
    return Repeat(first, second, length, float(min(1.0, pairs * q * again ** (length - 1))))


def chance_continued(values: Floats) -> float:
    """How often equal values are followed by equal ones: where increments are alike.

    In averaged losses that were rounded, one equal value makes the next likely, within a log
    (values that hardly move) and between two (increments that are all alike): runs of them are
    no copies. The largest of: increments up to 50 apart that are equal; such that are equal after
    equal ones; values that are equal after equal ones.
    """
    values = values[-SLICE:]
    if len(values) < 4:
        return 0.0
    increments = np.round(np.diff(values), 9)
    return max(chance_equal(increments), _after_equal(increments), _after_equal(values))


def _after_equal(values: Floats, reach: int = 50, enough: int = 20) -> float:
    """How often pairs after an equal pair are equal; 0 where fewer than `enough` are equal."""
    equal = continued = 0
    for lag in range(1, min(reach, len(values) - 2) + 1):
        same = values[lag:] == values[:-lag]
        equal += int(np.count_nonzero(same[:-1]))
        continued += int(np.count_nonzero(same[:-1] & same[1:]))
    return continued / equal if equal >= enough else 0.0


def chance_equal(values: Floats, reach: int = 50) -> float:
    """How often two values up to `reach` points apart are equal; at least 1 / (n + 1)."""
    values = values[-SLICE:]
    lags = range(1, min(reach, len(values) - 1) + 1)
    equal = sum(int(np.count_nonzero(values[lag:] == values[:-lag])) for lag in lags)
    tried = sum(len(values) - lag for lag in lags)
    return max((equal + 1) / (tried + 1), 1.0 / (len(values) + 1))


def _first_match(a: Floats, b: Floats, k: int, *, same: bool) -> tuple[int, int, int] | None:
    keys = _keys(b, k)
    keys.sort()
    if same:
        doubled = np.unique(keys[1:][keys[1:] == keys[:-1]])  # a mask, one byte a place
    else:
        doubled = np.intersect1d(keys, _keys(a, k))
    del keys
    if not len(doubled):
        return None
    mine, theirs = _where(a, k, doubled), _where(b, k, doubled)
    best: tuple[int, int, int] | None = None
    places: dict[bytes, list[int]] = {}
    for at in theirs[:SLICE].tolist():
        places.setdefault(b[at : at + k].tobytes(), []).append(at)
    done: set[tuple[int, int]] = set()
    for at in mine[:SLICE].tolist():
        if np.all(a[at : at + k] == a[at]):  # constant
            continue
        for to in places.get(a[at : at + k].tobytes(), [])[:20]:
            if (same and to <= at) or (at - 1, to - 1) in done:
                done.add((at, to))
                continue
            done.add((at, to))
            length = _run(a, b, at, to)
            if best is None or length > best[2]:
                best = (at, to, length)
    return best


def _run(a: Floats, b: Floats, at: int, to: int) -> int:
    n = min(len(a) - at, len(b) - to)
    differ = np.flatnonzero(a[at : at + n] != b[to : to + n])
    return int(differ[0]) if len(differ) else n


def _keys(values: Floats, k: int) -> KEYS:
    """A 64-bit key of every k values in a row: a polynomial in their bits, wrapping."""
    keys = np.zeros(len(values) - k + 1, np.uint64)
    for start in range(0, len(keys), SLICE):
        out = keys[start : start + SLICE]
        bits = np.ascontiguousarray(values[start : start + SLICE + k - 1] + 0.0).view(np.uint64)
        for i in range(k):
            out *= np.uint64(0x9E3779B97F4A7C15)
            out += bits[i : i + len(out)] >> np.uint64(7)
            out ^= bits[i : i + len(out)] << np.uint64(1)
    return keys


def _where(values: Floats, k: int, keys: KEYS) -> NDArray[np.int64]:
    found = []
    for start in range(0, len(values) - k + 1, SLICE):
        part = _keys(values[start : start + SLICE + k - 1], k)
        found.append(start + np.flatnonzero(np.isin(part, keys)))
    return np.concatenate(found)
