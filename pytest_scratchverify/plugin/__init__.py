"""The pytest plugin's entry point: options and hooks, and nothing else until it is used.

It is loaded in every pytest run of every project of its environment, so it imports only pytest,
`options` and `hookspecs`; the rest comes when an option or an ini value asks for it.
"""

from __future__ import annotations

import argparse

import pytest

from pytest_scratchverify.plugin.options import add_ini_twins, add_options, is_used, names_folders

MAX_ERROR = 20_000  # characters of one line: it may name every model of the matrix


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks of third parties, before any of their plugins is checked."""
    from pytest_scratchverify.plugin import hookspecs  # noqa: PLC0415 - it would be a hook's name

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the prefixed options, in one group, and their ini twins."""
    group = parser.getgroup("scratchverify", "was this model trained from scratch?")
    add_options(group.addoption, "--scratch-")
    add_ini_twins(parser.addini)


@pytest.hookimpl(tryfirst=True)  # before pytest executes a conftest.py
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse a model's folder as a place of tests or settings."""
    if names_folders(early_config.known_args_namespace):
        from pytest_scratchverify.plugin.model_folders import refuse_test_paths  # noqa: PLC0415

        refuse_test_paths(early_config)


@pytest.hookimpl(tryfirst=True)  # before pytest-html decides how it will write its report
def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the working parts only where they are wanted."""
    config.addinivalue_line(
        "markers",
        "scratch(method, component=...): one null hypothesis of the verdict; `method` is "
        "area.statistic",
    )
    if hasattr(config, "workerinput"):
        from pytest_scratchverify.plugin.xdist import take_given_options  # noqa: PLC0415

        take_given_options(config)
    used = is_used(config)
    if not used and not config.option.markers:
        return
    if used:
        from pytest_scratchverify.plugin.blas_threads import one_thread  # noqa: PLC0415

        config.add_cleanup(one_thread())
    from pytest_scratchverify.core.errors import ScratchError  # noqa: PLC0415 - see the docstring above
    from pytest_scratchverify.core.visible import visible  # noqa: PLC0415
    from pytest_scratchverify.plugin.model_folders import refuse_loaded_code  # noqa: PLC0415
    from pytest_scratchverify.plugin.registration import register, register_methods  # noqa: PLC0415

    refuse_loaded_code(config)
    try:
        extensions = register_methods(config)
        if used:
            register(config, extensions)
    except (ScratchError, argparse.ArgumentTypeError) as error:
        raise pytest.UsageError(visible(str(error), MAX_ERROR)) from None
