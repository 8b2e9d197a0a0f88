"""`scratchverify catalog add org/name`, over the loopback hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from pytest_scratchverify.catalog.entries import read_entries
from pytest_scratchverify.checkpoint.design import Tower
from tools.running import CLOSED_PORT, HANGS, ROOT
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.hub_server import LoopbackHub


def catalog(*arguments, env):
    return subprocess.run(
        [sys.executable, "-m", "pytest_scratchverify.cli", "catalog", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )


def test_an_entry_comes_from_the_hub_with_its_commit(tmp_path):
    folder = checkpoints.independent(tmp_path / "model")
    target = tmp_path / "hub.json"
    with LoopbackHub() as hub:
        hub.add_repo("org/new", folder)
        done = catalog("add", "org/new", "--file", str(target), env=hub.environment(tmp_path))
    assert done.returncode == 0, done.stderr
    raw = json.loads(target.read_text("utf-8"))["org/new"]
    assert raw["status"] == "hub"
    assert "@" in raw["sources"][0]
    entry = read_entries(tmp_path)["org/new"]
    assert entry.designs[Tower.TEXT].size("hidden_size")


def test_a_missing_repository_is_one_line_and_no_entry(tmp_path):
    target = tmp_path / "hub.json"
    with LoopbackHub() as hub:
        done = catalog("add", "org/none", "--file", str(target), env=hub.environment(tmp_path))
    assert done.returncode == 1
    assert "org/none does not exist" in done.stderr
    assert "Traceback" not in done.stderr
    assert not target.exists()


def test_nothing_is_added_without_a_hub(tmp_path):
    target = tmp_path / "hub.json"
    env = {"HF_ENDPOINT": CLOSED_PORT, "HF_HOME": str(tmp_path)}
    done = catalog("add", "skt/A.X-K1", "--file", str(target), env=env)
    assert done.returncode == 1
    assert not target.exists()


def test_the_nearest_designs_are_named(tmp_path):
    done = catalog("nearest", "skt/A.X-K1", "-k", "2", env={})
    assert "deepseek-ai/DeepSeek-V3" in done.stdout.splitlines()[0]
    assert len(done.stdout.splitlines()) == 2
    assert len(catalog("list", env={}).stdout.splitlines()) >= 224


def test_a_tokenizer_is_sketched_from_the_hub(tmp_path):
    from pytest_scratchverify.tokenizer.sketch import load_sketches

    folder = checkpoints.independent(tmp_path / "model")
    target = tmp_path / "sketches"
    arguments = ("add-tokenizer", "org/new", "--name", "new-one", "--folder", str(target))
    with LoopbackHub() as hub:
        hub.add_repo("org/new", folder)
        done = catalog(*arguments, env=hub.environment(tmp_path))
    assert done.returncode == 0, done.stderr
    (sketch,) = load_sketches(target)
    assert sketch.name == "new-one"
    assert sketch.repos == ["org/new"]
