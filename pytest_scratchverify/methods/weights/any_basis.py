"""Copies in another basis: renumbered or rotated channels, other widths, experts made of one block.

Reads whole gate, up and down matrices of a few layers of both models, folds the gains of the
norm before them in, and asks `stats.anchored_search` whether the layers of one are the other's
in any basis. `stats.gram_numbering` asks the cheaper question, on the slices at hand, whether
neurons keep their angles in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.methods.weights.alignment import read_table
from pytest_scratchverify.methods.weights.measure import NEURON_GROUPS, Batch
from pytest_scratchverify.stats.weights.anchored_matching import Anchors, Views, agreement
from pytest_scratchverify.stats.weights.anchored_search import (
    DISPERSION,
    AnchoredMatch,
    Channels,
    Key,
    anchored_match,
    matched_channels,
)
from pytest_scratchverify.stats.weights.centring import centred_cosine, is_degenerate
from pytest_scratchverify.stats.weights.cross_view_matching import poisson_tail
from pytest_scratchverify.stats.weights.gram_permutation import GramNumbering, gram_numbering
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.reading import Checkpoint, Ledger, Sides
from pytest_scratchverify.tensors.slices import Block, Matrix, Slot, layer_rank

Array = NDArray[np.float32]

MOST_NEURONS = 2048  # an assignment of more takes too long
MANY_NEURONS, FEW_GROUPS = 1536, 4  # of layers with more neurons, so many are compared
MOST_GROUPS = 12
FEWEST_VALUES = 16
GATED = ("gate", "up", "down")
PLAIN = ("fc1", "fc2")
NORMS = ("norm_pre_ffn", "norm_post")  # before the gated block, whichever there is
WIDTH, LAYERS, UPCYCLED = "width changed", "layers moved", "upcycled"
# Where a component has no block of its own, the other's may be what it was made of.
SIBLINGS = {
    Component.ROUTER_EXPERTS: Component.TEXT_DECODER,
    Component.TEXT_DECODER: Component.ROUTER_EXPERTS,
}
TABLES = {Component.EMBEDDINGS: Component.TEXT_DECODER, Component.LM_HEAD: Component.TEXT_DECODER}


_Answers = dict[tuple[object, ...], AnchoredMatch | None]
_answers: WeakKeyDictionary[ArtifactStore, WeakKeyDictionary[ArtifactStore, _Answers]] = (
    WeakKeyDictionary()
)


@dataclass(frozen=True, slots=True)
class Group:
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

    def cost(self, free: frozenset[Slot]) -> int:
        """Return the bytes beside what is read anyway."""
        return sum(m.rows * m.row_bytes for m in self.matrices if m.slot not in free)


@dataclass(frozen=True, slots=True)
class InAnyBasis:
    """What was recognised, how the two bases correspond, and what else differs.

    `values` are agreements on attention values, recognised by anchors from the gated blocks, as
    (agreed, neurons, p); `zeros` the shares of zeros in what was read of either model.
    """

    match: AnchoredMatch
    channels: Channels | None
    upcycled: bool
    widths: bool
    zeros: tuple[float, float]
    values: tuple[int, int, float] | None = None
    views: Mapping[Key, Views] = field(default_factory=dict, repr=False)


def compare_in_any_basis(
    sides: Sides, component: Component, read: Sequence[Block], spare: int | None
) -> InAnyBasis | None:
    """Look for the reference's layers in any basis; None where too little can be read whole.

    `read` are the blocks that the comparison reads anyway: those of them that are whole cost
    nothing more. `spare` bounds the bytes beside them, of either model.
    """
    free = frozenset(b.matrix.slot for b in read if b.stop - b.start == b.matrix.rows)
    wanted = TABLES.get(component, component)
    mine = groups_of(sides.ours, wanted) or groups_of(sides.ours, SIBLINGS.get(wanted))
    other = groups_of(sides.theirs, wanted) or groups_of(sides.theirs, SIBLINGS.get(wanted))
    thirds = all(g.third is not None for g in (*mine.values(), *other.values()))
    for third in (True, False) if thirds else (False,):
        left, right = (_affordable(groups, free, spare, third=third) for groups in (mine, other))
        if len(left) > 1 and len(right) > 1:
            break
    else:
        return None
    ours = _views(sides.ours, left, sides.ledgers[0])
    theirs = _views(sides.theirs, right, sides.ledgers[1])
    match = _matched(sides, (wanted.value, len(ours), len(theirs), thirds), ours, theirs)
    if match is None:
        return None
    kinds = {group.component for group in (*left.values(), *right.values())}
    shapes = [
        {view.shape for views in found.values() for view in views} for found in (ours, theirs)
    ]
    wants_values = component is Component.TEXT_DECODER and component not in {
        group.component for group in left.values()
    }
    return InAnyBasis(
        match=match,
        channels=matched_channels(match.anchors),
        upcycled=len(kinds) > 1,
        widths=shapes[0] != shapes[1],
        zeros=(_zeros(ours), _zeros(theirs)),
        values=_values(sides, match.anchors) if wants_values else None,
        views=ours,
    )


def _matched(
    sides: Sides,
    what: tuple[object, ...],
    ours: Mapping[Key, Views],
    theirs: Mapping[Key, Views],
) -> AnchoredMatch | None:
    """Match once: the decoder's layers answer for its embeddings and its head as well."""
    of_ours = _answers.setdefault(sides.ours.store, WeakKeyDictionary())
    known = of_ours.setdefault(sides.theirs.store, {})
    key = (*what, *sorted(ours), *sorted(theirs))
    if key not in known:
        known[key] = anchored_match(ours, theirs)
    return known[key]


def groups_of(checkpoint: Checkpoint, component: Component | None) -> dict[Key, Group]:
    """Return the gated or plain blocks of a component by layer and expert, whole ones only."""
    if component is None:
        return {}
    matrices = checkpoint.inventory.of(component)
    found: dict[Key, Group] = {}
    for slot, matrix in matrices.items():
        names = {"gate": GATED, "fc1": PLAIN}.get(slot.kind)
        if names is None or slot.layer < 0 or matrix.rows > MOST_NEURONS:
            continue
        parts = [matrices.get(Slot(slot.component, k, slot.layer, slot.expert)) for k in names]
        last = parts[-1]
        if last is not None and (last.rows, last.cols) != (matrix.cols, matrix.rows):
            last = None
        second = parts[1] if names is GATED else last
        if second is None or (names is GATED and second.rows != matrix.rows):
            continue
        third = last if names is GATED else None
        norm = _norm_before(checkpoint, component, slot.layer, matrix.cols)
        found[slot.layer, slot.expert] = Group(component, matrix, second, third, norm)
    return found


def _norm_before(
    checkpoint: Checkpoint, component: Component, layer: int, width: int
) -> Matrix | None:
    place = Component.TEXT_DECODER if component is Component.ROUTER_EXPERTS else component
    for kind in NORMS:
        found = checkpoint.inventory.matrices.get(Slot(place.value, kind, layer))
        if found is not None and found.cols == width:
            return found
    return None


def _affordable(
    groups: Mapping[Key, Group], free: frozenset[Slot], spare: int | None, *, third: bool
) -> dict[Key, Group]:
    """Take groups in the drawn order of layers, one expert of every layer after the other."""
    chosen: dict[Key, Group] = {}
    left = spare
    turns: dict[int, int] = {}
    ranked = []
    for key in sorted(groups):
        turns[key[0]] = turns.get(key[0], -1) + 1
        ranked.append((turns[key[0]], layer_rank(key[0]), key))
    for _, _, key in sorted(ranked):
        group = groups[key]
        if not third:
            group = Group(group.component, group.first, group.second, None, group.norm)
        cost = group.cost(free)
        most = FEW_GROUPS if group.first.rows > MANY_NEURONS else MOST_GROUPS
        if len(chosen) < most and (left is None or cost <= left):
            chosen[key] = group
            left = None if left is None else left - cost
    return chosen


def _views(
    checkpoint: Checkpoint, groups: Mapping[Key, Group], ledger: Ledger
) -> dict[Key, list[Array]]:
    found: dict[Key, list[Array]] = {}
    for key, group in groups.items():
        blocks = [Block(matrix, 0, matrix.rows) for matrix in group.matrices]
        if not all(map(checkpoint.holds, blocks)):
            continue
        values = checkpoint.read(blocks, ledger)
        gains = values.pop()[0] if group.norm is not None else np.float32(1)
        gated = group.first.slot.kind == "gate"
        views = [values[0] * gains, values[1] * gains if gated else values[1].T.copy()]
        if group.third is not None:
            views.append(values[2].T.copy())
        if not any(map(is_degenerate, views)):
            found[key] = views
    return found


def _zeros(found: Mapping[Key, Sequence[Array]]) -> float:
    views = [view for group in found.values() for view in group]
    size = sum(view.size for view in views)
    return sum(view.size - int(np.count_nonzero(view)) for view in views) / max(1, size)


def _values(sides: Sides, anchors: Anchors) -> tuple[int, int, float] | None:
    """Recognise attention values and what reads them, layer by layer, by anchors from blocks."""
    agreed = total = 0
    expected = 0.0
    pairs = zip(
        _value_views(sides.ours, 0, sides), _value_views(sides.theirs, 1, sides), strict=False
    )
    for ours, theirs in pairs:
        if len(ours[0]) != len(theirs[0]) or len(ours[0]) < FEWEST_VALUES:
            continue
        order = agreement(ours, theirs, anchors, signed=False)
        agreed += int(np.count_nonzero(order >= 0))
        total += len(order)
        expected += DISPERSION
    return (agreed, total, poisson_tail(agreed, expected)) if total else None


def _value_views(checkpoint: Checkpoint, side: int, sides: Sides) -> Iterator[list[Array]]:
    """Yield values and the sum of what the heads of their group write, of the first layers."""
    size = _head_size(checkpoint)
    place = Component.TEXT_DECODER.value
    matrices = checkpoint.inventory.matrices
    for layer in range(MOST_GROUPS):
        value, output = (matrices.get(Slot(place, kind, layer)) for kind in ("v", "o"))
        if value is None or output is None or not size or value.rows > MOST_NEURONS:
            return
        blocks = [Block(matrix, 0, matrix.rows) for matrix in (value, output)]
        norm = matrices.get(Slot(place, "norm_in", layer))
        blocks += [Block(norm, 0, 1)] if norm is not None else []
        values = checkpoint.read(blocks, sides.ledgers[side])
        gains = values[2][0] if norm is not None else np.float32(1)
        keys = value.rows // size
        heads = values[1].T.reshape(keys, -1, size, output.rows).sum(axis=1)
        yield [values[0] * gains, heads.reshape(value.rows, output.rows)]


def _head_size(checkpoint: Checkpoint) -> int:
    try:
        config = checkpoint.store.config().value
    except Unavailable:
        return 0
    text = config.get("text_config")
    found = text if isinstance(text, dict) else config
    size, hidden, heads = (found.get(k) for k in ("head_dim", "hidden_size", "num_attention_heads"))
    if isinstance(size, int) and size > 0:
        return size
    if isinstance(hidden, int) and isinstance(heads, int) and heads > 0:
        return hidden // heads
    return 0


def compare_angles(probe: Batch, component: Component) -> GramNumbering | None:
    """Compare the angles between equally numbered neurons, on the slices at hand."""
    if component in TABLES:  # tokens have meanings: models that know one language share angles
        return None
    gains = {
        slot: pair for (slot, _), pair in probe.items() if slot.kind in NORMS and len(pair[0]) == 1
    }
    blocks: dict[tuple[str, int, str, int], tuple[list[Array], list[Array]]] = {}
    for (slot, start), pair in sorted(probe.items()):
        kind = NEURON_GROUPS.get(slot.kind)
        if kind is None or slot.layer < 0 or kind == "kv_a":
            continue
        left, right = blocks.setdefault((kind, slot.layer, slot.expert, start), ([], []))
        scale = _gains_before(gains, slot, pair[0].shape[1]) if kind == "mlp" else None
        left.append(pair[0] if scale is None else pair[0] * scale[0])
        right.append(pair[1] if scale is None else pair[1] * scale[1])
    return gram_numbering(blocks.values(), np.random.default_rng(2026))


def _gains_before(
    gains: Mapping[Slot, tuple[Array, Array]], slot: Slot, width: int
) -> tuple[Array, Array] | None:
    for kind in NORMS:
        found = gains.get(Slot(slot.component, kind, slot.layer))
        if found is not None and found[0].shape[1] == width:
            return found
    return None


def table_in_basis(
    sides: Sides, component: Component, basis: InAnyBasis, budget: int | None
) -> float | None:
    """Compare the rows of shared tokens as the anchors describe them; None if it cannot be.

    Of use only where the anchors are of layers that were recognised: a table that is alike in
    their basis was taken along, or learnt in it.
    """
    pair = read_table(sides, component, budget)
    if pair is None:
        return None
    anchors = basis.match.anchors
    if (pair[0].shape[1], pair[1].shape[1]) != (anchors.ours.shape[1], anchors.theirs.shape[1]):
        return None
    return centred_cosine(pair[0] @ anchors.ours.T, pair[1] @ anchors.theirs.T)


def shape_changes(sides: Sides, component: Component) -> tuple[str, ...]:
    """Name what differs in shape between two models that may still share weights."""
    mine, other = (c.inventory.of(component) for c in (sides.ours, sides.theirs))
    if not mine or not other:
        return ()
    found = []
    shapes = [
        {s: (m.rows, m.cols) for s, m in slots.items() if m.rows > 1} for slots in (mine, other)
    ]
    common = shapes[0].keys() & shapes[1].keys()
    tables = component in TABLES
    if any(shapes[0][s][tables:] != shapes[1][s][tables:] for s in common):
        found.append(WIDTH)
    counts = [len({s.layer for s in slots if s.layer >= 0}) for slots in (mine, other)]
    if counts[0] != counts[1]:
        found.append(LAYERS)
    experts = [
        c.inventory.parameters.get("router_experts", 0) > 0 for c in (sides.ours, sides.theirs)
    ]
    if experts[0] and not experts[1] and component is Component.TEXT_DECODER:
        found.append(UPCYCLED)
    return tuple(found)
