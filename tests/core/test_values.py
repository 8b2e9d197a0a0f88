"""Texts, JSON builtins, the wire form, Holm."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord, Finding, Outcome, Source, Statistic
from pytest_scratchverify.core.figure import Figure
from pytest_scratchverify.core.json_values import to_builtin
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.holm import holm
from pytest_scratchverify.verdict.serialization import dumps, finding_from_json
from tests.verdict.findings import finding

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_builtins_are_idempotent_and_valid_json(value):
    once = to_builtin(value)
    assert to_builtin(once) == once
    assert json.loads(json.dumps(once, allow_nan=False)) == once


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.int32(7), 7),
        (np.array([[1, 2]]), [[1, 2]]),
        (math.nan, None),
        (math.inf, None),
        (np.float32("nan"), None),
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (Source.HUB, "hub"),
    ],
)
def test_numpy_and_nan_become_builtins(value, expected):
    assert to_builtin(value) == expected


def test_what_has_no_json_form_is_refused():
    with pytest.raises(TypeError, match="has no JSON form"):
        to_builtin(object())


@given(VALUES, st.floats() | st.none())
def test_findings_survive_the_wire(details, value):
    original = finding(
        Outcome.DERIVED,
        headline=Text("{n} of {total}", n=3, total=[1, 2]),
        statistic=Statistic(name="s", value=value, n=4),
        components=(Component.TEXT_DECODER, Component.PROJECTOR),
        weight_bytes=10**12,
        figures=(Figure("tree", {"newick": "(a,b);", "model": "a"}),),
        details={"x": details},
        artifacts=(ArtifactRecord(repo="o/m", file="f", source=Source.HUB, note=Text("why")),),
    )
    restored = finding_from_json(dumps(original))
    assert isinstance(restored, Finding)
    assert dumps(restored) == dumps(original)
    assert restored.id == original.id
    assert restored.components == original.components
    assert restored.figures == original.figures


def test_texts_group_long_numbers_and_join_lists():
    text = Text("{bytes} in {files}, {share}", bytes=1234567, files=["a", "b"], share=0.123456)
    assert str(text) == "1,234,567 in a, b, 0.1235"
    assert str(Text("{n}", n=4096)) == "4096"


def test_texts_may_hold_texts():
    text = Text("found nothing; {power}", power=Text("down to {x}", x=0.05))
    assert str(text) == "found nothing; down to 0.05"
    assert text.render("nichts; {power}", {"down to {x}": "bis {x}"}.get) == "nichts; bis 0.05"
    wired = finding_from_json(dumps(finding(Outcome.CONSISTENT, headline=text)))
    assert str(wired.headline) == str(text)


def test_holm_against_a_worked_example():
    """Holm (1979): sorted p times the number of hypotheses left, made monotone."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_and_never_exceeds_one(pvalues):
    adjusted = holm(pvalues)
    assert all(p <= q + 1e-15 and q <= 1 for p, q in zip(pvalues, adjusted, strict=True))
