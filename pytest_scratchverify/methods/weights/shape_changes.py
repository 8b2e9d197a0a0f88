"""Shape changes between two checkpoints that may still share weights."""

from __future__ import annotations

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.tensors.inventory import Inventory, most_experts


def shape_changes(ours: Inventory, theirs: Inventory, component: Component) -> tuple[Kind, ...]:
    """Name what differs in shape between a component of two models: width, depth, experts.

    Of token tables the width alone counts: their rows are as many as there are tokens.
    """
    mine, other = ours.of(component), theirs.of(component)
    if not mine or not other:
        return ()
    found = []
    left, right = (
        {s: (m.rows, m.cols) for s, m in matrices.items() if m.rows > 1}
        for matrices in (mine, other)
    )
    first = 1 if component in TOKEN_TABLES else 0
    counts = [most_experts(mine), most_experts(other)]
    if component is Component.ROUTER_EXPERTS and counts[0] != counts[1] and min(counts):
        found.append(Kind.FEWER_EXPERTS if counts[0] < counts[1] else Kind.MORE_EXPERTS)
        # Of a router the rows are the experts.
        left = {slot: shape for slot, shape in left.items() if slot.kind != "router"}
    if any(left[slot][first:] != right[slot][first:] for slot in left.keys() & right.keys()):
        found.append(Kind.WIDTH)
    depths = [len({s.layer for s in slots if s.layer >= 0}) for slots in (mine, other)]
    if depths[0] != depths[1]:
        found.append(Kind.LAYERS)
    experts = [
        inventory.parameters.get(Component.ROUTER_EXPERTS.value, 0) > 0
        for inventory in (ours, theirs)
    ]
    if experts[0] and not experts[1] and component is Component.TEXT_DECODER:
        found.append(Kind.UPCYCLED)
    return tuple(found)
