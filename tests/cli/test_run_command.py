"""`scratchverify run`: of the project around nothing reaches in, and what is asked comes out."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys

import pytest

from pytest_scratchverify.cli import main
from pytest_scratchverify.cli.completion import whole_parser
from pytest_scratchverify.cli.run_command import _own_file, _to_standard_output
from pytest_scratchverify.plugin.isolated_run import own_settings
from tools.running import HANGS, scratchverify
from tools.zoo.ready_models import READY

CONFTEST = """
import pytest
for _name in ("model", "config", "artifacts", "record", "calibration", "tokenizers", "pair"):
    exec(f"@pytest.fixture(scope='session')\\ndef {_name}(): raise RuntimeError")
def pytest_collection_modifyitems(items): items.clear()
"""
INI = """[pytest]
addopts = -x -k nothing --no-such-option
python_files = check_*.py
python_functions = check_*
required_plugins = pytest-nowhere
minversion = 99
filterwarnings = error
scratch_model = org/other
"""
TABLE = '[scratchverify]\ndeclares = { tokenizer = "./s0/" }\n'
MATRIX = '[models]\n"org/one" = { against = ["s0"] }\n'


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A lab's folder with settings, fixtures and a matrix of its own."""
    folder = tmp_path_factory.mktemp("lab")
    for name, text in {
        "conftest.py": CONFTEST,
        "pytest.ini": INI,
        "scratchverify.toml": TABLE,
        "own.toml": MATRIX,
    }.items():
        (folder / name).write_text(text)
    for name in ("s0", "s1"):
        shutil.copytree(READY / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def ran(hostile):
    return scratchverify(
        *("run", "--model", "s1/", "--against=s0", "--matrix=own.toml", "--offline", "-ra"),
        *("-m", "disclosure or tokenizer", "--verdict-json", "-", "--policy=own-tokenizer"),
        home=hostile,
        env={"PYTEST_ADDOPTS": "--no-such-option", "PYTEST_PLUGINS": "no_such_plugin"},
    )


def test_nothing_of_the_project_around_rules_a_run(ran):
    """Neither fixtures nor settings; and the thresholds come from the suites, not the matrix."""
    found = json.loads(ran.stdout)
    assert [model["model"] for model in found["models"]] == ["s1"]
    outcomes = {finding["method"]: finding["outcome"] for finding in found["findings"]}
    assert outcomes["tokenizer.rank_order"] == "declared", outcomes
    assert "harness_error" not in outcomes.values()


def test_a_labs_own_table_declares_what_would_else_be_a_finding(ran):
    found = json.loads(ran.stdout)
    tokenizer = found["models"][0]["components"]["tokenizer"]
    assert (tokenizer["verdict"], tokenizer["reference"]) == ("DECLARED_REUSE", "s0")
    said = [f["headline"]["text"] for f in found["findings"] if "Declared for" in str(f)]
    assert said
    assert all("(scratchverify.toml): the tokenizer comes from s0" in text for text in said)
    assert "declared: tokenizer of s1 from s0 (scratchverify.toml)" in ran.stderr


def test_the_line_that_repeats_a_run_is_whole_and_says_how_it_was_started(ran):
    found = json.loads(ran.stdout)
    assert found["reproduce"] == (
        "scratchverify run --model=s1 --against=s0 --matrix=own.toml"
        " --declarations=scratchverify.toml --depth quick --offline --policy own-tokenizer"
    )


def test_reasons_of_what_is_declared_stand_in_the_terminal(ran):
    assert "DECLARED [1] test_tokenizer.py: The vocabulary is the one of s0" in ran.stderr
    assert ran.returncode == 1  # own-tokenizer asks, and a declared reuse is a reuse


def test_without_options_the_whole_matrix_is_meant(tmp_path):
    done = scratchverify("run", "--collect-only", "-q", "-k", "licence", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "::test_card_states_a_licence[PrimeIntellect/INTELLECT-3]" in done.stdout
    [_, ini, *_] = own_settings(tmp_path)
    assert "scratch_matrix = " in (tmp_path / ini.removeprefix("-c")).read_text("utf-8")


def test_a_table_is_taken_for_one_model_and_never_from_a_tested_folder(hostile, monkeypatch):
    monkeypatch.chdir(hostile)
    assert [*_own_file(["--model", "s1"])] == ["scratchverify.toml"]
    assert not [*_own_file(["--model=s1", "--declarations=x.toml"])]
    assert not [*_own_file(["--model=s1", "--scratch-model", "s0"])]
    assert not [*_own_file([])]
    (hostile / "s1" / "pyproject.toml").write_text("[tool.scratchverify]\n")
    monkeypatch.chdir(hostile / "s1")
    assert [*_own_file(["--model=../s0"])] == ["pyproject.toml"]
    assert not [*_own_file(["--model=."])]
    (hostile / "s1" / "pyproject.toml").write_text("[tool]\nscratchverify = 1\n[tool.pytest]\n")
    assert [*_own_file(["--model=../s0"])] == ["pyproject.toml"]  # and the run refuses it
    (hostile / "s1" / "pyproject.toml").write_text("[tool.ruff]\n")
    assert not [*_own_file(["--model=../s0"])]


@pytest.mark.parametrize(
    "given", [["--verdict-json", "-"], ["--verdict-json=-"], ["--scratch-verdict-md", "-", "-q"]]
)
def test_a_dash_is_the_standard_output_of_any_report(given, tmp_path):
    arguments, printed = _to_standard_output(["--model", "x", *given], tmp_path)
    assert arguments[:2] == ["--model", "x"]
    assert "-" not in arguments
    assert len(printed) == 1
    assert f"={printed[0]}" in arguments[2]


def test_an_option_of_a_missing_extra_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("pytest_scratchverify.cli.run_command.find_spec", lambda _: None)
    for option, extra in (("--html=x", "html"), ("-n", "xdist"), ("-nauto", "xdist")):
        assert main(["run", option, "--model=x"]) == 4
        assert f"pip install 'pytest-scratchverify[{extra}]'" in capsys.readouterr().err


def test_the_script_has_a_version_and_names_what_it_does_not_know(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("scratchverify 20")
    assert main(["--help"]) == 0
    assert "scratchverify render run.json" in capsys.readouterr().out
    assert main(["rnder"]) == 2
    assert "unknown command: rnder; did you mean render?" in capsys.readouterr().err
    assert main(["foo"]) == 2
    assert "unknown command: foo; known are run, fetch" in capsys.readouterr().err
    assert main(["run", "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) < 120


def commands(parser, name="scratchverify"):
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from commands(inner, f"{name} {word}")


def test_every_option_of_every_command_says_what_it_does():
    told = dict(commands(whole_parser()))
    assert len(told) == 15
    silent = [
        (name, action.dest)
        for name, parser in told.items()
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert not silent


def test_a_shell_completes_commands_and_options(tmp_path):
    import argcomplete

    assert argcomplete
    for line, wanted in (
        ("scratchverify re", "render"),
        ("scratchverify run --depth ro", "robust"),
    ):
        answer = tmp_path / "answer"
        environment = {
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        }
        command = [sys.executable, "-m", "pytest_scratchverify.cli"]
        subprocess.run(command, env=environment, check=False, timeout=HANGS)
        assert wanted in answer.read_text()


@pytest.mark.parametrize("words", [["--help"], ["explain", "weights.origin"]])
def test_a_reader_that_went_away_is_no_error(words):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pytest_scratchverify.cli", *words]
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=HANGS
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
