"""The matrix: one line a model, every mistake named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.matrix_file import parse_matrix, read_matrix
from pytest_scratchverify.core.spec import ModelSpec, Role

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
        "upstage/Solar-Open2-250B",
        "skt/A.X-K2",
        "LGAI-EXAONE/K-EXAONE-2.0-750B-A37B",
        "Motif-Technologies/Motif-3",
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


PREDECESSOR = """
[models]
"lab/two" = {{ released = "2026-07-22", declares = {{ predecessor = {{ from = "{origin}", by = "lab", source = "card" }} }} }}
"lab/one" = {{ released = "{date}" }}
"sister/old" = {{ developer = "Lab" }}
"""


def test_an_own_earlier_model_is_declared_for_no_component_in_particular():
    matrix = parse_matrix(PREDECESSOR.format(origin="LAB/one", date="2025-12-31"))
    model = matrix.models["lab/two"]
    assert (model.predecessor.origin, model.declares) == ("LAB/one", {})
    assert model.declaration(Component.TEXT_DECODER, "LAB/one") is model.predecessor
    assert model.declaration(Component.TEXT_DECODER, "sister/old") is None


@pytest.mark.parametrize(
    ("origin", "date", "fault"),
    [
        ("sister/old", "2025-12-31", "not of the same developer"),
        ("elsewhere/big", "2025-12-31", "not of the same developer"),
        ("Lab/Two", "2025-12-31", "is the model itself"),
        ("lab/one", "2026-08-01", "was released later"),
    ],
)
def test_a_predecessor_is_the_developers_own_and_earlier(origin, date, fault):
    with pytest.raises(ScratchError, match=fault):
        parse_matrix(PREDECESSOR.format(origin=origin, date=date))
    line = '[models]\n"a/b" = { predecessor = { from = "a/c", by = "a", source = "s" } }'
    with pytest.raises(ScratchError, match="predecessor stands in declares"):
        parse_matrix(line)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (ModelSpec(name="Lab/a"), ModelSpec(name="lab/b"), True),
        (ModelSpec(name="lab/a"), ModelSpec(name="labs/b"), False),
        (ModelSpec(name="x/a", developer="Lab"), ModelSpec(name="y/b", developer="lab"), True),
        (ModelSpec(name="lab/a", folder=True), ModelSpec(name="lab/b", folder=True), False),
        (ModelSpec(name="./lab/a"), ModelSpec(name="./lab/b"), False),
        (ModelSpec(name="/lab/a"), ModelSpec(name="/lab/b"), False),
    ],
)
def test_a_developer_is_told_by_the_matrix_or_by_the_owner(one, other, same):
    assert one.is_of_the_developer_of(other) is same
