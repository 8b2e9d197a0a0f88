"""Rotation-invariant matching of layers: copies in another basis, order or width.

Reads whole gate, up and down matrices of a few layers of both models, folds the gains of the
norm before them in, and asks `stats.weights.anchored_search` whether the layers of one are the
other's in any basis: renumbered or rotated channels, other widths, experts made of one block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.attention_values import match_attention_values
from pytest_scratchverify.methods.weights.component_pair import Blocks, ComponentPair
from pytest_scratchverify.methods.weights.gated_blocks import GatedBlock
from pytest_scratchverify.methods.weights.neurons import Draws, neuron_groups
from pytest_scratchverify.methods.weights.token_rows import read_table
from pytest_scratchverify.stats.weights.anchored_matching import Views
from pytest_scratchverify.stats.weights.anchored_search import (
    AnchoredMatch,
    Channels,
    Key,
    anchored_match,
    matched_channels,
)
from pytest_scratchverify.stats.weights.assignment import fixed_points_pvalue
from pytest_scratchverify.stats.weights.centring import centred_cosine, is_degenerate
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import Block, layer_rank
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog

Array = NDArray[np.float32]

MANY_NEURONS, FEW_BLOCKS = 1536, 4  # of layers with more neurons, so many are compared
MOST_BLOCKS = 12


@dataclass(frozen=True, slots=True)
class RotationInvariantMatch:
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
    in_place: float = 1.0  # p of the neurons that keep their number


def match_rotation_invariant(
    pair: ComponentPair, read: Sequence[Block], spare: int | None
) -> RotationInvariantMatch | None:
    """Match the layers of two models in any basis; None where too little can be read whole.

    Parameters
    ----------
    read : sequence of Block
        What the comparison reads anyway: those that are whole cost nothing more.
    spare : int or None
        Bytes that may be read beside them, of either model; None for any number.

    Notes
    -----
    Token tables have no blocks of their own: the text decoder's answer for them.
    """
    anchoring = pair.decoder if pair.is_token_table else pair
    free = frozenset(b.matrix.slot for b in read if b.stop - b.start == b.matrix.rows)
    chosen = _chosen(anchoring.blocks, free, spare)
    if chosen is None:
        return None
    left, right = chosen
    checkpoints = pair.checkpoints
    ours = _views(checkpoints.ours, left, checkpoints.logs[0])
    theirs = _views(checkpoints.theirs, right, checkpoints.logs[1])
    places = tuple(tuple((key, len(side[key])) for key in sorted(side)) for side in (ours, theirs))
    # Once for two checkpoints: the decoder's layers answer for its embeddings and its head too.
    match = checkpoints.once(
        ("anchored match", anchoring.component, places), lambda: anchored_match(ours, theirs)
    )
    if match is None:
        return None
    shapes = [{view.shape for views in side.values() for view in views} for side in (ours, theirs)]
    return RotationInvariantMatch(
        match=match,
        channels=matched_channels(match.anchors),
        upcycled=len({block.component for block in (*left.values(), *right.values())}) > 1,
        widths=shapes[0] != shapes[1],
        zeros=(_zeros(ours), _zeros(theirs)),
        values=match_attention_values(checkpoints, match.anchors)
        if _is_matched_by_its_experts(pair, left)
        else None,
        views=ours,
        in_place=_in_place(ours, theirs),
    )


def _in_place(ours: Mapping[Key, Views], theirs: Mapping[Key, Views]) -> float:
    """Test whether neurons of equally numbered layers keep their number, in these channels."""
    batch = {
        (Slot("", kind, *key), 0): (ours[key][number], theirs[key][number])
        for key in sorted(ours.keys() & theirs.keys())
        for number, kind in enumerate(("gate", "up"))
        if ours[key][number].shape == theirs[key][number].shape
    }
    found = [group.match for group in neuron_groups(batch, {}, Draws())]
    sizes = [size for match in found for size in match.sizes]
    return fixed_points_pvalue(sum(match.statistic for match in found), sizes)


def _is_matched_by_its_experts(pair: ComponentPair, ours: Blocks) -> bool:
    """Whether a decoder has no block of its own: then its attention has to tell."""
    own = any(block.component is Component.TEXT_DECODER for block in ours.values())
    return pair.component is Component.TEXT_DECODER and not own


def _chosen(
    blocks: tuple[Blocks, Blocks], free: frozenset[Slot], spare: int | None
) -> tuple[Blocks, Blocks] | None:
    """Choose blocks of either side within `spare`: with the third matrix, or else without.

    None where neither leaves two blocks on both sides.
    """
    left, right = (_affordable(side, free, spare) for side in blocks)
    thirds = all(block.third is not None for side in blocks for block in side.values())
    if thirds and len(left) > 1 and len(right) > 1:
        return left, right
    bare = [{key: block.without_third() for key, block in side.items()} for side in blocks]
    left, right = (_affordable(side, free, spare) for side in bare)
    return (left, right) if len(left) > 1 and len(right) > 1 else None


def _affordable(blocks: Blocks, free: frozenset[Slot], spare: int | None) -> Blocks:
    """Take blocks in the drawn order of layers, one expert of every layer after the other."""
    chosen: dict[Key, GatedBlock] = {}
    left = spare
    turns: dict[int, int] = {}
    ranked = []
    for key in sorted(blocks):
        turns[key[0]] = turns.get(key[0], -1) + 1
        ranked.append((turns[key[0]], layer_rank(key[0]), key))
    for _, _, key in sorted(ranked):
        block = blocks[key]
        cost = block.cost(free)
        most = FEW_BLOCKS if block.first.rows > MANY_NEURONS else MOST_BLOCKS
        if len(chosen) < most and (left is None or cost <= left):
            chosen[key] = block
            left = None if left is None else left - cost
    return chosen


def _views(checkpoint: Checkpoint, blocks: Blocks, log: ReadLog) -> dict[Key, list[Array]]:
    """Read blocks as (neurons, width) views of equal rows, the gains before them folded in."""
    found: dict[Key, list[Array]] = {}
    for key, block in blocks.items():
        parts = [Block(matrix, 0, matrix.rows) for matrix in block.matrices]
        if not all(map(checkpoint.holds, parts)):
            continue
        values = checkpoint.read(parts, log)
        gains = values.pop()[0] if block.norm is not None else np.float32(1)
        gated = block.first.slot.kind == "gate"
        views = [values[0] * gains, values[1] * gains if gated else values[1].T.copy()]
        if block.third is not None:
            views.append(values[2].T.copy())
        if not any(map(is_degenerate, views)):
            found[key] = views
    return found


def _zeros(found: Mapping[Key, Sequence[Array]]) -> float:
    views = [view for block in found.values() for view in block]
    size = sum(view.size for view in views)
    return sum(view.size - int(np.count_nonzero(view)) for view in views) / max(1, size)


def table_in_basis(
    pair: ComponentPair, basis: RotationInvariantMatch, budget: int | None
) -> float | None:
    """Compare the rows of shared tokens in relative coordinates, to the anchors of either model.

    Of use only where the anchors are of layers that were recognised: a table that is alike in
    their basis was taken along, or learnt in it. None if it cannot be compared.
    """
    table = read_table(pair, budget)
    if table is None:
        return None
    anchors = basis.match.anchors
    if (table[0].shape[1], table[1].shape[1]) != (anchors.ours.shape[1], anchors.theirs.shape[1]):
        return None
    return centred_cosine(table[0] @ anchors.ours.T, table[1] @ anchors.theirs.T)
