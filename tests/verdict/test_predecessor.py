"""What comes from an earlier model of the same developer: chained, and never accepted unjudged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord, Coverage, Level, Outcome, Source
from pytest_scratchverify.core.spec import Declaration, ModelSpec
from pytest_scratchverify.verdict.policy import shipped_policies
from pytest_scratchverify.verdict.predecessor import Judged
from pytest_scratchverify.verdict.run import Collected, Subject, fold_models
from pytest_scratchverify.verdict.verdict import Result, Verdict
from tests.verdict.findings import finding, intent_of

DECODER = Component.TEXT_DECODER
MODEL, EARLIER, OLDEST, OTHER = "lab/two", "lab/one", "lab/zero", "elsewhere/big"
REFUSES, ACCEPTS = (shipped_policies()[n] for n in ("msit-2026", "msit-2026-own-predecessor"))
SIZED = Coverage(parameters=1.0, size=1000, inherited=400, roles=("v", "o"))


def taken(reference=EARLIER, outcome=Outcome.DECLARED, model=MODEL, **more):
    return finding(
        outcome, model=model, reference=reference, level=Level.E3, coverage=SIZED, **more
    )


def clean(reference=OTHER, model=MODEL):
    return finding(Outcome.CONSISTENT, model=model, reference=reference)


def judged(*found, models=((MODEL, (EARLIER,)),), earlier=None, plan=None, spec=None):
    """Fold models, each with its own earlier ones; the first one's verdict is returned."""
    subjects = [
        Subject(
            spec=spec if spec and spec.name == name else ModelSpec(name=name),
            components=(DECODER,),
            own=frozenset(own),
        )
        for name, own in models
    ]
    intents = tuple(intent_of(f) for f in (found if plan is None else plan))
    collected = Collected(intents=intents, findings=tuple(found), earlier=earlier or {})
    return fold_models(subjects, collected, [REFUSES, ACCEPTS, shipped_policies()["strict"]])[0]


def results(model):
    return model.policies[REFUSES.name].result, model.policies[ACCEPTS.name].result


TWO = ((MODEL, (EARLIER,)), (EARLIER, ()))


def test_the_verdict_is_chained_to_the_earlier_models_own():
    found = judged(taken(), clean(), clean(model=EARLIER), models=TWO)
    verdict = found.components[DECODER]
    assert (verdict.verdict, verdict.reference) == (Verdict.DECLARED_REUSE, EARLIER)
    inherits = verdict.inherits
    assert (inherits.declared, inherits.share, inherits.roles) == (True, 0.4, ("v", "o"))
    assert (inherits.others.verdict, inherits.others.cleared) == (
        Verdict.NO_EVIDENCE_OF_REUSE,
        (OTHER,),
    )
    [generation] = inherits.earlier
    assert generation.standing.cleared == (OTHER,)
    [sentence] = found.lineage
    assert str(sentence) == (
        "inherits from lab/one of the same developer (40 % of parameters: text_decoder: v, o);"
        " apart from it: NO_EVIDENCE_OF_REUSE against elsewhere/big;"
        " lab/one itself: NO_EVIDENCE_OF_REUSE against elsewhere/big"
    )
    assert results(found) == (Result.FAIL, Result.PASS)
    assert "does not accept" in str(found.policies[REFUSES.name].because[0])


def test_what_was_not_judged_is_accepted_on_nobodys_strength():
    found = judged(taken(), clean())
    assert "lab/one itself: not judged" in str(found.lineage[0])
    assert results(found) == (Result.FAIL, Result.UNDETERMINED)


def test_an_earlier_model_that_is_anothers_hands_that_down():
    stolen = taken(OTHER, Outcome.DERIVED, EARLIER)
    found = judged(taken(), clean(), stolen, models=TWO)
    assert results(found) == (Result.FAIL, Result.FAIL)
    assert "lab/one itself: DERIVED (elsewhere/big)" in str(found.policies[ACCEPTS.name].because[0])


def test_an_own_predecessor_hides_nobody_else():
    """Nearest to the own earlier model, and another's all the same."""
    both = taken(), taken(OTHER, Outcome.DERIVED, pvalue=1e-7)
    found = judged(*both, clean("elsewhere/small"), clean(model=EARLIER), models=TWO)
    assert found.components[DECODER].reference == OTHER  # undeclared before declared
    assert results(found) == (Result.FAIL, Result.FAIL)
    nearest = taken(outcome=Outcome.DERIVED, pvalue=1e-30), both[1]
    hidden = judged(*nearest, clean(model=EARLIER), models=TWO)
    assert hidden.components[DECODER].inherits.others.reference == OTHER
    assert results(hidden) == (Result.FAIL, Result.FAIL)


def test_nothing_is_accepted_where_nobody_else_was_compared():
    found = judged(taken(), clean(model=EARLIER), models=TWO)
    assert found.components[DECODER].inherits.others.verdict is Verdict.INSUFFICIENT_EVIDENCE
    assert results(found)[1] is Result.UNDETERMINED


def test_a_planned_test_that_never_reported_keeps_it_open():
    known = taken(), clean(), clean(model=EARLIER)
    found = judged(*known, models=TWO, plan=(*known, clean("elsewhere/small")))
    assert results(found)[1] is Result.UNDETERMINED


def test_an_undeclared_predecessor_is_called_what_it_is():
    found = judged(taken(outcome=Outcome.DERIVED), clean(), clean(model=EARLIER), models=TWO)
    assert "of the same developer by name, which nobody declares" in str(found.lineage[0])
    assert "no proof of rights" in str(found.lineage[0])
    assert results(found) == (Result.FAIL, Result.FAIL)
    assert "no proof of rights" in str(found.policies[ACCEPTS.name].because[0])


def test_another_developers_model_is_no_predecessor():
    found = judged(taken(), clean(), clean(model=EARLIER), models=((MODEL, ()), (EARLIER, ())))
    assert found.components[DECODER].inherits is None
    assert found.lineage == ()
    assert results(found) == (Result.FAIL, Result.FAIL)


THREE = ((MODEL, (EARLIER,)), (EARLIER, (OLDEST,)), (OLDEST, ()))


@pytest.mark.parametrize(
    ("middle", "oldest", "expected"),
    [
        (Outcome.DECLARED, clean(model=OLDEST), Result.PASS),
        (Outcome.DECLARED, None, Result.UNDETERMINED),
        (Outcome.DECLARED, taken(OTHER, Outcome.DERIVED, OLDEST), Result.FAIL),
        (Outcome.DERIVED, clean(model=OLDEST), Result.FAIL),  # undeclared on the way
    ],
)
def test_a_chain_is_followed_to_its_end(middle, oldest, expected):
    found = [taken(), clean(), taken(OLDEST, middle, EARLIER), clean(model=EARLIER)]
    models = THREE if oldest else THREE[:2]
    model = judged(*found, *([oldest] if oldest else []), models=models)
    assert [g.model for g in model.components[DECODER].inherits.earlier] == [EARLIER, OLDEST]
    assert results(model)[1] is expected


def test_a_chain_that_closes_ends():
    models = ((MODEL, (EARLIER,)), (EARLIER, (MODEL,)))
    found = judged(
        taken(), clean(), taken(MODEL, model=EARLIER), clean(model=EARLIER), models=models
    )
    assert found.components[DECODER].inherits.earlier[-1].standing is None
    assert results(found)[1] is Result.UNDETERMINED


def stored(revision=None):
    one = judged(clean(model=EARLIER), models=((EARLIER, ()),))
    return {EARLIER: Judged(components=one.components, revision=revision, source="one.json")}


def test_a_stored_run_may_judge_it_and_is_named():
    found = judged(taken(), clean(), earlier=stored())
    assert "(by one.json)" in str(found.lineage[0])
    assert results(found)[1] is Result.PASS


def test_a_stored_run_on_another_commit_judged_something_else():
    record = ArtifactRecord(repo=EARLIER, file="x.safetensors", source=Source.HUB, revision="bbb")
    read = replace(taken(), artifacts=(record,))
    assert results(judged(read, clean(), earlier=stored("bbb")))[1] is Result.PASS
    moved = judged(read, clean(), earlier=stored("aaa"))
    assert results(moved)[1] is Result.UNDETERMINED
    assert "judged at commit aaa, and read here at bbb" in str(moved.lineage[0])


def test_a_declared_predecessor_that_was_not_compared_keeps_everything_open():
    spec = ModelSpec(name=MODEL, predecessor=Declaration(origin=EARLIER, by="lab", source="card"))
    found = judged(clean(), spec=spec)
    assert {r.result for r in found.policies.values()} == {Result.UNDETERMINED}
    assert "from which parts are declared to come" in str(found.policies["strict"].because[0])
    assert judged(clean(), clean(EARLIER), spec=spec).policies["strict"].result is Result.PASS


def test_notices_of_those_that_something_was_found_to_come_from():
    table = {"not_kept": ["Copyright Elsewhere"], "duties_not_met": ["Built with Big"]}
    facts = finding(
        Outcome.CONSISTENT,
        method="disclosure.licence",
        component=Component.DISCLOSURE,
        model=MODEL,
        reference=None,
        details={"notices": {OTHER: table, "elsewhere/small": table}},
    )
    found = judged(taken(OTHER, Outcome.DERIVED), clean("elsewhere/small"), facts)
    [sentence] = map(str, found.lineage)
    assert sentence.startswith("text_decoder: of elsewhere/big, and of what its licence asks")
    assert sentence.endswith("was not found here: Copyright Elsewhere, Built with Big")
    assert judged(clean(), clean("elsewhere/small"), facts).lineage == ()


def test_every_shipped_policy_says_whether_it_accepts_one():
    accepts = {name for name, policy in shipped_policies().items() if policy.accepts_predecessor}
    assert accepts == {"msit-2026-own-predecessor", "own-tokenizer"}


@pytest.mark.parametrize("spelled", ["LAB/Old", "lab/old/", None])
def test_a_predecessor_is_one_however_a_card_spells_it_or_fails_to(spelled):
    """A finding that names no origin is no reason to forget the one that does."""
    stated = finding(
        Outcome.DECLARED, model=MODEL, reference=spelled, method="disclosure.base_model"
    )
    found = judged(taken("lab/old"), stated, clean(), models=((MODEL, ("lab/old",)),))
    assert found.components[DECODER].inherits is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("skt/A.X-K2", "skt/A.X-K1", True),
        ("upstage/solar-2", "Upstage/solar-1", True),
        ("mistralai/x", "mistral/x", False),
        ("/models/x", "/models/y", False),
    ],
)
def test_the_owner_of_a_repository_is_its_developer_by_name(one, other, same):
    assert ModelSpec(name=one).is_of_the_developer_of(ModelSpec(name=other)) is same
