"""Turns questions and measured values into the pages of the site: text in, text out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os.path import relpath
from pathlib import PurePosixPath

from tools.site.tutorial.questions import FIGURE, LANGUAGES, REFERENCE, VALUE, Question, Section

MARK = "% Written by tools/site/build_tutorial.py (make tutorial); edit docs/tutorial/questions instead."
FOLDERS = {"en": PurePosixPath("tutorial"), "ko": PurePosixPath("ko/tutorial")}
PATHS = {  # from the public project's three ways of reading, by section
    "Beginner": ("basics", "tokenizer", "cases"),
    "Technical": ("weights", "methods"),
    "Quick reference": ("cases",),
}
WORDS = {
    "ko": {
        "Tutorial": "문답으로 배우기",
        "Questions that people ask, answered with numbers that commands of this project measured. "
        "Nothing is typed in by hand: `make tutorial` measures anew, and a test fails when a page "
        "is stale. Numbers that somebody else published are marked as quoted.":
        "사람들이 실제로 묻는 질문에, 이 프로젝트의 명령이 측정한 수치로 답합니다. 손으로 적어 넣은 "
        "수치는 없습니다. `make tutorial`이 다시 측정하며, 낡은 페이지가 있으면 테스트가 실패합니다. "
        "다른 사람이 발표한 수치에는 인용 표시가 붙습니다.",
        "Ways of reading": "읽는 순서",
        "Beginner": "처음 읽는 분",
        "Technical": "기술 담당자",
        "Quick reference": "사례만 빠르게",
        "All questions": "전체 질문",
        "Unanswered questions": "아직 답하지 못한 질문",
        "Open questions, in the order of their numbers. An answer goes into the question's file, in "
        "both languages.":
        "번호순으로 정리한 미답변 질문입니다. 답은 해당 질문 파일에 두 언어로 적습니다.",
        "None at present.": "현재는 없습니다.",
        "Ask one": "질문하기",
        "asked": "질문한 날",
        "file": "파일",
        "Measured by": "측정 명령",
        "Quoted, not measured": "인용한 수치(측정하지 않음)",
        "See also": "함께 볼 문서",
    }
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure that was made: its file per language, and the words of its caption."""

    title: Mapping[str, str]
    caption: Mapping[str, str]
    of: str
    by: str


@dataclass(frozen=True, slots=True)
class Material:
    """All that the pages are made of."""

    sections: Mapping[str, Section]
    questions: Sequence[Question]
    values: Mapping[str, Mapping[str, str]]  # name -> shown, by
    commands: Mapping[str, str]
    figures: Mapping[str, Drawn]
    headings: Mapping[str, str]  # of the pages that answers point to, by path below docs/


def word(english: str, language: str) -> str:
    """Return one of the pages' own sentences."""
    return english if language == "en" else WORDS[language][english]


def anchor(title: str) -> str:
    """Return the anchor that GitHub and myst-parser give a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def heading(question: Question, language: str) -> str:
    """Return a question's heading; its number never changes."""
    return f"Q{question.number}. {question.title(language)}"


def all_pages(material: Material) -> dict[PurePosixPath, str]:
    """Return every page by its path below docs/."""
    made: dict[PurePosixPath, str] = {}
    for language, folder in FOLDERS.items():
        made[folder / "index.md"] = _text(_index(material, language))
        made[folder / "unanswered.md"] = _text(_unanswered(material, language))
        for section in material.sections.values():
            made[folder / f"{section.slug}.md"] = _text(_section(material, section, language))
    return made


def _text(lines: Iterator[str]) -> str:
    return "\n".join((MARK, "", *lines)).rstrip() + "\n"


def _other(language: str, name: str) -> str:
    there = next(other for other in LANGUAGES if other != language)
    label = {"en": "English", "ko": "한국어"}[there]
    return f"[{label}]({relpath(FOLDERS[there] / name, FOLDERS[language])})"


def _opening(title: str, name: str, language: str) -> Iterator[str]:
    yield f"# {title}"
    yield ""
    yield _other(language, name)
    yield ""


def _of(material: Material, section: str) -> list[Question]:
    return [q for q in material.questions if q.section == section and q.answered]


def _index(material: Material, language: str) -> Iterator[str]:
    say = partial(word, language=language)
    yield from _opening(say("Tutorial"), "index.md", language)
    yield say(next(text for text in WORDS["ko"] if text.startswith("Questions that")))
    yield ""
    yield f"## {say('Ways of reading')}"
    yield ""
    for name, sections in PATHS.items():
        steps = " → ".join(f"[{material.sections[s].titles[language]}]({s}.md)" for s in sections)
        yield f"- {say(name)}: {steps}"
    yield ""
    yield f"## {say('All questions')}"
    yield ""
    for section in material.sections.values():
        yield f"**[{section.titles[language]}]({section.slug}.md)**"
        yield ""
        for question in _of(material, section.slug):
            title = heading(question, language)
            yield f"- [{title}]({section.slug}.md#{anchor(title)})"
        yield ""
    yield "```{toctree}"
    yield ":hidden:"
    yield ""
    yield from (*material.sections, "unanswered")
    yield "```"


def _unanswered(material: Material, language: str) -> Iterator[str]:
    say = partial(word, language=language)
    yield from _opening(say("Unanswered questions"), "unanswered.md", language)
    yield say(next(text for text in WORDS["ko"] if text.startswith("Open questions")))
    yield ""
    waiting = [question for question in material.questions if not question.answered]
    if not waiting:
        yield say("None at present.")
        yield ""
    for question in waiting:
        section = material.sections[question.section].titles[language]
        yield (
            f"- **{heading(question, language)}** ({section}; {say('asked')} {question.asked}; "
            f"{say('file')} `docs/tutorial/questions/{question.slug}.md`)"
        )
    yield ""
    yield f"{say('Ask one')}:"
    yield ""
    yield '    make tutorial-question Q="..."'


def _section(material: Material, section: Section, language: str) -> Iterator[str]:
    yield from _opening(section.titles[language], f"{section.slug}.md", language)
    for question in _of(material, section.slug):
        yield f"## {heading(question, language)}"
        yield ""
        yield _filled(material, question, language)
        yield ""
        yield from _footer(material, question, language)


def _filled(material: Material, question: Question, language: str) -> str:
    """Return an answer with its figures, values and links; a caption stands once in an answer."""
    said: set[str] = set()

    def figure(match: re.Match[str]) -> str:
        drawn = material.figures[match[1]]
        up = "" if language == "en" else "../../tutorial/"
        words = drawn.caption[language]
        slanted = f" *{words}*" if language == "en" else f" {words}"  # Hangul has no italics
        caption = "" if words in said else slanted
        said.add(words)
        image = f"![{drawn.title[language]}]({up}figures/{match[1]}.{language}.svg)"
        return f"{image}\n\n**{drawn.of}.**{caption}"

    def link(match: re.Match[str]) -> str:
        other = next(q for q in material.questions if q.number == int(match[1]))
        target = anchor(heading(other, language))
        return f"[Q{other.number}]({other.section}.md#{target})"

    text = REFERENCE.sub(link, question.answers[language])
    text = FIGURE.sub(figure, text)
    return VALUE.sub(lambda match: material.values[match[1]]["shown"], text)


def _footer(material: Material, question: Question, language: str) -> Iterator[str]:
    """Yield how the numbers were measured, what was quoted, and where to read on."""
    by = {material.values[name]["by"] for name in question.used(language)}
    by |= {material.figures[name].by for name in FIGURE.findall(question.answers[language])}
    rows = []
    if by:
        commands = "; ".join(f"`{material.commands[name]}`" for name in sorted(by))
        rows.append(f"{word('Measured by', language)}: {commands}")
    if question.quoted:
        quoted = "; ".join(
            f"{number} ({source[language]})" for number, source in question.quoted.items()
        )
        rows.append(f"{word('Quoted, not measured', language)}: {quoted}")
    if question.see:
        links = ", ".join(_link(material, path, language) for path in question.see)
        rows.append(f"{word('See also', language)}: {links}")
    yield from (f"> {row}\n>" if row is not rows[-1] else f"> {row}" for row in rows)
    if rows:
        yield ""


def _link(material: Material, path: str, language: str) -> str:
    """Link to a page below docs/; after a bar, to its Korean sister: ``a.md | ko/a.md``."""
    pages = path.split(" | ")
    target = pages[-1] if language == "ko" else pages[0]
    foreign = " (영어)" if language == "ko" and not target.startswith("ko/") else ""
    return f"[{material.headings[target]}]({relpath(target, FOLDERS[language])}){foreign}"
