"""Names and numbers of one printed line, and the rank that printed it.

Every number is named by the words before it: ``step: 12  loss: 9.22`` as well as
``Iter 12: Train loss 9.22``, ``[step=12/500,epoch=0]`` or ``{'loss': '9.22'}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_scratchverify.methods.training_log.readers.numbers import NUMBER, scaled

LONGEST = 1 << 14  # characters of a line that are looked at
RANK = "(rank)"  # the name under which a line's rank is kept: no printed name has brackets so

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-_])"
)
_OF = r"(?:global[_ ]?|local[_ ]?)?"
_RANKS = (
    re.compile(rf"^\s{{0,8}}\[?{_OF}(?:rank|default|gpu|worker)[ _:=#-]{{0,2}}(\d{{1,6}})\]?:?"
               r"(?=[\s:\[(|,-])", re.IGNORECASE),
    re.compile(rf"[\[(]{_OF}(?:rank|default)[ _:=#-]{{0,2}}(\d{{1,6}})[\])]:?", re.IGNORECASE),
    re.compile(r"^\s{0,8}\[\d{1,4},(\d{1,6})\]<std(?:out|err)>:?"),  # mpirun --tag-output
    re.compile(r"^\s{0,4}(\d{1,6}): (?=\D)"),  # srun --label
)  # fmt: skip
_TQDM = re.compile(r"(?<![\d/.])(\d{1,12})/(\d{1,12}) \[\d{1,3}:\d\d")
_TORCHTUNE = re.compile(r"^\s{0,4}\d{1,6}\|(\d{1,12})\|(?=\s?loss)", re.IGNORECASE)
_MMENGINE = re.compile(r"\bIter\(train\)\s{0,4}\[\s{0,12}(\d{1,12})/", re.IGNORECASE)
_COMPOSER = re.compile(r"^\s{0,4}\[batch=([\d,]{1,16})/")
_GROUP = re.compile(r"\s?\(group 0\)", re.IGNORECASE)
_WORD = r"[A-Za-z_][\w./%-]{0,63}"
_NAME = re.compile(rf"({_WORD}(?: [A-Za-z_(][\w./%()-]{{0,63}}){{0,3}})$")
_OPENING = re.compile(r"(?:[A-Za-z_][\w.]{0,40}\()?[\s:='\"\[({]{0,16}$")
_STEP_WORDS = re.compile(r"(^|[ _])(step|iteration|iter)$", re.IGNORECASE)
_NO_STEP = re.compile(
    r"loss|per|time|avg|average|skip|max|total|nan|of|at|last|best", re.IGNORECASE
)


def without_escapes(text: str) -> str:
    """Return a text without colours and other escape sequences of terminals."""
    return _ANSI.sub("", text) if "\x1b" in text else text


def printed_values(line: str) -> Mapping[str, float]:
    """Return what a line (without escapes) names: the first value of each name."""
    rank, line = _rank_of(line)
    found: dict[str, float] = {} if rank is None else {RANK: rank}
    line = _GROUP.sub("", line) if "roup 0" in line else line
    end = 0
    for match in NUMBER.finditer(line):
        name = _name(line[max(end, match.start() - 160) : match.start()])
        end = match.end()
        if name:
            found.setdefault(name, scaled(match[1], match[2]))
    if "step" not in found and (step := _bare_step(line)) is not None:
        found["step"] = step
    return found


def _name(before: str) -> str:
    """Return the words that name a number, from the text between it and the number before."""
    opening = _OPENING.search(before)
    words = before[: opening.start()] if opening else before
    if opening and "(" in opening[0] and (called := opening[0].partition("(")[0].strip()):
        if not called.startswith(("tensor", "array", "np.", "numpy.", "torch.", "float", "mx.")):
            return ""
        again = _OPENING.search(words)
        words = words[: again.start()] if again else words
    found = _NAME.search(words)
    name = found[1] if found else ""
    if _STEP_WORDS.search(name) and not _NO_STEP.search(name):
        return name.rsplit(" ", 1)[-1]  # "completed step", "INFO iteration"
    return name


def _rank_of(line: str) -> tuple[float | None, str]:
    for pattern in _RANKS:
        if match := pattern.search(line, 0, 256):
            return float(match[1]), line[: match.start()] + " " + line[match.end() :]
    return None, line


def _bare_step(line: str) -> float | None:
    for pattern in (_MMENGINE, _COMPOSER, _TORCHTUNE, _TQDM):
        if match := pattern.search(line):
            return float(match[1].replace(",", ""))
    return None
