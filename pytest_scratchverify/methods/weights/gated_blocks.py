"""Feed-forward blocks of a component: gated or plain, each with the norm before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.stats.weights.anchored_search import Key
from pytest_scratchverify.tensors.inventory import NORMS, Inventory, Matrix, Slot

MOST_NEURONS = 2048  # an assignment of more takes too long
GATED = ("gate", "up", "down")
PLAIN = ("fc1", "fc2")


@dataclass(frozen=True, slots=True)
class GatedBlock:
    """The matrices of one gated block, and the norm whose gains scale what it reads."""

    component: Component
    first: Matrix
    second: Matrix
    third: Matrix | None
    norm: Matrix | None

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All that is read."""
        parts = (self.first, self.second, self.third, self.norm)
        return tuple(part for part in parts if part is not None)

    def without_third(self) -> GatedBlock:
        """Return the block as two matrices, which cost less to read."""
        return replace(self, third=None)

    def cost(self, free: frozenset[Slot]) -> int:
        """Return the bytes beside what is read anyway, and beside norms, for which some are kept.

        A component that is read whole leaves nothing over: its blocks must not be lost for the
        few bytes of a norm.
        """
        read = free if self.norm is None else free | {self.norm.slot}
        return sum(m.rows * m.row_bytes for m in self.matrices if m.slot not in read)


def gated_blocks(
    inventory: Inventory, component: Component, most: int | None = MOST_NEURONS
) -> Mapping[Key, GatedBlock]:
    """Return the feed-forward blocks of a component by layer and expert, whole ones only.

    `most` are the neurons of a block that is matched whole; None for blocks of any size.
    """
    matrices = inventory.of(component)
    found: dict[Key, GatedBlock] = {}
    for slot, matrix in matrices.items():
        names = {"gate": GATED, "fc1": PLAIN}.get(slot.kind)
        if names is None or slot.layer < 0 or (most is not None and matrix.rows > most):
            continue
        parts = [matrices.get(Slot(slot.component, k, slot.layer, slot.expert)) for k in names]
        last = parts[-1]
        if last is not None and (last.rows, last.cols) != (matrix.cols, matrix.rows):
            last = None
        second = parts[1] if names is GATED else last
        if second is None or (names is GATED and second.rows != matrix.rows):
            continue
        third = last if names is GATED else None
        norm = _norm_before(inventory, component, slot.layer, matrix.cols)
        found[slot.layer, slot.expert] = GatedBlock(component, matrix, second, third, norm)
    return found


def _norm_before(
    inventory: Inventory, component: Component, layer: int, width: int
) -> Matrix | None:
    place = Component.TEXT_DECODER if component is Component.ROUTER_EXPERTS else component
    for kind in NORMS:
        found = inventory.gains_at(Slot(place.value, kind, layer), width)
        if found is not None:
            return found
    return None
