"""Tables of headlines: every case that a method decides has its sentence."""

from __future__ import annotations

from enum import StrEnum
from importlib import import_module
from string import Formatter

import pytest

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.similarity import PairSimilarity

TABLES = (
    "behaviour.answer_quality",
    "behaviour.cutoff",
    "behaviour.identity",
    "tokenizer.ancestor_search",
    "tokenizer.config_sizes",
    "tokenizer.headlines",
    "tokenizer.published_figures",
    "tokenizer.settings",
)


def table(name):
    return import_module(f"pytest_scratchverify.methods.{name}").HEADLINES


@pytest.mark.parametrize("name", TABLES)
def test_every_case_has_a_headline_and_no_two_share_one(name):
    (kind,) = {type(case) for case in table(name)}
    assert issubclass(kind, StrEnum)
    assert set(table(name)) == set(kind)
    assert len(set(table(name).values())) == len(kind)


def test_only_distances_can_be_concentrated_and_only_agreement_elevated_or_manner():
    agreement, style = table("behaviour.agreement"), table("behaviour.style")
    assert set(agreement) == set(PairSimilarity) - {PairSimilarity.CONCENTRATED}
    assert set(style) == set(PairSimilarity) - {PairSimilarity.ELEVATED, PairSimilarity.MANNER}


@pytest.mark.parametrize("name", TABLES)
def test_a_filled_template_keeps_the_values_that_it_names(name):
    for template in table(name).values():
        names = {field for _, field, _, _ in Formatter().parse(template) if field}
        filled = Text.filled(template, {**dict.fromkeys(names, "x"), "unasked": "y"})
        assert set(filled.params) == names
        assert "{" not in str(filled)
