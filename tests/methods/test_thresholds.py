"""A calibration file that decides nothing is refused in one line: file, key, what is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.methods.architecture.thresholds import ArchitectureThresholds
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.thresholds import Thresholds
from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from tools.running import ROOT

FILES = ROOT / "suites" / "calibration"
METHODS = (
    ArchitectureThresholds,
    BehaviourThresholds,
    TokenizerThresholds,
    TrainingLogThresholds,
    WeightsThresholds,
)


def shipped(kind):
    return json.loads((FILES / f"{kind.method}.json").read_text("utf-8"))


def test_every_shipped_calibration_has_a_class():
    assert {path.stem for path in FILES.glob("*.json")} == {kind.method for kind in METHODS}
    assert set(Thresholds.__subclasses__()) == set(METHODS)


@pytest.mark.parametrize("kind", METHODS)
def test_the_shipped_file_is_read_as_it_stands(kind):
    read = kind.load(FILES / f"{kind.method}.json")
    for name, value in shipped(kind)["thresholds"].items():
        assert json.loads(json.dumps(getattr(read, name), default=asdict)) == value, name


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("alpha", "0.001", "'0.001' is no finite number"),
        ("alpha", True, "True is no finite number"),
        ("alpha", float("nan"), "nan is no finite number"),
        ("fewest_shared", 12.5, "12.5 is no whole number"),
        ("least_excess_distance", 3, "least_excess_distance: "),
        ("least_excess_distance", {"style": None}, "least_excess_distance['style']: None is"),
        ("misspelled", 1.0, "misspelled"),
    ],
)
def test_a_wrong_value_names_file_and_key(key, value, said, tmp_path):
    data = shipped(BehaviourThresholds)
    data["thresholds"][key] = value
    path = tmp_path / "behaviour.json"
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(ScratchError) as raised:
        BehaviourThresholds.load(path)
    line = str(raised.value)
    assert line.startswith(f"{path}: ")
    assert key in line
    assert said in line
    assert "\n" not in line


def test_a_missing_threshold_is_named():
    data = shipped(WeightsThresholds)
    del data["thresholds"]["merge_related"]
    with pytest.raises(ScratchError, match=r"calibration/weights.json: merge_related: required"):
        WeightsThresholds.from_json(data)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        *((kind, "thresholds") for kind in METHODS),
        (ArchitectureThresholds, "population"),
        (TokenizerThresholds, "columns"),
        (TokenizerThresholds, "pairs"),
        (TokenizerThresholds, "error_rates"),
        (TrainingLogThresholds, "population"),
        (TrainingLogThresholds, "controls"),
    ],
)
def test_a_missing_or_mangled_part_is_named(kind, part):
    data = shipped(kind)
    with pytest.raises(ScratchError, match=f"{part}: missing"):
        kind.from_json({name: value for name, value in data.items() if name != part})
    with pytest.raises(ScratchError, match=rf"calibration/{kind.method}.json: "):
        kind.from_json({**data, part: 3})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": "other"}'])
def test_what_is_no_calibration_is_refused(text, tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ScratchError, match=r"weights.json: \S"):
        WeightsThresholds.load(path)
    with pytest.raises(ScratchError, match="cannot be read"):
        WeightsThresholds.load(tmp_path / "absent.json")
