"""The site builds without a warning, says nothing stale, and every method's page is whole."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_scratchverify.plugin.options import OPTIONS
from tools.running import HANGS, ROOT
from tools.site.korean_digests import UnmarkedPageError, digests, korean_pages, refresh

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


def test_tables_of_options_and_fixtures_are_whole_in_both_languages(site):
    fixtures = re.findall(
        r"@pytest.fixture.*\ndef (\w+)",
        (ROOT / "pytest_scratchverify" / "plugin" / "fixtures.py").read_text("utf-8"),
    )
    assert len(fixtures) >= 12
    for page, names in (
        ("options", [f"--{option.name}" for option in OPTIONS]),
        ("own-test", fixtures),
    ):
        for path in (site / f"{page}.html", site / "ko" / f"{page}.html"):
            text = path.read_text("utf-8")
            missing = [n for n in names if not re.search(rf">{n}[ <]", text)]
            assert not missing, (path, missing)


def test_the_reference_begins_with_a_line_for_each_module(site):
    page = (site / "api" / "index.html").read_text("utf-8")
    lines = re.findall(r'href="generated/pytest_scratchverify\.[\w.]+\.html"><.*?</td>\s*<td>(.*?)</td>', page, re.DOTALL)  # fmt: skip
    assert len(lines) > 150
    assert all(len(re.sub("<.*?>", "", line)) > 15 for line in lines)


def test_the_sample_report_is_opened_and_not_saved(site):
    page = (site / "index.html").read_text("utf-8")
    (target,) = set(
        re.findall(r'<a class="reference internal" href="([^"]*sample-report.html)"', page)
    )
    assert "The claim is contradicted" in (site / target).read_text("utf-8")
    assert 'download=""' not in page


@pytest.mark.parametrize("floor", ["core", "stats", "verdict", "methods"])
def test_every_public_module_is_in_the_reference(site, floor):
    generated = site / "api" / "generated"
    modules = sorted((ROOT / "pytest_scratchverify" / floor).rglob("[a-z]*.py"))
    assert len(modules) >= 5
    for module in modules:
        name = ".".join(module.relative_to(ROOT).with_suffix("").parts)
        page = generated / f"{name}.html"
        assert page.exists(), module
        defined = re.findall(
            r"^(?:def|class) ([A-Za-z]\w*)", module.read_text("utf-8"), re.MULTILINE
        )
        text = page.read_text("utf-8")
        missing = [public for public in defined if f"{name}.{public}" not in text]
        assert not missing, f"{name}: public and without a docstring: {missing}"


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_methods_page_is_whole(name, answer):
    text = (DOCS / "methods" / f"{name}.md").read_text("utf-8")
    assert re.search(ANSWERS[answer], text), f"docs/methods/{name}.md does not say {answer}"


def test_a_korean_page_is_of_todays_page():
    """After a change of an English page: mend its Korean sister, then `tools.site.korean_digests`."""
    pages = list(korean_pages())
    assert len(pages) >= 10
    for page in pages:
        stated, today = digests(page)
        assert stated == today, f"{page}: its original is now at sha256 {today}"


def test_a_digest_is_refreshed_in_its_place_alone(tmp_path):
    (tmp_path / "page.md").write_text("# English\n", "utf-8")
    korean = tmp_path / "ko.md"
    korean.write_text(f"% A translation of page.md at sha256 {'0' * 12}; more.\n\n# 쪽\n", "utf-8")
    assert refresh(korean)
    today = hashlib.sha256(b"# English\n").hexdigest()[:12]
    first, _, rest = korean.read_text("utf-8").partition("\n")
    assert first == f"% A translation of page.md at sha256 {today}; more."
    assert rest == "\n# 쪽\n"
    assert not refresh(korean)
    korean.write_text("# 쪽\n", "utf-8")
    with pytest.raises(UnmarkedPageError):
        refresh(korean)


def test_every_method_has_a_korean_page_that_is_whole():
    english = {page.name for page in (DOCS / "methods").glob("*.md")}
    assert {page.name for page in (DOCS / "ko" / "methods").glob("*.md")} == english
    for page in (DOCS / "ko" / "methods").glob("[!i]*.md"):
        text = page.read_text("utf-8")
        for part in ("귀무가설", "없는 것", "## 문헌"):
            assert part in text, f"{page.name}: {part}"


def written() -> list[Path]:
    """Return what people write in this repository: no caches, no environments, no artifacts."""
    suffixes = {".py", ".md", ".toml", ".yml", ".yaml", ".j2", ".html", ".po"}
    return [
        path
        for top in sorted(ROOT.iterdir())
        if not top.name.startswith(".") and top.name not in {"build", "dist", "node_modules"}
        for path in (sorted(top.rglob("*")) if top.is_dir() else [top])
        if path.suffix in suffixes or path.name in {"Makefile", "verify"}
    ]


def test_no_file_cites_a_document_that_is_not_here():
    """Rules that code and tests rest on stand in docs/adr; only the changelog speaks of the past."""
    drafts = ["DES" + "IGN", "STAT" + "ISTICS", "PUBLIC" + "_PROJECT"]
    cited = re.compile(rf"\b({'|'.join(drafts)})\b")
    assert len(written()) > 300
    assert not [
        path
        for path in written()
        if path.is_file() and path.name != "CHANGELOG.md" and cited.search(path.read_text("utf-8"))
    ]


def test_cited_decisions_exist():
    decisions = {page.name[:4] for page in (DOCS / "adr").glob("0*.md")}
    for path in written():
        if path.suffix != ".py":
            continue
        text = path.read_text("utf-8")
        cited = re.findall(r"docs/adr/(\d{4})", text)
        cited += [number.zfill(4) for number in re.findall(r"\bADR (\d+)", text)]
        assert decisions >= set(cited), f"{path} cites {sorted(set(cited) - decisions)}"
