"""Verdicts as properties of a JUnit file."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.verdict.run import Run


def add_junit_properties(config: pytest.Config, run: Run) -> None:
    """Add the verdicts to a JUnit file's suite, if one is being written.

    pytest's own fixture for this does not reach the controller under xdist (pytest#7767), and
    there is no public way to its writer; without that way the file merely lacks them.
    """
    try:
        from _pytest.junitxml import xml_key  # noqa: PLC0415
    except ImportError:
        return
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for model in run.models:
        for name, result in model.policies.items():
            xml.add_global_property(
                f"scratch_policy:{visible(model.model)}:{visible(name)}", result.result.value
            )
        for number, text in enumerate(model.lineage, start=1):
            name = f"scratch_lineage:{visible(model.model)}:{number}"
            xml.add_global_property(name, visible(str(text)))
        for component, verdict in model.components.items():
            key = f"scratch_verdict:{visible(model.model)}:{component}"
            xml.add_global_property(key, verdict.verdict.value)
