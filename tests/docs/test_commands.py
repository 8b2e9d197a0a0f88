"""Every command that READMEs and docs show is executed here, or stands in a table with the reason."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.commands import EXECUTED, NOT_EXECUTED, reason, shown
from tools.running import CLOSED_PORT, HANGS, ROOT


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the tree, because `make format` writes; the installation is shared."""
    copy = tmp_path_factory.mktemp("tree") / "project"
    left = (
        ".venv",
        ".artifacts",
        ".git",
        "build",
        "dist",
        "__pycache__",
        ".*_cache",
        ".hypothesis",
        "generated",
    )
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*left), symlinks=True)
    for name in (".venv", ".artifacts"):
        (copy / name).symlink_to(ROOT / name)
    return copy


@pytest.fixture(scope="module")
def environment(tree) -> dict[str, str]:
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "PYTEST_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "HF_HOME": str(tree.parent / "hf"), "HF_ENDPOINT": CLOSED_PORT}


def test_every_command_shown_is_in_a_table():
    unknown = {c: at for c, at in shown().items() if c not in EXECUTED and reason(c) is None}
    assert not unknown, "execute it in EXECUTED, or say in NOT_EXECUTED why not"


def test_the_tables_hold_no_command_that_nobody_shows():
    commands = shown()
    assert [c for c in EXECUTED if c not in commands] == []
    assert [s for s in NOT_EXECUTED if not any(c.startswith(s) for c in commands)] == []


def test_commands_do_what_is_said(tree, environment):
    for command, (code, leaves) in EXECUTED.items():
        done = subprocess.run(
            shlex.split(command),
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=HANGS,
        )
        assert done.returncode == code, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        if leaves is not None:
            assert (tree / leaves).stat().st_size > 1000, command
        if leaves == "verdict.json":
            for name in ("run.json", "FILE"):
                shutil.copy(tree / leaves, tree / name)
        if leaves == "FILE":
            assert "<html" in (tree / leaves).read_text("utf-8")
            shutil.copy(tree / "run.json", tree / "FILE")


@pytest.fixture(scope="module")
def helps(environment) -> str:
    """All that --help says."""
    return "".join(
        subprocess.run(
            shlex.split(f"{command} --help"),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=HANGS,
        ).stdout
        for command in (
            "pytest suites/",
            "scratchverify render",
            "scratchverify fingerprint",
            "scratchverify attest",
        )
    )


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_every_option_in_the_readme_exists(name, helps):
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / name).read_text("utf-8"))):
        # pytest's help writes its own --junitxml as --junit-xml
        assert re.search(rf"--{option[2:].replace('junitxml', 'junit-xml')}\b", helps), option
