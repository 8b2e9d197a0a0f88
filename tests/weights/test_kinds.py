"""Kinds and steps are terms that reports translate."""

from __future__ import annotations

import json

import pytest

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.headlines import HEADLINES, Case, case_of
from pytest_scratchverify.methods.weights.judgement import ACCUSING, Judgement, Relation
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.step import Step
from pytest_scratchverify.report.headline import KIND_WORDS
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.verdict.serialization import dumps, finding_from_json


def test_every_step_and_kind_is_a_term_of_the_reports():
    assert all(translate(Text(step.value), "ko") != step.value for step in Step)
    # A shared initialisation has a headline of its own, which says it.
    assert {*Kind} - {*KIND_WORDS} == {Kind.SHARED_INITIALISATION}


def test_kinds_are_said_one_by_one_in_every_language():
    said = Text("{kind}", kind=[Kind.PERMUTED_CHANNELS, Kind.PERMUTED_NEURONS])
    assert str(said) == translate(said, "en") == "renumbered channels, renumbered neurons"
    korean = [
        translate(KIND_WORDS[k], "ko") for k in (Kind.PERMUTED_CHANNELS, Kind.PERMUTED_NEURONS)
    ]
    assert translate(said, "ko") == ", ".join(korean)


def test_kinds_travel_as_a_list_of_plain_strings():
    finding = Finding(
        method="weights.origin", component=Component.TEXT_DECODER, model="a",
        outcome=Outcome.DERIVED, headline=Text("x"), hypothesis=Text("y"),
        kinds=(Kind.ROTATED, Kind.PRUNED),
    )  # fmt: skip
    assert [type(kind) for kind in finding.kinds] == [str, str]
    assert json.loads(dumps(finding))["kinds"] == ["rotated", "pruned copy"]
    assert finding_from_json(dumps(finding)) == finding


@pytest.mark.parametrize("relation", [None, *sorted(ACCUSING), Relation.UNCLEAR])
@pytest.mark.parametrize("step", Step)
def test_every_judgement_has_a_headline(relation, step):
    judgement = Judgement(relation, step, 1e-9, 0.5)
    assert HEADLINES[case_of(judgement, Outcome.INDETERMINATE)]
    assert set(HEADLINES) == set(Case)


def test_token_tables_are_the_components_whose_rows_are_tokens():
    assert set(TOKEN_TABLES) == {Component.EMBEDDINGS, Component.LM_HEAD}
