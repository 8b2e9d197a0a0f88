"""A small suite of its own, so that outcomes can be produced at will."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.running import HANGS

MATRIX = """
[models]
"org/suspect" = { against = ["org/reference", "org/second"] }
"org/other" = { against = ["org/reference"] }
"org/reference" = { role = "reference" }
"""

SUITE = """
import os, signal, time
import pytest
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import *
from pytest_scratchverify.core.text import Text

OUTCOMES = {outcomes}
CONTROLS = (Control(kind="positive", pair=("a", "b"), passed=True),
            Control(kind="negative", pair=("a", "c"), passed=True))

def made(pair, method, component=Component.TEXT_DECODER):
    wanted = OUTCOMES.get((method, pair.reference.name), OUTCOMES.get(method, "consistent"))
    if wanted == "unavailable":
        raise Unavailable(Reason.GATED, Text("org/x is gated."), Text("Set HF_TOKEN."))
    if wanted == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if wanted == "bug":
        raise ZeroDivisionError("a bug of ours")
    if wanted == "hang":
        time.sleep(30)
    return Finding(method=method, component=component, model=pair.model.name,
        reference=pair.reference.name, outcome=Outcome(wanted), headline=Text("measured " + wanted),
        hypothesis=Text("h"), level=Level.E3, replications=2, pvalue=1e-9 if wanted == "derived" else 0.5,
        effect=Statistic(name="e", value=0.9), controls=CONTROLS, coverage=Coverage(parameters=0.5),
        power=Power(minimum_detectable_effect=.1, power=.99, description=Text("power")))

@pytest.mark.weights
@pytest.mark.scratch("weights.{{component}}", component="{{component}}")
def test_weights(pair, component, record):
    if component not in (Component.EMBEDDINGS, Component.TEXT_DECODER, Component.LM_HEAD):
        record(Finding(method="weights." + component, component=component, model=pair.model.name,
            reference=pair.reference.name, outcome=Outcome.NOT_APPLICABLE, headline=Text("no such part"),
            hypothesis=Text("h")))
        return
    finding = record(made(pair, "weights." + component, component))
    assert not finding.derived, finding.headline
"""


@pytest.fixture
def suite(pytester: pytest.Pytester):
    """Write matrix, ini and suite; `outcomes` says what each method finds."""

    def write(**outcomes: str) -> None:
        named = {f"weights.{key}": value for key, value in outcomes.items()}
        pytester.makefile(".toml", matrix=MATRIX)
        pytester.makepyfile(test_suite=SUITE.format(outcomes=repr(named)))
        pytester.makefile(".ini", pytest="[pytest]\nscratch_matrix = matrix.toml\n")

    return write


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Run the suite in a process of its own and return its result and its run.json."""

    def go(*arguments: str):
        target = Path(pytester.path) / "run.json"
        target.unlink(missing_ok=True)
        result = pytester.runpytest_subprocess(
            "--scratch-verdict-json",
            str(target),
            "-p",
            "no:cacheprovider",
            *arguments,
            timeout=HANGS,
        )
        raw = target.read_text("utf-8") if target.exists() else None
        return result, json.loads(raw) if raw else None

    return go
