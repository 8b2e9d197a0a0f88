"""Ten lines a test, the innocent claim as its name, and the assert in sight."""

import pytest

from mylab_scratch.audit import rerun
from mylab_scratch.signs import sign_agreement


@pytest.mark.signs
@pytest.mark.scratch("signs.agreement", component="embeddings", depth="quick")
def test_signs_agree_no_more_than_coins(pair, artifacts, record):
    """The signs of the embedding table are not the reference's."""
    ours, theirs = artifacts(pair.model), artifacts(pair.reference)
    finding = record(sign_agreement(pair, ours, theirs))
    assert not finding.derived, finding.headline


@pytest.mark.audit
@pytest.mark.scratch("audit.rerun", component="text_decoder")
def test_published_steps_lead_to_the_published_weights(model, artifacts, record):
    """An auditor ran a part of the training again and came to the same weights."""
    finding = record(rerun(model, artifacts(model)))
    assert not finding.derived, finding.headline
