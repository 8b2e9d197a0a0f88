"""Escalating comparison of one component of two checkpoints: what to read, reading, measuring.

The order is the order of cost: equal bytes, norm gains, aligned numbers of neurons and
channels, then matchings that see through permuted neurons, then the map of layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.methods.weights.alignment import Aligned, align
from pytest_scratchverify.methods.weights.angles import compare_angles
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.decoder_relation import DecoderRelation, decoder_relation
from pytest_scratchverify.methods.weights.framed_basis import (
    FramedBasis,
    FramePlan,
    match_by_frames,
    plan_frames,
)
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.layers import map_layers
from pytest_scratchverify.methods.weights.measure import Measure, Measured, gains_of
from pytest_scratchverify.methods.weights.neurons import Batch
from pytest_scratchverify.methods.weights.roles_in_place import (
    RoleInPlace,
    RoleSums,
    roles_in_place,
)
from pytest_scratchverify.methods.weights.rotation_invariant import (
    MANY_AT_QUICK,
    MANY_NEURONS,
    RotationInvariantMatch,
    cost_of_whole_layers,
    match_rotation_invariant,
    table_in_basis,
)
from pytest_scratchverify.methods.weights.tensor_groups import (
    SAMPLE_ELEMENTS,
    measure_everything,
)
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.methods.weights.token_rows import read_token_rows
from pytest_scratchverify.stats.weights.gram_permutation import GramPermutation
from pytest_scratchverify.stats.weights.layer_map import LayerMap
from pytest_scratchverify.stats.weights.norm_gains import are_related, gain_similarity
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.matrices import GAIN
from pytest_scratchverify.tensors.plan import BUDGETS, Block, component_budget, plan_component

Array = NDArray[np.float32]

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
KEPT = 0.4  # of a component's bytes at most, for experts that may have other numbers
# Of a component's bytes at most, for frames, which see what is not in its place at any size.
FRAMES_SHARE = {"quick": 0.5, "robust": 0.75}
RESERVE = 0.02  # of the bytes, for the norms that every component's report shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """All that was measured of one component of a pair; None for what was not looked at.

    `stored` are the dtypes of the suspect's slices, `table` the cosine of embeddings in the
    basis that was recognised, `sample` the slices that controls and power are measured on.
    `aligned_rows` is False where rows may belong to different tokens: such a comparison can
    find a relation, and its silence means nothing. `coverage` is the share of the component's
    parameters whose tensors were sampled, `unplaced` the share of those that met nothing: packed
    in a way that nobody here decodes, or of unknown name.
    """

    measured: Measured
    context_gains: tuple[tuple[Array, Array], ...] = ()
    decoders: DecoderRelation | None = None
    roles: tuple[RoleInPlace, ...] = ()
    layers: LayerMap | None = None
    aligned: Aligned | None = None
    rotated: RotationInvariantMatch | None = None
    framed: FramedBasis | None = None
    angles: GramPermutation | None = None
    table: float | None = None
    changes: tuple[Kind, ...] = ()  # of shape
    stored: tuple[str, ...] = ()
    sample: Batch = field(default_factory=dict, repr=False)
    coverage: float = 0.0
    unplaced: float = 0.0
    aligned_rows: bool = True

    @property
    def gains(self) -> tuple[tuple[Array, Array], ...]:
        """The component's own norm gains, or some of the text decoder's."""
        return self.measured.gains or self.context_gains

    def is_corroborated(self, thresholds: WeightsThresholds) -> bool:
        """Whether the decoders of the two are related by what a teacher does not give.

        By neurons that keep their number, where whole blocks or a few rows were read; by a role
        that is a descendant's; else by norm gains.
        """
        alpha, derived = thresholds.alpha, thresholds.derived_from(Component.TEXT_DECODER)
        beside = self.decoders
        if beside is not None and beside.is_related(alpha=alpha, derived=derived):
            return True
        # A tower's own blocks say nothing of the decoders; those of tables are the decoder's.
        if self.rotated is not None and self.measured.component in TOKEN_TABLES:
            return min(self.rotated.in_place, self.rotated.match.pvalue) <= alpha
        gains = gain_similarity(self.context_gains, np.random.default_rng(2026))
        return gains is not None and are_related(gains)

    @property
    def tensors(self) -> int:
        """How many tensors were compared in their place."""
        return len({item.slot for item in self.measured.similar})


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


def compare(pair: ComponentPair, effort: Effort) -> Compared | None:
    """Measure one component of two checkpoints; None if nothing can be laid side by side."""
    component = pair.component
    budget = _pair_budget(pair, total_budget(effort))
    part = None if budget is None else int(budget * LAYERS_SHARE)
    frames = _plan_frames(pair, effort)
    reserved = None if pair.is_token_table else frames  # a table's are of its decoder's bytes
    source = _source(pair, budget, effort, reserved)
    if budget is None and source.blocks:
        measured, sample, roles = measure_everything(pair, source.blocks)
    else:
        measured, sample, roles = _measure(pair, source.batches)
    is_open = measured.pvalue > DECIDED
    layers = _layers(pair, measured, part, effort)
    rotated = None
    if component is not Component.PROJECTOR and (is_open or _is_weak(measured, effort)):
        kept = 2 * (part or 0) + source.nbytes + (reserved.nbytes if reserved else 0)
        spare = None if budget is None else max(0, budget - kept)
        many = MANY_AT_QUICK if effort.depth == "quick" else MANY_NEURONS
        rotated = match_rotation_invariant(pair, source.blocks, spare, many)
    framed = None
    if frames is not None and is_open:
        rotated, framed = _with_frames(rotated, pair, frames, effort)
    empty = not measured.elements and not measured.formulas
    if empty and layers is None and rotated is None and framed is None:
        return None
    # All elements that may be the component's: what nothing was compared with is no 100 %.
    parameters = pair.checkpoints.ours.inventory.counted(component)
    return Compared(
        measured=measured,
        context_gains=_context(pair),
        decoders=None if is_open or pair.is_decoder else decoder_relation(pair, part),
        roles=() if pair.is_token_table else roles_in_place(measured.similar, roles.pvalues()),
        layers=layers,
        aligned=align(pair.embeddings, sample, part) if is_open and component in ALIGNED else None,
        rotated=rotated,
        framed=framed,
        angles=compare_angles(sample, component) if is_open else None,
        table=_table(pair, rotated, framed, part) if pair.is_token_table else None,
        changes=pair.shape_changes,
        stored=pair.dtypes[0],
        sample=sample,
        coverage=min(1.0, source.touched / parameters) if parameters else 0.0,
        unplaced=min(1.0, pair.checkpoints.ours.inventory.unplaced_share(component)),
        aligned_rows=source.aligned,
    )


@dataclass(frozen=True, slots=True)
class _Source:
    batches: Iterable[Batch]
    touched: int  # parameters of the tensors that are sampled
    aligned: bool
    blocks: tuple[Block, ...] = ()

    @property
    def nbytes(self) -> int:
        """What the planned blocks cost."""
        return sum(block.nbytes for block in self.blocks)


def _plan_frames(pair: ComponentPair, effort: Effort) -> FramePlan | None:
    """Say what frames read: of the decoder, for tables of tokens too, from its own bytes."""
    anchoring = pair.decoder if pair.is_token_table else pair
    budget = _pair_budget(anchoring, total_budget(effort))
    limit = None if budget is None else int(budget * FRAMES_SHARE.get(effort.depth, 1))
    # Once for two checkpoints: tables ask for their decoder's.
    key = ("frames planned", anchoring.component, limit)
    return pair.checkpoints.once(key, lambda: plan_frames(anchoring, limit))


def _table(
    pair: ComponentPair,
    rotated: RotationInvariantMatch | None,
    framed: FramedBasis | None,
    budget: int | None,
) -> float | None:
    """Compare a table of tokens in the basis in which its decoder was recognised."""
    if rotated is not None:
        return table_in_basis(pair, rotated.match.anchors, budget)
    if framed is None:
        return None
    found = table_in_basis(pair, framed.match.frame.anchors, budget)
    return None if found is None else abs(found)  # a frame's sign is unknown, of all directions


def _with_frames(
    rotated: RotationInvariantMatch | None, pair: ComponentPair, frames: FramePlan, effort: Effort
) -> tuple[RotationInvariantMatch | None, FramedBasis | None]:
    """Ask by frames where no whole block was read, or where depth was asked for.

    Both ways to see through a change of basis stand in one factor of Bonferroni: at quick one of
    them is asked, which the bytes decide. Where both may be, each pays for two.
    """
    pair = pair.decoder if pair.is_token_table else pair
    if rotated is None:
        return None, match_by_frames(pair, frames)
    if effort.depth == "quick":
        return rotated, None
    paid = replace(rotated, match=rotated.match.among(2))
    if paid.match.pvalue <= DECIDED:
        return paid, None
    found = match_by_frames(pair, frames)
    if found is None:
        return paid, None
    match = replace(found.match, pvalue=min(1.0, 2 * found.match.pvalue))
    return paid, replace(found, match=match, tried=2 * found.tried)


def _source(
    pair: ComponentPair, budget: int | None, effort: Effort, frames: FramePlan | None
) -> _Source:
    """Say which slices to read: planned blocks, or the rows of shared tokens."""
    aligned = True
    if pair.is_token_table:
        same = pair.token_rows.same_numbers
        padded = pair.token_slot not in pair.matrices  # tables of two lengths
        if same is False or (same and padded):
            found = read_token_rows(pair, budget)
            touched = sum(m.rows * m.cols for m in pair.ours.values())
            return _Source([found], touched if found else 0, bool(found))
        aligned = same is True
    part = None if budget is None else _slices_budget(pair, budget, frames)
    whole = part // 2 if part is not None and effort.depth == "robust" else 0
    plan = plan_component(pair.matrices, part, whole_budget=whole)
    # What a fingerprint does not hold was not looked at, and covers nothing.
    blocks = tuple(pair.checkpoints.readable(plan.blocks))
    touched = sum(block.matrix.rows * block.matrix.cols for block in blocks)
    return _Source(pair.checkpoints.batches(blocks), touched, aligned, blocks)


def _slices_budget(pair: ComponentPair, budget: int, frames: FramePlan | None) -> int:
    """Return the bytes for slices: some are kept for all experts of a layer, if that is enough.

    And for what frames need.

    Where everything can be read these experts are at hand, and nothing has to be kept.
    """
    part = int(budget * (1 - LAYERS_SHARE))
    if sum(m.rows * m.row_bytes for m in pair.matrices.values()) <= part:
        return part
    if frames is not None:
        part = max(0, part - frames.nbytes)
    kept = cost_of_whole_layers(pair) if pair.component is Component.ROUTER_EXPERTS else 0
    return part - int(budget * LAYERS_SHARE) - kept if 0 < kept <= KEPT * budget else part


def _measure(pair: ComponentPair, batches: Iterable[Batch]) -> tuple[Measured, Batch, RoleSums]:
    """Measure all batches, role by role beside, and keep a sample of them."""
    taken = Measure(pair.component, whole_rows={s: m.rows for s, m in pair.matrices.items()})
    sample: dict[tuple[Slot, int], tuple[Array, Array]] = {}
    room, roles = SAMPLE_ELEMENTS, RoleSums()
    for batch in batches:
        matrices = taken.add(batch)
        if not pair.is_token_table:  # which is one role
            roles.add(matrices)
        room = _fill(sample, {p: v for p, v in batch.items() if not taken.is_formula(p[0])}, room)
        del (
            batch,
            matrices,
        )  # before the next one is read: at full depth either is hundreds of megabytes
    return taken.result(), sample, roles


def _fill(sample: dict[tuple[Slot, int], tuple[Array, Array]], batch: Batch, room: int) -> int:
    """Keep what fits of a batch; return the elements for which there is room left."""
    for piece, pair in batch.items():
        if pair[0].size <= room and all(np.isfinite(side).all() for side in pair):
            sample[piece] = pair
            room -= pair[0].size
    return room


def _is_weak(measured: Measured, effort: Effort) -> bool:
    return (measured.similarity or 0.0) < effort.derived_threshold


def _layers(
    pair: ComponentPair, measured: Measured, budget: int | None, effort: Effort
) -> LayerMap | None:
    """Map layers where the aligned tests left the question open, or explain few of the layers."""
    if pair.is_token_table or pair.component is Component.PROJECTOR:
        return None
    layers = [value for layer, value in measured.by_layer().items() if layer >= 0]
    explained = sum(value >= effort.layer_threshold for value in layers)
    moved = Kind.LAYERS in pair.shape_changes
    if measured.pvalue <= DECIDED and 2 * explained > len(layers) and not moved:
        return None
    return map_layers(pair, budget=budget, threshold=effort.layer_threshold)


def _pair_budget(pair: ComponentPair, total: int | None) -> int | None:
    """Return the bytes of our blocks, so that neither model exceeds its `total`.

    The headers of both are charged; where the other model stores wider numbers, fewer rows
    are read of both.
    """
    if total is None:
        return None
    ours, theirs = pair.checkpoints.ours, pair.checkpoints.theirs
    header = max(c.index_record.bytes_read for c in (ours, theirs))
    header += pair.checkpoints.placing_bytes
    usable = int(total * (1 - RESERVE))
    budget = component_budget(usable, ours.components, pair.component, header)
    ratios = (pair.theirs[s].row_bytes / m.row_bytes for s, m in pair.matrices.items())
    return int((budget or 0) / max(1.0, max(ratios, default=1.0)))


def _is_context(slot: Slot) -> bool:
    return slot.kind in ("norm_in", "norm_post") or slot.kind.startswith(GAIN)


def _context(pair: ComponentPair) -> tuple[tuple[Array, Array], ...]:
    """Read a few norm gains of the text decoder, beside components that have none."""
    if pair.component is Component.TEXT_DECODER:
        return ()
    matrices = pair.decoder.matrices
    wanted = [s for s in matrices if _is_context(s) and matrices[s].rows == 1]
    wanted = sorted(wanted, key=lambda s: (s.layer * 7919 % 61, s.kind))[:CONTEXT_NORMS]
    blocks = [Block(matrices[slot], 0, 1) for slot in wanted]
    found = list(pair.checkpoints.batches(blocks))
    return tuple(gains for batch in found for gains in gains_of(batch))
