"""What is installed is locked by digests, and what is written is checked for the known mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from tools.running import HANGS, ROOT

LOCK = (ROOT / "requirements" / "ci.txt").read_text("utf-8")
VERSION = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def named(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()


def versions(text: str) -> dict[str, str]:
    return {named(name): version for name, version in VERSION.findall(text)}


def test_every_locked_package_has_digests_and_comes_from_the_index():
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) > 80
    for entry in entries:
        assert VERSION.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert not re.search(r"://|^-|@ ", LOCK, re.MULTILINE)


def test_all_that_pyproject_asks_for_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    for group in project["dependency-groups"].values():
        asked += [item for item in group if isinstance(item, str)]
    missing = {named(item) for item in asked} - versions(LOCK).keys() - {"pytest-scratchverify"}
    assert not missing, "make locked"


def test_the_lock_and_the_constraints_name_the_same_versions():
    locked, constrained = versions(LOCK), versions((ROOT / "constraints.txt").read_text("utf-8"))
    both = locked.keys() & constrained.keys()
    assert len(both) > 80
    assert {n: locked[n] for n in both} == {n: constrained[n] for n in both}, "make locked"


MISTAKES = {
    "S102": "exec(code)\n",
    "S301": "import pickle\n\npickle.loads(data)\n",
    "S307": "eval(text)\n",
    "S324": "import hashlib\n\nhashlib.md5(data)\n",
    "S501": "import requests\n\nrequests.get(url, verify=False, timeout=1)\n",
    "S506": "import yaml\n\nyaml.load(text)\n",
    "S202": "import tarfile\n\ntarfile.open(name).extractall()\n",
    "S602": "import subprocess\n\nsubprocess.run(text, shell=True, check=True)\n",
    "S608": 'query = f"SELECT * FROM t WHERE x = {name}"\n',
    "S701": "import jinja2\n\njinja2.Environment()\n",
}


@pytest.mark.parametrize("rule", MISTAKES)
def test_ruff_refuses_what_bandit_would(rule):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--no-cache",
         "--stdin-filename", "pytest_scratchverify/stores/x.py", "-"],
        input=MISTAKES[rule], cwd=ROOT, capture_output=True, text=True, check=False, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 1
    assert f" {rule} " in done.stdout


def test_every_exception_from_these_rules_says_why():
    """In the package; tests and tools start processes of their own."""
    excused = [
        line
        for path in (ROOT / "pytest_scratchverify").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"noqa: [A-Z0-9, ]*\bS\d", line)
    ]
    assert 5 <= len(excused) <= 20
    assert not [line for line in excused if not re.search(r"noqa: [A-Z0-9, ]+ - \w", line)]
