"""Whose design is it, and what does that permit to compare? Never whose weights."""

import pytest

from pytest_scratchverify.methods.architecture.claims import claim_holds
from pytest_scratchverify.methods.architecture.design import (
    core_fields,
    nearest_design,
)
from pytest_scratchverify.methods.architecture.parameters import (
    declared_parameters,
    parameter_count,
    stored_parameters,
)
from pytest_scratchverify.methods.architecture.thresholds import ArchitectureThresholds

pytestmark = pytest.mark.architecture


@pytest.mark.scratch("architecture.{tower}_design", component="architecture")
def test_design_is_nobody_elses(model, tower, config, catalogue, calibration, record):
    """No catalogued design is near this tower's, or the origin of the design is declared."""
    thresholds = ArchitectureThresholds.from_json(calibration("architecture"))
    finding = record(nearest_design(model, config(model), tower, catalogue, thresholds))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("architecture.core_fields", component="architecture")
def test_core_fields_are_not_the_references(pair, config, catalogue, record):
    """The five core fields are not all the reference's (the public project's 5-of-5 rule)."""
    finding = record(core_fields(pair, config(pair.model), config(pair.reference), catalogue))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("architecture.parameter_count", component="architecture")
def test_parameters_add_up(model, config, catalogue, artifacts, calibration, record):
    """The config accounts for the parameters that are declared and those that are stored."""
    thresholds = ArchitectureThresholds.from_json(calibration("architecture"))
    declared, stored = declared_parameters(model, catalogue), stored_parameters(artifacts(model))
    finding = record(parameter_count(model, config(model), declared, stored, thresholds))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("architecture.claim.{claim}", component="architecture")
def test_published_claim_holds(model, claim, config, catalogue, calibration, record):
    """What was published about the design is what the config says."""
    thresholds = ArchitectureThresholds.from_json(calibration("architecture"))
    finding = record(claim_holds(model, claim, config(model), catalogue, thresholds))
    assert not finding.derived, finding.headline
