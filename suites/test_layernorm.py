"""The LayerNorm affair: a cosine of 0.99 between norm gains, beside what it is worth."""

import pytest

from pytest_scratchverify.catalog.layernorm import GLM, SOLAR, series_of
from pytest_scratchverify.methods.weights_layernorm import norm_control
from pytest_scratchverify.stats.norm_gains import series_mean

pytestmark = pytest.mark.weights


@pytest.mark.scratch("weights.layernorm", component="text_decoder", depth="quick")
def test_norm_gains_are_no_more_alike_than_renumbered_ones(pair, artifacts, record):
    """The raw cosine is shown with its null; gains alone neither accuse nor clear."""
    finding = record(norm_control(pair, artifacts(pair.model), artifacts(pair.reference)))
    assert not finding.derived, finding.headline


@pytest.mark.parametrize("norm", ["input_layernorm", "post_attention_layernorm"])
def test_published_solar_and_glm_gains_are_unrelated(norm):
    """Cosines of 0.95 and 0.99, published as proof, are what two moments predict."""
    raw = series_of((SOLAR, GLM), norm, "cosine").by_layer()
    predicted = series_of((SOLAR, GLM), norm, "moment_null_cosine").by_layer()
    assert max(raw[layer] - predicted[layer] for layer in predicted) < 0.012
    centred = series_of((SOLAR, GLM), norm, "pearson").by_layer()
    assert series_mean(list(centred.values()), width=4096).pvalue > 0.01
