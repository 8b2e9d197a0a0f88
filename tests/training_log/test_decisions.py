"""Every result of a test has a decision and a sentence, and every sentence is a result's."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.methods.training_log import (
    checkpoints,
    gradients,
    initialisation,
    integrity,
    loss_curve,
    two_logs,
)
from pytest_scratchverify.methods.training_log.compute import (
    UTILISATION_HEADLINES,
    UTILISATIONS,
    Utilisation,
)
from pytest_scratchverify.methods.training_log.decision import Decision

TABLES = [
    (checkpoints.PathShape, checkpoints.PATHS, checkpoints.PATH_HEADLINES),
    (Utilisation, UTILISATIONS, UTILISATION_HEADLINES),
    (gradients.Norms, gradients.NORMS, gradients.HEADLINES),
    (
        initialisation.Initialisation,
        initialisation.INITIALISATIONS,
        initialisation.INITIALISATION_HEADLINES,
    ),
    (integrity.Counting, integrity.COUNTINGS, integrity.CONTINUITY_HEADLINES),
    (integrity.Noise, integrity.NOISES, integrity.NOISE_HEADLINES),
    (loss_curve.Start, loss_curve.STARTS, loss_curve.START_HEADLINES),
    (loss_curve.Fall, loss_curve.FALLS, loss_curve.FALL_HEADLINES),
    (loss_curve.Schedule, loss_curve.SCHEDULES, loss_curve.SCHEDULE_HEADLINES),
    (two_logs.LogRelation, two_logs.DECISIONS, two_logs.HEADLINES),
]


@pytest.mark.parametrize(
    ("results", "decisions", "headlines"), TABLES, ids=[table[0].__name__ for table in TABLES]
)
def test_tables_are_complete(results, decisions, headlines):
    assert set(results) == set(decisions) == set(headlines)
    assert all(isinstance(decision, Decision) for decision in decisions.values())


def test_only_a_copied_log_is_called_derived():
    derived = {
        result
        for _, decisions, _ in TABLES
        for result, decision in decisions.items()
        if decision.outcome is Outcome.DERIVED
    }
    assert derived == {two_logs.LogRelation.COPIED_SEGMENT, two_logs.LogRelation.COPIED_RECORD}


def test_no_result_is_missing_or_a_fault_of_the_harness():
    outcomes = {d.outcome for _, decisions, _ in TABLES for d in decisions.values()}
    allowed = {Outcome.CONSISTENT, Outcome.INDETERMINATE, Outcome.NOT_APPLICABLE, Outcome.DERIVED}
    assert outcomes <= allowed
