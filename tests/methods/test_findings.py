"""What a hypothesis gives to its findings, and what they state themselves."""

from __future__ import annotations

import doctest
from dataclasses import fields

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord, Finding, Level, Outcome, Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods import findings
from pytest_scratchverify.methods.findings import Hypothesis, Measured

RECORD = ArtifactRecord(repo="a/b", file="config.json", source=Source.HUB)
TESTED = Hypothesis(
    method="area.statistic",
    component=Component.TOKENIZER,
    model="a/b",
    reference="c/d",
    statement=Text("unrelated"),
    level=Level.E2,
    dependence_group="area",
    artifacts=(RECORD,),
    details={"shared": 1},
)


def test_a_finding_can_be_given_every_field_but_those_of_its_hypothesis():
    given = {"method", "component", "model", "reference", "hypothesis", "dependence_group",
             "outcome", "headline"}  # fmt: skip
    assert set(Measured.__annotations__) == {f.name for f in fields(Finding)} - given


def test_level_artifacts_and_details_hold_unless_a_finding_states_its_own():
    plain = TESTED.finding(Outcome.CONSISTENT, Text("apart"))
    assert (plain.level, plain.artifacts, plain.details) == (Level.E2, (RECORD,), {"shared": 1})
    own = TESTED.finding(
        Outcome.DERIVED, Text("one"), level=Level.E3, artifacts=(), details={"more": 2}
    )
    assert (own.level, own.artifacts) == (Level.E3, ())
    assert own.details == {"more": 2, "shared": 1}


def test_a_test_that_could_not_be_made_is_no_evidence():
    found = TESTED.undecided(Text("too few"), remedy=Text("give more"))
    assert (found.outcome, found.level) == (Outcome.INDETERMINATE, Level.E0)
    assert found.remedy == Text("give more")


def test_the_documented_example_holds():
    assert doctest.testmod(findings).failed == 0
