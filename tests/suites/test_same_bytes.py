"""The same inputs give the same bytes of run.json, wherever and however they are judged.

`python -m tools.same_bytes python3.12 python3.13` compares Pythons, which a test cannot install.
"""

from __future__ import annotations

import json
import re
import sys

import pytest

from tools.running import ROOT
from tools.same_bytes import circumstances, run_json

ASKED = (
    "--model=./s1",
    "--against=./s0",
    "-m",
    "tokenizer or disclosure or layernorm or architecture",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    place = tmp_path_factory.mktemp("same")
    runs = enumerate(circumstances([sys.executable]))
    return [run_json(at, place / ("deeper" * number) / "here", ASKED) for number, at in runs]


def test_order_of_files_hash_seed_directory_and_workers_change_no_byte(written):
    serial, distributed = written
    assert serial == distributed


def test_no_path_of_the_machine_and_no_clock_is_in_it(written):
    text = written[0].decode()
    assert not re.search(r'"(?:/|[A-Za-z]:\\\\|~|file:)', text)
    assert not re.search(r"\b20\d\d-\d\d-\d\dT", text)
    run = json.loads(text)
    assert run["matrix"]["path"] == "suites/matrix.toml"
    assert "--model=./s1 --against=./s0" in run["reproduce"]
    assert {"./s1", "s1"} >= {model["model"] for model in run["models"]}
    assert "python" not in run["environment"]


def test_a_matrix_of_another_place_is_named_without_it(tmp_path):
    matrix = tmp_path / "own.toml"
    matrix.write_text((ROOT / "suites" / "matrix.toml").read_text("utf-8"), "utf-8")
    [at, _] = circumstances([sys.executable])
    text = run_json(at, tmp_path / "x", [*ASKED[:2], "-m", "disclosure", f"--matrix={matrix}"])
    assert json.loads(text)["matrix"]["path"] == "own.toml"
    assert str(tmp_path) not in text.decode()
