"""The suite as a user runs it: recorded answers, a failing server, two processes."""

from __future__ import annotations

import gzip
import re

import pytest

from pytest_scratchverify.methods import behaviour as methods
from pytest_scratchverify.methods.behaviour.asking import Answer, probe_set
from pytest_scratchverify.methods.behaviour.asking.request import request_for
from tests.behaviour.recorded import RECORDED, STRANGERS
from tests.behaviour.server import BadServer
from tools.running import ROOT, run_suites

SUITE = "suites/test_behaviour.py"
OTHERS = ("s2", "s3", "w0", "moe0", "t0")


def given(*names):
    return [part for n in names for part in ("--answers", f"zoo/{n}={RECORDED / f'{n}.jsonl.gz'}")]


def run(model, reference, tmp_path, *more, others=OTHERS):
    return run_suites("--model", f"zoo/{model}", "--against", f"zoo/{reference}",
                      *given(model, reference, *others), "--offline", *more,
                      home=tmp_path, suites=SUITE)  # fmt: skip


def test_a_fine_tune_is_told_from_an_independent_model(tmp_path):
    page = tmp_path / "v.html"
    kin = run("s0-finetune", "s0", tmp_path, "--verdict-html", str(page), others=("s1", *OTHERS))
    assert kin.code == 10, kin.output  # a lead fails no policy that asks about weights
    found = kin.finding("behaviour.output_agreement")
    assert (found["outcome"], found["reference"]) == ("indeterminate", "zoo/s0")
    assert found["direction"] == "toward_reuse"
    assert kin.verdicts("zoo/s0-finetune")["behaviour"] == "SUSPECTED"
    assert kin.verdicts("zoo/s0-finetune")["text_decoder"] == "INSUFFICIENT_EVIDENCE"
    assert "no finding on weights" in page.read_text("utf-8")
    stranger = run("s1", "s0", tmp_path)
    assert stranger.code == 10, stranger.output
    assert stranger.finding("behaviour.output_agreement")["outcome"] == "consistent"
    assert stranger.verdicts("zoo/s1")["behaviour"] == "INSUFFICIENT_EVIDENCE"


def test_without_answers_the_remedy_names_the_options(tmp_path):
    ran = run_suites(
        "--model", "zoo/s1", "--against", "zoo/s0", "--offline", home=tmp_path, suites=SUITE
    )
    assert ran.code == 10
    assert {f["outcome"] for f in ran.run["findings"]} == {"unavailable"}
    remedy = ran.finding("behaviour.answers")["remedy"]["text"]
    assert "--endpoint" in remedy
    assert "--answers" in remedy


def test_a_missing_and_a_foreign_file_are_sentences(tmp_path):
    (tmp_path / "bad.jsonl").write_text("<html>\n{}\n")
    missing, foreign = (
        run_suites(
            "--model", "zoo/s1", "--answers", str(path), "--offline", home=tmp_path, suites=SUITE
        )
        for path in ("nowhere.jsonl", tmp_path / "bad.jsonl")
    )
    assert missing.code == 4
    assert "--answers nowhere.jsonl: there is no such file" in missing.output
    assert foreign.finding("behaviour.answers")["outcome"] == "unavailable"
    assert "Traceback" not in missing.output + foreign.output


@pytest.mark.parametrize(
    "mode",
    ["fallback", "garbage",
     *(pytest.param(m, marks=pytest.mark.slow)
       for m in ("empty", "truncated", "dies", "always_limited", "errors"))],
)  # fmt: skip
def test_a_failing_server_never_yields_a_verdict(mode, tmp_path):
    """The tested model fails; reference and strangers are well recorded.

    The last sixty probes are asked of the server, the others were asked of it before.
    """
    kept = tmp_path / "x.jsonl"
    rule = {"fallback": ("I am sorry, something went wrong. Please try again.", "stop"),
            "empty": ("  ", "stop"), "truncated": ("The", "length")}  # fmt: skip
    text, finish = rule.get(mode, (None, None))
    with BadServer(mode, after=20) as server:
        before = probe_set("all")[:-60] if mode != "garbage" else ()
        rows = [
            Answer(api="completions", body=request_for(probe, "completions").body, model="zoo/x",
                   text=text or BadServer.text_of({"prompt": probe.prompt}), finish_reason=finish)
            for probe in before
        ]  # fmt: skip
        kept.write_text("".join(row.to_line() + "\n" for row in rows))
        ran = run_suites("--model", "zoo/x", "--against", "zoo/s0", "--endpoint", server.url,
                         "--endpoint-api", "completions", *given("s0", *OTHERS), "--offline",
                         "--answers", f"zoo/x={kept}", home=tmp_path, suites=SUITE)  # fmt: skip
        assert ran.code == 10, ran.output
        assert {f["outcome"] for f in ran.run["findings"]} <= {"indeterminate", "unavailable"}
        assert {f["direction"] for f in ran.run["findings"]} == {"none"}
        assert ran.verdicts("zoo/x")["behaviour"] == "INSUFFICIENT_EVIDENCE"
        assert "Traceback" not in ran.output
        assert server.requests


def test_a_cut_off_run_is_resumed_and_asked_once_by_two_processes(tmp_path):
    path = tmp_path / "kept.jsonl"
    packed = (RECORDED / "s0-finetune.jsonl.gz").read_bytes()
    lines = gzip.decompress(packed).decode().replace("zoo/s0-finetune", "served").splitlines()
    assert len(lines) == len(probe_set("all"))
    path.write_text("\n".join(lines[:-40]) + "\n")
    with BadServer() as server:
        arguments = ["--model", "zoo/s1", "--against", "zoo/s0", "--endpoint", server.url,
                     "--endpoint-model", "served", "--endpoint-api", "completions",
                     "--answers", str(path), *given("s0", *OTHERS), "--endpoint-price", "1/2"]  # fmt: skip
        first = run_suites(*arguments, "-n", "2", home=tmp_path, suites=SUITE)
        assert len(server.requests) == 40
        second = run_suites(*arguments, "--report-lang", "ko", home=tmp_path, suites=SUITE)
        assert len(server.requests) == 40
    assert first.json_bytes == second.json_bytes
    assert first.finding("behaviour.answers")["details"]["cost"] > 0
    assert "행동" in second.output


def test_usage_errors_name_what_to_write(tmp_path):
    ran = run_suites(
        "--model", "a/b", "--model", "c/d", "--answers", "x.jsonl", home=tmp_path, suites=SUITE
    )
    assert ran.code == 4
    assert "NAME=" in ran.output
    ran = run_suites("--model", "a/b", "--endpoint-price", "cheap", home=tmp_path, suites=SUITE)
    assert ran.code == 4


def test_an_offline_run_asks_no_other_machine(tmp_path):
    ran = run_suites("--model", "a/b", "--endpoint", "http://example.org/v1", "--offline",
                     home=tmp_path, suites=SUITE)  # fmt: skip
    assert "offline" in ran.finding("behaviour.answers")["headline"]["text"]


def test_every_method_has_a_suite_test_a_page_and_a_recording():
    suite = (ROOT / SUITE).read_text()
    page = (ROOT / "docs/methods/behaviour.md").read_text()
    for name in methods.__all__:
        if name in ("BehaviourThresholds", "PairedAnswers"):
            continue
        assert f"methods.{name}(" in suite, name
        assert f"`{name}`" in page, name
    for test in re.split(r"\n@pytest.mark.scratch", suite)[1:]:
        assert len(test.split("\ndef _")[0].strip().splitlines()) <= 11
    assert {p.name.split(".")[0] for p in RECORDED.glob("*.gz")} >= set(STRANGERS)


@pytest.mark.slow
def test_a_hundred_tokens_are_asked_and_answer_the_test_of_agreement(tmp_path):
    """``--endpoint-probes next-token``: 100 requests of one token; recorded ones make a lead."""
    tokens = ROOT / "tests" / "behaviour" / "next_tokens"
    others = [part for name in ("s1", "s2", "s3", "w0", "t0", "moe0")
              for part in ("--answers", f"zoo/{name}={tokens / f'{name}.jsonl.gz'}")]  # fmt: skip
    pair = ["--against", "zoo/s0", "--answers", f"zoo/s0={tokens / 's0.jsonl.gz'}", *others]
    kin = run_suites("--model", "zoo/s0-lora", *pair, "--offline", "--answers",
                     f"zoo/s0-lora={tokens / 's0-lora.jsonl.gz'}",
                     home=tmp_path, suites=SUITE)  # fmt: skip
    assert kin.code == 10, kin.output
    found = kin.finding("behaviour.output_agreement")
    assert (found["outcome"], found["direction"]) == ("indeterminate", "toward_reuse")
    assert found["details"]["queries"] == 100
    assert kin.verdicts("zoo/s0-lora")["behaviour"] == "SUSPECTED"
    with BadServer("rivals") as server:
        asked = run_suites("--model", "zoo/x", *pair, "--endpoint", server.url, "--endpoint-api",
                           "completions", "--endpoint-probes", "next-token", "--offline",
                           "--endpoint-price", "1/2", home=tmp_path, suites=SUITE)  # fmt: skip
        assert len(server.requests) == 100
        assert {body["max_tokens"] for body in server.requests} == {1}
        assert {body["logprobs"] for body in server.requests} == {5}
    assert asked.finding("behaviour.output_agreement")["direction"] == "none"
    assert "endpoint-probes next-token" in asked.output
