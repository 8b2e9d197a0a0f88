"""Runs on folders whose names, cards and configs are hostile: judged, and shown harmlessly."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from pytest_scratchverify import open_model
from pytest_scratchverify.core.visible import visible_document
from tools.running import GUESTS, HANGS, ROOT
from tools.zoo.ready_models import READY

SECRET = "hunter2"
HOSTILE = "\x1b[2J\x1b]0;pwned\x07\u202e\u200b##[error]x"
NAME = "caf\udce9\x1b[2J\u202e \n::error::x"  # no UTF-8, and all that a file system allows
FILES = ("v.json", "v.md", "v.html", "v.sarif", "p.html", "j.xml", "summary.md", "out")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An independent model in a folder with a hostile name, card, config and file names."""
    place = tmp_path_factory.mktemp("hostile")
    model = place / NAME
    shutil.copytree(READY / "s1", model)
    said = json.dumps(HOSTILE)
    card = f"---\nlicense: {said}\nbase_model: {said}\nlanguage: [{said}]\n---\n# {HOSTILE}\n"
    (model / "README.md").write_text(card, "utf-8")
    config = json.loads((READY / "s1" / "config.json").read_text("utf-8"))
    config |= {"model_type": HOSTILE, "hidden_act": HOSTILE, HOSTILE: HOSTILE}
    (model / "config.json").write_text(json.dumps(config))
    for other in ("training_log\udcfe.jsonl", "no\udcfe\n::te.bin", "tokenizer\udcff.json"):
        (model / other).write_text('{"step": 1, "loss": 2}\n' * 5)
    return place


def judged(place, *more, reports=True):
    """Run the suites as a step of Actions, with the folder's own name as it is, relative to it."""
    out = place / f"out{len([*place.iterdir()])}"
    out.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTEST_", "GITHUB_"))}
    outlets = [
        f"--scratch-verdict-{kind}={out}/v.{kind}" for kind in ("json", "md", "html", "sarif")
    ]
    outlets += [f"--html={out}/p.html", f"--junitxml={out}/j.xml", "-rA", "-v"] if reports else []
    command = [
        sys.executable, "-m", "pytest", str(ROOT / "suites"), f"--scratch-model=./{NAME}",
        f"--scratch-against={READY / 's0'}", *outlets,
        *(part for name in (*GUESTS, "cacheprovider") for part in ("-p", f"no:{name}")), *more,
    ]  # fmt: skip
    done = subprocess.run(
        command,
        cwd=place,
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "HF_HOME": f"{out}/hf",
            "HF_ENDPOINT": f"http://user:{SECRET}@127.0.0.1:9",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": f"{out}/summary.md",
            "NO_COLOR": "1",
        },
        capture_output=True,
        timeout=HANGS,
        check=False,
    )
    (out / "out").write_bytes(done.stdout + done.stderr)
    return done.returncode, out


@pytest.fixture(scope="module")
def ran(folder):
    return judged(
        folder, "-m", "disclosure or architecture or training_log", "--scratch-model=org/x"
    )


@pytest.mark.parametrize("name", FILES)
def test_every_outlet_is_utf8_and_shows_it_visibly(ran, name):
    code, out = ran
    text = (out / name).read_bytes().decode()
    assert code in (1, 10), text
    assert visible_document(text.replace("\r\n", "\n")) == text.replace("\r\n", "\n")
    assert SECRET not in text
    assert "pwned" in text or name in ("j.xml", "out")


def test_the_terminal_says_no_command_but_ours(ran):
    for line in (ran[1] / "out").read_bytes().decode().splitlines():
        assert not line.lstrip().startswith("::") or line.startswith(("::error t", "::warning t"))
        assert "##[" not in line


def test_the_model_is_judged_and_identified(ran):
    run = json.loads((ran[1] / "v.json").read_bytes())
    shown = "./" + NAME.replace("\udce9", "\\xe9")
    assert shown in [model["model"] for model in run["models"]]
    assert not [f for f in run["findings"] if f["outcome"] == "harness-error"]
    assert "--model='./caf" in run["reproduce"], "quoted, so that pasting it runs nothing else"
    ET.fromstring((ran[1] / "j.xml").read_bytes())
    said = json.dumps([f["headline"]["params"] for f in run["findings"]], ensure_ascii=False)
    assert json.dumps(HOSTILE, ensure_ascii=False)[1:-1] in said, "the JSON keeps the original"


def test_workers_write_the_same_bytes(folder, ran):
    code, out = judged(
        folder, "-m", "disclosure or architecture or training_log", "--scratch-model=org/x", "-n2",
        reports=False,
    )  # fmt: skip
    assert code == ran[0]
    assert (out / "v.json").read_bytes() == (ran[1] / "v.json").read_bytes()


@pytest.mark.parametrize(
    "option",
    [
        "--scratch-model=no\x1b[2J\u202e",
        f"--scratch-model=https://user:{SECRET}@host/x",
        "--scratch-component=\x1b[2J\u202e",
        "--scratch-matrix=no\x1b[2J\u202e.toml",
    ],
)
def test_a_mistake_is_one_visible_line(folder, option):
    code, out = judged(folder, option, reports=False)
    text = (out / "out").read_bytes().decode()
    assert code == 4
    assert visible_document(text) == text
    assert SECRET not in text
    assert "Traceback" not in text
    assert len([line for line in text.splitlines() if line.startswith("ERROR: ")]) == 1


def test_what_pytest_prints_of_a_broken_test_is_visible(pytester):
    pytester.makeini("[pytest]\nscratch_matrix = matrix.toml\n")
    pytester.makefile(".toml", matrix='[models]\n"org/a" = { against = ["org/b"] }\n')
    pytester.makepyfile(
        """
        import pytest, sys
        @pytest.mark.scratch("weights.x", component="text_decoder")
        def test_it(pair, record):
            print("printed \\x1b[2J\\u202e")
            try:
                raise KeyError("inner \\x1b[2J")
            except KeyError:
                raise ValueError("bad \\x1b[2J\\u202e\\n::error::x " + "y" * 5000)
        """
    )
    ran = pytester.runpytest_subprocess(
        "--scratch-model=org/a", "--junitxml=j.xml", "-p", "no:cacheprovider", "-l"
    )
    text = ran.stdout.str()
    assert visible_document(text) == text
    assert "bad ␛[2J⟨U+202E⟩" in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert "⟨U+202E⟩" in (pytester.path / "j.xml").read_text("utf-8")


@pytest.mark.parametrize(
    "name", ["mod\udce9l.safetensors", "mo\u200bdel.safetensors", "a\nb.safetensors"]
)
def test_a_weight_file_with_a_hostile_name_is_read_and_hashed_like_any_other(tmp_path, name):
    shutil.copytree(READY / "s1", tmp_path / "m")
    digest = hashlib.sha256((tmp_path / "m" / "model.safetensors").read_bytes()).hexdigest()
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "m" / name)
    store = open_model(tmp_path / "m")
    assert len(store.tensor_index().value.tensors) == 39
    # A byte that is not UTF-8 is listed as %XX, so that reports can be written.
    listed = [entry for entry in store.files().value if entry.path.endswith(".safetensors")]
    assert [entry.sha256 for entry in listed] == [digest]
