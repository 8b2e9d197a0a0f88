"""What the console script prints: whatever it quotes of files and names is visible and one line."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pytest_scratchverify.core.visible import visible

MAX_LINE = 20_000  # characters: room for the names of all tests


def say(line: str) -> None:
    """Print a line of the answer."""
    sys.stdout.write(f"{visible(line, MAX_LINE)}\n")


class ReaderGone(BaseException):
    """Ends a command whose standard output was closed; no handler of errors may take it for one."""


@contextmanager
def printed_as_a_whole() -> Iterator[None]:
    """Tell a reader that went away from a file that cannot be read. Raises `ReaderGone`."""
    kept, sys.stdout = sys.stdout, io.StringIO()
    written = sys.stdout
    try:
        yield
    finally:
        sys.stdout = kept
        try:
            kept.write(written.getvalue())
            kept.flush()
        except BrokenPipeError:
            raise ReaderGone from None


def complain(line: str) -> None:
    """Print the one line that says what is wrong."""
    sys.stderr.write(f"{visible(line, MAX_LINE)}\n")


def refusal(line: str) -> SystemExit:
    """Return what to raise to end the command with a line."""
    return SystemExit(visible(line, MAX_LINE))


class Arguments(argparse.ArgumentParser):
    """A parser whose own errors quote the command line visibly: names come from globs, too."""

    def error(self, message: str) -> NoReturn:
        """Print usage and error, and leave with exit code 2."""
        super().error(visible(message, MAX_LINE))
