"""Findings for tests of the fold, made short."""

from __future__ import annotations

from typing import Any

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    Control,
    Coverage,
    Direction,
    Finding,
    Intent,
    Level,
    Outcome,
    Power,
    Statistic,
)
from pytest_scratchverify.core.text import Text

MODEL = "org/suspect"
CONTROLS = (
    Control(kind="positive", pair=("a", "a-child"), passed=True),
    Control(kind="negative", pair=("a", "b"), passed=True),
)


def finding(outcome: Outcome, **changes: Any) -> Finding:
    """A finding with everything that its outcome needs to count; `changes` take it away."""
    defaults: dict[str, Any] = {
        "method": "weights.match",
        "component": Component.TEXT_DECODER,
        "model": MODEL,
        "reference": "org/reference",
        "outcome": outcome,
        "headline": Text("headline"),
        "hypothesis": Text("hypothesis"),
        "level": Level.E3,
        "controls": CONTROLS,
        "replications": 2,
    }
    if outcome is Outcome.DERIVED:
        defaults |= {
            "pvalue": 1e-9,
            "effect": Statistic(name="inherited_fraction", value=0.98),
            "direction": Direction.TOWARD_REUSE,
        }
    if outcome is Outcome.CONSISTENT:
        defaults |= {
            "pvalue": 0.4,
            "coverage": Coverage(parameters=0.2),
            "power": Power(minimum_detectable_effect=0.05, power=0.99, description=Text("power")),
        }
    return Finding(**{**defaults, **changes})


def intent_of(of: Finding) -> Intent:
    """The plan's entry that a finding answers."""
    return Intent(
        nodeid=of.id,
        method=of.method,
        component=of.component,
        model=of.model,
        reference=of.reference,
    )
