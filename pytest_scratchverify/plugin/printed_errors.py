"""What pytest prints of a failed test: a rejected hypothesis in a few lines, and all of it visible.

An exception may quote a model's files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pytest_scratchverify.core.visible import MAX_SHOWN, visible

MAX_CAPTURED = 100 * MAX_SHOWN  # characters of what a test printed


def make_visible(report: pytest.TestReport) -> None:
    """Neutralise tracebacks, messages and captured output of a report, line by line."""
    report.sections[:] = [(name, _lines(text)) for name, text in report.sections]
    longrepr: Any = report.longrepr
    if isinstance(longrepr, str):
        report.longrepr = _lines(longrepr)
        return
    for traceback, crash in _parts(longrepr):
        if crash is not None:
            crash.message = _lines(str(crash.message))
        for entry in getattr(traceback, "reprentries", ()):
            for owner in (entry, getattr(entry, "reprlocals", None)):
                lines = getattr(owner, "lines", None)
                if isinstance(lines, list):
                    lines[:] = [visible(line) for line in lines]
            place = getattr(entry, "reprfileloc", None)
            if place is not None:
                place.message = visible(str(place.message))


def show_finding(report: pytest.TestReport, lines: Sequence[str], *, keep_locals: bool) -> None:
    """Let a rejected hypothesis speak: its assert, its headline, `lines`, and where it stands.

    What pytest says of it by itself are the fixtures' addresses and the finding's repr, which
    nobody can read. Locals stay where somebody asked for them (``--showlocals``).
    """
    traceback, crash = next(_parts(report.longrepr), (None, None))
    entries = getattr(traceback, "reprentries", None)
    if not entries or crash is None:
        return
    entry = entries[-1]
    written = getattr(entry, "lines", None)
    if not isinstance(written, list):
        return
    headline = str(crash.message).split("\nassert ")[0]
    asserted = [line for line in written if line.lstrip("> ").startswith("assert ")][:1]
    entries[:] = [entry]
    entry.reprfuncargs = None
    entry.reprlocals = getattr(entry, "reprlocals", None) if keep_locals else None
    written[:] = [*asserted, *(f"E   {line}" for line in headline.split("\n"))]
    written += [f"E     {line}" for line in lines]
    crash.message = headline


def _parts(longrepr: Any) -> Iterator[tuple[Any, Any]]:
    """Yield traceback and crash of an exception and of those that caused it."""
    chain = getattr(longrepr, "chain", None)
    if chain is None:
        yield getattr(longrepr, "reprtraceback", None), getattr(longrepr, "reprcrash", None)
        return
    for traceback, crash, _ in chain:
        yield traceback, crash


def _lines(text: str) -> str:
    return "\n".join(visible(line) for line in _cut(text).split("\n"))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CAPTURED else f"{text[:MAX_CAPTURED]} ... (cut off)"
