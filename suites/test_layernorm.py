"""The LayerNorm affair: a cosine of 0.99 between norm gains, beside what it is worth."""

import pytest

from pytest_scratchverify.methods.weights_layernorm import norm_control
from pytest_scratchverify.methods.weights_published import published_norms

pytestmark = pytest.mark.weights


@pytest.mark.scratch("weights.layernorm", component="text_decoder", depth="quick")
def test_norm_gains_are_no_more_alike_than_renumbered_ones(pair, artifacts, record):
    """The raw cosine is shown with its null; gains alone neither accuse nor clear."""
    finding = record(norm_control(pair, artifacts(pair.model), artifacts(pair.reference)))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("weights.layernorm_published", component="text_decoder")
def test_published_norm_gains_are_unrelated(pair, record):
    """What was published of a pair's norms, centred, with the layers' dependence respected."""
    finding = record(published_norms(pair))
    assert not finding.derived, finding.headline
