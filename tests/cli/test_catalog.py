"""`scratchverify catalog add org/name`, over the loopback hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

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
    later, origin = done.stdout.splitlines()
    assert "skt/A.X-K2" in later
    assert "deepseek-ai/DeepSeek-V3" in origin
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


@pytest.fixture
def hub(tmp_path):
    with LoopbackHub() as running:
        for seed, name in enumerate(("org/one", "org/two"), start=1):
            running.add_repo(name, checkpoints.independent(tmp_path / name, seed=seed))
        yield running


def test_an_update_reads_all_says_what_changed_and_goes_on_where_it_ended(tmp_path, hub):
    env = hub.environment(tmp_path)
    target, report = tmp_path / "hub.json", tmp_path / "report.md"
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[models]\n"org/one" = {}\n"./folder" = {}\n', "utf-8")
    given = ("update", "org/one", "org/two", "org/none", "--file", str(target))
    given += ("--report", str(report), "--tokenizers", str(tmp_path / "sketches"))
    done = catalog(*given, env=env)
    assert done.returncode == 1, done.stderr
    assert "2 new, 1 failed" in done.stdout
    assert "org/none does not exist" in report.read_text("utf-8")
    assert set(json.loads(target.read_text("utf-8"))) == {"org/one", "org/two"}
    # Again: nothing is fetched but the commit. A branch that moved is read, and compared.
    files = {path.name: path for path in (tmp_path / "org/two").iterdir()}
    config = json.loads(files["config.json"].read_text("utf-8")) | {"rope_theta": 5.0, "new": 1}
    hub.push("org/two", {**files, "config.json": json.dumps(config).encode()})
    hub.forget()
    done = catalog(*given, env=env)
    assert "1 changed, 1 unchanged, 1 failed" in done.stdout
    assert "rope_theta 10000.0 -> 5.0; 1 fields added" in report.read_text("utf-8")
    assert not hub.requests("org/one/resolve")
    raw = json.loads(target.read_text("utf-8"))["org/two"]
    assert raw["config"]["rope_theta"] == 5.0
    # The tokenizer of org/two is what it was: one sketch, of both commits.
    from pytest_scratchverify.tokenizer.sketch import load_sketches

    two = next(s for s in load_sketches(tmp_path / "sketches") if "org/two" in s.repos)
    assert len([source for source in two.sources if "org/two" in source]) == 2


def test_an_update_asks_for_matrix_and_catalogue(tmp_path):
    from pytest_scratchverify.cli.catalog_update import repositories

    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[models]\n"org/new" = {}\n"./folder" = {}\n', "utf-8")
    repos = repositories(matrix, ())
    assert repos[0] == "org/new"
    assert "skt/A.X-K1" in repos
    assert "./folder" not in repos
    assert len(repos) == len(set(repos)) > 230
    assert repositories(matrix, ("a/b", "a/b")) == ["a/b"]
