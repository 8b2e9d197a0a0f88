"""Unicode script shares of a vocabulary, and its tokens per Korean syllable.

A tokenizer trained for Korean from scratch has tens of thousands of Hangul tokens; one that
was borrowed from an English model has hundreds. The profile describes, it is no test: a
vocabulary with much Hangul can still be somebody else's with Hangul added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# First code points of blocks, sorted, and the script that begins there. Everything that is
# not a letter of these scripts is "other": digits, signs, rarer scripts.
_BLOCKS: tuple[tuple[int, str], ...] = (
    (0x0000, "other"), (0x0041, "latin"), (0x005B, "other"), (0x0061, "latin"),
    (0x007B, "other"), (0x00C0, "latin"), (0x0250, "other"), (0x0370, "greek"),
    (0x0400, "cyrillic"), (0x0530, "other"), (0x0590, "hebrew"), (0x0600, "arabic"),
    (0x0780, "other"), (0x0900, "indic"), (0x0E00, "thai"), (0x0E80, "other"),
    (0x1100, "hangul"), (0x1200, "other"), (0x1E00, "latin"), (0x1F00, "greek"),
    (0x2000, "other"), (0x3040, "kana"), (0x3100, "other"), (0x3130, "hangul"),
    (0x3190, "other"), (0x3400, "han"), (0x4DC0, "other"), (0x4E00, "han"),
    (0xA000, "other"), (0xA960, "hangul"), (0xA980, "other"), (0xAC00, "hangul"),
    (0xD7FC, "other"), (0xF900, "han"), (0xFB00, "other"), (0x20000, "han"),
    (0x32000, "other"),
)  # fmt: skip
SCRIPTS = tuple(sorted({script for _, script in _BLOCKS}))
_STARTS = np.array([start for start, _ in _BLOCKS], dtype=np.int64)
_CODES = np.array([SCRIPTS.index(script) for _, script in _BLOCKS], dtype=np.int64)


def script_shares(
    code_points: NDArray[np.uint32], token_of: NDArray[np.int64], tokens: int
) -> dict[str, float]:
    """The share of tokens that hold a letter of each script.

    `code_points` are the characters of all tokens one after the other and `token_of` (same
    shape) the token that each belongs to; `tokens` is the number of tokens, of which some
    may have no character at all (broken byte sequences). A token of two scripts counts for
    both; "other" is the share of tokens without any letter of the listed scripts.
    """
    if tokens == 0:
        return dict.fromkeys(SCRIPTS, 0.0)
    codes = _CODES[np.searchsorted(_STARTS, code_points, side="right") - 1]
    present = np.zeros((tokens, len(SCRIPTS)), dtype=bool)
    present[token_of, codes] = True
    other = SCRIPTS.index("other")
    present[:, other] = ~np.delete(present, other, axis=1).any(axis=1)
    return dict(zip(SCRIPTS, present.mean(axis=0).tolist(), strict=True))


def is_hangul(code_points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Which characters are Hangul syllables or letters."""
    codes = _CODES[np.searchsorted(_STARTS, code_points, side="right") - 1]
    return np.asarray(codes == SCRIPTS.index("hangul"))


def tokens_per_syllable(token_counts: NDArray[np.int64], syllables: NDArray[np.int64]) -> float:
    """How many tokens a Korean syllable costs: total tokens over total syllables of a text.

    Both have one entry per word. Good Korean vocabularies are below one; a byte alphabet
    without Hangul costs three. Raises ValueError without a syllable.
    """
    total = int(syllables.sum())
    if total == 0:
        raise ValueError("the text has no Hangul syllable")
    return float(token_counts.sum()) / total
