"""The pytest plugin's entry point: options and markers, and nothing else until it is used.

It is loaded in every pytest run of every project of its environment, so it imports only pytest
and `options`; the rest comes when an option or an ini value asks for it.
"""

from __future__ import annotations

import argparse

import pytest

from pytest_scratchverify.plugin.options import add_ini_twins, add_options, is_used

METHOD_MARKERS = {
    "architecture": "design of the model: config, shapes, parameter counts",
    "tokenizer": "ancestry of the vocabulary",
    "weights": "bytes and statistics of the weights",
    "behaviour": "answers of the running model",
    "training_log": "plausibility of the training record",
    "disclosure": "what the developer states openly",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the prefixed options, in one group, and their ini twins."""
    group = parser.getgroup("scratchverify", "was this model trained from scratch?")
    add_options(group.addoption, "--scratch-")
    add_ini_twins(parser.addini)


@pytest.hookimpl(tryfirst=True)  # before pytest-html decides how it will write its report
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the working parts only where they are wanted."""
    config.addinivalue_line(
        "markers",
        "scratch(method, component=...): one null hypothesis of the verdict; `method` is "
        "area.statistic",
    )
    for name, sentence in METHOD_MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {sentence}")
    if not is_used(config):
        return
    from pytest_scratchverify.core.errors import ScratchError  # noqa: PLC0415 - see the docstring above
    from pytest_scratchverify.plugin.registration import register  # noqa: PLC0415

    try:
        register(config)
    except (ScratchError, argparse.ArgumentTypeError) as error:
        raise pytest.UsageError(str(error)) from None
