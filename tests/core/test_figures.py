"""Figure data: typed on both ends of the way, JSON on it, refused where of another form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.core.evidence import Control
from pytest_scratchverify.core.figure import Figure, FigureData, FigureDataError
from pytest_scratchverify.core.known_pairs import known_pairs


@dataclass(frozen=True, slots=True)
class Part:
    a: float


@dataclass(frozen=True, slots=True)
class Example(FigureData):
    kind: ClassVar[str] = "example"

    steps: tuple[int, ...]
    names: tuple[str, ...]
    part: Part | None = None


@given(
    steps=st.lists(st.integers()),
    names=st.lists(st.text()),
    part=st.none() | st.floats(allow_nan=False, allow_infinity=False).map(Part),
)
def test_data_come_back_as_they_were_left(steps, names, part):
    data = Example(tuple(steps), tuple(names), part)
    assert Example.from_json(data.to_json().data) == data


def test_numpy_scalars_become_builtins():
    left = Example(tuple(np.array([1, 2])), (), Part(np.float32(0.5)))
    assert left.to_json() == Figure("example", {"steps": [1, 2], "names": [], "part": {"a": 0.5}})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"steps": [1]},
        {"steps": ["x"], "names": []},
        {"steps": 1, "names": []},
        {"steps": [], "names": [], "part": [1]},
        {"steps": [], "names": [], "part": {"a": None}},
        {"steps": [], "names": [], "more": 1},
        [],
        None,
    ],
    ids=str,
)
def test_data_of_another_form_are_refused(data):
    with pytest.raises(FigureDataError, match="no data of example"):
        Example.from_json(data)


PLAIN = [
    Control(kind="positive", pair=("s0", "child"), passed=True, value=0.9),
    Control(kind="negative", pair=("s0", "s1"), passed=True, value=0.01),
    Control(kind="self_permuted", pair=("m", "renumbered"), passed=True, value=0.02),
]
DISGUISED = [
    Control(kind="positive", pair=("s0", "child"), passed=True, value=0.8, disguised=True),
    Control(kind="negative", pair=("s0", "s1"), passed=True, value=0.0, disguised=True),
]


def test_a_value_stands_beside_controls_of_its_own_scale():
    plain = known_pairs("cosine", 0.5, [*PLAIN, *DISGUISED])
    assert (plain.positive, plain.negative, plain.self_permuted) == ((0.9,), (0.01,), (0.02,))
    other = known_pairs("share", 0.5, [*PLAIN, *DISGUISED], disguised=True)
    assert (other.positive, other.negative, other.self_permuted) == ((0.8,), (0.0,), ())


@pytest.mark.parametrize("controls", [PLAIN[:1], PLAIN[1:], [], DISGUISED])
def test_without_a_descendant_and_a_stranger_there_is_nothing_to_stand_beside(controls):
    assert known_pairs("cosine", 0.5, controls) is None
    assert known_pairs("cosine", None, PLAIN) is None


def test_reports_name_a_disguised_copy():
    assert PLAIN[0].shown_pair == ("s0", "child")
    assert DISGUISED[0].shown_pair == ("s0", "child, disguised")
