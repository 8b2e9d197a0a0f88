"""Code of a model's folder is never executed, in whatever form the folder is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.running import HANGS, ROOT
from tools.zoo.packing import write_gguf
from tools.zoo.ready_models import READY

MARK = "open({mark!r}, 'w').close()\n"


@pytest.fixture
def hostile(tmp_path):
    """A sound model whose folder holds whatever pytest or Python might execute; and its mark."""
    mark = tmp_path / "EXECUTED"
    folder = tmp_path / "hostile"
    shutil.copytree(READY / "s1", folder)
    code = MARK.format(mark=str(mark))
    for name in ("conftest.py", "evilplug.py", "test_evil.py", "sitecustomize.py", "numpy.py",
                 "usercustomize.py", "setup.py", "pytest_scratchverify.py"):  # fmt: skip
        (folder / name).write_text(code)
    (folder / "below").mkdir()
    (folder / "below" / "conftest.py").write_text(code)
    (folder / "below" / "test_more.py").write_text(code)
    for name, head in (("pytest.ini", "[pytest]"), ("tox.ini", "[pytest]"),
                       ("setup.cfg", "[tool:pytest]")):  # fmt: skip
        (folder / name).write_text(f"{head}\npythonpath = .\naddopts = -p evilplug\n")
    (folder / "pyproject.toml").write_text(
        '[tool.pytest]\npythonpath = ["."]\naddopts = ["-p", "evilplug"]\n'
    )
    (folder / ".env").write_text("PYTEST_ADDOPTS=-p evilplug\n")
    return folder, mark


def clean():
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}


def started(*command, cwd=ROOT, by=(sys.executable, "-m"), **added):
    here = {"HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*by, *command],
        cwd=cwd,
        env={**clean(), **here, **added},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )


QUICKLY = ("-q", "-m", "disclosure", "--offline")
FORMS = {
    "short, lone": ("pytest", "suites/", "--model", "{}", *QUICKLY),
    "short, joined": ("pytest", "suites/", "--model={}", *QUICKLY),
    "prefixed, lone": ("pytest", "suites/", "--scratch-model", "{}", *QUICKLY),
    "prefixed, joined": ("pytest", "suites/", "--scratch-model={}", *QUICKLY),
    "joined, first": ("pytest", "--model={}", "suites/", *QUICKLY),
    "reference, lone": (
        "pytest",
        "suites/",
        "--model",
        str(READY / "s0"),
        "--against",
        "{}",
        *QUICKLY,
    ),
    "reference, joined": ("pytest", "suites/", f"--model={READY / 's0'}", "--against={}", *QUICKLY),
    "log": ("pytest", "suites/", f"--model={READY / 's0'}", "--training-log", "{}", *QUICKLY),
    "workers": ("pytest", "suites/", "--model", "{}", "-n", "2", *QUICKLY),
    "prefixed, lone, first": ("pytest", "--scratch-model", "{}", "suites/", *QUICKLY),
    "short, lone, first": ("pytest", "--model", "{}", "suites/", *QUICKLY),
    "reference, lone, first": (
        "pytest",
        "--scratch-against",
        "{}",
        "--model",
        str(READY / "s0"),
        "suites/",
        *QUICKLY,
    ),
    "log, lone, first": (
        "pytest",
        "--training-log",
        "{}",
        f"--model={READY / 's0'}",
        "suites/",
        *QUICKLY,
    ),
    "flag before the suites": (
        "pytest",
        "--scratch-model",
        "{}",
        "--scratch-offline",
        "suites/",
        *QUICKLY,
    ),
    "command": ("pytest_scratchverify.cli", "run", "--model", "{}", *QUICKLY),
    "command, joined": ("pytest_scratchverify.cli", "run", "--model={}", *QUICKLY),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_model_is_judged_and_nothing_of_it_executed(hostile, form):
    folder, mark = hostile
    ran = started(*(part.replace("{}", str(folder)) for part in FORMS[form]))
    assert ran.returncode in (0, 10), ran.stdout + ran.stderr
    assert "disclosure" in ran.stdout or "passed" in ran.stdout
    assert not mark.exists()


@pytest.mark.parametrize("form", ["short, lone", "prefixed, lone", "prefixed, joined"])
def test_a_file_is_judged_and_nothing_beside_it_executed(hostile, form):
    folder, mark = hostile
    file = write_gguf(READY / "s1", folder / "model-Q8_0.gguf", "Q8_0")
    ran = started(*(part.replace("{}", str(file)) for part in FORMS[form]))
    assert ran.returncode in (0, 10), ran.stdout + ran.stderr
    assert not mark.exists()


def test_the_command_is_safe_inside_of_the_folder(hostile):
    folder, mark = hostile
    for command in (
        ("-P", "-m", "pytest_scratchverify.cli", "run", "--model", ".", *QUICKLY),
        (
            "-P",
            "-c",
            "import pytest_scratchverify as s; s.verify('.', offline=True, depth='metadata')",
        ),
    ):
        path = f"{ROOT}"
        ran = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**clean(), "HF_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )
        assert ran.returncode in (0, 10), ran.stdout + ran.stderr
        assert not mark.exists(), command


def test_a_folder_beside_a_file_is_no_place_for_tests(hostile):
    folder, mark = hostile
    file = write_gguf(READY / "s1", folder / "model-Q8_0.gguf", "Q8_0")
    below = str(folder / "below" / "test_more.py")
    ran = started("pytest", "suites/", below, f"--scratch-model={file}", "-q")
    assert ran.returncode == 4, ran.stdout + ran.stderr
    assert f"--scratch-model={file}" in ran.stderr
    assert not mark.exists()


REFUSED = {
    "a test path of its own": ("pytest", "suites/", "{}", "--model={}"),
    "a test file of it": ("pytest", "suites/", "{}/below/test_more.py", "--model={}"),
    "its settings by name": ("pytest", "suites/", "-c", "{}/plain.ini", "--model={}"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_would_execute_it_is_refused_with_the_right_form(hostile, form):
    folder, mark = hostile
    (folder / "plain.ini").write_text("[pytest]\n")
    prefixed = [part.replace("{}", str(folder)) for part in REFUSED[form]]
    ran = started(*(part.replace("--model", "--scratch-model") for part in prefixed), *QUICKLY[:1])
    assert ran.returncode == 4, ran.stdout + ran.stderr
    assert f"--scratch-model={folder}" in ran.stderr
    assert not mark.exists()


def test_words_that_pytest_adds_itself_are_joined_too(hostile, tmp_path):
    folder, mark = hostile
    lines = tmp_path / "words.txt"
    lines.write_text(f"--scratch-model\n{folder}\nsuites/\n")
    for words, added in (
        (("suites/",), f"--scratch-model '{folder}'"),
        ((f"@{lines}",), ""),
        ((str(ROOT / "suites"),), f"--scratch-model '{folder}' --scratch-depth metadata"),
    ):
        ran = started("pytest", *words, *QUICKLY, PYTEST_ADDOPTS=added)
        assert ran.returncode in (0, 10), ran.stdout + ran.stderr
        assert not mark.exists(), words


def test_the_script_is_as_safe_as_the_module_also_from_elsewhere(hostile, tmp_path):
    folder, mark = hostile
    script = (str(Path(sys.executable).parent / "pytest"),)
    words = ("--model", str(folder), str(ROOT / "suites"), *QUICKLY)
    ran = started(*words, cwd=tmp_path, by=script)
    assert ran.returncode in (0, 10), ran.stdout + ran.stderr
    assert not mark.exists()


def test_settings_of_the_folder_that_pytest_took_itself_end_the_run(hostile, tmp_path):
    """``pytest.main`` with separate words has no command line that could be joined.

    What FOLDER/pytest.ini loads cannot be kept from running by a plugin. The run is refused, and
    says how to write what was meant; nothing is judged.
    """
    folder, _ = hostile
    (folder / "pytest.ini").write_text("[pytest]\n")
    verdict = tmp_path / "v.json"
    words = ["--scratch-model", str(folder), "suites/", f"--scratch-verdict-json={verdict}"]
    program = f"import pytest, sys; sys.exit(pytest.main({words!r}))"
    ran = started(program, by=(sys.executable, "-c"))
    assert ran.returncode == 4
    assert f"--scratch-model={folder}" in ran.stderr
    assert not verdict.exists()


def test_inside_of_a_models_folder_pytest_itself_is_refused(hostile):
    folder, mark = hostile
    for name in ("pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml"):
        (folder / name).unlink()
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", str(ROOT / "suites"), "--scratch-model=."],
        cwd=folder,
        env={**clean(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert ran.returncode in (0, 4, 10)
    assert not mark.exists()
