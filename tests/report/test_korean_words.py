"""Words of ours that stand inside a sentence are Korean in a Korean report, whatever brings them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.parameters import COUNTED, HEADLINES, ParameterCheck
from pytest_scratchverify.methods.behaviour.grading import shares
from pytest_scratchverify.methods.behaviour.usable import NOT_ANSWERED
from pytest_scratchverify.methods.training_log.compute import STATUSES, USABLE, compute_facts
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.wording import would_decide
from tests.report.runs import run_of
from tests.verdict.findings import finding

HANGUL = re.compile("[가-힣]")
TABLES = {"counted": COUNTED, "not answered": NOT_ANSWERED, "status": STATUSES}


@pytest.mark.parametrize("table", TABLES)
def test_every_word_of_a_table_is_said_in_korean(table):
    for text in TABLES[table].values():
        assert HANGUL.search(translate(text, "ko")), text


def test_every_status_of_a_fact_that_decides_nothing_has_a_word():
    entries = [
        e for facts in compute_facts().values() for e in facts.values() if isinstance(e, dict)
    ]
    assert {e["status"] for e in entries if "status" in e} - USABLE <= set(STATUSES)


def test_every_way_not_to_answer_has_a_word():
    source = shares.__code__.co_consts
    counted = {c for c in source if isinstance(c, str) and len(c) < 12} - {"answered"}
    assert counted == set(NOT_ANSWERED)


def test_a_parenthesis_of_a_count_is_korean():
    stated = {"total": "1B", "active": "1B", "names": [COUNTED["stored"], COUNTED["active"]]}
    said = translate(Text(HEADLINES[ParameterCheck.AS_STATED], **stated), "ko")
    assert "파일에 저장된 수, 활성" in said
    assert "stored" not in said


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_run_in_which_all_that_was_chosen_reported_says_what_was_left_out(language):
    run = run_of(finding(Outcome.INDETERMINATE))
    how = Text("only part of the suites was run ({how})", how=Text("named files"))
    part = replace(run, partial=True, partial_because=(how,))
    said = translate(would_decide(run.models[0], part)[0], language)
    assert "1 of 1" not in said
    assert translate(how, language) in said
