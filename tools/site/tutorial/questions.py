"""Questions as files: one each, both languages in it, so that neither is mended alone."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "ko")
BETWEEN = "<!-- 한국어 -->"
VALUE = re.compile(r"\{\{([\w.-]+)\}\}")
REFERENCE = re.compile(r"\bQ(\d+)")
FIGURE = re.compile(r"^\{\{figure ([\w-]+)\}\}$", re.MULTILINE)
# A number of its own; "Llama-3", "cl100k", "100B" and the version "0.2.3" are names.
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.-])\d[\d,]*(?:\.\d+)?(?![A-Za-z0-9-]|\.[0-9x])")
# Code, links, placeholders; dates, ordinals and names of formats ("4비트" is "4-bit") are no
# measurements.
_NOT_PROSE = re.compile(
    r"`[^`]*`|\]\([^)]*\)|\{\{[^}]*\}\}|20\d\d-\d\d-\d\d|20\d\d(?:년 \d+월(?: \d+일)?)?|제\d+|\d+비트"
)


class QuestionError(ValueError):
    """What is wrong with which file, and what to do."""


@dataclass(frozen=True, slots=True)
class Section:
    """A page of the tutorial; `words` are those by which a new question is put there."""

    slug: str
    titles: Mapping[str, str]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One question; without an answer in both languages it is open.

    `quoted` are numbers that somebody published, each with its source: they are what the answer
    is about, and no measurement of ours.
    """

    slug: str
    number: int
    section: str
    asked: str
    titles: Mapping[str, str]
    answers: Mapping[str, str]
    see: tuple[str, ...]
    quoted: Mapping[str, Mapping[str, str]]

    @property
    def answered(self) -> bool:
        """Whether both languages have an answer."""
        return all(self.answers.get(language) for language in LANGUAGES)

    def title(self, language: str) -> str:
        """Return the question in a language, or in the one in which it was asked."""
        return self.titles.get(language) or next(iter(self.titles.values()))

    def used(self, language: str) -> set[str]:
        """Return the names of the measured values in an answer."""
        return set(VALUE.findall(self.answers[language]))


def read_sections(path: Path) -> dict[str, Section]:
    """Return the sections in their order."""
    rows: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))["section"]
    return {
        row["slug"]: Section(
            row["slug"], {name: row[name] for name in LANGUAGES}, tuple(row["words"])
        )
        for row in rows
    }


def read_question(path: Path) -> Question:
    """Read one file. Raises `QuestionError`."""
    try:
        _, head, body = path.read_text("utf-8").split("+++\n", 2)
        facts = tomllib.loads(head)
        english, _, korean = body.partition(BETWEEN)
        return Question(
            slug=path.stem,
            number=int(facts["number"]),
            section=str(facts["section"]),
            asked=str(facts["asked"]),
            titles={name: facts[name] for name in LANGUAGES if facts.get(name)},
            answers={"en": english.strip(), "ko": korean.strip()},
            see=tuple(facts.get("see", ())),
            quoted=facts.get("quoted", {}),
        )
    except (ValueError, KeyError) as error:
        raise QuestionError(f"{path}: not a question of the tutorial ({error!r})") from error


def read_questions(folder: Path, sections: Mapping[str, Section]) -> list[Question]:
    """Return all questions by number. Raises `QuestionError` for a number used twice."""
    found = sorted(map(read_question, folder.glob("*.md")), key=lambda q: (q.number, q.slug))
    for one, two in pairwise(found):
        if one.number == two.number:
            raise QuestionError(f"number {one.number} is used by {one.slug} and {two.slug}")
    for question in found:
        if question.section not in sections:
            raise QuestionError(f"{question.slug}: no section {question.section!r}")
        if not question.titles:
            raise QuestionError(f"{question.slug}: a question in no language")
    return found


def typed_numbers(question: Question, language: str) -> Iterator[str]:
    """Yield numbers in an answer that no command measured and that are no marked quotation."""
    prose = _NOT_PROSE.sub(" ", question.answers[language])
    for match in _NUMBER.finditer(prose):
        number = match[0].rstrip(",")
        if number not in question.quoted:
            yield number


@dataclass(frozen=True, slots=True)
class Known:
    """The names that an answer may use."""

    values: frozenset[str]
    figures: frozenset[str]
    answered: frozenset[int]


def faults(question: Question, known: Known) -> Iterator[str]:
    """Yield what would let an answered question drift, or a reader down."""
    if not question.answered:
        if any(question.answers.values()):
            yield f"{question.slug}: answered in one language only"
        return
    for language in LANGUAGES:
        for fault in _faults_in(question, language, known):
            yield f"{question.slug} ({language}): {fault}"
    both = [question.used(language) for language in LANGUAGES]
    if both[0] != both[1]:
        yield f"{question.slug}: values in one language only: {sorted(both[0] ^ both[1])}"
    drawn = [FIGURE.findall(question.answers[language]) for language in LANGUAGES]
    if drawn[0] != drawn[1]:
        yield f"{question.slug}: the languages show different figures"


def _faults_in(question: Question, language: str, known: Known) -> Iterator[str]:
    text = question.answers[language]
    if language not in question.titles:
        yield "the question itself is not translated"
    for number in typed_numbers(question, language):
        yield f"{number} is typed; use a measured value, or quote it with its source"
    yield from (f"no value {name}" for name in sorted(question.used(language) - known.values))
    yield from (f"no figure {name}" for name in FIGURE.findall(text) if name not in known.figures)
    for number in sorted({*map(int, REFERENCE.findall(text))} - known.answered):
        yield f"points to Q{number}, which has no answer"
