"""What a model has of its developer's earlier models, in every outlet and both languages."""

from __future__ import annotations

import json

import jsonschema
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Coverage, Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.plugin.earlier_runs import judged_earlier
from pytest_scratchverify.report.html import render_html
from pytest_scratchverify.report.markdown import render_markdown
from pytest_scratchverify.report.sarif import render_sarif
from pytest_scratchverify.report.terminal import summary_lines
from pytest_scratchverify.verdict.policy import shipped_policies
from pytest_scratchverify.verdict.run import Collected, Run, Subject, fold_models
from pytest_scratchverify.verdict.serialization import dumps, run_from_json, run_to_json
from tests.report.runs import HOSTILE
from tests.verdict.findings import finding, intent_of
from tools.running import ROOT

SCHEMA = json.loads((ROOT / "pytest_scratchverify/report/run.schema.json").read_text("utf-8"))


def made(outcome, earlier="lab/one", judged=True):
    covered = Coverage(parameters=1.0, size=1000, inherited=23, roles=("v", "o"))
    found = [
        finding(outcome, model="lab/two", reference=earlier, coverage=covered),
        finding(Outcome.CONSISTENT, model="lab/two", reference="elsewhere/big"),
    ]
    if judged:
        found.append(finding(Outcome.CONSISTENT, model=earlier, reference="elsewhere/big"))
    part = (Component.TEXT_DECODER,)
    subjects = [
        Subject(spec=ModelSpec(name="lab/two"), components=part, own=frozenset({earlier})),
        *([Subject(spec=ModelSpec(name=earlier), components=part)] if judged else []),
    ]
    collected = Collected(intents=tuple(map(intent_of, found)), findings=tuple(found))
    policies = [shipped_policies()[n] for n in ("strict", "msit-2026-own-predecessor")]
    return Run(
        models=fold_models(subjects, collected, policies),
        findings=tuple(found),
        partial=False,
        planned=len(found),
        arrived=len(found),
        reproduce="pytest suites/ --model lab/two",
        version="0",
        options={"policy": [policy.name for policy in policies]},
    )


SAID = {
    "en": "inherits from lab/one of the same developer (2.3 % of parameters: text_decoder: v, o)",
    "ko": "\uac19\uc740 \uac1c\ubc1c\uc0ac\uc758 lab/one\uc5d0\uc11c \ubb3c\ub824\ubc1b\uc74c"
    "(\ub9e4\uac1c\ubcc0\uc218\uc758 2.3 %: 텍스트 디코더: v, o)",
}


@pytest.mark.parametrize("language", SAID)
def test_the_sentence_stands_in_every_outlet(language):
    run, said = made(Outcome.DECLARED), SAID[language]
    terminal = " ".join(line.strip() for line, _ in summary_lines(run, language, 400))
    assert said in terminal
    assert said in render_html(run, language)
    assert said in render_markdown(run, language).replace("\\", "")
    lineage = json.loads(render_sarif(run, language))["runs"][0]["properties"]["lineage"]
    assert said in lineage["lab/two"][0]
    assert list(lineage) == ["lab/two"]


def test_what_nobody_declares_is_no_proof_of_rights():
    page = render_html(made(Outcome.DERIVED), "en")
    assert "of the same developer by name, which nobody declares and which is no proof" in page
    assert "of the same developer by name; nobody declares it" in page


def test_the_run_travels_as_json_and_fits_the_schema():
    run = made(Outcome.DECLARED)
    document = json.loads(dumps(run_to_json(run)))
    jsonschema.validate(document, SCHEMA)
    assert run_from_json(json.dumps(document)) == run
    inherits = document["models"][0]["components"]["text_decoder"]["inherits"]
    assert inherits["earlier"][0]["standing"]["cleared"] == ["elsewhere/big"]


def test_hostile_names_are_harmless():
    run = made(Outcome.DECLARED, earlier=HOSTILE, judged=False)
    assert run.models[0].lineage
    assert "<script>alert" not in render_html(run, "en")


def test_a_stored_run_is_read_by_the_names_of_its_models(tmp_path, pytestconfig):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(run_to_json(made(Outcome.DECLARED))), "utf-8")
    found = judged_earlier(pytestconfig, [str(path)])
    assert set(found) == {"lab/one", "lab/two"}
    assert found["lab/one"].source == str(path)
    assert found["lab/one"].components[Component.TEXT_DECODER].cleared == ("elsewhere/big",)


@pytest.mark.parametrize(
    "content", ["", "{}", '{"schema": "scratchverify/run/2"}', "[[[", "\\ud800"]
)
def test_what_is_no_stored_run_is_one_clear_line(content, tmp_path, pytestconfig):
    path = tmp_path / "bad.json"
    path.write_text(content, "utf-8")
    with pytest.raises(ScratchError, match="--predecessor-verdict") as error:
        judged_earlier(pytestconfig, [str(path)])
    assert "\n" not in str(error.value)
    with pytest.raises(ScratchError, match="--predecessor-verdict"):
        judged_earlier(pytestconfig, [str(tmp_path / "absent.json")])
