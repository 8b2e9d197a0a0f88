"""A report in a real browser: no request leaves it, links lead somewhere, axe has nothing serious.

Every page holds both languages: what is asserted of one is asserted of the other, after the
keyboard has switched to it.

Needs Chromium, Node and the two packages of tests/browser (`make browser`); skipped without.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest

from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.verdict.serialization import run_from_json
from tools.running import HANGS, ROOT, run_suites

FOLDER = ROOT / "tests" / "browser"
READY = "tools/zoo/ready"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VIEWS = {"light": (1280, 800), "dark": (1280, 800), "phone": (390, 844)}


def browser():
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, BROWSERS)), None)


pytestmark = [
    pytest.mark.skipif(browser() is None, reason="no Chromium (set CHROMIUM to its path)"),
    pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "axe-core").is_dir(),
        reason="tests/browser is not installed: `make browser`",
    ),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A derived, an independent and an undecided model, and all of a matrix at once."""
    home = tmp_path_factory.mktemp("browser")
    given = {
        "derived": ["--model", f"{READY}/s0-cpt-long", "--against", f"{READY}/s0"],
        "undecided": ["--model", "skt/A.X-K1", "--offline"],
        "matrix": [
            *("--model", f"{READY}/s0-cpt-long", "--model", f"{READY}/s1"),
            *("--against", f"{READY}/s0", "--against", f"{READY}/s1"),  # every pair of three
        ],
    }
    return {
        name: run_from_json(run_suites(*arguments, home=home).json_bytes.decode())
        for name, arguments in given.items()
    }


@pytest.fixture(scope="module")
def look(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    seen = {}

    def look(name, language):
        if (name, language) not in seen:
            page = folder / f"{name}.{language}.html"
            page.write_text(render_html(runs[name], language), "utf-8")
            done = subprocess.run(
                ["node", str(FOLDER / "check.cjs"), browser(), str(page)],
                capture_output=True,
                text=True,
                timeout=HANGS,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            seen[name, language] = (page, json.loads(done.stdout))
        return seen[name, language]

    return look


PAGES = [("derived", "en"), ("undecided", "ko"), ("matrix", "en")]
pages = pytest.mark.parametrize(("name", "language"), PAGES)


def both(seen):
    """What was seen in the language that a page shows first, and in the other, in every view."""
    for view, size in VIEWS.items():
        yield seen[view], size
        yield seen[view]["other"], size


@pages
def test_no_request_leaves_the_page(name, language, look):
    page, seen = look(name, language)
    for view in VIEWS:
        assert {asked.partition("#")[0] for asked in seen[view]["requests"]} == {page.as_uri()}
        assert seen[view]["errors"] == []


@pages
def test_links_are_followed_by_keyboard(name, language, look):
    _, seen = look(name, language)
    for shown, _ in both(seen):
        assert len(shown["followed"]) == shown["links"] >= 4
        assert shown["dead"] == []
        assert all(asked == reached for asked, reached in shown["followed"])


@pages
def test_axe_finds_nothing_serious(name, language, look):
    _, seen = look(name, language)
    for shown, _ in both(seen):
        assert shown["violations"] == []


@pytest.mark.parametrize(("name", "language"), PAGES[:2])
def test_verdict_reason_and_limits_stand_in_the_first_screen(name, language, look):
    _, seen = look(name, language)
    for shown, (width, height) in both(seen):
        assert shown["headline"] < height / 2
        assert shown["banner"] < height
        assert shown["width"] <= width  # nothing is wider than the screen


HEADLINES = {
    "derived": {"en": "The claim is contradicted", "ko": "주장이 반박된다"},
    "undecided": {"en": "The claim is undecided", "ko": "주장을 판단할 수 없다"},
}
HEADLINES["matrix"] = HEADLINES["derived"]  # of its first model
LABELS = {"en": "English", "ko": "한국어"}


@pages
def test_the_language_is_switched_by_keyboard_and_back(name, language, look):
    _, seen = look(name, language)
    other = "ko" if language == "en" else "en"
    for view in VIEWS:
        first, second = seen[view], seen[view]["other"]
        assert (first["shown"], second["shown"]) == ([language], [other])
        assert first["words"] == HEADLINES[name][language]
        assert second["words"] == HEADLINES[name][other]
        assert (second["pressed"], second["hash"]) == (LABELS[other], f"#{other}")
        assert first["back"] == [language]


@pages
def test_figures_stand_once_and_are_drawn_in_both_languages(name, language, look):
    _, seen = look(name, language)
    for shown, _ in both(seen):
        assert shown["drawn"] == shown["figures"]
        assert shown["figures"] >= {"derived": 8, "undecided": 0, "matrix": 20}[name]


def test_a_run_with_every_pair_shows_a_tree_of_weights(look):
    page, _ = look("matrix", "en")
    assert {"Tree of weights", "가중치의 계통수"} <= set(
        re.findall("<h3>([^<]*)</h3>", page.read_text())
    )


def test_the_table_of_models_is_sorted_by_keyboard(look):
    _, seen = look("matrix", "en")
    names = [f"{READY}/s0-cpt-long", f"{READY}/s1"]
    for view in VIEWS:
        before, up, down = seen[view]["sorted"]
        assert before["models"] == up["models"] == names
        assert down["models"] == names[::-1]
        assert set(before["sorted"]) == {None}
        assert (up["sorted"][0], down["sorted"][0]) == ("ascending", "descending")
        assert set(down["sorted"][1:]) == {None}
    assert look("derived", "en")[1]["light"]["sorted"] is None


@pages
def test_it_reads_without_script_and_prints_the_language_that_is_shown(name, language, look):
    _, seen = look(name, language)
    other = "ko" if language == "en" else "en"
    for part, shown, hidden in (("", language, other), (f"#{other}", other, language)):
        found = seen["withoutScript"][part]  # as it prints
        assert "strict" in found["text"]
        assert HEADLINES[name][shown] in found["text"]
        assert HEADLINES[name][hidden] not in found["text"]
        assert found["pdf"] > 10_000


def test_dark_is_dark_and_light_is_light(look):
    _, seen = look("derived", "en")
    assert seen["light"]["background"] == "rgb(255, 255, 255)"
    assert seen["dark"]["background"] != seen["light"]["background"]


def test_the_check_can_fail(runs, tmp_path):
    """A page with a dead link and pale text is found out."""
    bad = render_html(runs["undecided"], "en").replace(
        "<header>",
        '<a href="#nowhere">x</a><p style="color:#bbb;background:#fff">pale</p><header>',
        1,
    )
    page = tmp_path / "bad.html"
    page.write_text(bad, "utf-8")
    command = ["node", str(FOLDER / "check.cjs"), browser(), str(page)]
    done = subprocess.run(
        command,
        env={**os.environ, "VIEWS": "light"},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=True,
    )
    seen = json.loads(done.stdout)["light"]
    assert seen["dead"] == ["#nowhere"]
    assert any("color-contrast" in found for found in seen["violations"])
