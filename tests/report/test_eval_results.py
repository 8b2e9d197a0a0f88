"""The file of .eval_results: read by huggingface_hub's own parser, a number only where one is due."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from pytest_scratchverify.cli import main
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.eval_results import DATASET, render_eval_results
from pytest_scratchverify.verdict.verdict import PolicyResult, Result
from tests.report.runs import hostile_run, run_of
from tests.verdict.findings import finding


def entries(text):
    return parse_eval_result_entries(yaml.safe_load(text))


def judged(**results):
    """A run that was judged by these policies."""
    made = run_of(finding(Outcome.DERIVED))
    [model] = made.models
    policies = {n: PolicyResult(result=r, because=(Text("why"),)) for n, r in results.items()}
    return replace(
        made, models=(replace(model, policies=policies),), options={"policy": [*results]}
    )


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_file_of_a_real_pair_is_read_by_the_hubs_library(run, language):
    text = render_eval_results(run, language)
    assert text == render_eval_results(run, language)
    [entry] = entries(text)
    assert (entry.dataset_id, entry.task_id, entry.value) == (DATASET, "strict", 0)
    assert "DERIVED (tools/zoo/ready/s0)" in entry.notes


def test_only_what_a_policy_decided_has_a_number():
    made = judged(a=Result.PASS, b=Result.FAIL, c=Result.UNDETERMINED)
    text = render_eval_results(made, "en")
    assert {e.task_id: e.value for e in entries(text)} == {"a": 1, "b": 0}
    assert "# c: UNDETERMINED" in text
    assert entries(render_eval_results(judged(c=Result.UNDETERMINED), "en")) == []


def test_a_policy_that_was_not_chosen_has_no_entry():
    made = judged(a=Result.PASS, b=Result.FAIL)
    assert [e.task_id for e in entries(render_eval_results(replace(made, options={"policy": ["a"]}), "en"))] == ["a"]  # fmt: skip


def test_hostile_names_and_partial_runs_stay_one_document():
    partial = run_of(finding(Outcome.DERIVED), partial=(Text("x\n- dataset: {id: y}"),))
    for made in (hostile_run(), partial):
        assert all(e.dataset_id == DATASET for e in entries(render_eval_results(made, "en")))


def test_several_models_are_refused_in_one_line(run, home, capsys):
    other = run_of(finding(Outcome.CONSISTENT), name="org/other")
    both = replace(run, models=(*run.models, *other.models))
    with pytest.raises(Exception, match="speaks of one model, and this run has 2"):
        render_eval_results(both, "en")


def test_a_stored_run_renders_what_the_run_writes(ran, run, home, capsys):
    assert main(["render", str(home / "kept.json"), "--eval-results", "-"]) == 0
    assert capsys.readouterr().out == render_eval_results(run, "en")


def test_the_parser_refuses_what_is_none_of_its_files():
    with pytest.raises(KeyError):
        parse_eval_result_entries([{"dataset": {"id": DATASET}, "value": 1}])
