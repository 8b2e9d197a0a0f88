"""`scratchverify fingerprint --library`: built from a hub, in parallel, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pytest_scratchverify.stores.library import INDEX, read_library
from tools.running import HANGS, ROOT
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.hub_server import LoopbackHub

NAMES = ("org/one", "org/two", "org/three", "org/four")


def start(*arguments, env):
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_scratchverify.cli", "fingerprint", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def build(*arguments, env):
    process = start(*arguments, env=env)
    out, err = process.communicate(timeout=HANGS)
    assert "Traceback" not in err
    return process.returncode, out, err


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {
        name: checkpoints.independent(root / str(seed), seed=seed)
        for seed, name in enumerate(NAMES, start=1)
    }


@pytest.fixture
def hub(models):
    with LoopbackHub() as running:
        for name, folder in models.items():
            running.add_repo(name, folder)
        yield running


def test_a_library_is_built_from_a_list_and_gone_on_with(tmp_path, hub):
    env = hub.environment(tmp_path)
    library, names = tmp_path / "library", tmp_path / "names.txt"
    names.write_text("# references\norg/one\norg/two  # and a comment\n\norg/none\n", "utf-8")
    given = ("--list", str(names), "--library", str(library), "--jobs", "2")
    code, out, err = build(*given, env=env)
    assert code == 1
    assert "2 of 3 models" in out
    assert "failed: org/none: " in err
    entries = read_library(library)
    assert {name for name, entry in entries.items() if entry.is_sound()} == {"org/one", "org/two"}
    assert entries["org/one"].revision
    assert "does not exist" in entries["org/none"].failure
    # What is there is not fetched again; what failed is tried again, and its model is there now.
    hub.forget()
    hub.add_repo("org/none", checkpoints.independent(tmp_path / "late", seed=9))
    code, out, _ = build(*given, env=env)
    assert code == 0
    assert "2 of 3 are there already" in out
    assert not hub.requests("org/one")
    assert not hub.requests("org/two")
    assert read_library(library)["org/none"].is_sound()


def test_damaged_ones_are_made_again_and_moved_ones_when_asked(tmp_path, hub, models):
    env = hub.environment(tmp_path)
    matrix = tmp_path / "matrix.toml"
    matrix.write_text(
        'default_against = ["org/two"]\n[models]\n"org/one" = { role = "reference" }\n', "utf-8"
    )
    given = ("--matrix", str(matrix), "--library", str(tmp_path / "library"))
    assert build(*given, env=env)[0] == 0
    before = read_library(tmp_path / "library")
    index = json.loads((tmp_path / "library" / INDEX).read_text("utf-8"))
    assert set(index["models"]) == {"org/one", "org/two"}
    assert set(index["models"]["org/one"]) == {"depth", "file", "revision", "sha256", "size"}
    before["org/one"].path.write_bytes(b"damaged")
    code, out, _ = build(*given, env=env)
    assert code == 0
    assert "1 of 2 are there already" in out
    assert read_library(tmp_path / "library") == before
    # A branch that moves does not change a library unless it is asked to look.
    files = {path.name: path for path in models["org/two"].iterdir()}
    hub.push("org/two", {**files, "README.md": b"changed"})
    code, out, _ = build(*given, "--refresh", env=env)
    assert code == 0
    assert "org/one: unchanged" in out
    after = read_library(tmp_path / "library")
    assert after["org/one"] == before["org/one"]
    assert after["org/two"].revision != before["org/two"].revision


def test_whoever_is_killed_in_between_finds_what_was_finished(tmp_path, hub):
    env = hub.environment(tmp_path)
    library = tmp_path / "library"
    given = (*NAMES, "--library", str(library), "--jobs", "1")
    process = start(*given, env=env)
    while not (library / INDEX).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=HANGS)
    done = {name for name, entry in read_library(library).items() if entry.is_sound()}
    assert done
    hub.forget()
    code, out, _ = build(*given, env=env)
    assert code == 0
    assert f"{len(done)} of {len(NAMES)} are there already" in out
    assert not any(hub.requests(name) for name in done)
    entries = read_library(library)
    assert set(entries) == set(NAMES)
    assert all(entry.is_sound() for entry in entries.values())
    listed = {*(entry.path.name for entry in entries.values()), INDEX, ".building.lock"}
    left = {path.name for path in library.iterdir()} - listed
    assert all(name.startswith(".") for name in left)  # of the one that was killed


@pytest.mark.slow
def test_a_passing_failure_is_tried_once_more_in_the_same_run(tmp_path, hub):
    env = hub.environment(tmp_path)
    hub.fault("org/two", "config.json", "rate-limit", times=1, seconds=1)
    code, out, err = build(*NAMES, "--library", str(tmp_path / "library"), env=env)
    assert code == 0, (out, err)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("org/one", "org/two"),
        ("--matrix",),
        ("--library", "lib"),
        ("org/one", "--library", "lib", "--out", "x.fingerprint"),
        ("org/one", "--library", "lib", "--jobs", "99"),
        ("--list", "nowhere.txt", "--library", "lib"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, monkeypatch, capsys):
    from pytest_scratchverify.cli import main

    monkeypatch.chdir(tmp_path)
    try:
        code = main(["fingerprint", *arguments])
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err
