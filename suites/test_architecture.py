"""Whose design is it, and what does that permit to compare? Never whose weights."""

import pytest

from pytest_scratchverify.methods import architecture as methods

pytestmark = pytest.mark.architecture


@pytest.mark.scratch("architecture.{tower}_design", component="architecture")
def test_design_is_nobody_elses(model, tower, config, catalogue, calibration, record):
    """No catalogued design is near this tower's, or the origin of the design is declared."""
    thresholds = methods.ArchitectureThresholds.from_json(calibration("architecture"))
    finding = record(methods.nearest_design(model, config(model), tower, catalogue, thresholds))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("architecture.core_fields", component="architecture")
def test_core_fields_are_not_the_references(pair, config, catalogue, record):
    """The five core fields are not all the reference's (the public project's 5-of-5 rule)."""
    finding = record(
        methods.core_fields(pair, config(pair.model), config(pair.reference), catalogue)
    )
    assert not finding.derived, finding.headline


@pytest.mark.scratch("architecture.parameter_count", component="architecture")
def test_parameters_add_up(model, config, catalogue, artifacts, calibration, record):
    """The config accounts for the parameters that are declared and those that are stored."""
    thresholds = methods.ArchitectureThresholds.from_json(calibration("architecture"))
    declared, stored = (
        methods.declared_parameters(model, catalogue),
        methods.stored_parameters(artifacts(model)),
    )
    finding = record(methods.parameter_count(model, config(model), declared, stored, thresholds))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("architecture.names", component="architecture")
def test_names_are_no_evidence(model, config, artifacts, record):
    """Class names, paths and code that the config names say nothing about whose weights it has."""
    finding = record(methods.config_names(model, config(model), artifacts(model)))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("architecture.claim.{claim}", component="architecture")
def test_published_claim_holds(model, claim, config, catalogue, calibration, record):
    """What was published about the design is what the config says."""
    thresholds = methods.ArchitectureThresholds.from_json(calibration("architecture"))
    finding = record(methods.claim_holds(model, claim, config(model), catalogue, thresholds))
    assert not finding.derived, finding.headline
