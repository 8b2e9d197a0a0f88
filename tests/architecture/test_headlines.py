"""Every result of an architecture test has an outcome and a sentence; none accuses."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.methods.architecture import claims, design, parameters

TABLES = [
    (claims.ClaimCheck, claims.OUTCOMES, claims.HEADLINES),
    (design.Nearness, design.OUTCOMES, design.HEADLINES),
    (parameters.ParameterCheck, parameters.OUTCOMES, parameters.HEADLINES),
]


@pytest.mark.parametrize(
    ("results", "outcomes", "headlines"), TABLES, ids=[table[0].__name__ for table in TABLES]
)
def test_tables_are_complete_and_accuse_nobody(results, outcomes, headlines):
    assert set(results) == set(outcomes) == set(headlines)
    assert Outcome.DERIVED not in outcomes.values()
