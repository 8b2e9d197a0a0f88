"""One quiet line on a terminal while a test reads for longer than a moment.

It stands behind pytest's dots and is wiped away when the test ends; in a file, in CI and among
workers there is none.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest

from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.plugin.session import Session
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.terminal import columns
from pytest_scratchverify.report.wording import size
from pytest_scratchverify.stores.budget import parse_size

PATIENCE = 2.0  # seconds before anything is said
EVERY = 0.5
# Save the place, no wrapping, wipe what stood here; then back to the place. As xterm and all heirs.
OPEN, CLOSE, WIPE = "\x1b7\x1b[?7l\x1b[K", "\x1b[?7h\x1b8", "\x1b[K"


def terminal_of(config: pytest.Config) -> int | None:
    """Return a descriptor of the terminal that pytest prints to; None where it is none.

    Called before a test captures what is printed.
    """
    dumb = os.environ.get("TERM", "dumb") == "dumb" or "NO_COLOR" in os.environ
    workers = config.getoption("numprocesses", default=None) or config.getoption("tx", default=None)
    try:
        shown = sys.stdout.isatty() and not dumb and not workers
        return os.dup(sys.stdout.fileno()) if shown else None
    except (OSError, ValueError, AttributeError):  # a stream that is no file
        return None


class ReadingLine:
    """Says of the test that runs what it reads, how much of it, and how long."""

    def __init__(self, session: Session, terminal: int) -> None:
        self.session, self.terminal = session, terminal

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Watch a test from a thread of its own."""
        ended = threading.Event()
        watch = threading.Thread(target=self._watch, args=(item, ended), daemon=True)
        watch.start()
        try:
            return (yield)
        finally:
            ended.set()
            watch.join()

    def _watch(self, item: pytest.Item, ended: threading.Event) -> None:
        started = time.monotonic()
        wait, said = PATIENCE, False
        while not ended.wait(wait):
            line = self._line(item, time.monotonic() - started)
            self._write(f"{OPEN}{line}{CLOSE}")
            wait, said = EVERY, True
        if said:
            self._write(WIPE)

    def _line(self, item: pytest.Item, seconds: float) -> str:
        callspec = getattr(item, "callspec", None)
        about = self._about(callspec.params if callspec is not None else {})
        budgets = [self.session.budgets.get(spec.name) for spec in about]
        spent = sum(budget.spent for budget in budgets if budget is not None)
        limit = self.session.settings.byte_budget
        said = Text(
            "reading {models}: {spent}, {seconds} s",
            models=[spec.name for spec in about] or [item.name],
            spent=size(spent),
            seconds=int(seconds),
        )
        if limit is not None:
            said = Text(
                "reading {models}: {spent} of at most {limit}, {seconds} s",
                **{**said.params, "limit": size(max(1, len(about)) * parse_size(limit))},
            )
        line = visible(translate(said, self.session.settings.language))
        room = max(20, shutil.get_terminal_size().columns // 2)
        while columns(line) > room:
            line = line[1:]  # what changes stands at the end
        return f"  {line}"

    def _about(self, params: dict[str, Any]) -> list[ModelSpec]:
        pair, model = params.get("pair"), params.get("model")
        if isinstance(pair, Pair):
            return [pair.model, pair.reference]
        return [model] if isinstance(model, ModelSpec) else []

    def _write(self, text: str) -> None:
        try:
            os.write(self.terminal, text.encode("utf-8", "replace"))
        except OSError:  # the terminal went away: pytest will say so
            return
