"""One row a step: what several ranks print, what stands in for a loss, and what is no number.

Ranks of a pipeline that hold no loss print a constant; ranks of data parallelism print every
step once each; after an overflow trainers print 0.0 or NaN. None of that is a loss of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.text import Text

Column = NDArray[np.floating[Any]]
Columns = dict[str, Column]
Mask = NDArray[np.bool_]

ENOUGH = 8  # rows that are one constant before it is taken for a filler
MOST_NUMBERED = 4096  # ranks that are told by their numbers
MOST_RANKS = 64  # equal rows of one step where no rank is named
SMALLEST = 0.01  # a loss above it all along does not round to 0


@dataclass(frozen=True, slots=True)
class LostRows:
    """Rows of steps whose loss is no number: zeros and NaN as an overflow leaves them."""

    n: int
    first: int  # step; -1 where the file has none
    last: int
    zeros: int
    broken_norms: int  # of them, those whose gradient norm is no number either


@dataclass(frozen=True, slots=True)
class StepRows:
    """Columns with one row a step, and what was taken out of them."""

    columns: Columns
    notes: tuple[Text, ...]
    every_step: Column | None  # with those of lost rows; None where none is lost
    lost: LostRows | None


def one_row_a_step(columns: Columns) -> StepRows:
    """Drop fillers, take the rows of one step together, set rows without a number apart."""
    notes: list[Text] = []
    columns = _without_fillers(columns, notes)
    columns = _together(columns, notes)
    columns.pop("rank", None)
    loss, steps = columns["loss"], columns.get("step")
    gone = ~np.isfinite(loss) | _overflown(loss)
    if not gone.any() or gone.all():
        return StepRows(columns, tuple(notes), None, None)
    lost = _lost(columns, gone)
    if lost.zeros:
        notes.append(
            Text("{n} losses of exactly 0 were left out: an overflow is printed so", n=lost.zeros)
        )
    return StepRows(_rows(columns, ~gone), tuple(notes), steps, lost)


def _lost(columns: Mapping[str, Column], gone: Mask) -> LostRows:
    steps, norms = columns.get("step"), columns.get("grad_norm")
    at = steps[gone] if steps is not None else np.array([-1.0])
    broken = 0 if norms is None else int(np.count_nonzero(~np.isfinite(norms[gone])))
    zeros = int(np.count_nonzero(columns["loss"][gone] == 0))
    first, last = (int(x) if np.isfinite(x) else -1 for x in (at[0], at[-1]))
    return LostRows(int(np.count_nonzero(gone)), first, last, zeros, broken)


def _overflown(loss: Column) -> Mask:
    """Losses of exactly 0 in a log whose other losses do not come near it."""
    zero = loss == 0
    if not zero.any() or zero.all():
        return np.zeros(len(loss), bool)
    others = loss[~zero & np.isfinite(loss)]
    near = len(others) == 0 or float(np.quantile(np.abs(others), 0.01)) < SMALLEST
    return np.zeros(len(loss), bool) if near else zero


def _rows(columns: Mapping[str, Column], keep: Mask) -> Columns:
    return {name: column[keep] for name, column in columns.items()}


def _without_fillers(columns: Columns, notes: list[Text]) -> Columns:
    filler = _fillers(columns)
    if filler is None or not filler.any() or filler.all():
        return columns
    values = columns["loss"][filler]
    shown = float(values[0]) if np.isfinite(values[0]) else "nan"
    n = int(np.count_nonzero(filler))
    notes.append(
        Text("{n} rows of {value} were left out: ranks without a loss print it", n=n, value=shown)
    )
    return _rows(columns, ~filler)


def _fillers(columns: Columns) -> Mask | None:
    """Constants in the place of a loss: negative ones, those of one rank, those beside others."""
    loss, ranks, steps = columns["loss"], columns.get("rank"), columns.get("step")
    negative = loss < 0
    if negative.any() and len(np.unique(loss[negative])) == 1:
        return np.asarray(negative)
    if ranks is not None and np.isfinite(ranks).all():
        return _constant_ranks(loss, ranks)
    if steps is None or len(steps) < 2 * ENOUGH or not (steps[1:] == steps[:-1]).any():
        return None
    _, group, count = np.unique(steps, return_inverse=True, return_counts=True)
    shared = count[group] > 1
    finite = np.isfinite(loss)
    values, times = np.unique(loss[shared & finite], return_counts=True)
    common = values[np.argmax(times)] if len(times) else np.nan
    for mask in (shared & (loss == common), shared & ~finite):
        others = np.zeros(len(count), bool)
        others[group[shared & finite & (loss != common)]] = True
        in_steps = np.unique(group[mask])
        if len(in_steps) >= ENOUGH and np.mean(others[in_steps]) > 0.9:
            return np.asarray(mask)
    return None


def _constant_ranks(loss: Column, ranks: Column) -> Mask | None:
    filler = np.zeros(len(loss), bool)
    for rank in np.unique(ranks)[:MOST_NUMBERED]:
        mine = ranks == rank
        values = loss[mine]
        known = values[np.isfinite(values)]
        if len(values) >= ENOUGH and (len(known) == 0 or np.all(known == known[0])):
            filler |= mine
    return filler


def _together(columns: Columns, notes: list[Text]) -> Columns:
    """Take the mean of the rows of one step, where several ranks or lines print it."""
    keys = _keys(columns)
    if keys is None:
        return columns
    order = np.lexsort(keys[::-1])
    new = np.zeros(len(order), bool)
    new[0] = True
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    starts = np.flatnonzero(new)
    if len(starts) == len(order) or len(starts) * 1024 < len(order):
        return columns
    merged = {name: _means(column[order], starts) for name, column in columns.items()}
    notes.append(
        Text("{n} rows are {steps} steps: rows of one step, as several ranks print them,"
             " were taken together", n=len(order), steps=len(starts))
    )  # fmt: skip
    return merged


def _means(values: Column, starts: NDArray[np.int64]) -> Column:
    """The mean of each group of rows, of those that are numbers: exact where all are equal."""
    known = np.isfinite(values)
    first = values[starts]
    n = np.add.reduceat(known.astype(np.int64), starts)
    base = np.repeat(first, np.diff(np.append(starts, len(values))))
    rest = np.where(known & np.isfinite(base), values - base, 0.0)
    if not np.isfinite(first).all():
        rest = np.where(known, values, 0.0)
        first = np.zeros(len(starts))
    total = np.add.reduceat(rest, starts)
    mean = first + total / np.maximum(n, 1)
    return np.where(n > 0, mean, np.nan).astype(values.dtype)


def _keys(columns: Columns) -> tuple[NDArray[Any], ...] | None:
    """What rows of one step have in common: None where each row is a step of its own."""
    loss, ranks, steps = columns["loss"], columns.get("rank"), columns.get("step")
    if ranks is not None and np.isfinite(ranks).all():
        distinct = len(np.unique(ranks))
        # A number that hardly comes again is a step's in front of its line, and no rank's.
        if 1 < distinct <= min(len(ranks) / 2, MOST_NUMBERED):
            return _keys_of_ranks(steps, ranks)
    if steps is None:
        return _equal_blocks(loss)
    if len(steps) < 2 or not np.isfinite(steps).all():
        return None
    ahead = np.diff(steps)
    if (ahead == 0).any():
        runs = np.concatenate([[0], np.cumsum(ahead != 0)])
        if not (ahead < 0).any():
            return (runs,)
    if np.count_nonzero(ahead < 0) > len(steps) / 20:
        _, first, group, count = np.unique(
            steps, return_index=True, return_inverse=True, return_counts=True
        )
        last = np.zeros(len(count), np.int64)
        np.maximum.at(last, group, np.arange(len(steps)))
        near = last - first <= 8 * count
        if np.mean(count > 1) > 0.9 and near.mean() > 0.9:
            return (group,)
    return (runs,) if (ahead == 0).any() else None


def _keys_of_ranks(steps: Column | None, ranks: Column) -> tuple[NDArray[Any], ...]:
    """Rows of one step in one pass over the steps: a pass ends where a rank's steps go back."""
    passes, at = np.zeros(len(ranks), np.int64), np.zeros(len(ranks))
    for rank in np.unique(ranks):
        mine = np.flatnonzero(ranks == rank)
        own = np.arange(len(mine), dtype=np.float64) if steps is None else steps[mine]
        at[mine] = own
        passes[mine] = np.concatenate([[0], np.cumsum(np.diff(own) < 0)])
    return passes, at


def _equal_blocks(loss: Column) -> tuple[NDArray[Any], ...] | None:
    """Every row of the file k times in a row, as k ranks print it without their number."""
    n = len(loss)
    if n < 2 * ENOUGH or np.all(loss[1:] == loss[:-1]):
        return None
    for k in range(min(MOST_RANKS, n // ENOUGH), 1, -1):
        if n % k == 0 and np.all(loss.reshape(-1, k) == loss[::k][:, None]):
            return (np.repeat(np.arange(n // k), k),)
    return None
