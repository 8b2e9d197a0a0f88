"""What the README shows is what a run prints; its commands exist."""

from __future__ import annotations

import re

import pytest

from pytest_scratchverify.catalog.entries import shipped_catalogue
from pytest_scratchverify.plugin.options import OPTIONS, REPORTS
from tools.running import ROOT, run_suites

READMES = {"README.md": "en", "README.ko.md": "ko"}


@pytest.mark.parametrize("name", READMES)
def test_the_excerpt_is_from_a_real_run(name, tmp_path):
    """After a change of the output: python tools/site/refresh_readme.py."""
    ran = run_suites("--model", "skt/A.X-K1", "--report-lang", READMES[name], home=tmp_path)
    text = (ROOT / name).read_text("utf-8")
    excerpt = re.search(r"<!-- excerpt:begin.*?```\n(.*?)```", text, re.DOTALL)[1]
    lines = [line.rstrip() for line in excerpt.splitlines() if line.strip()]
    assert len(lines) >= 8
    for line in lines:
        assert line in ran.output, line


@pytest.mark.parametrize("name", READMES)
def test_the_two_commands_are_the_ones_that_exist(name):
    text = (ROOT / name).read_text("utf-8")
    assert "./verify --model skt/A.X-K1" in text
    assert "make test" in text
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert "suites/" in (ROOT / "verify").read_text("utf-8")


@pytest.mark.parametrize("name", [*READMES, "CONTRIBUTING.md"])
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("name", READMES)
def test_numbers_are_todays(name):
    text = (ROOT / name).read_text("utf-8")
    assert str(len(shipped_catalogue())) in text


def test_the_example_workflow_uses_options_that_exist():
    text = (ROOT / "docs" / "examples" / "github-verdict.yml").read_text("utf-8")
    run = re.search(r"scratchverify run .*?\n +- if", text, re.DOTALL)[0]
    assert set(re.findall(r"--([a-z-]+)", run)) <= {option.name for option in OPTIONS}
    reading = (ROOT / "pytest_scratchverify" / "cli/saved_runs.py").read_text("utf-8")
    for line in re.findall(r"scratchverify (?:render|diff) .*", text):
        for option in re.findall(r"--([a-z-]+)", line):
            assert f'"--{option}"' in reading or option in REPORTS
