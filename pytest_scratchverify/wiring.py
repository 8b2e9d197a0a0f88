"""Register the working parts of the plugin: only called in runs that use it."""

from __future__ import annotations

import pytest

from pytest_scratchverify import _html, _parametrize, _worker, _xdist
from pytest_scratchverify._controller import Controller
from pytest_scratchverify._session import SESSION, open_session


def register(config: pytest.Config) -> None:
    """Open the session and register hooks. Raises `ScratchError` on a user's mistake."""
    session = open_session(config)
    config.stash[SESSION] = session
    manager = config.pluginmanager
    manager.register(_parametrize.Parametrizer(session), "scratchverify-parametrize")
    manager.register(_worker.Worker(session), "scratchverify-worker")
    from pytest_scratchverify import _fixtures  # noqa: PLC0415 - fixtures exist only when used

    manager.register(_fixtures, "scratchverify-fixtures")
    if not session.is_worker:
        controller = Controller(session)
        manager.register(controller, "scratchverify-controller")
        manager.register(_xdist.ControllerSide(session, controller), "scratchverify-xdist")
        _html.in_one_file(config)
        manager.register(_html.HtmlGuest(controller), "scratchverify-html")
