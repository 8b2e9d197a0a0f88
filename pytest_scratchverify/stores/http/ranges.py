"""Byte ranges: coalescing for few requests, cutting the answers; no I/O.

A request costs as much time as some hundred kilobytes, so ranges that lie close together are
fetched as one, as long as the bytes between them fit into the budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.text import Text

DEFAULT_GAP = 256 * 1024


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes `start` to `stop` (exclusive) of a file."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise ValueError(f"not a byte range: {self.start} to {self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start

    def holds(self, other: ByteRange) -> bool:
        """Whether all bytes of `other` are in this range."""
        return self.start <= other.start and other.stop <= self.stop


def coalesce(
    ranges: Iterable[ByteRange], *, gap: int = DEFAULT_GAP, budget: int | None = None
) -> tuple[ByteRange, ...]:
    """Join ranges that lie close together into fewer, larger ones.

    Parameters
    ----------
    ranges : iterable of ByteRange
        What is needed, in any order; overlaps and repetitions are allowed.
    gap : int
        The largest number of unneeded bytes worth a saved request.
    budget : int, optional
        The largest number of bytes to fetch in all; the narrowest gaps are bridged first.

    Returns
    -------
    tuple of ByteRange
        Sorted and disjoint; every requested byte is in exactly one of them.

    Raises
    ------
    Unavailable
        With reason over-budget, if the needed bytes alone exceed the budget.
    """
    needed = _union(ranges)
    spent = sum(map(len, needed))
    if budget is not None and spent > budget:
        raise Unavailable(
            Reason.OVER_BUDGET,
            Text(
                "{needed} bytes are needed and {budget} may be read.", needed=spent, budget=budget
            ),
            Text("Raise the byte budget, or compare fewer tensors."),
        )
    return _bridged(needed, _gaps_worth_bridging(needed, gap, budget, spent))


def cut(ranges: Sequence[ByteRange], fetched: Iterable[tuple[ByteRange, bytes]]) -> list[bytes]:
    """Take the requested ranges out of the fetched ones, in the order of the request.

    Raises
    ------
    ValueError
        If a requested range was not fetched as a part of one fetched range.
    """
    bodies = sorted(fetched, key=lambda pair: pair[0])
    return [_slice(wanted, bodies) for wanted in ranges]


def _slice(wanted: ByteRange, bodies: Sequence[tuple[ByteRange, bytes]]) -> bytes:
    for have, body in bodies:
        if have.holds(wanted):
            return body[wanted.start - have.start : wanted.stop - have.start]
    if not len(wanted):
        return b""
    raise ValueError(f"{wanted} was not fetched")


def _union(ranges: Iterable[ByteRange]) -> list[ByteRange]:
    union: list[ByteRange] = []
    for item in sorted(item for item in ranges if len(item)):
        if union and item.start <= union[-1].stop:
            union[-1] = ByteRange(union[-1].start, max(union[-1].stop, item.stop))
        else:
            union.append(item)
    return union


def _gaps_worth_bridging(
    needed: Sequence[ByteRange], gap: int, budget: int | None, spent: int
) -> set[int]:
    widths = sorted(
        (right.start - left.stop, position)
        for position, (left, right) in enumerate(pairwise(needed))
    )
    bridged: set[int] = set()
    for width, position in widths:
        spent += width
        if width > gap or (budget is not None and spent > budget):
            break
        bridged.add(position)
    return bridged


def _bridged(needed: Sequence[ByteRange], bridged: set[int]) -> tuple[ByteRange, ...]:
    joined: list[ByteRange] = []
    for position, item in enumerate(needed):
        if position - 1 in bridged:
            joined[-1] = ByteRange(joined[-1].start, item.stop)
        else:
            joined.append(item)
    return tuple(joined)
