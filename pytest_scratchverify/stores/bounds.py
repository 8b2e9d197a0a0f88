"""Size and depth limits for untrusted files, and a JSON parser that enforces them."""

from __future__ import annotations

from pathlib import PurePosixPath

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json, TooManyItems, load_bounded
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.untrusted import printable

MIB = 2**20
MAX_CONFIG_BYTES = 4 * MIB
MAX_INDEX_BYTES = 64 * MIB
MAX_CARD_BYTES = 8 * MIB
MAX_FILE_BYTES = 64 * MIB
MAX_CARD_CHARACTERS = 200_000
MAX_JSON_DEPTH = 64
MAX_JSON_ITEMS = 1_000_000  # the largest index of weights so far has 180,000
MAX_FILES = 50_000


def malformed(repo: str, file: str, problem: str) -> Unavailable:
    """Say that a file is not what its name promises; `problem` completes the sentence."""
    return Unavailable(
        Reason.MALFORMED,
        Text("{file} of {repo} is malformed: {problem}.", file=file, repo=repo, problem=problem),
        Text(
            "Where it was copied or downloaded, do that once more; else its publisher would have to"
            " repair it, or name a revision in which it is sound."
        ),
    )


def too_large(repo: str, file: str, size: int, limit: int) -> Unavailable:
    """Say that a file is larger than any sound file of its kind; sizes in bytes."""
    return Unavailable(
        Reason.OVER_BUDGET,
        Text(
            "{file} of {repo} has {size} bytes; files of this kind are read up to {limit}.",
            file=file,
            repo=repo,
            size=size,
            limit=limit,
        ),
        Text("Check that it is the file it claims to be."),
    )


def absent(repo: str, file: str) -> Unavailable:
    """Say that a repository or folder does not hold a file."""
    return Unavailable(
        Reason.ABSENT,
        Text("There is no {file} in {repo}.", file=file, repo=repo),
        Text("Check the folder or the revision, or ask the publisher for the file."),
    )


def is_safe_name(name: str) -> bool:
    """Whether a file name stays inside of its repository."""
    path = PurePosixPath(name)
    parts_ok = bool(path.parts) and ".." not in path.parts and not path.is_absolute()
    return parts_ok and "\\" not in name and ":" not in name and name.isprintable()


def parse_object(raw: bytes, *, repo: str, file: str) -> dict[str, Json]:
    """Read a JSON object; Infinity and NaN, which configurations do contain, become None.

    So do numbers beyond 64 bits, which count nothing that exists.

    Raises
    ------
    Unavailable
        With reason malformed, if it is no JSON, no object, or nested too deeply.
    """
    try:
        value = load_bounded(raw, MAX_JSON_ITEMS)
    except RecursionError:
        raise malformed(repo, file, "it is nested too deeply") from None
    except TooManyItems as error:
        raise malformed(repo, file, f"it holds {error!s}") from error
    except ValueError as error:
        raise malformed(repo, file, f"it is not JSON ({printable(str(error)):.200})") from error
    if not isinstance(value, dict):
        raise malformed(repo, file, "it is not a JSON object")
    if _deeper_than(value, MAX_JSON_DEPTH):
        raise malformed(repo, file, "it is nested too deeply")
    return value


def _deeper_than(value: Json, limit: int) -> bool:
    level: list[Json] = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True
