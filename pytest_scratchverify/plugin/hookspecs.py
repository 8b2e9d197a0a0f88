"""Hooks for third parties: a method, a policy, names of tensors, a finished run.

A package implements them in a module that its ``pytest11`` entry point names, as any pytest plugin
does; the plugin asks them only in runs that use it. The examples are those of the package in
docs/extending, which a test installs and runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # this module is loaded in every pytest run of every project
    from pytest_scratchverify.checkpoint.roles import TensorNames
    from pytest_scratchverify.methods.registry import Method
    from pytest_scratchverify.verdict.policy import Policy
    from pytest_scratchverify.verdict.run import Run


def pytest_scratchverify_methods() -> Sequence[Method]:
    """Return methods: areas of tests that a verdict is folded from.

    A registered method has a marker, its p-values are in Holm's family if it is calibrated,
    ``scratchverify explain`` knows its tests, and the line that reproduces a run names its suites.

    Returns
    -------
    sequence of Method
        Names must be new; a name that is taken is a usage error.

    Examples
    --------
    ::

        from pytest_scratchverify.core.text import Text
        from pytest_scratchverify.methods.registry import Method


        def pytest_scratchverify_methods():
            return [
                Method(
                    name="spectrum",
                    sentence="singular values of the weights",
                    explanation=Text("Spectrum asks whether two spectra are the same."),
                    calibrated=True,
                    suites="mylab_scratch.suites",
                )
            ]
    """
    raise NotImplementedError  # pragma: no cover - a specification, never called


def pytest_scratchverify_policies() -> Sequence[Policy]:
    """Return policies, to be chosen with ``--policy``.

    Returns
    -------
    sequence of Policy
        Tables, or anything that has a name and judges; names must be new.

    Examples
    --------
    ::

        from pytest_scratchverify.verdict.policy import read_policies

        TABLES = '''
        [lab-2027]
        requires = "text"
        satisfied_by = ["NO_EVIDENCE_OF_REUSE", "INDEPENDENCE_AUDITED"]
        failed_by = ["REUSED_VERBATIM", "DERIVED"]
        '''


        def pytest_scratchverify_policies():
            return [*read_policies(TABLES).values()]
    """
    raise NotImplementedError  # pragma: no cover - a specification, never called


def pytest_scratchverify_tensor_names() -> Sequence[TensorNames]:
    r"""Return tensor names of architectures that the shipped table does not know.

    Returns
    -------
    sequence of TensorNames
        Asked after the shipped lines. A name that no line matches stays unmapped: reported, and
        never guessed.

    Examples
    --------
    ::

        from pytest_scratchverify.checkpoint.roles import TensorNames
        from pytest_scratchverify.core.component import Component


        def pytest_scratchverify_tensor_names():
            return [
                TensorNames(
                    stacks=((Component.TEXT_DECODER, r"net\.stage\."),),
                    in_layer=(("gate_up", r"glu\.both"), ("down", r"glu\.out")),
                    outside=((Component.EMBEDDINGS, "embed", r"net\.table"),),
                )
            ]
    """
    raise NotImplementedError  # pragma: no cover - a specification, never called


def pytest_scratchverify_run(run: Run) -> None:
    """Look at a finished run, before it is written.

    Called once, in the process that writes the reports. The run is immutable: what it says is
    what was measured.

    Parameters
    ----------
    run : Run
        Verdicts, findings, plan.

    Examples
    --------
    ::

        def pytest_scratchverify_run(run):
            for model in run.models:
                print(model.model, dict(model.outcomes))
    """
    raise NotImplementedError  # pragma: no cover - a specification, never called
