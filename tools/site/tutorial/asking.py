"""Adds a question that has no answer yet, in the right section, under the next number."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from pathlib import Path

from tools.site.tutorial.questions import (
    BETWEEN,
    Question,
    QuestionError,
    Section,
    read_questions,
    read_sections,
)

LONGEST = 300  # characters; a question fits into a heading
_HANGUL = re.compile(r"[가-힣]")


def language_of(question: str) -> str:
    """Return ``ko`` for a question with Hangul in it, else ``en``."""
    return "ko" if _HANGUL.search(question) else "en"


def section_of(question: str, sections: Mapping[str, Section]) -> str:
    """Return the section with most of its words in the question; the first one on a tie."""
    text = question.lower()
    return max(sections, key=lambda slug: sum(word in text for word in sections[slug].words))


def slug_of(question: str, number: int) -> str:
    """Return a file name: the question's own words where they are in Latin letters."""
    words = re.findall(r"[a-z0-9]+", question.lower())
    return "-".join(words[:8]) if language_of(question) == "en" and words else f"question-{number}"


def ask(question: str, home: Path, today: dt.date | None = None) -> str:
    """Write the question's file and return a sentence; the same question again changes nothing.

    Raises `QuestionError` for an empty one, or one of several lines or more than 300 characters.
    """
    text = question.strip()
    if not text or "\n" in text or len(text) > LONGEST:
        raise QuestionError(f'ask one line of at most {LONGEST} characters: make tutorial-question Q="..."')  # fmt: skip
    sections = read_sections(home / "sections.toml")
    known = read_questions(home / "questions", sections)
    before = next((q for q in known if _alike(text, q)), None)
    if before is not None:
        state = "answered" if before.answered else "open"
        return f"asked before ({state}): Q{before.number}, docs/tutorial/questions/{before.slug}.md"
    number = max((q.number for q in known), default=0) + 1
    slug = slug_of(text, number)
    if any(q.slug == slug for q in known):
        slug = f"{slug}-{number}"
    path = home / "questions" / f"{slug}.md"
    section = section_of(text, sections)
    path.write_text(_file(text, number, section, today or dt.date.today()), "utf-8")  # noqa: DTZ011 - the asker's day
    return f"Q{number} is open, in the section {section!r}: docs/tutorial/questions/{path.name}"


def _alike(text: str, question: Question) -> bool:
    def bare(title: str) -> str:
        return re.sub(r"\W+", "", title.lower())

    return bare(text) in {bare(title) for title in question.titles.values()}


def _file(text: str, number: int, section: str, today: dt.date) -> str:
    language = language_of(text)
    quoted = json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML string
    titles = {name: quoted if name == language else '""' for name in ("en", "ko")}
    return (
        f'+++\nnumber = {number}\nsection = "{section}"\nasked = "{today.isoformat()}"\n'
        f"en = {titles['en']}\nko = {titles['ko']}\nsee = []\n\n[quoted]\n+++\n\n{BETWEEN}\n"
    )
