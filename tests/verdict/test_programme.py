"""The programme's later conditions: each with its source, open where only an audit can tell."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.verdict.policy import JudgedModel, asks, shipped_policies
from pytest_scratchverify.verdict.programme import PROGRAMME
from pytest_scratchverify.verdict.run import Collected, Run, Subject, fold_models
from pytest_scratchverify.verdict.verdict import (
    ComponentVerdict,
    Generation,
    Inheritance,
    Result,
    Standing,
    Verdict,
)
from tests.verdict.findings import finding, intent_of

DECODER, RECORD = Component.TEXT_DECODER, Component.TRAINING_RECORD
CLEAN = Verdict.NO_EVIDENCE_OF_REUSE


def judged(*found, **verdicts):
    components = {
        Component(name): verdict
        if isinstance(verdict, ComponentVerdict)
        else ComponentVerdict(component=Component(name), verdict=verdict, reference="x/y")
        for name, verdict in verdicts.items()
    }
    return JudgedModel(model="lab/m", components=components, findings=found)


def result(name, *found, **verdicts):
    return PROGRAMME[name].judge(judged(*found, **verdicts))


@pytest.mark.parametrize("name", PROGRAMME)
def test_a_clean_model_is_undetermined_since_only_an_audit_can_tell(name):
    found = result(name, text_decoder=CLEAN)
    assert found.result is Result.UNDETERMINED
    assert any("only an audit can tell" in str(text) for text in found.because)
    assert len(found.rows) == len(PROGRAMME[name].conditions)
    for source, text in found.rows:
        assert any(character.isdigit() for character in source), text


def test_a_weight_of_others_fails_the_least_that_is_asked():
    found = result("msit-2026-aspects", text_decoder=Verdict.DERIVED)
    assert found.result is Result.FAIL
    assert [str(text) for text in found.because] == [
        (
            "technical: weights initialised and then trained, the least that is asked: "
            "by msit-2026: text_decoder: DERIVED (x/y)"
        ),
        "ethical: references of open source are disclosed: found and not declared: text_decoder",
    ]
    declared = result("msit-2026-aspects", text_decoder=Verdict.DECLARED_REUSE)
    assert [str(t).split(":")[0] for t in declared.because] == ["technical"]
    assert result("msit-2026-logs", text_decoder=Verdict.DERIVED).result is Result.UNDETERMINED


def inherited():
    innocent = Standing(verdict=CLEAN, cleared=("x/y",))
    return ComponentVerdict(
        component=DECODER,
        verdict=Verdict.DECLARED_REUSE,
        reference="lab/earlier",
        inherits=Inheritance(
            reference="lab/earlier",
            declared=True,
            others=innocent,
            earlier=(Generation(model="lab/earlier", standing=innocent),),
        ),
    )


def test_phase_2_does_not_decide_between_the_readings():
    """Two of its three winners start from their maker's own earlier model."""
    found = result("msit-2026-phase-2", text_decoder=inherited())
    assert found.result is Result.UNDETERMINED
    assert "the readings differ" in str(found.rows[0][1])
    assert result("msit-2026-aspects", text_decoder=inherited()).result is Result.FAIL
    assert result("msit-2026-phase-2", text_decoder=Verdict.DERIVED).result is Result.FAIL


def of_log(outcome, method="training_log.first_loss"):
    return finding(outcome, method=method, component=RECORD, reference=None)


def test_a_log_from_the_first_step_is_a_claim_and_anothers_log_a_contradiction():
    shown = result("msit-2026-logs", of_log(Outcome.CONSISTENT), text_decoder=CLEAN)
    assert shown.result is Result.UNDETERMINED
    assert "from the first step was shown" in str(shown.rows[0][1])
    assert "no training record" in str(result("msit-2026-logs", text_decoder=CLEAN).rows[0][1])
    copied = result("msit-2026-logs", text_decoder=CLEAN, training_record=Verdict.DERIVED)
    assert copied.result is Result.FAIL
    broken = result(
        "msit-2026-logs", of_log(Outcome.DERIVED, "training_log.continuity"), text_decoder=CLEAN
    )
    assert "is contradicted" in str(broken.rows[0][1])


def test_it_asks_about_weights_and_the_record():
    policy = PROGRAMME["msit-2026-logs"]
    assert asks(policy, DECODER)
    assert asks(policy, RECORD)
    assert not asks(policy, Component.TOKENIZER)


@pytest.mark.parametrize("policy", ["msit-2026", "msit-2026-aspects"])
def test_what_a_programmes_policy_fails_for_is_told_from_what_it_does_not_ask(policy):
    """Its sentences are nested: each names the component that was found inside of another."""
    rejected = [
        finding(Outcome.DERIVED, component=component)
        for component in (DECODER, Component.EMBEDDINGS, Component.TOKENIZER)
    ]
    subject = Subject(
        spec=ModelSpec(name=rejected[0].model), components=tuple(f.component for f in rejected)
    )
    collected = Collected(intents=tuple(map(intent_of, rejected)), findings=tuple(rejected))
    chosen = PROGRAMME.get(policy) or shipped_policies()[policy]
    models = fold_models([subject], collected, [chosen])
    run = Run(models=models, findings=tuple(rejected), partial=False, options={"policy": [policy]})
    assert models[0].policies[policy].result is Result.FAIL
    failing = [f.component for f in rejected if run.fails(f)]
    assert failing == [DECODER, Component.EMBEDDINGS]
