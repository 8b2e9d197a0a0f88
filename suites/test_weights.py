"""Are the weights another model's? So far: whole files, byte for byte, from their digests."""

import pytest

from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.methods.shard_digests import shard_digests

pytestmark = pytest.mark.weights


@pytest.mark.scratch("weights.shard_digests", component="text_decoder")
def test_weight_files_are_not_copies(pair, artifacts, record):
    """No weight file is byte for byte the reference's; copies only are found this way."""
    ours, theirs = artifacts(pair.model), artifacts(pair.reference)
    declared = names_base_model(pair, ours)
    finding = record(shard_digests(pair, ours.files(), theirs.files(), declared=declared))
    assert not finding.derived, finding.headline
