"""The tutorial says what commands measure today, in both languages, and nothing is typed."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.docs.commands import COMMAND, EXECUTED, reason
from tools.running import HANGS, ROOT

TOOLS = ROOT / "tools"
HOME = ROOT / "docs" / "tutorial"
KOREAN = ROOT / "docs" / "ko" / "tutorial"
MEASURED = json.loads((HOME / "measured.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def tool():
    """The tool as a module, with its package beside it."""
    from tools.site import build_tutorial
    from tools.site.tutorial import asking, pages, questions, runs

    build_tutorial.asking, build_tutorial.pages = asking, pages
    build_tutorial.questions, build_tutorial.runs = questions, runs
    return build_tutorial


@pytest.mark.slow
@pytest.mark.needs_artifacts("qwen3")
def test_measured_anew_nothing_has_changed():
    """All runs once more: every number, page and figure comes out as it stands in the repository.

    After a change of methods, texts or facts: make tutorial. What the tool would write is what
    stands there, so a second run writes nothing.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tools.site.build_tutorial", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_public_projects_questions_are_answered(tool):
    """The public project answers twenty (docs/adr/0007-the-public-project.md)."""
    sections = tool.questions.read_sections(HOME / "sections.toml")
    found = tool.questions.read_questions(HOME / "questions", sections)
    assert sum(question.answered for question in found) >= 20
    assert {question.section for question in found if question.answered} == {*sections}
    for question in found:
        if question.answered:
            assert min(map(len, question.answers.values())) > 300, question.slug


def test_a_changed_number_is_noticed(tool, monkeypatch, tmp_path):
    shutil.copytree(HOME, tmp_path / "tutorial")
    shutil.copytree(KOREAN, tmp_path / "ko" / "tutorial")
    made = tool.all_pages(tool.material(MEASURED))
    monkeypatch.setattr(tool, "DOCS", tmp_path)
    assert tool.generated().stale(made) == []
    page = tmp_path / "ko" / "tutorial" / "weights.md"
    page.write_text(page.read_text("utf-8").replace("0.949", "0.95"), "utf-8")
    assert [str(path) for path in tool.generated().stale(made)] == ["ko/tutorial/weights.md"]
    tool.generated().write(made)
    assert tool.generated().stale(made) == []


def test_another_machines_last_digit_is_no_new_picture(tool):
    old = '<path d="M 10.004 20"/>'
    assert tool.same_picture(old, '<path d="M 10.031 20"/>')
    assert not tool.same_picture(old, '<path d="M 10.3 20"/>')
    assert not tool.same_picture(old, '<path d="L 10.004 20"/>')
    assert not tool.same_picture(old, '<path d="M 10.004 20 30"/>')


def test_pictures_are_whole_files():
    from xml.etree import ElementTree as ET

    pictures = [*(HOME / "figures").glob("*.svg")]
    assert len(pictures) == 2 * len(MEASURED["figures"])
    for picture in pictures:
        root = ET.fromstring(picture.read_text("utf-8"))
        assert "background:#fff" in root.get("style")


GOOD = """+++
number = 1
section = "basics"
asked = "2026-01-04"
en = "Why?"
ko = "왜?"

[quoted]
"0.99" = { en = "somebody", ko = "누군가" }
+++

It is {{a}}, not 0.99; see Llama-3, cl100k, `7` and version 0.2.3 of 2026.

<!-- 한국어 -->

{{a}}이며 0.99가 아닙니다. 2026년 1월의 제3자. 2026년 1월 15일, 4비트.
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("", "", None),
        ("It is", "It is 0.5 or", "0.5 is typed"),
        ("이며", "이며 46개 층이고", "46 is typed"),
        ("{{a}}이며", "{{b}}이며", "no value b"),
        ("{{a}}이며", "그것이며", "one language only"),
        ("0.99가 아닙니다. 2026년 1월의 제3자.", "{{a}}. Q7을 보십시오.", "points to Q7"),
        ('ko = "왜?"\n', "", "not translated"),
        ("0.99; see", "0.99\n\n{{figure none}}\n\nsee", "no figure none"),
        (
            "{{a}}이며 0.99가 아닙니다. 2026년 1월의 제3자. 2026년 1월 15일, 4비트.",
            "",
            "answered in one language only",
        ),
        ("1월 15일", "1월, 15일", "15 is typed"),
    ],
)
def test_what_would_drift_is_refused(tool, tmp_path, old, new, complaint):
    path = tmp_path / "why.md"
    path.write_text(GOOD.replace(old, new, 1), "utf-8")
    known = tool.questions.Known(frozenset({"a"}), frozenset(), frozenset({1}))
    found = list(tool.questions.faults(tool.questions.read_question(path), known))
    assert bool(found) is bool(complaint), found
    assert any(complaint in fault for fault in found) if complaint else True


def test_a_bad_file_and_a_number_used_twice_are_sentences(tool, tmp_path):
    sections = tool.questions.read_sections(HOME / "sections.toml")
    (tmp_path / "a.md").write_text(GOOD, "utf-8")
    (tmp_path / "b.md").write_text(GOOD, "utf-8")
    with pytest.raises(tool.QuestionError, match="number 1 is used by a and b"):
        tool.read_questions(tmp_path, sections)
    (tmp_path / "b.md").write_text("no head", "utf-8")
    with pytest.raises(tool.QuestionError, match=r"b\.md: not a question"):
        tool.read_questions(tmp_path, sections)


@pytest.fixture
def home(tmp_path):
    return shutil.copytree(HOME, tmp_path / "tutorial")


@pytest.mark.parametrize(
    ("asked", "section", "name"),
    [
        ("Why do tokenizers share so many tokens?", "tokenizer", "why-do-tokenizers-share"),
        ('Is "rope_theta" an architecture\'s weight?', "weights", "is-rope-theta-an"),
        ("VAETKI는 DeepSeek에서 왔습니까?", "cases", "question-"),
        ("Is it raining?", "basics", "is-it-raining"),
    ],
)
def test_a_new_question_finds_its_place_once(tool, home, asked, section, name):
    before = tool.read_questions(home / "questions", tool.read_sections(home / "sections.toml"))
    day = dt.date(2026, 11, 24)
    said = tool.ask(asked, home, day)
    number = before[-1].number + 1
    assert f"Q{number}" in said
    (path,) = (home / "questions").glob(f"{name}*.md")
    question = tool.questions.read_question(path)
    assert (question.number, question.section, question.asked) == (number, section, "2026-11-24")
    assert list(question.titles.values()) == [asked]
    assert not question.answered
    files = {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}
    assert f"asked before (open): Q{number}" in tool.ask(f"  {asked.upper()} ", home, day)
    assert files == {file: file.read_bytes() for file in home.rglob("*") if file.is_file()}


@pytest.mark.parametrize("asked", ["", "  ", "one\ntwo", "x" * 301])
def test_what_is_no_question_is_refused(tool, home, asked):
    with pytest.raises(tool.QuestionError, match="ask one line"):
        tool.ask(asked, home)


def test_an_open_question_is_listed_in_both_languages(tool):
    made = tool.all_pages(tool.material(MEASURED))
    for folder in ("tutorial", "ko/tutorial"):
        page = next(text for path, text in made.items() if str(path) == f"{folder}/unanswered.md")
        assert "do-solars-experts-resemble-glms" in page
        assert page.count("Q26") == 1


def test_make_adds_a_question(tmp_path):
    """The command as shown, in a copy of what it needs."""
    for part in ("docs", "tools", "tests", "suites"):
        shutil.copytree(ROOT / part, tmp_path / part,
                        ignore=shutil.ignore_patterns("__pycache__", "node_modules", "zoo"))  # fmt: skip
    for part in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / part, tmp_path / part)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    for said in ("is open, in the section 'tokenizer'", "asked before (open)"):
        done = subprocess.run(
            ["make", "-o", ".venv/.installed", "tutorial-question", 'Q=Whose "vocab" is it?'],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=HANGS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    assert 'Whose "vocab" is it?' in (tmp_path / "docs/ko/tutorial/unanswered.md").read_text(
        "utf-8"
    )


def test_every_command_on_the_pages_is_one_that_was_run():
    """Footers show the commands of measured.json; others stand in the table of test_commands."""
    pages = [*HOME.glob("*.md"), *KOREAN.glob("*.md")]
    for page in pages:
        for shown in re.findall(r"`([^`\n]+)`", page.read_text("utf-8")):
            if COMMAND.match(shown):
                known = shown in MEASURED["commands"].values() or shown in EXECUTED
                assert known or reason(shown), f"{page.name}: {shown}"


def test_assistants_files_do_nothing_by_themselves():
    """Markdown and one example: no hook, no settings in force, and no blind staging."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", ".claude"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    assert {*tracked} == {
        ".claude/commands/commit-push.md",
        ".claude/commands/save.md",
        ".claude/settings.example.json",
        ".claude/skills/update-tutorial/SKILL.md",
    }
    example = json.loads((ROOT / ".claude/settings.example.json").read_text("utf-8"))
    assert {*example} == {"permissions"}
    named = re.findall(r"`make ([a-z -]+)`", (ROOT / "CLAUDE.md").read_text("utf-8"))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {target for command in named for target in command.split()} <= {*targets}
