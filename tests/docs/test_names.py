"""Every file, folder and module that a hand-written page names is where the page says."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tools.running import ROOT

PACKAGE = ROOT / "pytest_scratchverify"
GENERATED = {"models", "tutorial", "generated"}  # tools write these pages
PAGES = [
    *(ROOT / name for name in ("ARCHITECTURE.md", "CLAUDE.md", "CONTRIBUTING.md")),
    *sorted(ROOT.glob("README*.md")),
    *sorted(ROOT.glob("SECURITY*.md")),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not GENERATED & {*page.parts}),
]
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|toml|jsonl?))")
MODULE = re.compile(r"\b(?:pytest_scratchverify|tools|benchmarks|tests)(?:\.[a-z]\w*)+")
FLOOR = re.compile(r"(?:core|stats|verdict|stores|tensors|methods|plugin|cli)(?:\.[a-z]\w*)+")
# Files of a user, of a model's repository or of somebody else's project; the first model that is
# added to the catalogue makes hub.json.
ELSEWHERE = re.compile(
    r"(?:\./|docs/0\d|[\w.-]+\.(?:md|toml|jsonl?)$|mylab|checkpoint-\d|catalog/data/hub\.json)"
)
# Above a module's file, where names of it may be looked up.
HOMES = [ROOT, PACKAGE, PACKAGE / "methods", PACKAGE / "methods" / "weights", PACKAGE / "stores",
         PACKAGE / "suites", ROOT / "suites", ROOT / "tests", ROOT / "docs"]  # fmt: skip


@cache
def modules() -> frozenset[str]:
    """Return the names of all modules of the tree, without their folders."""
    tops = (PACKAGE, ROOT / "suites", ROOT / "tests", ROOT / "tools", ROOT / "benchmarks")
    return frozenset(path.name for top in tops for path in top.rglob("*.py"))


def is_there(name: str) -> bool:
    """Whether a page may name this: a path from some floor, or a module by its name alone."""
    if "/" not in name:
        return name in modules()
    return any((home / name).exists() for home in HOMES)


def is_in_the_tree(name: str) -> bool:
    """Whether a dotted name is a package, a module, or a word in the module before its last dot."""
    parts = name.split(".")
    homes = [home.joinpath(*parts) for home in (ROOT, PACKAGE)]
    if any(home.is_dir() or home.with_suffix(".py").exists() for home in homes):
        return True
    owners = [path for home in homes for path in (home.parent.with_suffix(".py"),
                                                  home.parent / "__init__.py")]  # fmt: skip
    word = re.compile(
        rf"(?:^|def |class |import |[\"'] ?){parts[-1]}(?:$|[\"'(:=, ])", re.MULTILINE
    )
    return any(word.search(path.read_text("utf-8")) for path in owners if path.exists())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page):
    text = page.read_text("utf-8")
    quoted = {part for span in re.findall(r"`([^`\n]+)`", text) for part in span.split()}
    paths = {name for name in quoted if PATH.fullmatch(name) and not ELSEWHERE.match(name)}
    assert sorted(name for name in paths if not is_there(name)) == []
    dotted = {*MODULE.findall(text), *(name for name in quoted if FLOOR.fullmatch(name))}
    dotted = {name for name in dotted if not re.search(r"\.(?:py|md|json|html)$", name)}
    assert sorted(name for name in dotted if not is_in_the_tree(name)) == []


def test_names_that_do_not_exist_are_noticed():
    assert not is_there("methods/weights_words.py")
    assert not is_there("weights_words.py")
    assert is_there("methods/weights/")
    assert not is_in_the_tree("pytest_scratchverify.model")
    assert not is_in_the_tree("pytest_scratchverify.methods.weights.origin.nothing_of_the_kind")
    assert is_in_the_tree("pytest_scratchverify.methods.weights.origin.weights_origin")
