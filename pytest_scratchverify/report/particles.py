"""Choose the Korean particle that fits the value before it: ``{name}은(는)`` becomes 은 or 는.

A particle depends on whether the word before it is *read* with a final consonant. For Hangul that
is written in the syllable; for Latin names it follows how Korean writes English sounds: a single
short vowel before a stop closes the syllable (챗, 블록), a long one opens another (딥시크). One
digit at the end of a name is read as in English (브이쓰리), a number in the Chinese way (삼).
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
# One digit at the end of a name: 제로, 투, 쓰리, 포, 파이브, 식스; 원, 세븐, 에잇, 나인.
_ENGLISH = dict.fromkeys("023456", "o") | dict.fromkeys("1789", "c")
_ENDS = {"o": _OPEN, "c": _CLOSED, "r": _RIEUL}
_NUMBER = re.compile(r"(?<![A-Za-z\d.-])[\d.,]*\d$|\de[+-]\d+$")
_SPELLED = re.compile(r"(?:^|[^a-z])([b-df-hj-np-tv-xz]+|mit|api|url|ui|ai)$")  # letter by letter
_STOP = re.compile(r"(?:^|[^aeiouy])[aeiou](?:[ptkcb]|ck)$")  # a short vowel closes: 챗, 블록, 맵
_WORDS = (  # how the Korean reading of a Latin word ends, by its last letters
    (re.compile(r"(?:l|[^aeiou]?le|[aeiou]re?le|ile|ale|ole|ule)$"), _RIEUL),
    (re.compile(r"(?:[mn]|ng|[aeiou]me|[aeiou]ne)$"), _CLOSED),
    (re.compile(r"(?:ype|ope|ape|ipe|[iu]c)$"), _CLOSED),
    (_STOP, _CLOSED),
)


def particles(text: str) -> str:
    """Return a Korean text with each pair of particles decided by the word before it.

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
    """Return how the reading of a word ends, or None where there is no word."""
    last = word[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return _OPEN if not final else _RIEUL if final == 8 else _CLOSED
    if last.isascii() and last.isdigit():
        by_itself = _NUMBER.search(word) or word[-2:-1].isdigit()
        return _ENDS[(_SINO if by_itself else _ENGLISH)[last]]
    if last == "%":
        return _OPEN  # 퍼센트
    if not (last.isascii() and last.isalpha()):
        return None
    if last.isupper():
        return _letter(last)
    lower = word.lower()
    if _SPELLED.search(lower):
        return _letter(last.upper())
    return next((ending for ends, ending in _WORDS if ends.search(lower)), _OPEN)


def _letter(letter: str) -> str:
    """Return how a letter's Korean name ends: 엘, 엠, 엔, 알, and all others open."""
    return {"L": _RIEUL, "M": _CLOSED, "N": _CLOSED, "R": _RIEUL}.get(letter, _OPEN)
