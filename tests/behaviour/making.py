"""SIMULATED answers: made by rule, to test graders and tests on known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.answers import Answer, Answers
from pytest_scratchverify.methods.behaviour.asking.request import request_for


def answers(model, say, *kinds, api="chat", finish="stop"):
    """Answers of a simulated model: `say(probe)` gives text, or None for an error."""
    rows = {}
    for probe in shipped_probes():
        if kinds and probe.kind not in kinds:
            continue
        text = say(probe)
        rows[probe.id] = Answer(
            api=api, body=request_for(probe, api).body, model=model, text=text,
            finish_reason=finish, prompt_tokens=10, completion_tokens=5,
            error=None if text is not None else "connection: no answer",
        )  # fmt: skip
    return Answers(model, rows, "simulated")


def right_answer(probe):
    """A text that the probe's own pattern accepts: its first alternative, made plain."""
    first = probe.accept.split("|")[0] if "(" not in probe.accept.split("|")[0] else probe.accept
    for junk, plain in (("\\b", ""), (".?", "-"), ("?", ""), ("(y|ian)", "y"), ("[iy]", "i")):
        first = first.replace(junk, plain)
    return first


def knows_until(model, month, seed=0, before=0.85, after=0.05):
    """A simulated model that knows the world until `month`."""
    rng = np.random.default_rng(seed)

    def say(probe):
        rate = before if probe.month <= month else after
        return (
            f"It was {right_answer(probe)}." if rng.random() < rate else f"Mr {probe.id}, I think."
        )

    return answers(model, say, Kind.KNOWLEDGE)


def with_texts(given, change):
    """A copy with every text changed by `change(probe id, text)`."""
    rows = {k: replace(a, text=change(k, a.text)) for k, a in given.by_probe.items()}
    return Answers(given.model, rows, given.source)
