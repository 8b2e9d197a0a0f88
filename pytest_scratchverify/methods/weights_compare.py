"""Compares one component of two checkpoints: what to read, reading it, measuring it.

The order is the order of cost: equal bytes, norm gains, aligned numbers of neurons and
channels, then matchings that see through renumbered neurons, then the map of layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.slices import (
    BUDGETS,
    Block,
    Matrix,
    Plan,
    Slot,
    common,
    component_budget,
    plan_component,
)
from pytest_scratchverify.methods.weights_measure import Batch, Measure, Measured
from pytest_scratchverify.methods.weights_reading import Checkpoint, Ledger, batches
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.model.evidence import ArtifactRecord

Array = NDArray[np.float32]

PROBE_ELEMENTS = 2**20  # of the suspect's own slices, kept for controls and power
CONTEXT_NORMS = 8
RESERVE = 0.02  # of the bytes, for the norms that every component's report shows


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured pair with what it cost and what it covers."""

    measured: Measured
    context_gains: tuple[tuple[Array, Array], ...]
    probe: Batch
    coverage: float
    tensors: int
    shared_slots: int
    our_slots: int
    records: tuple[ArtifactRecord, ...]
    weight_bytes: int


def total_budget(depth: str, limit: int | None) -> int | None:
    """Return the bytes of weights a model may cost: the depth's, or the user's if smaller."""
    budget = BUDGETS[depth]
    if limit is None:
        return budget
    return limit if budget is None else min(limit, budget)


def compare(
    ours: Checkpoint,
    theirs: Checkpoint,
    component: Component,
    *,
    depth: str = "quick",
    limit: int | None = None,
) -> Compared | None:
    """Measure one component of two checkpoints; None if they have no equal shape in common."""
    mine = ours.inventory.of(component)
    partners = theirs.inventory.of(component)
    slots = common(mine, partners)
    matrices = {slot: mine[slot] for slot in slots}
    if not any(matrix.rows > 1 for matrix in matrices.values()):
        return None
    plan = plan_pair(ours, theirs, component, matrices, total_budget(depth, limit), depth)
    ledgers = (Ledger(ours.store), Ledger(theirs.store))
    rows = {slot: matrix.rows for slot, matrix in matrices.items()}
    taken = Measure(component, whole_rows=rows)
    probe: dict[tuple[Slot, int], tuple[Array, Array]] = {}
    room = PROBE_ELEMENTS
    for batch in batches(ours, theirs, plan.blocks, ledgers):
        taken.add(batch)
        room = _fill_probe(probe, batch, room)
    gains = _context(ours, theirs, component, ledgers)
    parameters = ours.inventory.parameters[component.value]
    return Compared(
        measured=taken.result(),
        context_gains=gains,
        probe=probe,
        coverage=min(1.0, plan.touched_parameters / parameters) if parameters else 0.0,
        tensors=len(plan.blocks),
        shared_slots=len(slots),
        our_slots=len(mine),
        records=_records(ours, theirs, ledgers),
        weight_bytes=ours.total_bytes,
    )


def plan_pair(
    ours: Checkpoint,
    theirs: Checkpoint,
    component: Component,
    matrices: Mapping[Slot, Matrix],
    total: int | None,
    depth: str,
) -> Plan:
    """Plan the blocks of a component so that neither model exceeds its budget."""
    header = max(ours.index_record.bytes_read, theirs.index_record.bytes_read)
    kept = None if total is None else int(total * (1 - RESERVE))
    budget = component_budget(kept, ours.components, component, header)
    if budget is not None:
        wider = max(
            (theirs.inventory.matrices[s].row_bytes / m.row_bytes for s, m in matrices.items()),
            default=1.0,
        )
        budget = int(budget / max(1.0, wider))
    whole = budget // 2 if budget is not None and depth == "robust" else 0
    return plan_component(matrices, budget, whole_budget=whole)


def _fill_probe(
    probe: dict[tuple[Slot, int], tuple[Array, Array]], batch: Batch, room: int
) -> int:
    for piece, pair in batch.items():
        if pair[0].size <= room:
            probe[piece] = pair
            room -= pair[0].size
    return room


def _context(
    ours: Checkpoint, theirs: Checkpoint, component: Component, ledgers: tuple[Ledger, Ledger]
) -> tuple[tuple[Array, Array], ...]:
    """Read a few norm gains of the text decoder, beside components that have none."""
    if component is Component.TEXT_DECODER:
        return ()
    mine = ours.inventory.of(Component.TEXT_DECODER)
    slots = [s for s in common(mine, theirs.inventory.of(Component.TEXT_DECODER))]
    wanted = [s for s in slots if s.kind in ("norm_in", "norm_post") and mine[s].rows == 1]
    wanted = sorted(wanted, key=lambda s: (s.layer * 7919 % 61, s.kind))[:CONTEXT_NORMS]
    blocks = [Block(mine[slot], 0, 1) for slot in wanted]
    found = [batch for batch in batches(ours, theirs, blocks, ledgers)]
    return tuple((a[0], b[0]) for batch in found for a, b in batch.values())


def _records(
    ours: Checkpoint, theirs: Checkpoint, ledgers: Sequence[Ledger]
) -> tuple[ArtifactRecord, ...]:
    return (
        ours.index_record,
        *ledgers[0].as_records(),
        theirs.index_record,
        *ledgers[1].as_records(),
    )
