"""The boundary around every reader: what a file's content provokes becomes `Unavailable`.

Readers refuse what they know to be wrong, in their own words. Strangers write what nobody thought
of: a list where a name belongs, a number of four thousand digits. Whatever exception that ends
in, it is a statement about that file, with the exception as its cause and its place in our code
in the sentence, so that a bug of ours is seen as one and never taken for a file that is not there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from traceback import walk_tb
from types import TracebackType

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.core.text import Text

PACKAGE = Path(__file__).resolve().parents[1]
_PASSED_ON = (Unavailable, ScratchError)
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNDECODABLE = re.compile("[\udc80-\udcff]")


@contextmanager
def reading(file: str, owner: str = "") -> Iterator[None]:
    """Turn any exception of a block that reads `file` of `owner` into `Unavailable`.

    The reason is never "absent": nothing in here shows that something is not there.
    """
    try:
        yield
    except _PASSED_ON:
        raise
    except OSError as error:
        raise Unavailable(
            Reason.UNREACHABLE,
            Text(
                "{file} could not be read: {error}.",
                file=_called(file, owner),
                error=printable(error.strerror or str(error))[:200],
            ),
            Text("Check the file, its permissions and the disk."),
        ) from error
    except MemoryError as error:
        raise Unavailable(
            Reason.OVER_BUDGET,
            Text("{file} could not be read: memory ran out.", file=_called(file, owner)),
            Text("Check that it is the file it claims to be."),
        ) from error
    except Exception as error:
        raise Unavailable(
            Reason.MALFORMED,
            Text(
                "{file} could not be read: {kind} at {place} ({error}).",
                file=_called(file, owner),
                kind=type(error).__name__,
                place=place_of(error.__traceback__),
                error=printable(str(error))[:200],
            ),
            Text(
                "Check the file; if it is sound, report this as a bug of pytest-scratchverify, "
                "with the file."
            ),
        ) from error


def _called(file: str, owner: str) -> Text | str:
    file, owner = printable(file), printable(owner)
    return Text("{file} of {repo}", file=file, repo=owner) if owner else file


def place_of(trace: TracebackType | None) -> str:
    """Return the innermost line of this package that an exception went through."""
    found = "-"
    for frame, line in walk_tb(trace):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE) and path != Path(__file__):
            found = f"{path.relative_to(PACKAGE).as_posix()}:{line}"
    return found


def printable(text: str) -> str:
    """Return text that every report can be written with: lone surrogates are replaced."""
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def file_name(raw: str) -> str:
    """Return a name as Python decodes it with the bytes that are not UTF-8 written ``%FF``.

    Two such names stay two, and each can be printed.
    """
    return _UNDECODABLE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", raw)


def open_regular(path: Path) -> BufferedReader:
    """Open a plain file for reading; a pipe or device is an OSError, and nobody waits for it."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "it is no plain file", str(path))  # noqa: TRY301 - closed below
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise
