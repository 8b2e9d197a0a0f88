"""What does the running model answer? Leads at most: post-training can change all of it."""

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.methods import behaviour as methods
from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.plugin.answers import RunAnswers, record_of

pytestmark = pytest.mark.behaviour


@pytest.fixture(scope="session")
def thresholds(calibration):
    """The frozen thresholds, each with the population that it was taken from, or chosen."""
    return methods.BehaviourThresholds.from_json(calibration("behaviour"))


@pytest.fixture(scope="session")
def answers(scratch_session):
    """The answers of --answers and --endpoint; asked once per run."""
    return RunAnswers(scratch_session)


@pytest.mark.scratch("behaviour.answers", component="behaviour")
def test_the_model_answers(model, answers, thresholds, record):
    """It answers, and not the same to everything: without that, nothing below means anything."""
    mine = answers.of(model.name)
    finding = record(methods.quality(mine, thresholds, answers.price()), record_of(mine))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.identity", component="behaviour")
def test_the_model_does_not_call_itself_anothers(model, answers, artifacts, thresholds, record):
    """Asked who made it, it does not name another vendor, but for a declared origin's."""
    mine = answers.of(model.name)
    finding = methods.identity(mine, thresholds, _origins(model, artifacts))
    record(finding, record_of(mine))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.cutoff", component="behaviour")
def test_knowledge_ends_at_some_month(model, answers, thresholds, record):
    """Right answers to dated questions end at a month, which has an interval."""
    mine = answers.of(model.name)
    finding = record(methods.cutoff(mine, thresholds), record_of(mine))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.tree", component="behaviour")
def test_tree_of_answers(model, answers, thresholds, record):
    """Where the model stands in a tree of answers: drawn, never judged."""
    paired = answers.beside(model)
    finding = record(methods.tree(paired, thresholds), record_of(paired.mine))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.cutoff_difference", component="behaviour")
def test_cutoff_beside_the_references(pair, answers, thresholds, record):
    """The model's knowledge ends where the reference's does, earlier, or later."""
    paired = answers.paired(pair)
    finding = methods.cutoff_difference(paired, thresholds)
    record(finding, record_of(paired.mine), record_of(paired.theirs))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.output_agreement", component="behaviour")
def test_outputs_agree_no_more_than_strangers(pair, answers, artifacts, thresholds, record):
    """It goes on no more like the reference than unrelated models do."""
    paired = answers.paired(pair)
    finding = methods.output_agreement(paired, thresholds, declared=_declares(pair, artifacts))
    record(finding, record_of(paired.mine), record_of(paired.theirs))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.refusal_phrasing", component="behaviour")
def test_refusals_are_its_own(pair, answers, thresholds, record):
    """It declines in words of its own."""
    paired = answers.paired(pair)
    finding = methods.refusal_phrasing(paired, thresholds)
    record(finding, record_of(paired.mine), record_of(paired.theirs))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.style", component="behaviour")
def test_manner_is_its_own(pair, answers, thresholds, record):
    """It writes in a style of its own."""
    paired = answers.paired(pair)
    finding = methods.style(paired, thresholds)
    record(finding, record_of(paired.mine), record_of(paired.theirs))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("behaviour.response_distance", component="behaviour")
def test_wording_is_no_nearer_than_strangers(pair, answers, thresholds, record):
    """Its answers are no nearer to the reference's than unrelated models' are."""
    paired = answers.paired(pair)
    finding = methods.response_distance(paired, thresholds)
    record(finding, record_of(paired.mine), record_of(paired.theirs))
    assert not finding.derived, finding.headline


def _origins(model, artifacts):
    """The repositories that matrix or card name as origins: their vendors may be named."""
    declared = tuple(part.origin for part in model.declares.values())
    try:
        return declared + artifacts(model).card().value.base_model
    except Unavailable:  # no card: nothing more is declared
        return declared


def _declares(pair, artifacts):
    try:
        return names_base_model(pair, artifacts(pair.model), Component.BEHAVIOUR)
    except Unavailable:  # no repository: nothing is declared there
        return False
