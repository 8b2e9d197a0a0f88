"""The hooks: what the entry point of pyproject.toml names."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_scratchverify.checkpoint.roles import TensorNames
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.registry import Method
from pytest_scratchverify.verdict.policy import PolicyTable, read_policies
from pytest_scratchverify.verdict.run import Run

SUITES = "mylab_scratch.suites"


def pytest_scratchverify_methods() -> list[Method]:
    """Register two areas of tests: ``signs``, which gives p-values, and ``audit``."""
    return [
        Method(
            name="signs",
            sentence="signs of the embedding table",
            explanation=Text("Signs asks whether two embedding tables agree more than coins do."),
            calibrated=True,
            suites=SUITES,
        ),
        Method(
            name="audit",
            sentence="training that an auditor ran again",
            explanation=Text("Audit reads what an auditor states of the training that was rerun."),
            suites=SUITES,
        ),
    ]


def pytest_scratchverify_policies() -> list[PolicyTable]:
    """Register the policies of policies.toml."""
    text = Path(__file__).with_name("policies.toml").read_text("utf-8")
    return [*read_policies(text).values()]


def pytest_scratchverify_tensor_names() -> list[TensorNames]:
    """Name the tensors of the laboratory's own architecture."""
    return [
        TensorNames(
            stacks=((Component.TEXT_DECODER, r"net\.stage\."),),
            in_layer=(("gate_up", r"glu\.both"), ("down", r"glu\.out")),
            outside=((Component.EMBEDDINGS, "embed", r"net\.table"),),
        )
    ]


def pytest_scratchverify_run(run: Run) -> None:
    """Add a line per model to the laboratory's ledger, where one is kept."""
    ledger = os.environ.get("MYLAB_LEDGER")
    if ledger is not None:
        with Path(ledger).open("a", encoding="utf-8") as lines:
            lines.writelines(f"{model.model} {dict(model.outcomes)}\n" for model in run.models)
