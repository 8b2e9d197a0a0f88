"""The site builds without a warning, says nothing stale, and every method's page is whole."""

from __future__ import annotations

import hashlib
import importlib
import re
import subprocess
import sys

import pytest

from tools.running import HANGS, ROOT

DOCS = ROOT / "docs"
METHODS = [
    "architecture",
    "tokenizer",
    "weights",
    "shard-digests",
    "training-log",
    "behaviour",
    "disclosure",
]
# What every page of a method answers, and the words by which one may say so.
ANSWERS = {
    "what it asks": r"\*\*Asks|\n\*[A-Z].*\?\*",
    "the null": r"\bnull\b",
    "what it cannot show": r"(?i)cannot|not detected|never (says|decides)",
    "a real example": r"(?i)real example|pytest suites/|zoo|LayerNorm",
    "literature": r"\n## Literature\n",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-b",
            "html",
            "-W",
            "--keep-going",
            "-q",
            str(DOCS),
            str(target),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )
    assert done.returncode == 0, done.stderr
    return target


def test_it_builds_strictly_in_both_languages(site):
    assert 'lang="en"' in (site / "index.html").read_text("utf-8")
    korean = (site / "ko" / "index.html").read_text("utf-8")
    assert 'lang="ko"' in korean
    assert "처음부터" in korean


def test_a_sidebar_speaks_the_pages_language_and_leads_to_the_other(site):
    def sidebar(path):
        page = (site / path).read_text("utf-8")
        return page.partition('<aside class="sidebar-drawer">')[2].partition("</aside>")[0]

    korean, english = sidebar("ko/methods/weights.html"), sidebar("methods/weights.html")
    assert "용어집" in korean
    assert "Changelog" not in korean
    assert "Changelog" in english
    assert 'href="../../methods/weights.html"' in korean
    assert 'href="../ko/methods/weights.html"' in english
    assert 'href="../ko/index.html"' in sidebar("api/index.html"), "a page without a sister"


def test_links_into_the_site_lead_to_pages(site):
    links = [
        (page, target)
        for page in site.rglob("*.html")
        for target in re.findall(r'<a [^>]*href="([^"#:]+)[#"]', page.read_text("utf-8"))
    ]
    assert len(links) > 1000
    assert not [(page, target) for page, target in links if not (page.parent / target).exists()]


@pytest.mark.parametrize("layer", ["stats", "methods", "model"])
def test_every_public_module_is_in_the_reference(site, layer):
    generated = site / "api" / "generated"
    for module in (ROOT / "pytest_scratchverify" / layer).glob("[a-z]*.py"):
        page = generated / f"pytest_scratchverify.{layer}.{module.stem}.html"
        assert page.exists(), module
        defined = re.findall(
            r"^(?:def|class) ([A-Za-z]\w*)", module.read_text("utf-8"), re.MULTILINE
        )
        loaded = importlib.import_module(f"pytest_scratchverify.{layer}.{module.stem}")
        public = getattr(loaded, "__all__", defined)
        text = page.read_text("utf-8")
        missing = [name for name in public if f".{module.stem}.{name}" not in text]
        assert not missing, f"{module.stem}: public and without a docstring: {missing}"


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_methods_page_is_whole(name, answer):
    text = (DOCS / "methods" / f"{name}.md").read_text("utf-8")
    assert re.search(ANSWERS[answer], text), f"docs/methods/{name}.md does not say {answer}"


KOREAN = re.compile(r"% A (?:translation|summary) of (\S+) at sha256 (\w{12}); ")
GENERATED = {"models", "tutorial"}  # tools write them, in both languages at once


def test_a_korean_page_is_of_todays_page():
    """After a change of an English page: mend its Korean sister, and put the new digest into it."""
    for page in (DOCS / "ko").rglob("*.md"):
        if GENERATED & {*page.parts} or page.name in {"index.md", "getting-started.md"}:
            continue
        marked = KOREAN.match(page.read_text("utf-8"))
        assert marked, f"{page} does not say of which page it is"
        english = (page.parent / marked[1]).resolve()
        digest = hashlib.sha256(english.read_bytes()).hexdigest()[:12]
        assert digest == marked[2], f"{page}: its original is now at sha256 {digest}"


def test_every_method_has_a_korean_page_that_is_whole():
    english = {page.name for page in (DOCS / "methods").glob("*.md")}
    assert {page.name for page in (DOCS / "ko" / "methods").glob("*.md")} == english
    for page in (DOCS / "ko" / "methods").glob("[!i]*.md"):
        text = page.read_text("utf-8")
        for part in ("귀무가설", "없는 것", "## 문헌"):
            assert part in text, f"{page.name}: {part}"
