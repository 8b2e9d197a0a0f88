"""How much of an untrusted file is read, and the one error that a bad file may cause.

A tokenizer comes from a stranger. Every reader stops at these sizes, which are above those of
the largest real vocabularies (Gemma-3: 33 MB, 262,144 tokens) and keep it below 1 GB of memory.
"""

from __future__ import annotations

from pathlib import Path

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import TooManyItems, load_bounded
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import open_regular, printable

MAX_BYTES = 64 * 2**20
MAX_TOKENS = 1_000_000  # XLM-V's are 901,629
MAX_MERGES = 4_000_000
MAX_ITEMS = 4_000_000  # values of a JSON file; Gemma-3's has 2.1 million
MAX_HEADER = 64 * 2**20  # the key-value header of a GGUF file
MAX_TOKEN_BYTES = 1 << 16


def malformed(path: Path, why: str) -> Unavailable:
    """The error for a file that is not what its name says."""
    return Unavailable(
        Reason.MALFORMED,
        Text("The tokenizer file {file} cannot be read: {why}.", file=path.name, why=why),
        Text("Fetch the file again, or give another tokenizer file of the same model."),
    )


def too_large(path: Path, what: str) -> Unavailable:
    """The error for a file beyond the limits."""
    return Unavailable(
        Reason.OVER_BUDGET,
        Text("The tokenizer file {file} is too large: {what}.", file=path.name, what=what),
        Text("No real tokenizer comes near this size; look at the file by hand."),
    )


def read_bytes(path: Path) -> bytes:
    """Read a whole file within the limit. Raises `Unavailable`."""
    try:
        with open_regular(path) as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unavailable(
            Reason.ABSENT,
            Text("The tokenizer file {file} cannot be opened.", file=path.name),
            Text("Give a folder or a file that exists and may be read."),
        ) from error
    if len(data) > MAX_BYTES:
        raise too_large(path, f"more than {MAX_BYTES // 2**20} MiB")
    return data


def read_json(path: Path) -> object:
    """Parse a JSON file within the limit; deep nesting and bad text are `Unavailable`."""
    try:
        return load_bounded(read_bytes(path), MAX_ITEMS)
    except TooManyItems as error:
        raise too_large(path, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise malformed(path, f"it is not JSON ({printable(str(error))})"[:200]) from error


def lines_of(path: Path, raw: bytes, limit: int) -> list[str]:
    """Split text into lines as Python does, after their number is known to be bounded."""
    ends = (b"\n", b"\r", b"\v", b"\f", b"\x1c", b"\x1d", b"\x1e", b"\xc2\x85", b"\xe2\x80")
    if sum(map(raw.count, ends)) > limit:
        raise too_large(path, f"more than {limit} lines")
    return raw.decode("utf-8", "replace").splitlines()


def check_tokens(path: Path, count: int) -> None:
    """Refuse a vocabulary of absurd size."""
    if count > MAX_TOKENS:
        raise too_large(path, f"{count} tokens")
    if count == 0:
        raise malformed(path, "it holds no token")
