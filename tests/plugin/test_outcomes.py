"""From outcomes to exit codes: what accuses, what clears, what blocks, what is nobody's guilt."""

from __future__ import annotations

import json

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
    result.stdout.fnmatch_lines(
        [
            "E     claim      h",
            "E     measured   no statistic; effect: e = 0.9",
            "E     p          1e-09, before the correction for the number of tests",
            "E     controls   positive: 1 of 1 passed; negative: 1 of 1 passed",
            "E     reference  org/reference (org/suspect, text decoder)",
        ],
        consecutive=True,
    )
    assert "<function" not in result.stdout.str()  # no fixture, no local, no repr of a finding
    assert "Finding(" not in result.stdout.str()


@pytest.mark.parametrize("outcome", ["indeterminate", "unavailable"])
def test_an_open_question_exits_10_and_shows_a_question_mark(outcome, suite, run):
    suite(embeddings=outcome)
    result, found = run("-ra")
    assert result.ret == 10, result.stdout.str()
    why = "org/x is gated. Set HF_TOKEN." if outcome == "unavailable" else "measured indeterminate"
    result.stdout.fnmatch_lines([f"INCONCLUSIVE [[]3] test_suite.py: {why}"])
    assert verdict(found, component="embeddings") == "INSUFFICIENT_EVIDENCE"
    assert verdict(found) == "NO_EVIDENCE_OF_REUSE"
    result.stdout.fnmatch_lines(["*test_suite.py *[?]*"])
    assert not found["partial"]


def test_declared_reuse_is_a_category_of_its_own_and_the_exit_code_is_the_policys(suite, run):
    """No test fails; `strict` says FAIL of a declared head, and the exit code says the same."""
    suite(lm_head="declared")
    result, found = run("-v")
    result.stdout.re_match_lines(
        [r"test_suite.py::test_weights.*lm_head\] DECLARED +\[.*", "    measured declared"],
        consecutive=True,
    )
    assert verdict(found, component="lm_head") == "DECLARED_REUSE"
    assert found["models"][0]["policies"]["strict"]["result"] == "FAIL"
    assert result.ret == 1, result.stdout.str()
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
    assert verdict(found) == "SUSPECTED"
    assert found["models"][0]["policies"]["strict"]["result"] == "UNDETERMINED"
    assert result.ret == 10  # the test's own alpha is not the verdict's
    result.stdout.fnmatch_lines(["*a lead and no finding: not both kinds of*"])
    assert run("-o", "scratch_undetermined=warn")[0].ret == 0


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
    result.stdout.fnmatch_lines(
        ["* ERROR at call of *", "*by the fixture `record`: record(finding)"]
    )
    assert "report this as a bug" not in result.stdout.str()
    assert "Strongest evidence" not in result.stdout.str()


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


def test_a_finding_that_no_policy_asks_about_is_reported_and_fails_nothing(suite, run, pytester):
    suite(vision_encoder="derived")
    path = pytester.path / "test_suite.py"
    path.write_text(path.read_text().replace("Component.LM_HEAD)", "*Component)"))
    result, found = run("--scratch-policy", "text-only")
    model = found["models"][0]
    assert verdict(found, component="vision_encoder") == "DERIVED"
    assert model["policies"]["text-only"]["result"] == "PASS"
    assert "is reported" in model["policies"]["text-only"]["because"][1]["text"]
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*test_suite.py *r*", "*vision_encoder: DERIVED*is reported*"])
    assert not {"failed", "errors"} & result.parseoutcomes().keys()
    both, _ = run("--scratch-policy", "text-only", "--scratch-policy", "strict")
    assert both.ret == 1, both.stdout.str()


def test_an_adjusted_pvalue_decides_the_exit_code(suite, run, pytester):
    """Rejected at its own alpha, not after the adjustment for all that was planned."""
    suite(text_decoder="derived")
    path = pytester.path / "test_suite.py"
    path.write_text(path.read_text().replace("pvalue=1e-9", "pvalue=5e-4"))
    result, found = run()
    assert verdict(found) == "SUSPECTED"
    assert result.ret == 10, result.stdout.str()


@pytest.mark.parametrize("spelling", ["org/suspect", "org/Suspect"])
def test_a_model_compared_with_itself_says_so(spelling, suite, run):
    suite()
    result, found = run("--scratch-model", "org/suspect", "--scratch-against", spelling)
    assert verdict(found) == "INSUFFICIENT_EVIDENCE"
    missing = found["models"][0]["components"][DECODER]["missing"]
    assert any("is the tested model itself" in text["text"] for text in missing)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*tested model itself*"])


def test_a_folder_under_another_path_is_the_model_itself(suite, run, pytester):
    suite()
    (pytester.path / "model").mkdir()
    (pytester.path / "link").symlink_to("model")
    for other in ("./model", "./model/../model", "./link", str(pytester.path / "model")):
        _, found = run("--scratch-model=./model", f"--scratch-against={other}")
        assert verdict(found, "./model") == "INSUFFICIENT_EVIDENCE", other
        assert "itself" in json.dumps(found["models"][0]["components"][DECODER]), other


def test_a_model_beside_itself_is_compared_with_the_others(suite, run):
    suite()
    _, found = run(
        *("--scratch-model", "org/suspect"),
        *("--scratch-against", "org/suspect", "--scratch-against", "org/second"),
    )
    decoder = found["models"][0]["components"][DECODER]
    assert decoder["verdict"] == "NO_EVIDENCE_OF_REUSE"
    assert decoder["cleared"] == ["org/second"]
    assert [entry["reference"] for entry in decoder["not_compared"]] == ["org/suspect"]
