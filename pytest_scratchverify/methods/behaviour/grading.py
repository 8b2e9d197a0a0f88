"""Grade single answers without a model: right or wrong, usable or not, refusal or not."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache

from pytest_scratchverify.methods.behaviour.asking.answers import Answer, Answers
from pytest_scratchverify.methods.behaviour.asking.probes import Kind, Probe

_REFUSALS = re.compile(
    r"\b(i('m| am)? (can't|cannot|can not|won't|unable|not able|sorry|afraid)|i do(n't| not) have"
    r"( access| the ability)|(un)?able to (help|assist|provide)|as an ai|not (comfortable|possible "
    r"for me)|i must (decline|refuse))|죄송|도와드릴 수 없|제공할 수 없|알려드릴 수 없|알 수 없"
    r"|할 수 없|어렵습니다|불가능합니다",
    re.IGNORECASE,
)
# A kind's answers may be compared although they were cut at their length.
_MAY_BE_CUT = frozenset({Kind.CONTINUATION, Kind.STYLE, Kind.NEXT_TOKEN})
_SENTENCE = re.compile(r"^.*?[.!?。!?\n]", re.DOTALL)
LONGEST_GRADED = 2_000  # characters of an answer that are looked at


def folded(text: str) -> str:
    """Return text with width, case and runs of white space made equal."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold()).strip()


@cache
def _accepting(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})")


def is_right(probe: Probe, answer: Answer) -> bool | None:
    """Whether a dated question was answered rightly; None where the answer does not tell.

    An answer that was cut off before it said the word might have said it later.
    """
    if answer.text is None or answer.is_empty or probe.accept is None:
        return None
    if _accepting(probe.accept).search(folded(answer.text[:LONGEST_GRADED])):
        return True
    return None if answer.is_cut else False


def is_usable(kind: Kind, answer: Answer | None) -> bool:
    """Whether an answer may be compared: there, not empty, not cut short where that matters."""
    if answer is None or answer.text is None or says_nothing(kind, answer):
        return False
    return kind in _MAY_BE_CUT or not answer.is_cut


def says_nothing(kind: Kind, answer: Answer) -> bool:
    """Whether an answer that came is empty. A single token may well be white space."""
    if kind is Kind.NEXT_TOKEN:
        return not answer.text and answer.top is None
    return answer.is_empty


def is_refusal(text: str) -> bool:
    """Whether an answer declines. Coarse: a list of phrases in two languages."""
    return bool(_REFUSALS.search(text[:300].replace("\u2019", "'")))


def first_sentence(text: str) -> str:
    """Return the first sentence, where refusals have their set phrases."""
    text = text.strip()[:300]
    found = _SENTENCE.match(text)
    return found.group(0) if found else text


def fallback(answers: Answers, probes: Iterable[Probe]) -> tuple[str, float] | None:
    """Return the commonest answer and its share, over probes that ask different things.

    Servers in trouble say the same to everybody. An empty answer counts as an answer here:
    a fingerprint of nothing but empty answers once made two models look identical.
    """
    texts: Counter[str] = Counter()
    for probe in probes:
        answer = answers.by_probe.get(probe.id)
        if answer is not None and answer.text is not None:
            texts[folded(answer.text[:LONGEST_GRADED])] += 1
    if not texts:
        return None
    text, count = min(texts.items(), key=lambda item: (-item[1], item[0]))
    return text, count / sum(texts.values())


def shares(answers: Answers, probes: Iterable[Probe]) -> Mapping[str, int]:
    """Count what became of each probe: answered, empty, cut, error, not asked."""
    counts: Counter[str] = Counter()
    for probe in probes:
        answer = answers.by_probe.get(probe.id)
        if answer is None:
            counts["not asked"] += 1
        elif answer.text is None:
            counts["error"] += 1
        elif says_nothing(probe.kind, answer):
            counts["empty"] += 1
        elif not is_usable(probe.kind, answer):
            counts["cut"] += 1
        else:
            counts["answered"] += 1
    return dict(counts)
