"""Innocent pairs of hard kinds through the whole suites: nobody is accused of having taken."""

from __future__ import annotations

import pytest

from benchmarks.innocent_suites import words
from pytest_scratchverify import verify
from tools.zoo.innocents import KINDS, sides

PAIRS = 100
QUICK = "zero neurons at the end of both"


def test_there_are_a_hundred_pairs():
    assert 4 * len(KINDS) >= PAIRS


@pytest.mark.parametrize(
    "name", [n if n == QUICK else pytest.param(n, marks=pytest.mark.slow) for n in KINDS]
)
def test_four_innocent_pairs_of_a_kind_are_not_accused(name, tmp_path):
    suspect, *references = sides([*KINDS].index(name), tmp_path)
    run = verify(suspect, against=references, offline=True, quiet=True)
    said = words(run)
    assert said.total() == len(references)
    assert said["accused"] == 0
    [model] = run.models
    verdicts = {str(c): str(v.verdict) for c, v in model.components.items()}
    verdicts.pop("tokenizer")
    assert not {*verdicts.values()} & {"DERIVED", "REUSED_VERBATIM"}
    if not KINDS[name].shares_a_table:
        assert said["shared"] == said["lead"] == 0
