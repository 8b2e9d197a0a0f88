"""The line of progress: on a terminal alone, behind the dots, and gone when a test ends."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.plugin import progress
from pytest_scratchverify.plugin.progress import ReadingLine, terminal_of


def watched(monkeypatch, until):
    """Run a test under the line until `until` stands in what it wrote; return all of it."""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.001)
    one, two = ModelSpec(name="org/one"), ModelSpec(name="org/two")
    session = SimpleNamespace(
        settings=SimpleNamespace(byte_budget="40MB", language="en"),
        budgets={"org/one": SimpleNamespace(spent=34_000_000)},
    )
    item = SimpleNamespace(name="t", callspec=SimpleNamespace(params={"pair": Pair(one, two)}))
    reading, writing = os.pipe()
    running = ReadingLine(session, writing).pytest_runtest_call(item)
    next(running)
    seen = ""
    while until not in seen:
        seen += os.read(reading, 4096).decode()
    with pytest.raises(StopIteration):
        running.send(None)
    os.close(writing)
    while more := os.read(reading, 4096):
        seen += more.decode()
    os.close(reading)
    return seen


def test_the_line_says_what_is_read_and_is_wiped_away(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    seen = watched(monkeypatch, "reading org/one, org/two: 34 MB of at most 80 MB, 0 s")
    assert seen.startswith("\x1b7")
    assert seen.endswith("\x1b8\x1b[K")
    assert "\n" not in seen


def test_a_line_that_is_too_long_keeps_its_end(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    seen = watched(monkeypatch, "of at most 80 MB")
    assert "org/one" not in seen


def test_a_quick_test_shows_nothing(monkeypatch):
    monkeypatch.setattr(progress.ReadingLine, "_write", lambda *_: pytest.fail("was shown"))
    session = SimpleNamespace(settings=None, budgets={})
    running = ReadingLine(session, -1).pytest_runtest_call(SimpleNamespace(name="t"))
    next(running)
    began = time.monotonic()
    with pytest.raises(StopIteration):
        running.send(None)
    assert time.monotonic() - began < progress.PATIENCE  # it does not wait for the watch


def test_no_line_without_a_terminal(pytestconfig, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal_of(pytestconfig) is None  # captured: no terminal
    alone = SimpleNamespace(getoption=lambda *_, **__: None)
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        found = terminal_of(alone)
        assert found is not None
        os.close(found)
        assert terminal_of(SimpleNamespace(getoption=lambda *_, **__: 2)) is None  # workers
        monkeypatch.setenv("TERM", "dumb")
        assert terminal_of(alone) is None
    os.close(leader)
