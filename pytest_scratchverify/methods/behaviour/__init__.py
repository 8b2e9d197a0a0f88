"""Behaviour: what the running model answers, in findings that are leads at most.

Every finding is circumstantial (E2), on the component `behaviour`: post-training can change all
of it, and where nothing is found, nothing is cleared.
"""

from pytest_scratchverify.methods.behaviour.agreement import output_agreement
from pytest_scratchverify.methods.behaviour.self_report import (
    cutoff,
    cutoff_difference,
    identity,
    quality,
)
from pytest_scratchverify.methods.behaviour.style import (
    refusal_phrasing,
    response_distance,
    style,
)
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds, Panel
from pytest_scratchverify.methods.behaviour.tree import tree

__all__ = [
    "BehaviourThresholds",
    "Panel",
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
