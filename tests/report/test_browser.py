"""Reports in a real browser: no request leaves them, links lead somewhere, axe finds nothing serious,
and nothing is wider than the box it stands in, on a phone, on a desk and on a wide screen.

Every page holds both languages: what is asserted of one is asserted of the other, after the
keyboard has switched to it. One browser opens all pages.

Needs Node and Chromium, both of which `make browser` brings; without them skipped, and an error in CI
and in `make test`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.verdict.serialization import run_from_json
from tests.behaviour.recorded import RECORDED
from tests.training_log.shipped import LOGS
from tools.running import HANGS, ROOT, run_suites

FOLDER = ROOT / "tests" / "browser"
READY = "tools/zoo/ready"
SUITES = {"logs": "suites/test_behaviour.py"}
VIEWS = {"light": (1280, 800), "dark": (1920, 1080), "phone": (390, 844)}


def node():
    beside = Path(sys.executable).with_name("node")
    return shutil.which("node") or (str(beside) if beside.exists() else None)


def lacking():
    """What is missing for these tests, in words; nothing where all of it is here."""
    modules = FOLDER / "node_modules"
    carried = (modules / ".chromium").is_dir()
    browser = carried or os.environ.get("CHROMIUM") or shutil.which("chromium")
    needs = {"Node": node(), "axe-core": (modules / "axe-core").is_dir(), "Chromium": browser}
    return [name for name, there in needs.items() if not there]


@pytest.fixture(scope="module", autouse=True)
def machine(nothing_is_skipped):
    missing = lacking()
    if missing:
        said = f"no {', '.join(missing)}: `make browser`"
        pytest.fail(said, pytrace=False) if nothing_is_skipped else pytest.skip(said)


def answers(*names):
    return [part for n in names for part in ("--answers", f"zoo/{n}={RECORDED / f'{n}.jsonl.gz'}")]


@pytest.fixture(scope="module")
def runs(machine, tmp_path_factory):
    """A derived, an independent and an undecided model, logs and answers, a matrix of models."""
    home = tmp_path_factory.mktemp("browser")
    given = {
        "undecided": ["--model", "skt/A.X-K1", "--offline"],
        "logs": [
            "suites/test_training_log.py",
            *("--model", "zoo/s0-finetune", "--against", "zoo/s0", "--offline"),
            *answers("s0-finetune", "s0", "s1", "s2", "s3"),
            *("--training-log", f"zoo/s0-finetune={LOGS / 'olmo-ladder-190M-1xC.csv'}"),
            *("--training-log", f"zoo/s0={LOGS / 'olmo-ladder-370M-1xC.csv'}"),
        ],
        "matrix": [
            *("--model", f"{READY}/s0-cpt-long", "--model", f"{READY}/s1"),
            *(
                "--against",
                f"{READY}/s0",
                "--against",
                f"{READY}/s0-cpt-long",
            ),  # every pair of three
        ],
    }
    found = {
        name: run_from_json(
            run_suites(*arguments, home=home, suites=SUITES.get(name, "suites")).json_bytes.decode()
        )
        for name, arguments in given.items()
    }
    for name, model in zip(("derived", "independent"), found["matrix"].models, strict=True):
        findings = tuple(found["matrix"].findings_of(model.model))
        found[name] = replace(found["matrix"], models=(model,), findings=findings)
    return found


def opened(*pages, **env):
    """What the browser saw of pages, by name."""
    done = subprocess.run(
        [node(), str(FOLDER / "check.cjs"), *map(str, pages)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def look(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    pages = {name: folder / f"{name}.html" for name, _ in PAGES}
    for name, language in PAGES:
        pages[name].write_text(render_html(runs[name], language), "utf-8")
    seen = opened(*pages.values(), WHOLE="derived", WORKED=",".join(name for name, _ in WORKED))
    return lambda name: (pages[name], seen[name])


PAGES = [
    ("derived", "en"),
    ("independent", "ko"),
    ("undecided", "ko"),
    ("logs", "en"),
    ("matrix", "en"),
]
# What takes seconds of each page is asked of a page of each kind.
WORKED = [page for page in PAGES if page[0] in {"derived", "undecided", "matrix"}]
pages = pytest.mark.parametrize(("name", "language"), PAGES)
worked = pytest.mark.parametrize(("name", "language"), WORKED)


def both(seen):
    """What was seen in the language that a page shows first, and in the other, in every view."""
    for view, size in VIEWS.items():
        yield seen[view], size
        yield seen[view]["other"], size


@pages
def test_no_request_leaves_the_page(name, language, look):
    page, seen = look(name)
    for view in VIEWS:
        assert {asked.partition("#")[0] for asked in seen[view]["requests"]} == {page.as_uri()}
        assert seen[view]["errors"] == []


@worked
def test_links_are_followed_by_keyboard(name, language, look):
    _, seen = look(name)
    for shown in (seen["light"], seen["light"]["other"]):
        assert len(shown["followed"]) == shown["links"] >= 4
        assert all(asked == reached for asked, reached in shown["followed"])


@pages
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_its_box(name, language, look):
    _, seen = look(name)
    for shown, _ in both(seen):
        assert shown["wide"] == []
        assert shown["dead"] == []  # no link leads nowhere
    assert seen["light"]["violations"] == []
    if name == "derived":
        assert seen["dark"]["violations"] == []
        assert seen["phone"]["violations"] == []


@pytest.mark.parametrize(("name", "language"), PAGES[:4])
def test_verdict_reason_and_limits_stand_in_the_first_screen(name, language, look):
    _, seen = look(name)
    for shown, (width, height) in both(seen):
        assert shown["headline"] < height / 2
        assert shown["banner"] < height
        assert shown["width"] <= width  # nothing is wider than the screen


HEADLINES = {
    "derived": {"en": "The claim is contradicted", "ko": "주장이 반박된다"},
    "undecided": {"en": "The claim is undecided", "ko": "주장을 판단할 수 없다"},
}
HEADLINES |= {
    "independent": {"en": "The claim is not contradicted", "ko": "주장이 반박되지 않는다"},
    "logs": HEADLINES["undecided"],
    "matrix": HEADLINES["derived"],  # of its first model
}
LABELS = {"en": "English", "ko": "한국어"}


@pages
def test_the_language_is_switched_by_keyboard_and_back_and_by_address(name, language, look):
    _, seen = look(name)
    other = "ko" if language == "en" else "en"
    for view in VIEWS:
        first, second = seen[view], seen[view]["other"]
        assert (first["shown"], second["shown"]) == ([language], [other])
        assert first["words"] == HEADLINES[name][language]
        assert second["words"] == HEADLINES[name][other]
        assert second["hash"] == f"#{other}"
    if (name, language) in WORKED:
        assert seen["light"]["other"]["pressed"] == LABELS[other]
        assert seen["light"]["other"]["toggled"] == [other]
        assert seen["light"]["back"] == [language]


FIGURES = {"derived": 6, "independent": 5, "undecided": 0, "logs": 2, "matrix": 12}


@pages
def test_figures_stand_once_and_are_drawn_in_both_languages(name, language, look):
    _, seen = look(name)
    for shown, _ in both(seen):
        assert shown["drawn"] == shown["figures"]
        assert shown["figures"] >= FIGURES[name]


def test_a_run_with_every_pair_shows_a_tree_of_weights(look):
    page, _ = look("matrix")
    assert {"Tree of weights: text decoder", "가중치의 계통수: 텍스트 디코더"} <= set(
        re.findall("<h3>([^<]*)</h3>", page.read_text())
    )


def test_the_table_of_models_is_sorted_by_keyboard(look):
    _, seen = look("matrix")
    names = [f"{READY}/s0-cpt-long", f"{READY}/s1"]
    before, up, down = seen["light"]["sorted"]
    assert before["models"] == up["models"] == names
    assert down["models"] == names[::-1]
    assert set(before["sorted"]) == {None}
    assert (up["sorted"][0], down["sorted"][0]) == ("ascending", "descending")
    assert set(down["sorted"][1:]) == {None}
    assert look("derived")[1]["light"]["sorted"] is None  # one model, and nothing to sort


@worked
def test_it_reads_without_script_and_prints_the_language_that_is_shown(name, language, look):
    _, seen = look(name)
    other = "ko" if language == "en" else "en"
    for part, shown, hidden in (("", language, other), (f"#{other}", other, language)):
        found = seen["withoutScript"][part]  # as it prints
        assert "strict" in found["text"]
        assert HEADLINES[name][shown] in found["text"]
        assert HEADLINES[name][hidden] not in found["text"]
        assert name != "derived" or found["pdf"] > 10_000


def test_dark_is_dark_and_light_is_light(look):
    _, seen = look("derived")
    assert seen["light"]["background"] == "rgb(255, 255, 255)"
    assert seen["dark"]["background"] != seen["light"]["background"]


def test_the_check_can_fail(runs, tmp_path):
    """A page with a dead link, pale text and a table that is too wide is found out."""
    bad = render_html(runs["undecided"], "en").replace(
        "<header>",
        '<a href="#nowhere">x</a><p style="color:#bbb;background:#fff">pale</p>'
        '<table style="width: 2000px"><tr><td>x</td></tr></table><header>',
        1,
    )
    page = tmp_path / "bad.html"
    page.write_text(bad, "utf-8")
    seen = opened(page, VIEWS="light", WORKED="bad")["bad"]["light"]
    assert seen["dead"] == ["#nowhere"]
    assert any("color-contrast" in found for found in seen["violations"])
    assert any(found.startswith("TABLE") for found in seen["wide"])
