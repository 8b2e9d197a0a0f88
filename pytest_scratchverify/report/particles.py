"""Choose the Korean particle that fits the value before it: ``{name}은(는)`` becomes 은 or 는.

A particle depends on whether the word before it is *read* with a final consonant. For Hangul that
is written in the syllable; for numbers and Latin names it is known for some endings only. Where two
readings are common (Koreans read the 3 of "V3" as 삼 or as 쓰리), both particles stay.
"""

from __future__ import annotations

import re

# As catalogues write it, with a final consonant, without one.
_PAIRS = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "와(과)": ("과", "와"),
    "(으)로": ("으로", "로"),
}
# The end of the word before it decides; unbounded, a long word would take quadratic time.
_PARTICLE = re.compile(rf"(\S{{1,60}}?)({'|'.join(map(re.escape, _PAIRS))})")
_OPEN, _CLOSED, _RIEUL = "", "consonant", "rieul"  # how a reading ends
_QUOTES = "\"'`)]}*"
# 영 일 이 삼 사 오 육 칠 팔 구; longer numbers end in 십, 백, 천 or 만, all closed like 영.
_SINO = dict(zip("0123456789", "crocoocrro", strict=True))
# Digits at the end of a name, where the Chinese and the English reading agree: 원/일, 투/이, ...
_EITHER = {"1": "c", "2": "o", "4": "o", "5": "o", "7": "c"}
_ENDS = {"o": _OPEN, "c": _CLOSED, "r": _RIEUL}
_NUMBER = re.compile(r"(?<![A-Za-z\d.-])[\d.,]*\d$|\de[+-]\d+$")
_ACRONYM = re.compile(r"(?:^|[^a-z])[A-Z]$")
_WORDS = (  # endings of Latin words whose Korean reading is not in doubt
    (re.compile(r"l$"), _RIEUL),
    (re.compile(r"(?:[mn]|ng)$"), _CLOSED),
    (re.compile(r"(?:[aiouyrsxzfvhj]|[szcgvr]e|[cflnrsx]t|[lnr]d|nk)$"), _OPEN),
)


def particles(text: str) -> str:
    """Return a Korean text with each pair of particles decided where the reading is certain.

    Example: ``particles("설계은(는) GPT은(는)")`` is ``"설계는 GPT는"``.
    """
    return _PARTICLE.sub(_decided, text)


def _decided(match: re.Match[str]) -> str:
    word, pair = match[1], match[2]
    ending = _ending(word.rstrip(_QUOTES))
    if ending is None:
        return match[0]
    closed, is_open = _PAIRS[pair]
    if pair == "(으)로" and ending == _RIEUL:
        return word + is_open
    return word + (closed if ending else is_open)


def _ending(word: str) -> str | None:
    """Return how the reading of a word ends, or None where that is not certain."""
    last = word[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return _OPEN if not final else _RIEUL if final == 8 else _CLOSED
    if last.isascii() and last.isdigit():
        kind = (_SINO if _NUMBER.search(word) else _EITHER).get(last)
        return _ENDS[kind] if kind else None
    if last.isupper():
        return _letter(last) if _ACRONYM.search(word) else None
    return next((ending for ends, ending in _WORDS if ends.search(word)), None)


def _letter(letter: str) -> str:
    """Return how a letter's Korean name ends: 엘, 엠, 엔, 알, and all others open."""
    return {"L": _RIEUL, "M": _CLOSED, "N": _CLOSED, "R": _RIEUL}.get(letter, _OPEN)
