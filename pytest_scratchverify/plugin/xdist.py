"""What only matters under pytest-xdist; harmless where it is not installed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.plugin.options import OPTIONS
from pytest_scratchverify.plugin.session import RUN_DIRECTORY, Session

if TYPE_CHECKING:
    from pytest_scratchverify.plugin.controller import Controller

GIVEN_OPTIONS = "scratch_options"  # the key in xdist's workerinput


def take_given_options(config: Any) -> None:
    """Take, in a worker, the options whose values xdist could not send as they are."""
    values = getattr(config, "workerinput", {}).get(GIVEN_OPTIONS)
    for name, value in json.loads(values).items() if values else ():
        setattr(config.option, name, value)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


class ControllerSide:
    """The controller's part of distribution."""

    def __init__(self, session: Session, controller: Controller) -> None:
        self.session = session
        self.controller = controller
        self.options: str | None = None

    @pytest.hookimpl(tryfirst=True)  # before xdist makes its workers
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Give options as JSON where xdist cannot send the command line: it sends UTF-8 only."""
        config = session.config
        given = [str(argument) for argument in config.invocation_params.args]
        if all(map(_is_utf8, [*given, *sys.argv])):
            return
        values = {option.dest: getattr(config.option, option.dest) for option in OPTIONS}
        self.options = json.dumps(values)
        args = [argument if _is_utf8(argument) else visible(argument) for argument in given]
        config.invocation_params = pytest.Config.InvocationParams(
            args=args, plugins=config.invocation_params.plugins, dir=config.invocation_params.dir
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where the run's shared directory is, and what was asked for."""
        node.workerinput[RUN_DIRECTORY] = str(self.session.run_path)
        if self.options is not None:
            node.workerinput[GIVEN_OPTIONS] = self.options
            node.workerinput["mainargv"] = [visible(argument) for argument in sys.argv]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:  # noqa: ARG002
        """Note what will be run; the plan itself lies in the shared directory."""
        self.controller.selected.update(ids)
        self.controller.distributed = True

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Deal by model, so that one worker opens it and reads its slices: not with --dist."""
        if config.getvalue("dist") != "load":
            return None
        from pytest_scratchverify.plugin.dealing import dealing_by_model  # noqa: PLC0415 - xdist

        return dealing_by_model(config, log, self.controller)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """Note a worker that did not end by itself: the run is partial from here on."""
        if error is not None and not isinstance(error, KeyboardInterrupt):
            self.controller.lost_workers.append(str(node.gateway.id))
