"""The plan: marks that cannot be read are one line, and a repeat is no hypothesis of its own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Intent, Outcome, Statistic
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.plugin.collection import _intent
from pytest_scratchverify.plugin.controller import _hypotheses
from pytest_scratchverify.report.explanation import explained


def item(*arguments, params=None, **keywords):
    mark = pytest.mark.scratch(*arguments, **keywords).mark
    params = {"model": ModelSpec(name="m")} if params is None else params
    return SimpleNamespace(
        nodeid="test_mine.py::test_it[m]",
        callspec=SimpleNamespace(params=params),
        get_closest_marker=lambda _: mark,
    )


def test_a_mark_names_a_hypothesis():
    intent = _intent(item("a.{model}", component="{part}", params={
        "model": ModelSpec(name="m"), "part": Component.LM_HEAD}))  # fmt: skip
    assert (intent.method, intent.component, intent.model) == ("a.m", Component.LM_HEAD, "m")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (item("a.b"), "got ('a.b')"),
        (item(component="lm_head"), "got (component='lm_head')"),
        (item("a.b", component="lm_head", level=3), "level=3"),
        (
            item("a.b", component="head"),
            "'head' is not a valid Component; components are tokenizer",
        ),
        (item("a.b", component="{tower}"), "'tower'; components are"),
        (item("a.{}", component="lm_head"), "components are"),
        (item("a.{b", component="lm_head"), "components are"),
        (item("a.b", component="lm_head", depth="deep"), "depth is one of metadata, quick"),
        (item("a.b", component="lm_head", params={}), "takes none of model, pair"),
        (item("a.b", component="lm_head", params={"model": "mine"}), "takes none of model, pair"),
    ],
)
def test_a_mark_that_cannot_be_read_is_a_usage_error_that_names_the_test(made, said):
    with pytest.raises(pytest.UsageError) as failed:
        _intent(made)
    assert str(failed.value).startswith("test_mine.py::test_it[m]: scratch(method, component=...)")
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_repeated_test_asks_one_hypothesis():
    def intents(*nodeids, **changed):
        given = {"method": "a.b", "component": Component.LM_HEAD, "model": "m", **changed}
        return {nodeid: Intent(nodeid=nodeid, **given) for nodeid in nodeids}

    repeats = intents("t.py::test_a[m-2-2]", "t.py::test_a[m-1-2]")
    others = intents("t.py::test_b[m]") | intents("t.py::test_a[n]", model="n")
    assert [one.nodeid for one in _hypotheses({**repeats, **others})] == [
        "t.py::test_a[m-1-2]",
        "t.py::test_a[n]",
        "t.py::test_b[m]",
    ]


def test_an_explanation_tells_what_there_is_to_tell():
    def found(outcome, **more):
        return Finding(
            method="a.b", component=Component.LM_HEAD, model="m", outcome=outcome,
            headline=Text("said"), hypothesis=Text("h"), **more,
        )  # fmt: skip

    measured = found(Outcome.CONSISTENT, statistic=Statistic(name="cosine", value=0.5))
    told = [str(line) for line in explained(
        "a.b", None, None, [found(Outcome.NOT_APPLICABLE), measured])]  # fmt: skip
    assert "  statistic: cosine = 0.5" in told
    assert "not applicable in 1 more cases" in told
    assert not any("interval" in line for line in told)
    alone = [str(line) for line in explained("a.b", None, None, [found(Outcome.NOT_APPLICABLE)])]
    assert any("not applicable:" in line for line in alone)
