"""Features of answers: openings, hashed letter groups, style. No model is involved.

The embedding is deterministic and shallow: counts of three-letter groups, hashed into a fixed
number of places. It sees wording, not meaning; two answers that say the same in other words are
far apart.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.methods.behaviour.grading import LONGEST_GRADED, folded

Float = NDArray[np.float64]
WIDTH = 512
UNITS = 2
_UNIT = re.compile(r"\w+|[^\w\s]")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_POLITE = re.compile(r"(습니다|니다|세요|어요|아요|예요|에요|죠)[.!?]")


def opening(text: str) -> str | None:
    """Return the first two words or signs of an answer; None where there are fewer.

    Words, because models with different tokenizers have no tokens in common. Two, because on the
    zoo the null holds best for two: with one, independent models agree on nearly half; with three
    and more, models of one recipe share set phrases that the other controls do not have.
    """
    units = [found.group() for found in islice(_UNIT.finditer(text), UNITS)]
    return " ".join(units) if len(units) == UNITS else None


def openings(rows: Sequence[Sequence[str | None]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Number the openings of m models to n probes: equal texts get equal numbers.

    Returns the numbers and where there are any, both of shape (m, n).
    """
    codes: dict[str, int] = {}
    numbers = np.zeros((len(rows), len(rows[0]) if rows else 0), np.int64)
    usable = np.zeros(numbers.shape, bool)
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            if text is not None:
                numbers[i, j] = codes.setdefault(text, len(codes))
                usable[i, j] = True
    return numbers, usable


def letter_groups(text: str, width: int = WIDTH) -> Float:
    """Return hashed counts of three-letter groups, of unit length; zero for an empty text."""
    padded = f"  {folded(text[:LONGEST_GRADED])} "
    vector = np.zeros(width)
    for start in range(len(padded) - 2):
        vector[zlib.crc32(padded[start : start + 3].encode()) % width] += 1.0
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def style_features(text: str) -> Float:
    """Return stylometric features of an answer: the logs of twelve counts, shape (12,).

    Length, sentences, lines, list items, headings, bold, code, questions, exclamations, emoji,
    first person, Korean polite endings.
    """
    text = text[:LONGEST_GRADED]
    counts = (
        len(text) / 20,
        len(re.findall(r"[.!?。]", text)),
        text.count("\n"),
        len(re.findall(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])\s", text, re.MULTILINE)),
        len(re.findall(r"^#{1,6}\s", text, re.MULTILINE)),
        text.count("**") / 2,
        text.count("`"),
        text.count("?"),
        text.count("!"),
        len(_EMOJI.findall(text)),
        len(re.findall(r"\b(?:I|I'm|my|me)\b|저는|제가|나는", text)),
        len(_POLITE.findall(text)),
    )
    return np.log1p(np.array(counts, np.float64))
