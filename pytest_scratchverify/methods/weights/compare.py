"""Compares one component of two checkpoints: what to read, reading it, measuring it.

The order is the order of cost: equal bytes, norm gains, aligned numbers of neurons and
channels, then matchings that see through renumbered neurons, then the map of layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.alignment import Aligned, align
from pytest_scratchverify.methods.weights.any_basis import (
    LAYERS,
    InAnyBasis,
    compare_angles,
    compare_in_any_basis,
    shape_changes,
    table_in_basis,
)
from pytest_scratchverify.methods.weights.layers import map_layers
from pytest_scratchverify.methods.weights.measure import Batch, Measure, Measured
from pytest_scratchverify.methods.weights.token_rows import KIND, read_token_rows, token_rows
from pytest_scratchverify.stats.weights.gram_permutation import GramNumbering
from pytest_scratchverify.stats.weights.layer_map import LayerMap
from pytest_scratchverify.tensors.reading import Sides
from pytest_scratchverify.tensors.slices import (
    BUDGETS,
    Block,
    Matrix,
    Slot,
    common,
    component_budget,
    plan_component,
)

Array = NDArray[np.float32]

PROBE_ELEMENTS = 2**20  # of the suspect's own slices, kept for controls and power
CONTEXT_NORMS = 8
LAYERS_SHARE = 0.12  # of a component's bytes, for the map of layers
DECIDED = 1e-7
# Components that live in the channels of the text's residual stream.
ALIGNED = (
    Component.EMBEDDINGS,
    Component.TEXT_DECODER,
    Component.LM_HEAD,
    Component.ROUTER_EXPERTS,
)
RESERVE = 0.02  # of the bytes, for the norms that every component's report shows


@dataclass(frozen=True, slots=True)
class Compared:
    """A measured pair with what it cost and what it covers.

    `aligned_rows` is False where rows may belong to different tokens: such a comparison can
    find a relation, and its silence means nothing.
    """

    measured: Measured
    context_gains: tuple[tuple[Array, Array], ...]
    layers: LayerMap | None
    aligned: Aligned | None
    basis: InAnyBasis | None
    angles: GramNumbering | None
    table: float | None
    changes: tuple[str, ...]
    probe: Batch
    coverage: float
    tensors: int
    shared_slots: int
    our_slots: int
    aligned_rows: bool
    stored: tuple[str, ...]
    stored_by_reference: tuple[str, ...]
    sides: Sides

    @property
    def gains(self) -> tuple[tuple[Array, Array], ...]:
        """The component's own norm gains, or some of the text decoder's."""
        return self.measured.gains or self.context_gains


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much may be read, and when a question is decided.

    From `layer_threshold` on a layer counts as mapped; below `derived_threshold` what is alike
    in place is looked at in any basis too.
    """

    depth: str = "quick"
    limit: int | None = None
    layer_threshold: float = 0.3
    derived_threshold: float = 0.6


def total_budget(effort: Effort) -> int | None:
    """Return the bytes of weights a model may cost: the depth's, or the user's if smaller."""
    budget = BUDGETS[effort.depth]
    if effort.limit is None:
        return budget
    return effort.limit if budget is None else min(effort.limit, budget)


def compare(sides: Sides, component: Component, effort: Effort) -> Compared | None:
    """Measure one component of two checkpoints; None if nothing can be laid side by side."""
    mine = sides.ours.inventory.of(component)
    slots = common(mine, sides.theirs.inventory.of(component))
    matrices = {slot: mine[slot] for slot in slots}
    budget = pair_budget(sides, component, matrices, total_budget(effort))
    source = _source(sides, component, matrices, budget, effort)
    taken = Measure(component, whole_rows={s: m.rows for s, m in matrices.items()})
    probe: dict[tuple[Slot, int], tuple[Array, Array]] = {}
    room = PROBE_ELEMENTS
    for batch in source.batches:
        taken.add(batch)
        room = _fill_probe(probe, batch, room)
        del batch  # before the next one is read: at full depth either is hundreds of megabytes
    measured = taken.result()
    layers = _layers(sides, measured, budget, effort)
    part = None if budget is None else int(budget * LAYERS_SHARE)
    open_question = measured.pvalue > DECIDED
    weak = (measured.similarity or 0.0) < effort.derived_threshold
    undecided = open_question and component in ALIGNED
    basis = None
    if (open_question or weak) and component is not Component.PROJECTOR:
        spent = sum(block.nbytes for block in source.blocks)
        spare = None if budget is None else max(0, budget - 2 * (part or 0) - spent)
        basis = compare_in_any_basis(sides, component, source.blocks, spare)
    if not measured.elements and layers is None and basis is None:
        return None
    parameters = sides.ours.inventory.parameters[component.value]
    return Compared(
        measured=measured,
        context_gains=_context(sides, component),
        layers=layers,
        aligned=align(sides, probe, part) if undecided else None,
        basis=basis,
        angles=compare_angles(probe, component) if open_question else None,
        table=_table(sides, component, basis, part),
        changes=shape_changes(sides, component),
        probe=probe,
        coverage=min(1.0, source.touched / parameters) if parameters else 0.0,
        tensors=len({item.slot for item in measured.similar}),
        shared_slots=len(slots),
        our_slots=len(mine),
        aligned_rows=source.aligned,
        stored=_dtypes(matrices.values()),
        stored_by_reference=_dtypes(sides.theirs.inventory.matrices[slot] for slot in slots),
        sides=sides,
    )


def _dtypes(matrices: Iterable[Matrix]) -> tuple[str, ...]:
    return tuple(sorted({m.info.dtype for m in matrices if m.rows > 1}))


@dataclass(frozen=True, slots=True)
class _Source:
    batches: Iterable[Batch]
    touched: int  # parameters of the tensors that are sampled
    aligned: bool
    blocks: tuple[Block, ...] = ()


def _source(
    sides: Sides,
    component: Component,
    matrices: Mapping[Slot, Matrix],
    budget: int | None,
    effort: Effort,
) -> _Source:
    """Say which slices to read: planned blocks, or the rows of shared tokens."""
    aligned = True
    if component in KIND:
        rows = token_rows(sides.ours.store, sides.theirs.store)
        padded = Slot(component.value, KIND[component]) not in matrices  # tables of two lengths
        if rows.same_numbers is False or (rows.same_numbers and padded):
            found = read_token_rows(sides, component, rows, budget)
            touched = sum(m.rows * m.cols for m in sides.ours.inventory.of(component).values())
            return _Source([found], touched if found else 0, bool(found))
        aligned = rows.same_numbers is True
    part = None if budget is None else int(budget * (1 - LAYERS_SHARE))
    whole = part // 2 if part is not None and effort.depth == "robust" else 0
    plan = plan_component(matrices, part, whole_budget=whole)
    return _Source(sides.batches(plan.blocks), plan.touched_parameters, aligned, plan.blocks)


def _table(
    sides: Sides, component: Component, basis: InAnyBasis | None, budget: int | None
) -> float | None:
    if component not in KIND or basis is None:
        return None
    return table_in_basis(sides, component, basis, budget)


def _layers(
    sides: Sides, measured: Measured, budget: int | None, effort: Effort
) -> LayerMap | None:
    """Map layers where the aligned tests left the question open, or explain few of the layers."""
    component = measured.component
    if component in KIND or component is Component.PROJECTOR:
        return None
    layers = [value for layer, value in measured.by_layer().items() if layer >= 0]
    explained = sum(value >= effort.layer_threshold for value in layers)
    moved = LAYERS in shape_changes(sides, component)
    if measured.pvalue <= DECIDED and 2 * explained > len(layers) and not moved:
        return None
    part = None if budget is None else int(budget * LAYERS_SHARE)
    return map_layers(sides, component, budget=part, threshold=effort.layer_threshold)


def pair_budget(
    sides: Sides, component: Component, matrices: Mapping[Slot, Matrix], total: int | None
) -> int | None:
    """Return the bytes of our blocks, so that neither model exceeds its `total`.

    The headers of both are charged; where the other model stores wider numbers, fewer rows
    are read of both.
    """
    if total is None:
        return None
    header = max(c.index_record.bytes_read for c in (sides.ours, sides.theirs))
    kept = int(total * (1 - RESERVE))
    budget = component_budget(kept, sides.ours.components, component, header)
    partner = sides.theirs.inventory.matrices
    wider = max((partner[s].row_bytes / m.row_bytes for s, m in matrices.items()), default=1.0)
    return int((budget or 0) / max(1.0, wider))


def _fill_probe(probe: dict[tuple[Slot, int], tuple[Array, Array]], batch: Batch, room: int) -> int:
    for piece, pair in batch.items():
        if pair[0].size <= room:
            probe[piece] = pair
            room -= pair[0].size
    return room


def _context(sides: Sides, component: Component) -> tuple[tuple[Array, Array], ...]:
    """Read a few norm gains of the text decoder, beside components that have none."""
    if component is Component.TEXT_DECODER:
        return ()
    mine = sides.ours.inventory.of(Component.TEXT_DECODER)
    slots = common(mine, sides.theirs.inventory.of(Component.TEXT_DECODER))
    wanted = [s for s in slots if s.kind in ("norm_in", "norm_post") and mine[s].rows == 1]
    wanted = sorted(wanted, key=lambda s: (s.layer * 7919 % 61, s.kind))[:CONTEXT_NORMS]
    blocks = [Block(mine[slot], 0, 1) for slot in wanted]
    found = list(sides.batches(blocks))
    return tuple((a[0], b[0]) for batch in found for a, b in batch.values())
