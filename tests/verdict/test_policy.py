"""Policies: data in, PASS, FAIL or UNDETERMINED out."""

from __future__ import annotations

import json

import pytest

from pytest_scratchverify.catalog.entries import DATA
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.plugin.options import POLICIES
from pytest_scratchverify.verdict import korea_2026
from pytest_scratchverify.verdict.policy import (
    JudgedModel,
    asks,
    judge,
    read_policies,
    shipped_policies,
)
from pytest_scratchverify.verdict.programme import PROGRAMME
from pytest_scratchverify.verdict.verdict import ComponentVerdict, Result, Verdict


def components(**verdicts: Verdict):
    return {
        Component(name): ComponentVerdict(component=Component(name), verdict=verdict)
        for name, verdict in verdicts.items()
    }


TABLE = """
[lab-2027]
requires = "text"
satisfied_by = ["NO_EVIDENCE_OF_REUSE"]
failed_by = ["SUSPECTED", "DERIVED"]
"""
CLEAN = Verdict.NO_EVIDENCE_OF_REUSE
CASES = [
    ("strict", {"text_decoder": CLEAN, "embeddings": CLEAN}, Result.PASS),
    (
        "strict",
        {"text_decoder": CLEAN, "embeddings": Verdict.INSUFFICIENT_EVIDENCE},
        Result.UNDETERMINED,
    ),
    ("strict", {"text_decoder": CLEAN, "vision_encoder": Verdict.DECLARED_REUSE}, Result.FAIL),
    ("text-only", {"text_decoder": CLEAN, "vision_encoder": Verdict.DECLARED_REUSE}, Result.PASS),
    ("strict", {"text_decoder": Verdict.DERIVED}, Result.FAIL),
    ("strict", {"text_decoder": Verdict.SUSPECTED}, Result.UNDETERMINED),
    ("strict", {"text_decoder": Verdict.SHARED_ANCESTRY}, Result.UNDETERMINED),
    ("strict", {"text_decoder": Verdict.CONFLICTING}, Result.UNDETERMINED),
    ("strict", {"text_decoder": Verdict.NOT_TESTABLE}, Result.UNDETERMINED),
    ("strict", {"tokenizer": Verdict.DERIVED}, Result.UNDETERMINED),
    ("strict", {}, Result.UNDETERMINED),
    ("strict", {"text_decoder": CLEAN, "tokenizer": Verdict.REUSED_VERBATIM}, Result.PASS),
    ("own-tokenizer", {"tokenizer": Verdict.REUSED_VERBATIM}, Result.FAIL),
    ("own-tokenizer", {"tokenizer": Verdict.SHARED_ANCESTRY}, Result.UNDETERMINED),
    ("own-tokenizer", {"text_decoder": CLEAN}, Result.UNDETERMINED),
]


@pytest.mark.parametrize(("policy", "verdicts", "expected"), CASES)
def test_a_policy_judges_the_components_it_requires(policy, verdicts, expected):
    found = judge(shipped_policies()[policy], components(**verdicts), partial=False)
    assert found.result is expected
    assert found.because


def test_a_partial_run_passes_nothing():
    found = judge(shipped_policies()["strict"], components(text_decoder=CLEAN), partial=True)
    assert found.result is Result.UNDETERMINED


def test_msit_accepts_a_design_that_was_reinitialised():
    verdicts = components(text_decoder=CLEAN, vision_encoder=Verdict.DECLARED_REUSE)
    policy = shipped_policies()["msit-2026"]
    frozen = judge(policy, verdicts, partial=False, states={Component.VISION_ENCODER: "frozen"})
    again = judge(
        policy, verdicts, partial=False, states={Component.VISION_ENCODER: "re-initialised"}
    )
    assert frozen.result is Result.FAIL
    assert again.result is Result.UNDETERMINED


def test_the_help_names_the_policies_that_exist():
    assert tuple(POLICIES) == (*shipped_policies(), *PROGRAMME, "korea-2026")


def test_a_policy_may_ask_about_components_of_its_own_choice():
    text = TABLE.replace('"text"', '["vision_encoder", "projector"]')
    (policy,) = read_policies(text).values()
    assert [c for c in Component if asks(policy, c)] == [
        Component.VISION_ENCODER,
        Component.PROJECTOR,
    ]
    found = policy.judge(
        JudgedModel(model="m", components=components(vision_encoder=Verdict.DERIVED))
    )
    assert found.result is Result.FAIL


def test_a_policy_that_does_not_say_what_it_asks_about_asks_about_weights():
    rules = korea_2026.PublishedRules(data)
    assert asks(rules, Component.TEXT_DECODER)
    assert not asks(rules, Component.TOKENIZER)


def test_a_policy_is_a_table():
    (policy,) = read_policies(TABLE).values()
    failed = policy.judge(
        JudgedModel(model="m", components=components(text_decoder=Verdict.SUSPECTED))
    )
    assert (policy.name, failed.result) == ("lab-2027", Result.FAIL)


@pytest.mark.parametrize(
    "damage",
    [("[lab-2027]", "[lab"), ('"text"', '"all"'), ("SUSPECTED", "GUILTY"), ("requires", "x")],
)
def test_a_damaged_table_is_one_clear_line(damage):
    with pytest.raises(ScratchError, match="a policy's table cannot be read"):
        read_policies(TABLE.replace(*damage))


def test_the_public_rules_are_a_policy_like_any_other():
    rules = korea_2026.PublishedRules(data)
    nobody = rules.judge(JudgedModel(model="org/nobody", components={}))
    assert not rules.stands_beside("org/nobody")
    assert nobody.result is Result.UNDETERMINED
    assert "published nothing" in str(nobody.because[0])
    assert rules.stands_beside("skt/A.X-K1")
    assert (
        str(rules.judge(JudgedModel(model="skt/A.X-K1", components={})).judgement) == "trustworthy"
    )


# ---- korea-2026: the five published rows, from their published inputs (docs/adr/0007) ----------

PUBLISHED = {
    "upstage/Solar-Open-100B": (
        "strong support",
        "strong support",
        "indirect support",
        "conditional support: logs were shown",
        "weak quantitative support",
        "trustworthy (possible)",
        Result.PASS,
    ),
    "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B": (
        "not Llama-3; Qwen2.5-VL suspected",
        "decoder unique; vision Qwen2.5",
        "vision comparable; decoder needs more",
        "cutoff only",
        "-",
        "vision/audio reuse; decoder and tokenizer open",
        Result.FAIL,
    ),
    "skt/A.X-K1": (
        "strong support", "strong support", "indirect support", "not run", "-", "trustworthy",
        Result.PASS,
    ),
    "NC-AI-consortium-VAETKI/VAETKI": (
        "strong support", "strong support", "indirect support", "not run", "-", "trustworthy",
        Result.PASS,
    ),
    "LGAI-EXAONE/K-EXAONE-236B-A23B": (
        "strong support", "strong support", "indirect support", "not run", "stand-in only",
        "trustworthy, with a note", Result.PASS,
    ),
}  # fmt: skip


def data():
    return json.loads((DATA / "korea_2026.json").read_text("utf-8"))


@pytest.mark.parametrize("model", PUBLISHED)
def test_korea_2026_reproduces_the_published_row(model):
    inputs = korea_2026.inputs_of(model, data())
    judged = korea_2026.judge(inputs)
    rows = tuple(str(grade) for _, grade in judged.rows)
    assert (*rows, str(judged.judgement), judged.result) == PUBLISHED[model]


def test_korea_2026_depends_on_its_inputs():
    """Another vocabulary size than a reference's is all its "strong support" rests on."""
    raw = data()
    raw["models"]["skt/A.X-K1"]["design"]["vocab_size"] = 32000
    judged = korea_2026.judge(korea_2026.inputs_of("skt/A.X-K1", raw))
    assert dict(judged.rows)["tokenizer"].params["equal"] == ["Mixtral-8x7B"]
    assert judged.result is Result.UNDETERMINED


def test_korea_2026_would_suspect_a_x_k1_had_kimi_k2_been_among_its_references():
    """The project's own 5-of-5 rule, with the reference that it left out."""
    raw = data()
    raw["references"]["Kimi-K2"] = dict(raw["models"]["skt/A.X-K1"]["design"])
    raw["references"]["Kimi-K2"]["vocab_size"] = 163840
    judged = korea_2026.judge(korea_2026.inputs_of("skt/A.X-K1", raw))
    rows = {name: str(grade) for name, grade in judged.rows}
    assert rows["architecture"] == "same architecture: fine-tuning suspected"
    assert judged.result is Result.UNDETERMINED
