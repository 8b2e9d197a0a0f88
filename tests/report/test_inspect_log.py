"""The log for Inspect: valid by its own schema, and opened by its own reader.

The schema is inspect_ai's (EvalLog.model_json_schema()), kept here, so that every run of the tests is
held against it. inspect_ai itself brings forty packages and an older fsspec than ours: the slow test
makes an environment for it (docs/adr/0002-dependencies.md), reads a log, and compares the schema.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from pytest_scratchverify.cli import main
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.inspect_log import render_inspect_log
from tests.report.runs import hostile_run, run_of
from tests.verdict.findings import finding
from tools.running import ROOT

PINNED = "inspect_ai==0.3.285"
LISTED = "2026-11-26T00-00-00_scratchverify.json"  # Inspect lists no JSON of another name
SCHEMA = Path(__file__).with_name("inspect_log.schema.json")
READER = """
import json, sys
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
json.dump(EvalLog.model_json_schema(), open(sys.argv[2], "w"))
logs = [read_eval_log(info) for info in list_eval_logs(sys.argv[1])]
print(json.dumps([{
    "status": log.status, "model": log.eval.model, "samples": len(log.samples),
    "outcomes": sorted(sample.scores["outcome"].value for sample in log.samples),
    "scores": {s.name: {k: m.value for k, m in s.metrics.items()} for s in log.results.scores},
} for log in logs]))
"""


def properties(schema):
    """What each object of a schema has and has to have; its words are pydantic's."""
    objects = {"EvalLog": schema, **schema["$defs"]}
    return {
        name: (sorted(one.get("properties", ())), sorted(one.get("required", ())))
        for name, one in objects.items()
    }


@pytest.fixture(scope="module")
def schema():
    kept = json.loads(SCHEMA.read_text("utf-8"))
    return jsonschema.validators.validator_for(kept, jsonschema.Draft202012Validator)(kept)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_log_of_a_real_pair_is_valid_and_the_same_each_time(run, schema, language):
    text = render_inspect_log(run, language)
    assert text == render_inspect_log(run, language)
    log = json.loads(text)
    schema.validate(log)
    assert log["status"] == "success"
    assert len(log["samples"]) == len(run.findings) == len({s["id"] for s in log["samples"]})
    by_name = {score["name"]: score["metrics"] for score in log["results"]["scores"]}
    assert {k: m["value"] for k, m in by_name["policy strict"].items()} == {"FAIL": 1}
    assert {k: m["value"] for k, m in by_name["verdict text_decoder"].items()} == {"DERIVED": 1}
    measured = next(
        s
        for s in log["samples"]
        if s["metadata"]["method"] == "weights.origin"
        and s["metadata"]["component"] == "text_decoder"
    )
    evidence = measured["scores"]["outcome"]["metadata"]
    assert evidence["p"] < 1e-6
    assert {control["kind"] for control in evidence["controls"]} >= {"positive", "negative"}


def test_several_models_are_counted_and_a_partial_run_is_cancelled(run, schema):
    other = run_of(finding(Outcome.CONSISTENT), name="org/other", partial=(Text("stopped"),))
    both = replace(other, models=(*run.models, *other.models))
    log = json.loads(render_inspect_log(both, "en"))
    schema.validate(log)
    assert log["status"] == "cancelled"
    assert log["eval"]["metadata"]["partial_because"] == ["stopped"]
    [score] = [s for s in log["results"]["scores"] if s["name"] == "policy strict"]
    assert sum(metric["value"] for metric in score["metrics"].values()) == 2


def test_hostile_names_are_valid(schema):
    schema.validate(json.loads(render_inspect_log(hostile_run(), "ko")))


@pytest.mark.parametrize("where", ["status", "eval", "samples"])
def test_the_schema_refuses_what_is_no_log(run, schema, where):
    log = json.loads(render_inspect_log(run, "en"))
    log[where] = "guilty"
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(log)


def test_a_stored_run_renders_what_the_run_writes(ran, run, home, capsys):
    assert main(["render", str(home / "kept.json"), "--inspect", "-"]) == 0
    assert capsys.readouterr().out == render_inspect_log(run, "en")


@pytest.mark.slow
def test_inspect_lists_and_reads_the_log(run, tmp_path):
    """Its own reader takes the log from a folder as its viewer does; the kept schema is its own."""
    environment = ROOT / ".artifacts" / "inspect"
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", PINNED], check=True)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / LISTED).write_text(render_inspect_log(run, "en"), "utf-8")
    done = subprocess.run(
        [python, "-I", "-c", READER, tmp_path / "logs", tmp_path / "schema.json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    [log] = json.loads(done.stdout)
    assert log["status"] == "success"
    assert log["model"] == run.models[0].model
    assert log["outcomes"] == sorted(finding.outcome.value for finding in run.findings)
    assert log["scores"]["verdict text_decoder"] == {"DERIVED": 1}
    theirs = json.loads((tmp_path / "schema.json").read_text("utf-8"))
    assert properties(theirs) == properties(json.loads(SCHEMA.read_text("utf-8")))
