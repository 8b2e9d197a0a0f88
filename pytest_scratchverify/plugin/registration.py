"""Register the working parts of the plugin: only called in runs that use it."""

from __future__ import annotations

import gc
import os

import pytest

from pytest_scratchverify.checkpoint.roles import use_tensor_names
from pytest_scratchverify.plugin import collection, execution, pytest_html, xdist
from pytest_scratchverify.plugin.cluster_run import cluster_run
from pytest_scratchverify.plugin.controller import Controller
from pytest_scratchverify.plugin.extensions import Extensions, registered
from pytest_scratchverify.plugin.open_reasons import OpenReasons
from pytest_scratchverify.plugin.progress import ReadingLine, terminal_of
from pytest_scratchverify.plugin.session import SESSION, open_session

# Objects made between two searches for cycles: names and places of tens of thousands of tensors are
# made once and stay, and to look through them again and again was a twelfth of a run.
RARELY = (50_000, 20, 20)


def register_methods(config: pytest.Config) -> Extensions:
    """Ask the hooks, and register a marker for each method. Raises `ScratchError`."""
    extensions = registered(config.pluginmanager)
    for method in extensions.methods:
        config.addinivalue_line("markers", f"{method.name}: {method.sentence}")
    return extensions


def register(config: pytest.Config, extensions: Extensions) -> None:
    """Open the session and register hooks. Raises `ScratchError` on a user's mistake."""
    session = open_session(config, extensions)
    config.stash[SESSION] = session
    seldom = gc.get_threshold()
    gc.set_threshold(*RARELY)
    config.add_cleanup(lambda: gc.set_threshold(*seldom))
    use_tensor_names(extensions.tensor_names)
    config.add_cleanup(lambda: use_tensor_names(()))
    manager = config.pluginmanager
    manager.register(collection.Parametrizer(session), "scratchverify-parametrize")
    manager.register(execution.Worker(session), "scratchverify-worker")
    from pytest_scratchverify.plugin import fixtures  # noqa: PLC0415 - fixtures exist only when used

    manager.register(fixtures, "scratchverify-fixtures")
    if not session.is_worker:
        controller = Controller(session)
        manager.register(controller, "scratchverify-controller")
        manager.register(OpenReasons(config), "scratchverify-reasons")
        terminal = terminal_of(config)
        if terminal is not None:
            config.add_cleanup(lambda: os.close(terminal))
            manager.register(ReadingLine(session, terminal), "scratchverify-progress")
        manager.register(xdist.ControllerSide(session, controller), "scratchverify-xdist")
        if session.settings.cluster is not None:
            manager.register(cluster_run(session), "scratchverify-cluster")
        pytest_html.in_one_file(config)
        manager.register(pytest_html.HtmlGuest(controller), "scratchverify-html")
