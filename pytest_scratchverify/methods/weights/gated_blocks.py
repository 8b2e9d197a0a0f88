"""Feed-forward blocks of a component: gated or plain, each with the norm before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.stats.weights.anchored_search import Key
from pytest_scratchverify.tensors.inventory import NORMS, Inventory, Matrix, Slot
from pytest_scratchverify.tensors.plan import layer_rank

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
    def is_gated(self) -> bool:
        """Whether rows of the second matrix read the residual stream too."""
        return self.first.slot.kind == "gate"

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """All that is read."""
        parts = (self.first, self.second, self.third, self.norm)
        return tuple(part for part in parts if part is not None)

    def without_third(self) -> GatedBlock:
        """Return the block as two matrices, which cost less to read."""
        return replace(self, third=None)

    def cost(self, free: frozenset[Slot], *, third: bool = True) -> int:
        """Return the bytes beside what is read anyway, and beside norms, for which some are kept.

        Without `third`, of two matrices.

        A component that is read whole leaves nothing over: its blocks must not be lost for the
        few bytes of a norm.
        """
        parts = (self.first, self.second, self.third if third else None)
        read = [m for m in parts if m is not None and m.slot not in free]
        return sum(m.rows * m.row_bytes for m in read)


class GatedBlocks(dict[Key, GatedBlock]):
    """Blocks by layer and expert, the order in which they are chosen, and the cheapest of them."""

    @cached_property
    def in_turn(self) -> tuple[Key, ...]:
        """One expert of every layer after the other, the layers in the order of the plan."""
        turns: dict[int, int] = {}
        ranked: list[tuple[int, int, Key]] = []
        for key in sorted(self):
            turns[key[0]] = turns.get(key[0], -1) + 1
            ranked.append((turns[key[0]], layer_rank(key[0]), key))
        return tuple(key for _, _, key in sorted(ranked))

    def cheapest(self, *, third: bool) -> int:
        """Return what the block costs that costs least, of which nothing is read anyway."""
        return self._cheapest[third]

    @cached_property
    def _cheapest(self) -> tuple[int, int]:
        nothing: frozenset[Slot] = frozenset()
        costs = ([b.cost(nothing, third=third) for b in self.values()] for third in (False, True))
        two, three = (min(found, default=0) for found in costs)
        return two, three


def gated_blocks(
    inventory: Inventory, component: Component, most: int | None = MOST_NEURONS
) -> GatedBlocks:
    """Return the feed-forward blocks of a component by layer and expert, whole ones only.

    Found once for an inventory: tables, the decoder and its experts all ask for them. `most` are
    the neurons of a block that is matched whole; None for blocks of any size.
    """
    known: dict[tuple[Component, int | None], GatedBlocks]
    known = inventory.derived.setdefault(GatedBlock, {})
    if (component, most) not in known:
        known[component, most] = _listed(inventory, component, most)
    return known[component, most]


def _listed(inventory: Inventory, component: Component, most: int | None) -> GatedBlocks:
    matrices = inventory.of(component)
    found = GatedBlocks()
    norms: dict[tuple[int, int], Matrix | None] = {}  # of a layer, whose experts share it
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
        place = (slot.layer, matrix.cols)
        if place not in norms:
            norms[place] = _norm_before(inventory, component, *place)
        block = GatedBlock(component, matrix, second, third, norms[place])
        found[slot.layer, slot.expert] = block
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
