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

ENOUGH = 2  # tests: the one that is run and the one behind it
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

    def remove_node(self, node: Any) -> str | None:
        """Hand on what a dead worker had, but for the test that it died of.

        That one is reported as crashed; dealt out once more, as the base class would, it kills the
        workers one after the other, until xdist starts no new one and other models are lost.
        """
        workload = self.assigned_work.pop(node)
        left = [(unit, one) for unit in workload.values() for one, done in unit.items() if not done]
        if not left:
            return None
        unit, crashed = left[0]
        unit[crashed] = True
        self.workqueue.update(
            {scope: unit for scope, unit in workload.items() if not all(unit.values())}
        )
        for other in self.assigned_work:
            self._reschedule(other)
        return str(crashed)

    def _reschedule(self, node: Any) -> None:
        """Give a worker enough to go on: it runs a test when it knows the next one, or the end.

        xdist sees to this when a run starts. A worker that takes the place of a dead one would get
        one unit, which may be one test, and wait with it for ever.
        """
        if node not in self.registered_collections:
            return  # it has just taken a dead one's place, and asks when it knows the tests
        super()._reschedule(node)
        if node.shutting_down:
            return
        while self.workqueue and self._pending_of(self.assigned_work[node]) < ENOUGH:
            self._assign_work_unit(node)
        if self._pending_of(self.assigned_work[node]) < ENOUGH:
            node.shutdown()  # after what it has: there is no more


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
