"""A test of a lab's own: it needs the installed package, and nothing of this repository."""

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Statistic
from pytest_scratchverify.core.text import Text


@pytest.mark.scratch("lab.context", component="architecture")
def test_the_context_length_is_our_own(pair, config, record):
    """The model was not laid out for the reference's number of positions."""
    name = "max_position_embeddings"
    ours, theirs = (config(spec).value.get(name) for spec in (pair.model, pair.reference))
    same = ours is not None and ours == theirs
    finding = Finding(
        method="lab.context",
        component=Component.ARCHITECTURE,
        model=pair.model.name,
        reference=pair.reference.name,
        outcome=Outcome.INDETERMINATE if same else Outcome.CONSISTENT,
        headline=Text("{name}: {ours} here, {theirs} there", name=name, ours=ours, theirs=theirs),
        hypothesis=Text("the number of positions was chosen for this model"),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if same else Direction.NONE,
        statistic=Statistic(name="positions", value=ours),
        remedy=Text("Say in the card why this number.") if same else None,
    )
    assert not record(finding).derived, finding.headline
