"""Which worker of pytest-xdist runs which tests: those of one model go to one worker.

xdist deals test by test. Then every worker opens every model, and holds what it read of it. Tests
that ask about one model are dealt together instead, as long as there are enough models to keep all
workers busy to the end; else those of one model and reference; else test by test, as xdist would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from pytest_scratchverify.core.evidence import Intent

if TYPE_CHECKING:
    from pytest_scratchverify.plugin.controller import Controller

UNITS = 2  # for each worker at least: the last ones end at about one time


class DealingByModel(LoadScopeScheduling):  # type: ignore[misc]
    """Deals what `units` puts together; what is no hypothesis of ours goes test by test."""

    def __init__(self, config: pytest.Config, log: Any, controller: Controller) -> None:
        super().__init__(config, log)
        self._controller = controller
        self._units: Mapping[str, str] | None = None

    def _split_scope(self, nodeid: str) -> str:
        if self._units is None:  # the workers left their plan before they said what they collected
            self._controller.read_plan()
            self._units = units(self._controller.intents.values(), len(self.nodes))
        return self._units.get(nodeid, nodeid)


def units(intents: Iterable[Intent], workers: int) -> dict[str, str]:
    """Return, for each test, the name of what it is dealt with.

    The coarsest of three: the model, the model and the reference, the test alone; coarse enough is
    what makes `UNITS` for each worker.
    """
    found = [*intents]
    by_model = {one.nodeid: one.model for one in found}
    by_pair = {one.nodeid: f"{one.model}\0{one.reference or ''}" for one in found}
    for dealt in (by_model, by_pair):
        if len({*dealt.values()}) >= UNITS * workers:
            return dealt
    return {one.nodeid: one.nodeid for one in found}


def dealing_by_model(config: pytest.Config, log: Any, controller: Controller) -> DealingByModel:
    """Return the scheduler that xdist is to use."""
    return DealingByModel(config, log, controller)
