"""The start-up hook changes the words that are ours, and no others."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.plugin.options import OPTIONS
from tools.running import HANGS, ROOT

SOURCE = ROOT / "startup" / "scratchverify_startup.py"
spec = importlib.util.spec_from_file_location("startup_of_this_checkout", SOURCE)
startup = importlib.util.module_from_spec(spec)
spec.loader.exec_module(startup)
P, S = startup.PREFIXED, startup.SHORT


def test_the_names_are_those_of_the_options():
    assert set(startup.WITH_VALUE) == {o.name for o in OPTIONS if o.kind != "bool"}


@pytest.mark.parametrize(
    ("given_words", "names", "expected"),
    [
        (["--scratch-model", "F", "suites/"], P, ["--scratch-model=F", "suites/"]),
        (["--scratch-model=F", "suites/"], P, ["--scratch-model=F", "suites/"]),
        (["--model", "F", "suites/"], P, ["--model", "F", "suites/"]),
        (["--model", "F", "suites/"], P | S, ["--model=F", "suites/"]),
        (["--scratch-offline", "suites/"], P | S, ["--scratch-offline", "suites/"]),
        (["--scratch-model", "-x", "a"], P, ["--scratch-model", "-x", "a"]),
        (["--scratch-model", "--scratch-against", "a", "b"], P,
         ["--scratch-model", "--scratch-against=a", "b"]),
        (["--scratch-model"], P, ["--scratch-model"]),
        (["--", "--scratch-model", "a"], P, ["--", "--scratch-model", "a"]),
        (["-k", "a b", "--scratch-model", "x y"], P, ["-k", "a b", "--scratch-model=x y"]),
        ([], P, []),
    ],
)  # fmt: skip
def test_options_are_joined_to_their_values(given_words, names, expected):
    assert startup.joined(given_words, names) == expected


@given(st.lists(st.text() | st.sampled_from(["--model", "--lr", "-q", "a/b", "--", "@x"])))
def test_a_foreign_command_line_stays_as_it_is(words):
    assert startup.joined(words, P) == words
    assert startup.expanded(words) == words


def test_short_names_are_ours_where_a_project_says_so(tmp_path, monkeypatch):
    foreign, own = tmp_path / "foreign", tmp_path / "own"
    (foreign / "tests").mkdir(parents=True)
    (own / "suites").mkdir(parents=True)
    (foreign / "pytest.ini").write_text("[pytest]\naddopts = -q\n")
    (own / "pyproject.toml").write_text(
        f'[tool.pytest]\naddopts = ["-p", "{startup.SHORT_OPTIONS}"]\n'
    )
    (tmp_path / "own.ini").write_text(f"[pytest]\naddopts = -p {startup.SHORT_OPTIONS}\n")
    words = ["--model", str(own), "tests"]
    monkeypatch.chdir(foreign)
    assert startup.names_of(words) == P, "the value of an option is no path of tests"
    assert startup.names_of(["--model", "x", str(own / "suites")]) == P | S
    assert startup.names_of(["-c", str(tmp_path / "own.ini"), *words]) == P | S
    assert startup.names_of(["-p", startup.SHORT_OPTIONS, *words]) == P | S
    monkeypatch.chdir(own / "suites")
    assert startup.names_of(["--model", "x"]) == P | S


def test_the_installed_hook_is_this_checkouts():
    """Where this fails, `make setup` has not been run since the hook was changed."""
    installed = importlib.util.find_spec("scratchverify_startup")
    assert installed is not None
    assert Path(installed.origin).read_text() == SOURCE.read_text()
    beside = Path(installed.origin).with_suffix(".pth")
    assert beside.read_text() == SOURCE.with_suffix(".pth").read_text()


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (["--scratch-model", "F"], ["--scratch-model", "F"]),
        (["pytest", "--scratch-model", "F"], ["pytest", "--scratch-model=F"]),
        (["pytest", "--lr", "0.1", "--model", "F"], ["pytest", "--lr", "0.1", "--model", "F"]),
    ],
)
def test_other_programs_keep_their_words(words, seen, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; print(sys.argv[1:])", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=True,
    )
    assert ran.stdout.strip() == repr(seen)
