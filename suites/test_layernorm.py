"""The LayerNorm affair: a cosine of 0.99 between norm gains, beside what it is worth."""

import pytest

from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.methods.weights.norm_gains import norm_control
from pytest_scratchverify.methods.weights.published_norm_gains import published_norms

pytestmark = pytest.mark.weights


@pytest.mark.scratch("weights.layernorm", component="text_decoder", depth="quick")
def test_norm_gains_are_no_more_alike_than_renumbered_ones(pair, loaded, calibration, record):
    """The raw cosine is shown with its null; no verdict on a decoder rests on gains."""
    ours, theirs = loaded(pair.model), loaded(pair.reference)
    declared = names_base_model(pair, ours)
    finding = record(norm_control(pair, ours, theirs, calibration("weights"), declared=declared))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("weights.layernorm_published", component="text_decoder")
def test_published_norm_gains_are_unrelated(pair, artifacts, calibration, record):
    """What was published of a pair's norms, centred, with the layers' dependence respected."""
    declared = names_base_model(pair, artifacts(pair.model))
    finding = record(published_norms(pair, calibration("weights"), declared=declared))
    assert not finding.derived, finding.headline
