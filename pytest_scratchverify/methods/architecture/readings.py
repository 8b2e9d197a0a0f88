"""Honest readings of a number of parameters: what cards, files and APIs put into "the" total.

A total may hold the output head twice where it is the embedding table again, the numbers that no
gradient trains, layers of multi-token prediction, other towers; it may leave out look-up tables;
it may be rounded, or cut, to a name ("7B" of 7.62). A statement contradicts a config only if it
lies outside all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_scratchverify.checkpoint.parameter_count import ParameterCount

FOLDS_OF_MOST_TOWERS = 4.0  # of a decoder's size: the other parts of a composite, and then some


@dataclass(frozen=True, slots=True)
class CountCheck:
    """A stated number beside the nearest honest reading; `deviation` is a share of the stated."""

    name: str
    computed: float
    stated: float
    deviation: float


def check_total(stated: float, count: ParameterCount, others: float | None) -> CountCheck:
    """Compare a published total with every reading of the count.

    `others` is about as many parameters as the other parts of a composite have, as far as their
    sizes are read; None where there are no other parts.
    """
    whole = _whole(count)
    bounds = [
        *whole,
        *((low - table, high - table) for low, high in whole for table in _tables(count)),
    ]
    if others is not None:  # towers beside the decoder are not counted here
        bounds.append((count.total, FOLDS_OF_MOST_TOWERS * (count.total + others)))
    return _check("total", stated, bounds, rounded=True)


def check_active(stated: float, count: ParameterCount) -> CountCheck | None:
    """Compare a published number of active parameters, where the config says what is active."""
    bounds = [(float(active), float(active)) for active in count.active_as_cards_count]
    return _check("active", stated, bounds, rounded=True) if bounds else None


def check_stored(stored: float, count: ParameterCount) -> CountCheck:
    """Compare the number in the files, which is nobody's rounding and leaves no table out.

    A tied head that is stored besides and equal was counted once (`tensors.copies`), so one that
    counts again is another matrix than the config promises.
    """
    return _check("stored", stored, _whole(count, twice=False), rounded=False)


def _whole(count: ParameterCount, *, twice: bool = True) -> list[tuple[float, float]]:
    """Return the least and the most of each reading that leaves nothing out."""
    with_prediction = count.untrained + count.prediction
    bases = [count.total, *([count.total + count.tied_head] if twice else [])]
    if "tie_word_embeddings" in count.assumed:  # the config does not say, and older ones were tied
        bases.append(count.total - count.lm_head)
    return [(float(base), float(base + with_prediction)) for base in bases]


def _tables(count: ParameterCount) -> tuple[int, int]:
    return count.embeddings, count.embeddings + count.lm_head


def _check(
    name: str, stated: float, bounds: Iterable[tuple[float, float]], *, rounded: bool
) -> CountCheck:
    below, above = _rounding(stated) if rounded else (0.0, 0.0)
    found = []
    for low, high in bounds:
        nearest = min(max(stated, low), high)
        off = max(stated - below - nearest, nearest - stated - above, 0.0)
        found.append((off, abs(nearest - stated), nearest))
    off, _, nearest = min(found)
    return CountCheck(name, nearest, stated, off / stated)


def _rounding(stated: float) -> tuple[float, float]:
    """Return how far below and above a published number the true one may lie by its digits.

    Half a unit of the last digit that is written, in billions, millions or thousands, and up to a
    whole one above, for names that cut: 7B stands for 6.5 to 8.
    """
    unit = next((size for size in (1e9, 1e6, 1e3) if stated >= size), 1.0)
    return (unit / 2, unit) if (stated / unit).is_integer() else (0.0, 0.0)
