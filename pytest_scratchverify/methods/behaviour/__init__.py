"""Behaviour: what the running model answers, in findings that are leads at most.

Behaviour alone never decides a verdict: every finding is circumstantial (E2), on the component
`behaviour`, and lets the fold make a `SUSPECTED` at most. Post-training can change all of it; and
where nothing is found, nothing is cleared.
"""

from pytest_scratchverify.methods.behaviour.agreement import output_agreement
from pytest_scratchverify.methods.behaviour.answer_quality import quality
from pytest_scratchverify.methods.behaviour.cutoff import cutoff, cutoff_difference
from pytest_scratchverify.methods.behaviour.identity import identity
from pytest_scratchverify.methods.behaviour.paired_answers import PairedAnswers
from pytest_scratchverify.methods.behaviour.style import (
    refusal_phrasing,
    response_distance,
    style,
)
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.behaviour.tree import tree

__all__ = [
    "BehaviourThresholds",
    "PairedAnswers",
    "cutoff",
    "cutoff_difference",
    "identity",
    "output_agreement",
    "quality",
    "refusal_phrasing",
    "response_distance",
    "style",
    "tree",
]
