"""One whole run of a stranger that ships a shared public tokenizer and has no model card."""

from __future__ import annotations

import shutil

import pytest

from tools.running import run_suites
from tools.zoo.ready_models import READY


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    home = tmp_path_factory.mktemp("stranger")
    model = home / "model"
    shutil.copytree(READY / "s1", model)
    (model / "README.md").unlink()
    names = ("--model", str(model), "--against", str(READY / "s0"), "--offline")
    return str(model), names, run_suites(*names, home=home / "strict")


def test_a_shared_tokenizer_is_reported_and_strict_passes_with_exit_code_0(stranger):
    model, _, ran = stranger
    found = ran.model(model)
    assert found["components"]["tokenizer"]["verdict"] == "REUSED_VERBATIM"
    assert found["policies"]["strict"]["result"] == "PASS", found["policies"]["strict"]
    assert ran.code == 0, ran.output
    assert "1 failed" not in ran.output
    assert "is reported; this policy does not ask about it" in " ".join(ran.output.split())


@pytest.mark.slow
def test_a_policy_that_asks_about_tokenizers_fails(stranger, tmp_path):
    model, names, _ = stranger
    ran = run_suites(*names, "--policy", "strict", "--policy", "own-tokenizer", home=tmp_path)
    assert ran.model(model)["policies"]["own-tokenizer"]["result"] == "FAIL"
    assert ran.model(model)["policies"]["strict"]["result"] == "PASS"
    assert ran.code == 1


def test_a_model_without_a_card_is_judged_by_what_there_is(stranger):
    model, _, ran = stranger
    decoder = ran.model(model)["components"]["text_decoder"]
    assert decoder["verdict"] == "NO_EVIDENCE_OF_REUSE", decoder
    card = next(f for f in ran.run["findings"] if f["method"] == "disclosure.base_model")
    assert card["outcome"] == "not-applicable"
