"""From outcomes to exit codes: what accuses, what clears, what blocks, what is nobody's guilt."""

from __future__ import annotations

import pytest

DECODER = "text_decoder"


def verdict(run, model="org/suspect", component=DECODER):
    found = next(entry for entry in run["models"] if entry["model"] == model)
    return found["components"][component]["verdict"]


def test_all_consistent_exits_0_and_names_references_and_power(suite, run):
    suite()
    result, found = run()
    assert result.ret == 0, result.stdout.str()
    assert verdict(found) == "NO_EVIDENCE_OF_REUSE"
    reason = found["models"][0]["components"][DECODER]["because"][0]["text"]
    assert "org/reference, org/second" in reason
    assert "power" in reason
    assert found["models"][0]["policies"]["strict"]["result"] == "PASS"
    assert "vision_encoder" not in found["models"][0]["components"]


def test_one_derived_exits_1_with_a_visible_assert(suite, run):
    suite(text_decoder="derived")
    result, found = run()
    assert result.ret == 1
    assert verdict(found) == "DERIVED"
    assert found["models"][0]["policies"]["strict"]["result"] == "FAIL"
    result.stdout.fnmatch_lines(["*assert not finding.derived, finding.headline*"])
    result.stdout.fnmatch_lines(["*AssertionError: measured derived*"])


@pytest.mark.parametrize("outcome", ["indeterminate", "unavailable"])
def test_an_open_question_exits_10_and_shows_a_question_mark(outcome, suite, run):
    suite(embeddings=outcome)
    result, found = run()
    assert result.ret == 10, result.stdout.str()
    assert verdict(found, component="embeddings") == "INSUFFICIENT_EVIDENCE"
    assert verdict(found) == "NO_EVIDENCE_OF_REUSE"
    result.stdout.fnmatch_lines(["*test_suite.py *[?]*"])
    assert not found["partial"]


def test_declared_reuse_exits_0_and_is_a_category_of_its_own(suite, run):
    suite(lm_head="declared")
    result, found = run()
    assert result.ret == 0, result.stdout.str()
    assert verdict(found, component="lm_head") == "DECLARED_REUSE"
    result.stdout.fnmatch_lines(["*3 declared*"])


def test_a_bug_of_ours_is_an_error_and_never_evidence(suite, run):
    suite(text_decoder="bug")
    result, found = run()
    assert result.ret == 10, result.stdout.str()
    assert verdict(found) == "INSUFFICIENT_EVIDENCE"
    assert found["partial"]
    result.stdout.fnmatch_lines(["*ZeroDivisionError: a bug of ours*", "*harness*", "*3 errors*"])


def test_the_ini_file_can_turn_undetermined_into_a_warning(suite, run):
    suite(embeddings="unavailable")
    result, _ = run("-o", "scratch_undetermined=warn")
    assert result.ret == 0


def test_derived_without_controls_still_fails_the_test_but_is_only_a_lead(suite, run, pytester):
    suite(text_decoder="derived")
    path = pytester.path / "test_suite.py"
    path.write_text(path.read_text().replace("controls=CONTROLS", "controls=()"))
    result, found = run()
    assert result.ret == 1
    assert verdict(found) == "SUSPECTED"


def test_a_test_that_records_nothing_is_a_harness_error(suite, run, pytester):
    suite()
    path = pytester.path / "test_suite.py"
    path.write_text(
        path.read_text().replace(
            "    finding = record(made", "    return\n    finding = record(made"
        )
    )
    result, found = run()
    assert result.ret == 10
    assert found["partial"]
    assert verdict(found) == "INSUFFICIENT_EVIDENCE"


def test_a_finding_about_something_else_than_planned_is_refused(suite, run, pytester):
    suite()
    path = pytester.path / "test_suite.py"
    path.write_text(
        path.read_text().replace(
            'record(made(pair, "weights." + component', 'record(made(pair, "weights.other"'
        )
    )
    result, _ = run()
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*ValueError: planned*"])
