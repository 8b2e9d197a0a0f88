"""A run that did not do all it planned is stamped partial and never gives a clean verdict."""

from __future__ import annotations

import pytest


def no_clean_verdict(run):
    verdicts = [v["verdict"] for m in run["models"] for v in m["components"].values()]
    return run["partial"] and not {"NO_EVIDENCE_OF_REUSE", "INDEPENDENCE_AUDITED"} & set(verdicts)


def test_k_is_partial(suite, run):
    suite()
    result, found = run("-k", "text_decoder")
    assert result.ret == 10, result.stdout.str()
    assert no_clean_verdict(found)
    assert found["plan"]["planned"] == 21
    result.stdout.fnmatch_lines(["*PARTIAL RUN: 3 of 21 hypotheses were selected*"])


def test_x_is_partial_even_when_stopped_by_nothing_of_ours(suite, run, pytester):
    suite(embeddings="derived")
    result, found = run("-x")
    assert result.ret in (1, 2)
    assert no_clean_verdict(found)
    result.stdout.fnmatch_lines(["*PARTIAL RUN*"])


def test_a_killed_worker_acquits_nobody(suite, run):
    suite(text_decoder="crash")
    result, found = run("-n", "2")
    assert result.ret == 10, result.stdout.str()
    assert no_clean_verdict(found)
    assert found["plan"]["missing"]
    reasons = " ".join(text["text"] for text in found["partial_because"])
    assert "worker processes were lost" in reasons
    assert "never reported" in reasons


def test_a_timeout_is_partial(suite, run, pytester):
    suite(lm_head="hang")
    path = pytester.path / "matrix.toml"
    path.write_text(path.read_text().replace(', "org/second"', ""))
    result, found = run("--timeout", "1", "--scratch-model", "org/suspect")
    assert result.ret == 10, result.stdout.str()
    assert no_clean_verdict(found)


def test_lf_is_partial(suite, pytester):
    suite(text_decoder="derived")
    first = pytester.runpytest_subprocess()
    again = pytester.runpytest_subprocess("--lf")
    assert first.ret == again.ret == 1
    again.stdout.fnmatch_lines(["*PARTIAL RUN: only part of the suites was run (--lf)*"])


def test_node_ids_are_partial(suite, run):
    suite()
    result, found = run("test_suite.py::test_weights[org/other:org/reference:text_decoder]")
    assert result.ret == 10, result.stdout.str()
    assert no_clean_verdict(found)


def test_named_files_of_the_suites_are_partial(suite, run, pytester):
    suite()
    (pytester.path / "test_another.py").write_text("def test_nothing(): pass")
    result, found = run("test_suite.py")
    assert result.ret == 10, result.stdout.str()
    assert no_clean_verdict(found)


def test_naming_components_narrows_the_question_and_says_so(suite, run):
    suite()
    result, found = run("--scratch-component", "text_decoder")
    assert not found["partial"]
    assert set(found["models"][0]["components"]) == {"text_decoder"}
    assert found["options"]["component"] == ["text_decoder"]
    assert found["reproduce"] == (
        "pytest --scratch-component text_decoder --scratch-matrix=matrix.toml --scratch-depth quick"
    )
    assert result.ret == 10  # one component does not answer for the model


def test_a_report_that_cannot_be_written_costs_neither_verdict_nor_the_others(suite, run, pytester):
    suite()
    (pytester.path / "folder").mkdir()
    result, found = run("--scratch-verdict-md", "folder", "--scratch-verdict-html", "page.html")
    assert result.ret == 3
    assert found["models"]
    assert (pytester.path / "page.html").exists()
    result.stdout.fnmatch_lines(["*strict: *PASS*", "ERROR: *folder could not be written: *"])
    assert "Traceback" not in result.stdout.str()


def test_where_no_test_asks_a_line_says_how_it_is_asked(pytester, run):
    pytester.makepyfile(test_mine="def test_mine(): pass")
    result, found = run("--scratch-model", "skt/A.X-K1")
    assert (result.ret, found) == (0, None)
    result.stdout.fnmatch_lines(["No test here asks about a model. *scratchverify run --model*"])


def test_a_mark_that_is_wrong_is_one_line_and_no_other_advice(pytester, run):
    pytester.makepyfile(
        test_mine="""
        import pytest
        @pytest.mark.scratch("mine.number")
        def test_mine(model): pass
        """
    )
    result, _ = run("--scratch-model", "skt/A.X-K1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = result.stdout.str() + result.stderr.str()
    assert "scratch(method, component=...)" in said
    assert "No test here asks" not in said


@pytest.mark.parametrize(
    "arguments", [(), ("-n", "2"), ("-n", "2", "--dist", "loadscope"), ("-p", "no:randomly")]
)
def test_distribution_changes_no_byte(arguments, suite, run, pytester):
    suite(embeddings="unavailable", lm_head="derived")
    run()
    serial = (pytester.path / "run.json").read_bytes()
    run(*arguments)
    assert (pytester.path / "run.json").read_bytes() == serial
