"""Byte budget of one model, checked before anything is read."""

from __future__ import annotations

import re
import threading

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.core.text import Text

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Read a size in bytes such as ``16MB`` (decimal) or ``256 MiB`` (binary).

    Raises
    ------
    ScratchError
        If the text is not a number with one of those units.
    """
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ScratchError(f"{text!r} is not a size; write 16MB or 256MiB")
    return round(float(match[1]) * unit)


class ByteBudget:
    """A limit on the bytes read of one model, shared by the threads of one process.

    The running total is the second line of defence. A method plans its own reads within
    `limit` (`ranges.coalesce`), because which test meets the end of a running total depends
    on how tests are distributed over workers.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self._spent = 0
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str | None) -> ByteBudget:
        """Make a budget from an option's value; None and the empty text set no limit."""
        return cls(parse_size(text) if text else None)

    @property
    def spent(self) -> int:
        """Bytes charged so far."""
        return self._spent

    def charge(self, size: int, what: str) -> None:
        """Reserve `size` bytes for `what`, a file's name, before reading them.

        Raises
        ------
        Unavailable
            With reason over-budget, and nothing is charged, if they do not fit.
        """
        with self._lock:
            if self.limit is None or self._spent + size <= self.limit:
                self._spent += size
                return
        raise Unavailable(
            Reason.OVER_BUDGET,
            Text(
                "Reading {size} bytes of {what} would exceed the budget of {limit} bytes; "
                "{spent} are spent.",
                size=size,
                what=what,
                limit=self.limit,
                spent=self._spent,
            ),
            Text("Raise the byte budget of this model."),
        )
