"""Rotation-invariant matching of layers: copies in another basis, order or width.

Reads whole gate, up and down matrices of a few layers of both models, folds the gains of the
norm before them in, and asks `stats.weights.anchored_search` whether the layers of one are the
other's in any basis: renumbered or rotated channels, other widths, experts made of one block.
What a name says is not relied on: the suspect's gate and up are tried under each other's names
too, and its gains as they are stored and one more, where that makes a difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.attention_values import match_attention_values
from pytest_scratchverify.methods.weights.component_pair import Blocks, ComponentPair
from pytest_scratchverify.methods.weights.formulas import blocks_of_formulas
from pytest_scratchverify.methods.weights.gain_convention import Gains, conventions_of
from pytest_scratchverify.methods.weights.gated_blocks import GatedBlock, GatedBlocks
from pytest_scratchverify.methods.weights.neurons import Draws, neuron_groups
from pytest_scratchverify.methods.weights.token_rows import read_table
from pytest_scratchverify.stats.weights.anchored_matching import Anchors, Views
from pytest_scratchverify.stats.weights.anchored_search import (
    EVERY_PAIR,
    SIGNIFICANT,
    AnchoredMatch,
    Key,
    anchored_match,
    distinct_layers,
)
from pytest_scratchverify.stats.weights.assignment import fixed_points_pvalue
from pytest_scratchverify.stats.weights.centring import centred_cosine, is_degenerate
from pytest_scratchverify.stats.weights.distinct_neurons import distinct_neurons
from pytest_scratchverify.stats.weights.matched_channels import Channels, matched_channels
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import Block, layer_rank
from pytest_scratchverify.tensors.reading import Checkpoint, CheckpointPair, ReadLog

Array = NDArray[np.float32]

MANY_NEURONS, FEW_BLOCKS = 1536, 4  # of layers with more neurons, so many are compared
MANY_AT_QUICK = 1024  # the same bar, where depth was not asked for
MOST_BLOCKS = 12
MOST_EXPERTS = 64  # of whole layers, so that an expert meets itself under another number
Keyed = Mapping[Key, GatedBlock]


@dataclass(frozen=True, slots=True)
class RotationInvariantMatch:
    """What was recognised, how the two bases correspond, and what else differs.

    `values` are agreements on attention values, recognised by anchors from the gated blocks, as
    (agreed, neurons, p); `zeros` the shares of zeros in what was read of either model. `views`
    are the suspect's blocks, of `blocks` that it has; `tried` readings of them were compared.
    `renumbered` says whether an expert would meet itself under another number.
    """

    match: AnchoredMatch
    channels: Channels | None
    upcycled: bool
    widths: bool
    zeros: tuple[float, float]
    values: tuple[int, int, float] | None = None
    views: Mapping[Key, Views] = field(default_factory=dict, repr=False)
    in_place: float = 1.0  # p of the neurons that keep their number
    blocks: int = 0
    tried: int = 1
    renumbered: bool = True

    @property
    def layers(self) -> frozenset[int]:
        """The suspect's layers that were looked at."""
        return frozenset(layer.ours[0] for layer in self.match.layers)


@dataclass(frozen=True, slots=True)
class _Read:
    """A block as it is stored, and the gains of the norm before it, where there is one."""

    values: Sequence[Array]
    gains: Gains | None
    gated: bool

    @property
    def rows(self) -> tuple[Array, Array]:
        """The first two matrices with neurons as rows, under the numbers they are stored with."""
        gains = np.float32(1) if self.gains is None else self.gains
        second = self.values[1] * gains if self.gated else self.values[1].T
        return self.values[0] * gains, second

    def views(self, *, offset: float, exchanged: bool) -> list[Array] | None:
        """Return (neurons, width) views; None for a block that says nothing.

        `offset` is what the gains are stored less; `exchanged` takes up for gate.
        """
        gains = np.float32(1) if self.gains is None else self.gains + np.float32(offset)
        first, second = self.values[0] * gains, self.values[1]
        second = second * gains if self.gated else second.T.copy()
        found = [second, first] if exchanged else [first, second]
        found += [view.T.copy() for view in self.values[2:]]
        if any(map(is_degenerate, found)):
            return None
        found = distinct_neurons(found)
        return found if len(found[0]) > 1 else None


def match_rotation_invariant(
    pair: ComponentPair, read: Sequence[Block], spare: int | None, many: int = MANY_NEURONS
) -> RotationInvariantMatch | None:
    """Match the layers of two models in any basis; None where too little can be read whole.

    Parameters
    ----------
    read : sequence of Block
        What the comparison reads anyway: those that are whole cost nothing more.
    spare : int or None
        Bytes that may be read beside them, of either model; None for any number.
    many : int
        Neurons of a layer beyond which only a few layers are compared.

    Notes
    -----
    Token tables have no blocks of their own: the text decoder's answer for them.
    """
    anchoring = pair.decoder if pair.is_token_table else pair
    free = frozenset(b.matrix.slot for b in read if b.stop - b.start == b.matrix.rows)
    chosen = _chosen(anchoring.blocks, free, spare, many)
    if chosen is None:
        return None
    left, right = chosen
    checkpoints = pair.checkpoints
    ours = _read(checkpoints.ours, left, checkpoints.logs[0])
    theirs = _read(checkpoints.theirs, right, checkpoints.logs[1])
    placed = blocks_of_formulas(
        *({k: b.values for k, b in side.items()} for side in (ours, theirs))
    )
    ours = {key: block for key, block in ours.items() if key not in placed[0]}
    theirs = {key: block for key, block in theirs.items() if key not in placed[1]}
    places = tuple(tuple((key, len(side[key].values)) for key in side) for side in (ours, theirs))
    # Once for two checkpoints: the decoder's layers answer for its embeddings and its head too.
    found = checkpoints.once(
        ("anchored match", anchoring.component, places),
        lambda: _recognised(checkpoints, ours, theirs),
    )
    if found is None:
        return None
    best, other = found
    return RotationInvariantMatch(
        match=best.match,
        channels=other.channels,
        upcycled=len({block.component for block in (*left.values(), *right.values())}) > 1,
        widths=other.widths,
        zeros=other.zeros,
        values=match_attention_values(checkpoints, best.match.anchors, (best.offset, other.offset))
        if _is_matched_by_its_experts(pair, left)
        else None,
        views=best.views,
        in_place=other.in_place,
        blocks=len(anchoring.blocks[0]),
        tried=best.tried,
        renumbered=_meets_itself(anchoring.blocks[0], left)
        and _meets_itself(anchoring.blocks[1], right),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """The best of `tried` readings of our blocks, whose gains are stored less `offset`."""

    match: AnchoredMatch
    views: Mapping[Key, Views]
    tried: int
    offset: float

    @property
    def rank(self) -> tuple[float, int]:
        """Its p-value, then how many neurons are in it: the smallest is the best."""
        return self.match.pvalue, _neurons(self.views)


@dataclass(frozen=True, slots=True)
class _Beside:
    """What else is known of the blocks of two models side by side, and of theirs alone."""

    channels: Channels | None
    widths: bool
    zeros: tuple[float, float]
    in_place: float
    offset: float


def _recognised(
    checkpoints: CheckpointPair, ours: Mapping[Key, _Read], theirs: Mapping[Key, _Read]
) -> tuple[_Reading, _Beside] | None:
    gains = [block.gains for block in theirs.values()]
    offset = conventions_of(checkpoints.theirs, gains, sure=True)[0]
    other = _views(theirs, offset=offset, exchanged=False)
    best = _best_reading(checkpoints.ours, ours, distinct_layers(other))
    if best is None:
        return None
    views = best.views
    # As they are stored: of views, neurons that are there twice are left out.
    shapes = [{v.shape for block in side.values() for v in block.values} for side in (ours, theirs)]
    return best, _Beside(
        channels=matched_channels(best.match.anchors),
        widths=shapes[0] != shapes[1],
        zeros=(_zeros(views), _zeros(other)),
        in_place=_in_place(ours, theirs),
        offset=offset,
    )


def _in_place(ours: Mapping[Key, _Read], theirs: Mapping[Key, _Read]) -> float:
    """Test whether neurons of equally numbered layers keep their number, in these channels."""
    batch: dict[tuple[Slot, int], tuple[Array, Array]] = {}
    for key in sorted(ours.keys() & theirs.keys()):
        for kind, one, other in zip(("gate", "up"), ours[key].rows, theirs[key].rows, strict=False):
            if one.shape == other.shape and np.isfinite(one).all() and np.isfinite(other).all():
                batch[Slot("", kind, *key), 0] = (one, other)
    found = [group.match for group in neuron_groups(batch, {}, Draws())]
    sizes = [size for match in found for size in match.sizes]
    return fixed_points_pvalue(sum(match.statistic for match in found), sizes)


def _best_reading(
    checkpoint: Checkpoint, ours: Mapping[Key, _Read], theirs: Mapping[Key, Views]
) -> _Reading | None:
    """Compare every reading of our blocks until one is recognised; all of them are paid for."""
    offsets = conventions_of(checkpoint, [block.gains for block in ours.values()], sure=False)
    gated = any(block.gated for block in ours.values())
    readings = list(product((False, True) if gated else (False,), offsets))
    best: _Reading | None = None
    fewest: Mapping[Key, Views] | None = None
    known: dict[Key, Array] = {}
    for exchanged, offset in readings:
        views = distinct_layers(_views(ours, offset=offset, exchanged=exchanged))
        match = anchored_match(views, theirs, known)
        if match is None:
            continue
        found = _Reading(match, views, len(readings), offset)
        if best is None or found.rank < best.rank:
            best = found
        if fewest is None or _neurons(views) < _neurons(fewest):
            fewest = views
        if len(readings) * match.pvalue <= SIGNIFICANT**2:
            break
    if best is None or fewest is None:
        return None
    match = best.match.among(len(readings))
    # Where nothing was recognised, power is measured on what is surely no neuron stored twice.
    kept = best.views if match.pvalue <= SIGNIFICANT else fewest
    return replace(best, match=match, views=kept)


def _neurons(views: Mapping[Key, Views]) -> int:
    return sum(len(block[0]) for block in views.values())


def _is_matched_by_its_experts(pair: ComponentPair, ours: Blocks) -> bool:
    """Whether a decoder has no block of its own: then its attention has to tell."""
    own = any(block.component is Component.TEXT_DECODER for block in ours.values())
    return pair.component is Component.TEXT_DECODER and not own


def _chosen(
    blocks: tuple[GatedBlocks, GatedBlocks], free: frozenset[Slot], spare: int | None, many: int
) -> tuple[Blocks, Blocks] | None:
    """Choose blocks of either side within `spare`: with the third matrix, or else without.

    None where neither leaves two blocks on both sides.
    """
    left, right = (_affordable(side, free, spare, many) for side in blocks)
    thirds = all(block.third is not None for side in blocks for block in side.values())
    if thirds and len(left) > 1 and len(right) > 1:
        return left, right
    left, right = (_affordable(side, free, spare, many, third=False) for side in blocks)
    if min(len(left), len(right)) < 2:
        return None
    left, right = ({k: block.without_third() for k, block in s.items()} for s in (left, right))
    return left, right


def _affordable(
    blocks: GatedBlocks, free: frozenset[Slot], spare: int | None, many: int, *, third: bool = True
) -> Keyed:
    """Take experts of whole layers, or else one expert of every layer after the other."""
    whole = _whole_layers(blocks)
    costs = (block.cost(free, third=third) for block in whole.values())
    if whole and (spare is None or sum(costs) <= spare):
        return whole
    chosen: dict[Key, GatedBlock] = {}
    left = spare
    read = {(slot.layer, slot.expert) for slot in free}
    cheapest = blocks.cheapest(third=third)
    for key in blocks.in_turn:
        if left is not None and left < cheapest and key not in read:
            continue  # of ten thousand experts, nearly all
        block = blocks[key]
        if len(chosen) >= (FEW_BLOCKS if block.first.rows > many else MOST_BLOCKS):
            continue
        cost = block.cost(free, third=third)
        if left is None or cost <= left:
            chosen[key] = block
            left = None if left is None else left - cost
    return chosen


def _whole_layers(blocks: Keyed) -> dict[Key, GatedBlock]:
    """Return all experts of a few layers; none where one has too many to be compared."""
    layers: dict[int, dict[Key, GatedBlock]] = {}
    for key in sorted(blocks):
        layers.setdefault(key[0], {})[key] = blocks[key]
    found: dict[Key, GatedBlock] = {}
    if max(map(len, layers.values()), default=1) == 1:
        return found
    for turn, layer in enumerate(sorted(layers, key=layer_rank)):
        more = {**found, **layers[layer]}
        if len(more) > MOST_EXPERTS or (turn > 1 and len(more) > MOST_BLOCKS):
            break
        found = more
    rows = max((block.first.rows for block in found.values()), default=0)
    return found if rows**3 * len(found) ** 2 <= EVERY_PAIR else {}


def cost_of_whole_layers(pair: ComponentPair) -> int:
    """Return the bytes of the layers whose experts can all be matched; 0 where none can.

    Of experts that may have other numbers a sample is of no use: an expert must meet itself.
    """
    sides = (_whole_layers(side).values() for side in pair.blocks)
    return max(sum(block.cost(frozenset()) for block in side) for side in sides)


def _meets_itself(blocks: Keyed, chosen: Keyed) -> bool:
    """Whether all experts of every layer that was read were read."""
    layers = {key[0] for key in chosen}
    return all(key in chosen for key in blocks if key[0] in layers)


def _read(checkpoint: Checkpoint, blocks: Blocks, log: ReadLog) -> dict[Key, _Read]:
    """Read blocks and the gains of the norms before them, in the order of their keys."""
    found: dict[Key, _Read] = {}
    for key, block in sorted(blocks.items()):
        parts = [Block(matrix, 0, matrix.rows) for matrix in block.matrices]
        if not all(map(checkpoint.holds, parts)):
            continue
        values = checkpoint.read(parts, log)
        gains = values.pop()[0] if block.norm is not None else None
        found[key] = _Read(values, gains, block.is_gated)
    return found


def _views(
    blocks: Mapping[Key, _Read], *, offset: float, exchanged: bool
) -> dict[Key, list[Array]]:
    read = {
        key: block.views(offset=offset, exchanged=exchanged and block.gated)
        for key, block in blocks.items()
    }
    return {key: views for key, views in read.items() if views is not None}


def _zeros(found: Mapping[Key, Sequence[Array]]) -> float:
    views = [view for block in found.values() for view in block]
    size = sum(view.size for view in views)
    return sum(view.size - int(np.count_nonzero(view)) for view in views) / max(1, size)


def table_in_basis(pair: ComponentPair, anchors: Anchors, budget: int | None) -> float | None:
    """Compare the rows of shared tokens in relative coordinates, to the anchors of either model.

    Of use only where the anchors are of layers that were recognised: a table that is alike in
    their basis was taken along, or learnt in it. None if it cannot be compared.
    """
    table = read_table(pair, budget)
    if table is None:
        return None
    if (table[0].shape[1], table[1].shape[1]) != (anchors.ours.shape[1], anchors.theirs.shape[1]):
        return None
    return centred_cosine(table[0] @ anchors.ours.T, table[1] @ anchors.theirs.T)
