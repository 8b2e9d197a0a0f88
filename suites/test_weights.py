"""Are the weights another model's? By whole files, and component by component from slices."""

import pytest

from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.methods.weights.compare import Effort
from pytest_scratchverify.methods.weights.file_digests import shard_digests
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.merge import weights_merge
from pytest_scratchverify.methods.weights.origin import weights_origin

pytestmark = pytest.mark.weights


@pytest.mark.scratch("weights.shard_digests", component="text_decoder")
def test_weight_files_are_not_copies(pair, artifacts, record):
    """No weight file is byte for byte the reference's; copies only are found this way."""
    ours, theirs = artifacts(pair.model), artifacts(pair.reference)
    declared = names_base_model(pair, ours)
    finding = record(shard_digests(pair, ours, theirs, declared=declared))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("weights.origin", component="{component}", depth="quick")
def test_component_is_not_inherited(pair, component, loaded, calibration, reading, record):
    """No component's weights come from the reference's: compared by slices, with controls."""
    ours, theirs = loaded(pair.model), loaded(pair.reference)
    declared = names_base_model(pair, ours, component)
    hypothesis = ComponentHypothesis(pair=pair, component=component, declared=declared, **reading)
    finding = record(weights_origin(hypothesis, ours, theirs, calibration("weights")))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("weights.merge", component="text_decoder", depth="quick")
def test_decoder_is_no_merge(model, references, loaded, calibration, reading, record):
    """What is in the model of several references at once: a kind, and no accusation."""
    theirs = references(model)
    found = weights_merge(model, loaded(model), theirs, calibration("weights"), Effort(**reading))
    assert not record(found).derived, found.headline
