"""What only matters under pytest-xdist; harmless where it is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_scratchverify.plugin.session import RUN_DIRECTORY, Session

if TYPE_CHECKING:
    from pytest_scratchverify.plugin.controller import Controller


class ControllerSide:
    """The controller's part of distribution."""

    def __init__(self, session: Session, controller: Controller) -> None:
        self.session = session
        self.controller = controller

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the run's shared directory is."""
        node.workerinput[RUN_DIRECTORY] = str(self.session.run_path)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:  # noqa: ARG002
        """Note what will be run; the plan itself lies in the shared directory."""
        self.controller.selected.update(ids)
        self.controller.distributed = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Note a worker that did not end by itself: the run is partial from here on."""
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self.controller.lost_workers.append(str(node.gateway.id))
