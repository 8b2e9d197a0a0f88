"""The SPDX document of a run: valid by SPDX's own model, stating descent only as the verdict does."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from io import BytesIO

import pytest

from pytest_scratchverify.cli import main
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord, Coverage, Outcome, Relation, Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.spdx import NO_LICENCE_KNOWN, render_spdx
from pytest_scratchverify.verdict.verdict import Verdict
from tests.report.runs import hostile_run, run_of, with_verdict
from tests.verdict.findings import finding

COMMIT = "0123456789abcdef0123456789abcdef01234567"
STATED = {Verdict.REUSED_VERBATIM, Verdict.DERIVED, Verdict.DECLARED_REUSE}


@pytest.fixture(scope="module")
def load():
    model = pytest.importorskip("spdx_python_model", reason="SPDX's own model: make setup")

    def load(text):
        """Read a document as SPDX's model does, and write it, which checks what has to be there."""
        shapes, found = model.load_data(json.loads(text))
        assert not found.missing_ids
        shapes.JSONLDSerializer().write(found, BytesIO())
        return shapes, found

    return load


def graph(text, kind, **properties):
    return [
        element
        for element in json.loads(text)["@graph"]
        if element["type"] == kind and all(element.get(k) == v for k, v in properties.items())
    ]


def descents(text):
    return graph(text, "Relationship", relationshipType="descendantOf")


def by_id(text):
    return {e["spdxId"]: e for e in json.loads(text)["@graph"] if "spdxId" in e}


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_document_of_a_real_pair_is_valid_and_the_same_each_time(run, load, language):
    text = render_spdx(run, language)
    assert text == render_spdx(run, language)
    shapes, found = load(text)
    [whole] = found.foreach_type(shapes.SpdxDocument)
    assert "ai" in " ".join(str(one) for one in whole.profileConformance)
    named = by_id(text)
    said = {
        (named[r["from"]]["name"].split()[-1], named[r["to"][0]]["name"]) for r in descents(text)
    }
    origin = "tools/zoo/ready/s0"
    assert said == {
        (part, origin) for part in ("tokenizer", "embeddings", "text_decoder", "lm_head")
    }
    assert {r["completeness"] for r in descents(text)} == {"noAssertion"}


def test_every_ai_package_has_one_declared_and_one_concluded_licence(run, load):
    """The rule of the profile that its shapes cannot say."""
    text = render_spdx(run, "en")
    load(text)
    packages = {e["spdxId"] for e in graph(text, "ai_AIPackage")}
    for kind in ("hasDeclaredLicense", "hasConcludedLicense"):
        counted = Counter(r["from"] for r in graph(text, "Relationship", relationshipType=kind))
        assert counted == dict.fromkeys(packages, 1)
    [licence] = graph(text, "simplelicensing_LicenseExpression")
    assert licence["simplelicensing_licenseExpression"] == "MIT"
    concluded = graph(text, "Relationship", relationshipType="hasConcludedLicense")
    assert {r["to"][0] for r in concluded} == {NO_LICENCE_KNOWN}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_descent_is_stated_only_where_the_verdict_states_it(load, verdict):
    text = render_spdx(with_verdict(verdict), "en")
    load(text)
    assert len(descents(text)) == (verdict in STATED)
    annotated = [a["statement"] for a in graph(text, "Annotation")]
    assert any(verdict.value in statement for statement in annotated)


@pytest.mark.parametrize("component", [Component.ARCHITECTURE, Component.BEHAVIOUR])
def test_what_files_do_not_hold_is_descended_from_nothing(load, component):
    text = render_spdx(with_verdict(Verdict.DERIVED, component), "en")
    load(text)
    assert descents(text) == []


@pytest.mark.parametrize(
    ("coverage", "completeness"),
    [
        (Coverage(parameters=1.0, size=10, inherited=10), "complete"),
        (Coverage(parameters=0.9, size=10, inherited=9), "noAssertion"),
        (Coverage(parameters=1.0, size=10, inherited=9), "noAssertion"),
        (None, "noAssertion"),
    ],
)
def test_descent_is_complete_only_where_all_was_read_and_is_equal(load, coverage, completeness):
    made = with_verdict(Verdict.REUSED_VERBATIM)
    one = finding(Outcome.DERIVED, relation=Relation.VERBATIM, coverage=coverage)
    text = render_spdx(replace(made, findings=(one,)), "en")
    load(text)
    [relation] = descents(text)
    assert relation["completeness"] == completeness


def of_the_hub(**details):
    read = [
        ArtifactRecord(repo=repo, file="config.json", source=Source.HUB, revision=COMMIT,
                       bytes_read=2, bytes_total=2, digest="ab" * 32)
        for repo in ("org/suspect", "org/reference")
    ]  # fmt: skip
    licence = finding(
        Outcome.CONSISTENT, method="disclosure.licence", component=Component.DISCLOSURE,
        reference=None, details=details,
    )  # fmt: skip
    return run_of(finding(Outcome.DERIVED, artifacts=tuple(read)), licence)


def test_a_model_of_the_hub_has_address_version_supplier_and_digests(load):
    text = render_spdx(of_the_hub(license="apache-2.0"), "en")
    load(text)
    [model] = graph(text, "ai_AIPackage", name="org/suspect")
    assert model["software_packageUrl"] == f"pkg:huggingface/org/suspect@{COMMIT}"
    assert model["software_downloadLocation"] == f"https://huggingface.co/org/suspect/tree/{COMMIT}"
    assert model["software_packageVersion"] == COMMIT
    assert by_id(text)[model["suppliedBy"]]["name"] == "org"
    [file] = graph(text, "software_File")
    assert file["verifiedUsing"][0]["hashValue"] == "ab" * 32
    [reference] = graph(text, "ai_AIPackage", name="org/reference")
    assert reference["suppliedBy"] == model["suppliedBy"]


@pytest.mark.parametrize(
    ("stated", "expression"),
    [
        ({"license": "apache-2.0"}, "Apache-2.0"),
        ({"license": "other", "license_name": "my licence/1"}, "LicenseRef-my-licence-1"),
        ({"license": "llama3"}, "LicenseRef-llama3"),
        ({"license": None}, None),
        ({"license": ["mit"]}, None),
        ({"license": "///"}, None),
    ],
)
def test_a_licence_is_what_the_card_states_or_not_asserted(load, stated, expression):
    text = render_spdx(of_the_hub(**stated), "en")
    load(text)
    found = graph(text, "simplelicensing_LicenseExpression")
    assert [e["simplelicensing_licenseExpression"] for e in found] == [expression] * bool(
        expression
    )
    [model] = graph(text, "ai_AIPackage", name="org/suspect")
    [declared] = graph(
        text, "Relationship", relationshipType="hasDeclaredLicense", **{"from": model["spdxId"]}
    )
    assert (declared["to"] == [NO_LICENCE_KNOWN]) is (expression is None)


def test_hostile_names_and_a_partial_run_are_valid(load):
    load(render_spdx(hostile_run(), "ko"))
    text = render_spdx(run_of(finding(Outcome.DERIVED), partial=(Text("stopped"),)), "en")
    load(text)
    [whole] = graph(text, "SpdxDocument")
    assert whole["comment"].endswith("stopped.")


BREAK = {
    "an unknown word": lambda relation: relation.update(completeness="sure"),
    "an unknown property": lambda relation: relation.update(guilty=True),
    "no subject": lambda relation: relation.pop("from"),
    "nowhere to": lambda relation: relation.update(to=[]),
}


@pytest.mark.parametrize("kind", BREAK)
def test_the_model_refuses_what_is_no_spdx(run, load, kind):
    document = json.loads(render_spdx(run, "en"))
    relation = next(e for e in document["@graph"] if e.get("relationshipType") == "descendantOf")
    BREAK[kind](relation)
    with pytest.raises((KeyError, ValueError)):
        load(json.dumps(document))


def test_a_stored_run_renders_what_the_run_writes(ran, run, home, capsys):
    assert main(["render", str(home / "kept.json"), "--spdx", "-"]) == 0
    assert capsys.readouterr().out == render_spdx(run, "en")
