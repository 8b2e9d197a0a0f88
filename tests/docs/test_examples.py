"""The examples of docs/library.md are run, in both languages; a library must not touch its host."""

from __future__ import annotations

import doctest
import json
import os
import shutil
import subprocess
import sys

import pytest

from pytest_scratchverify.plugin.options import OPTIONS
from tools.running import CLOSED_PORT, ROOT

READY = ROOT / "tools" / "zoo" / "ready"
MODELS = {"reference": "s0", "suspect": "s0-finetune", "unrelated": "s1"}
TRAP = "raise SystemExit('a conftest of the surroundings was run')"


@pytest.fixture
def surroundings(tmp_path):
    """A project that would break a pytest that belongs to it, with three checkpoints in it."""
    for name, source in MODELS.items():
        shutil.copytree(READY / source, tmp_path / name)
        (tmp_path / name / "conftest.py").write_text(TRAP)
    (tmp_path / "conftest.py").write_text(TRAP)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    return tmp_path


def python(*arguments, cwd):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env = {**kept, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": CLOSED_PORT, "HF_HOME": str(cwd / "hf")}
    env |= {"PYTEST_ADDOPTS": "--no-such-option", "PYTEST_PLUGINS": "no_such_plugin"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def test_the_korean_page_shows_the_same_examples():
    parser = doctest.DocTestParser()
    pages = [(ROOT / "docs" / page).read_text("utf-8") for page in ("library.md", "ko/library.md")]
    english, korean = [
        [(example.source, example.want) for example in parser.get_examples(text)] for text in pages
    ]
    assert english == korean
    assert len(english) > 10


def test_the_library_page_says_what_happens(surroundings):
    shutil.copy(ROOT / "docs" / "library.md", surroundings / "page.md")
    done = python("-m", "doctest", "-o", "ELLIPSIS", "page.md", cwd=surroundings)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    left = {path.name for path in surroundings.iterdir()} - {"hf"}
    assert left == {*MODELS, "conftest.py", "pytest.ini", "page.md"}, "verify left something behind"


def test_verify_is_quiet_and_can_be_called_twice_inside_of_pytest(surroundings):
    (surroundings / "conftest.py").unlink()
    (surroundings / "inner").mkdir()
    (surroundings / "inner" / "pytest.ini").write_text("[pytest]\n")
    (surroundings / "inner" / "test_inner.py").write_text(
        """
import os, sys, warnings
from pytest_scratchverify import verify

def test_twice(capfd):
    before = list(sys.path), dict(os.environ), list(warnings.filters), sys.meta_path[:]
    def run():
        return verify("../suspect", against="../reference", depth="metadata", offline=True,
                      component="tokenizer", verdict_md="inner.md")
    assert run() == run()
    assert capfd.readouterr() == ("", "")
    assert (list(sys.path), dict(os.environ), list(warnings.filters), sys.meta_path[:]) == before
"""
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "HF_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_inner.py"],
        cwd=surroundings / "inner",
        env={**kept, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": CLOSED_PORT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (surroundings / "inner" / "inner.md").exists()


def test_every_option_is_a_keyword_that_a_type_checker_knows():
    from inspect import signature

    from pytest_scratchverify.api import Options, verify

    named = {*signature(verify).parameters, *Options.__annotations__}
    assert {option.name.replace("-", "_") for option in OPTIONS} <= named
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        verify("skt/A.X-K1", colour="red")


def test_the_face_is_lifted_when_it_is_asked_for(tmp_path):
    code = (
        "import sys, pytest_scratchverify as s; assert 'numpy' not in sys.modules\n"
        "assert {*s.__all__} <= {*dir(s)}; print(s.verify.__name__, 'numpy' in sys.modules)\n"
        "s.no_such_name"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.stdout.strip() == "verify True"
    assert "AttributeError: module 'pytest_scratchverify' has no attribute" in done.stderr


def test_the_test_of_a_lab_runs_alone_and_stands_in_the_verdict(tmp_path):
    """docs/own-test.md shows it; below E3 it is a lead, whatever it says."""
    shutil.copy(ROOT / "docs" / "examples" / "test_my_lab.py", tmp_path)
    pair = [f"--scratch-model={READY / 's0-finetune'}", f"--scratch-against={READY / 's0'}"]
    target = tmp_path / "run.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "test_my_lab.py",
            *pair,
            f"--scratch-verdict-json={target}",
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "HF_ENDPOINT": CLOSED_PORT,
            "HF_HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 10, done.stdout + done.stderr
    run = json.loads(target.read_text("utf-8"))
    (found,) = run["findings"]
    assert (found["method"], found["outcome"]) == ("lab.context", "indeterminate")
    assert run["models"][0]["components"]["architecture"]["verdict"] == "SUSPECTED"
