"""The ML-BOM of a run: valid by the format's own validator, and saying no more than the run does."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from pytest_scratchverify.cli import main
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import ArtifactRecord, Outcome, Source
from pytest_scratchverify.report import writing
from pytest_scratchverify.report.cyclonedx import render_cyclonedx
from pytest_scratchverify.report.cyclonedx_declarations import policies
from pytest_scratchverify.report.package_url import PackageUrls
from pytest_scratchverify.verdict.policy import read_policies
from pytest_scratchverify.verdict.verdict import PolicyResult, Result, Verdict
from tests.report.runs import hostile_run, run_of, with_verdict
from tests.verdict.findings import finding
from tools.running import ROOT

pytest.importorskip("cyclonedx", reason="the BOM needs cyclonedx-python-lib: make setup")

READY = "tools/zoo/ready"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def validator():
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_7)


def errors(validator, text):
    return [str(error)[:300] for error in validator.validate_str(text, all_errors=True) or ()]


def refs_of(document):
    """Every bom-ref that the document defines, and every one that its declarations name."""
    defined, named = [], []

    def walk(value, key=""):
        if isinstance(value, dict):
            for name, item in value.items():
                walk(item, name)
        elif isinstance(value, list):
            for item in value:
                walk(item, key)
        elif key == "bom-ref":
            defined.append(value)
        elif key in REFERRING:
            named.append(value)

    walk(document)
    return defined, named


REFERRING = ("target", "requirement", "assessor", "claims", "counterClaims", "evidence",
             "counterEvidence", "ref")  # fmt: skip


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_bom_is_valid_and_names_nothing_that_it_does_not_define(run, validator, language):
    text = render_cyclonedx(run, language)
    assert errors(validator, text) == []
    defined, named = refs_of(json.loads(text))
    assert len(defined) == len(set(defined))
    assert set(named) <= set(defined)


def test_the_schema_refuses_what_is_no_bom(run, validator):
    document = json.loads(render_cyclonedx(run, "en"))
    document["declarations"]["attestations"][0]["map"][0]["conformance"]["score"] = 2
    assert errors(validator, json.dumps(document))


def test_names_of_strangers_make_a_valid_bom(validator):
    assert errors(validator, render_cyclonedx(hostile_run(), "en")) == []


def test_the_same_run_is_the_same_bom_and_another_run_has_another_serial(run, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    once = render_cyclonedx(run, "en")
    assert render_cyclonedx(run, "en") == once
    assert "timestamp" not in json.loads(once)["metadata"]
    other = render_cyclonedx(replace(run, reproduce="else"), "en")
    assert json.loads(other)["serialNumber"] != json.loads(once)["serialNumber"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert json.loads(render_cyclonedx(run, "en"))["metadata"]["timestamp"] == (
        "1970-01-01T00:00:00+00:00"
    )


def test_a_derived_model_has_the_reference_as_ancestor_of_model_and_parts(run):
    [model] = json.loads(render_cyclonedx(run, "en"))["components"]
    assert model["type"] == "machine-learning-model"
    [ancestor] = model["pedigree"]["ancestors"]
    assert ancestor["name"] == f"{READY}/s0"
    parts = {part["name"]: part for part in model["components"] if part["type"] != "file"}
    with_ancestor = {name for name, part in parts.items() if "pedigree" in part}
    assert with_ancestor == {"embeddings", "text_decoder", "lm_head", "tokenizer"}
    # A tokenizer that is another model's makes its weights nobody's.
    said = {entry["name"] for entry in ancestor["properties"]}
    assert said == {f"scratchverify:verdict:{n}" for n in with_ancestor - {"tokenizer"}}


def test_the_files_stand_with_their_own_digests(run, ran):
    [model] = json.loads(render_cyclonedx(run, "en"))["components"]
    files = {part["name"]: part for part in model["components"] if part["type"] == "file"}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files.keys()
    for name, file in files.items():
        whole = (ROOT / READY / "s0-cpt-long" / name).read_bytes()
        assert file["hashes"] == [{"alg": "SHA-256", "content": sha256(whole).hexdigest()}]
    [kept] = [e for e in model["externalReferences"] if e["type"] == "evidence"]
    assert kept["hashes"][0]["content"] == sha256(ran.json_bytes).hexdigest()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_reuse_that_was_shown_or_declared_is_an_ancestor(verdict, validator):
    text = render_cyclonedx(with_verdict(verdict), "en")
    assert errors(validator, text) == []
    [model] = json.loads(text)["components"]
    stated = {Verdict.REUSED_VERBATIM, Verdict.DERIVED, Verdict.DECLARED_REUSE}
    assert ("pedigree" in model) is (verdict in stated)


def test_a_design_in_common_is_no_ancestor():
    made = with_verdict(Verdict.DECLARED_REUSE, Component.ARCHITECTURE)
    document = json.loads(render_cyclonedx(made, "en"))
    assert "ancestors" not in json.dumps(document)
    claims = [claim["bom-ref"] for claim in document["declarations"]["claims"]]
    assert [ref for ref in claims if ref.startswith("counter-claim:")] != []


def test_scores_say_what_the_policy_says_and_confidence_makes_up_none(run):
    document = json.loads(render_cyclonedx(run, "en"))
    [attestation] = document["declarations"]["attestations"]
    assert {entry["conformance"]["score"] for entry in attestation["map"]} == {0}
    assert all(entry["counterClaims"] for entry in attestation["map"])
    innocent = json.loads(render_cyclonedx(run_of(finding(Outcome.CONSISTENT)), "en"))
    [attestation] = innocent["declarations"]["attestations"]
    by_part = {entry["requirement"]: entry for entry in attestation["map"]}
    cleared = by_part["policy:strict/text_decoder"]
    assert cleared["conformance"]["score"] == 1
    assert "counterClaims" not in cleared
    # The embeddings were not tested: neither yes nor no.
    assert "score" not in by_part["policy:strict/embeddings"]["conformance"]
    for entry in (*attestation["map"], *document["declarations"]["attestations"][0]["map"]):
        assert "score" not in entry["confidence"]
        assert entry["confidence"]["rationale"].startswith("no score: ")


def test_nobody_conforms_in_a_partial_run():
    from pytest_scratchverify.core.text import Text

    made = run_of(finding(Outcome.CONSISTENT), partial=(Text("the run was stopped"),))
    document = json.loads(render_cyclonedx(made, "en"))
    [attestation] = document["declarations"]["attestations"]
    assert all("score" not in entry["conformance"] for entry in attestation["map"])


def test_a_policy_of_somebody_else_is_one_requirement(validator):
    made = run_of(finding(Outcome.CONSISTENT))
    [model] = made.models
    judged = {"lab-2027": PolicyResult(result=Result.FAIL)}
    made = replace(
        made, models=(replace(model, policies=judged),), options={"policy": ["lab-2027"]}
    )
    assert read_policies("") == {}
    assert policies(made) == ["lab-2027"]
    text = render_cyclonedx(made, "en")
    assert errors(validator, text) == []
    document = json.loads(text)
    [entry] = document["declarations"]["attestations"][0]["map"]
    assert entry["requirement"] == "policy:lab-2027/*"
    assert entry["conformance"]["score"] == 0
    defined, named = refs_of(document)
    assert set(named) <= set(defined)


def test_a_model_of_the_hub_has_a_purl_with_its_commit():
    record = ArtifactRecord(
        repo="org/suspect", file="config.json", source=Source.HUB, revision=COMMIT
    )
    made = run_of(finding(Outcome.CONSISTENT, artifacts=(record,)))
    assert PackageUrls(made).of("org/suspect") == f"pkg:huggingface/org/suspect@{COMMIT}"
    assert PackageUrls(made).of("org/elsewhere") == "pkg:huggingface/org/elsewhere"
    [model] = json.loads(render_cyclonedx(made, "en"))["components"]
    assert (model["group"], model["name"], model["version"]) == ("org", "suspect", COMMIT)
    assert model["purl"] == f"pkg:huggingface/org/suspect@{COMMIT}"
    local = replace(record, source=Source.FOLDER, revision=None)
    in_a_folder = run_of(finding(Outcome.CONSISTENT, artifacts=(local,)))
    assert PackageUrls(in_a_folder).of("org/suspect") is None


def test_render_and_run_write_it(ran, run, tmp_path, capsys):
    (tmp_path / "run.json").write_bytes(ran.json_bytes)
    out = tmp_path / "bom.json"
    assert main(["render", str(tmp_path / "run.json"), "--cyclonedx", str(out)]) == 0
    assert out.read_text("utf-8") == render_cyclonedx(run, "en")


def test_without_the_library_it_says_what_to_install(run, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "cyclonedx.model.definition", None)
    paths = {"cyclonedx": tmp_path / "bom.json", "md": tmp_path / "run.md"}
    with pytest.raises(ScratchError, match=r"pip install 'pytest-scratchverify\[bom\]'"):
        writing.write_reports(run, paths, "en")
    assert (tmp_path / "run.md").is_file()  # what can be written is


def test_a_run_is_refused_at_once_where_the_library_is_missing(monkeypatch):
    from pytest_scratchverify.plugin import given_inputs

    monkeypatch.setattr(given_inputs, "find_spec", lambda _: None)
    monkeypatch.setattr(given_inputs.options, "value", lambda _, name: name == "verdict-cyclonedx")
    with pytest.raises(ScratchError, match=r"pip install 'pytest-scratchverify\[bom\]'"):
        given_inputs.check_reports(None)
