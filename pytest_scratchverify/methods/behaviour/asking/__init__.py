"""What a running model answers: probes, requests, recorded answers, and a client that asks.

Answers are text from outside: bounded, never executed, and no evidence on anybody's weights.
"""

from __future__ import annotations

from pytest_scratchverify.methods.behaviour.asking.answers import Answer, Answers
from pytest_scratchverify.methods.behaviour.asking.probes import (
    Kind,
    Probe,
    probe_set,
    shipped_probes,
)

__all__ = ["Answer", "Answers", "Kind", "Probe", "probe_set", "shipped_probes"]
