"""The matrix: one line a model, every mistake named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.matrix_file import parse_matrix, read_matrix
from pytest_scratchverify.core.spec import Role

SUITES = Path(__file__).parents[2] / "suites"


def test_a_model_is_one_line():
    text = (SUITES / "matrix.toml").read_text("utf-8")
    before = parse_matrix(text)
    after = parse_matrix(text + '"org/new" = {}\n')
    assert set(after.models) - set(before.models) == {"org/new"}
    assert after.models["org/new"].role is Role.CANDIDATE


def test_the_shipped_matrix_holds_the_debate_and_its_controls():
    matrix = read_matrix(SUITES / "matrix.toml")
    candidates = [spec.name for spec in matrix if spec.role is Role.CANDIDATE]
    assert candidates == [
        "upstage/Solar-Open-100B",
        "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B",
        "skt/A.X-K1",
        "NC-AI-consortium-VAETKI/VAETKI",
        "LGAI-EXAONE/K-EXAONE-236B-A23B",
    ]
    controls = {spec.name: spec.truth for spec in matrix if spec.role is Role.CONTROL}
    assert controls["PrimeIntellect/INTELLECT-3"] == "derived"
    assert controls["microsoft/Phi-3.5-MoE-instruct"] == "independent"
    hyperclova = matrix.models["naver-hyperclovax/HyperCLOVAX-SEED-Think-32B"]
    declared = hyperclova.declares[Component.VISION_ENCODER]
    assert declared.origin == "Qwen/Qwen2.5-VL-32B-Instruct"
    assert declared.source
    for line in (SUITES / "matrix.toml").read_text("utf-8").splitlines():
        if line.startswith('"'):
            assert line.endswith("}")  # one line each


def test_every_mistake_is_named_with_its_place():
    with pytest.raises(ScratchError) as caught:
        parse_matrix(
            '[models]\n"a/b" = { rolle = "candidate" }\n"c/d" = { role = "judge" }\n', "m.toml"
        )
    message = str(caught.value)
    assert "m.toml" in message
    assert "rolle" in message
    assert "a/b" in message
    assert "c/d" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[models", "not valid TOML"),
        ('[models]\n"a/b" = { components = ["eyes"] }', "eyes"),
        ('[models]\n"a/b" = { declares = { vision_encoder = { from = "x" } } }', "vision_encoder"),
        ('[modells]\n"a/b" = {}', "modells"),
    ],
)
def test_bad_files_give_one_clear_line(text, expected):
    with pytest.raises(ScratchError, match=expected) as caught:
        parse_matrix(text, "m.toml")
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ScratchError, match="cannot read the matrix"):
        read_matrix(tmp_path / "none.toml")
