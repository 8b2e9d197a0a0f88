"""Residual frames of two models: keys and values of a few layers, and some of their neurons.

What matching in any basis needs whole, two layers or experts, a model of real size has no bytes
for. Frames need the keys and values of two layers and more, and as many gate and up rows that
two samples of a renumbered block have some dozens in common. What is read is decided by the
shapes of both and a published seed, within the bytes that are kept for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.gain_convention import conventions_of
from pytest_scratchverify.methods.weights.gated_blocks import GatedBlock, gated_blocks
from pytest_scratchverify.stats.weights.anchored_search import Key
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.exchangeable_rows import distinct_rows
from pytest_scratchverify.stats.weights.framed_recognition import (
    FramedMatch,
    Network,
    Sampled,
    recognise_by_frames,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.public_formula import formula_of
from pytest_scratchverify.tensors.inventory import Matrix, Slot
from pytest_scratchverify.tensors.plan import Block, layer_rank, neurons_at
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog

Array = NDArray[np.float32]

# What reads the residual stream for all heads of a layer, in the order in which it is looked for:
# keys and values, or the latents of both and of queries.
READERS = (("k", "v"), ("kv_a", "q_a"))
WIDEST, USUAL = 2048, 128  # rows of one head at most, and those of a head that no config cuts
COMMON = 40  # neurons that two samples of a renumbered block shall have in common
MOST_LAYERS, MOST_BLOCKS, MOST_PLACES = 12, 3, 16
SIGNIFICANT = 1e-9  # from which no other convention of gains is tried
FRAMED = (
    Component.TEXT_DECODER,
    Component.ROUTER_EXPERTS,
    Component.VISION_ENCODER,
    Component.AUDIO_ENCODER,
)


@dataclass(frozen=True, slots=True)
class _Layer:
    """The readers of one layer, and the norm before them."""

    readers: tuple[Matrix, ...]
    norm: Matrix | None
    placed: tuple[int, int] | None = None  # rows of the first reader, where they alone are read

    @property
    def kind(self) -> tuple[tuple[str, ...], int]:
        """What the readers are, and how wide."""
        return tuple(matrix.slot.kind for matrix in self.readers), self.readers[0].cols

    @property
    def parts(self) -> list[Block]:
        norm = () if self.norm is None else (Block(self.norm, 0, self.norm.rows),)
        if self.placed is not None:
            return [Block(self.readers[0], *self.placed), *norm]
        return [*(Block(matrix, 0, matrix.rows) for matrix in self.readers), *norm]


@dataclass(frozen=True, slots=True)
class _Neurons:
    """Some gate and up rows of a block, and the norm before it."""

    block: GatedBlock
    count: int

    @property
    def parts(self) -> list[Block]:
        block, second = self.block, Block(self.block.second, 0, self.block.second.rows)
        rows = [self.rows, neurons_at(block.second, self.count) if block.is_gated else second]
        return rows if block.norm is None else [*rows, Block(block.norm, 0, 1)]

    @property
    def rows(self) -> Block:
        """Which neurons: their rows in the first matrix, their columns in an ungated second."""
        return neurons_at(self.block.first, self.count)


@dataclass(frozen=True)
class FramePlan:
    """What is read of either model: the same layers and the same neurons by number.

    Of further layers whose keys are latents, only the rows that have a place (`places`).
    """

    layers: tuple[Mapping[int, _Layer], Mapping[int, _Layer]]
    blocks: tuple[Mapping[Key, _Neurons], Mapping[Key, _Neurons]]
    deep: int  # layers that could be read
    places: tuple[Mapping[int, _Layer], Mapping[int, _Layer]] = ({}, {})

    @cached_property
    def nbytes(self) -> int:
        """What it costs the model for which it is dearer."""
        sides = zip(self.layers, self.blocks, self.places, strict=True)
        return max(sum(_cost(part) for kind in side for part in kind.values()) for side in sides)

    @property
    def names(self) -> tuple[tuple[int, ...], tuple[Key, ...], tuple[int, ...]]:
        """The numbers of what is read: layers, blocks, and layers of which rows with places are."""
        return tuple(sorted(self.layers[0])), tuple(sorted(self.blocks[0])), tuple(self.places[0])


@dataclass(frozen=True, slots=True)
class FramedBasis:
    """What frames recognised, with what they asked: `network` is the suspect's.

    `deep` layers could have been read, `tried` conventions of gains were.
    """

    match: FramedMatch
    network: Network
    deep: int
    tried: int = 1

    def tells_of(self, component: Component) -> bool:
        """Whether what was recognised is a part of the component: heads are none of experts."""
        return component is not Component.ROUTER_EXPERTS or not self.match.held[0].of_heads


def plan_frames(pair: ComponentPair, limit: int | None) -> FramePlan | None:
    """Choose what is read within `limit` bytes; None where it would be too little for a frame."""
    if pair.component not in FRAMED:
        return None
    anchoring = pair.decoder if pair.is_decoder else pair
    sides = (pair.checkpoints.ours, pair.checkpoints.theirs)
    layers = [_layers(side, anchoring.component) for side in sides]
    blocks = [_blocks(side, anchoring) for side in sides]
    common = sorted(layers[0].keys() & layers[1].keys(), key=layer_rank)
    # A frame is of one kind of readers, and of one width on either side.
    kinds = {n: [side[n].kind for side in layers] for n in common}
    first = next((kinds[n] for n in common if kinds[n][0][0] == kinds[n][1][0]), None)
    if first is None:
        return None
    common = [n for n in common if kinds[n] == first]
    widths = [kind[1] for kind in first]
    both = [
        key
        for key in blocks[0]
        if key in blocks[1] and [side[key].block.first.cols for side in blocks] == widths
    ]
    # Those that cost least, of a mixture its experts; of equal ones in the order of the plan.
    shared = sorted(both, key=lambda key: max(_cost(side[key]) for side in blocks))[:MOST_BLOCKS]
    chosen: FramePlan | None = None
    for numbers, keys in _growing(common, shared):
        plan = FramePlan(
            ({n: layers[0][n] for n in numbers}, {n: layers[1][n] for n in numbers}),
            ({k: blocks[0][k] for k in keys}, {k: blocks[1][k] for k in keys}),
            len(common),
        )
        if limit is not None and plan.nbytes > limit:
            break
        chosen = plan
    return None if chosen is None else _with_places(chosen, sides, layers, common, limit)


def _with_places(
    plan: FramePlan,
    sides: Sequence[Checkpoint],
    layers: Sequence[Mapping[int, _Layer]],
    common: Sequence[int],
    limit: int | None,
) -> FramePlan:
    """Add the rows with places of further layers of latents, a fortieth of their bytes."""
    further = [n for n in common if n not in plan.layers[0]][:MOST_PLACES]
    found: tuple[dict[int, _Layer], dict[int, _Layer]] = ({}, {})
    for number in further:
        for side, known, taken in zip(sides, layers, found, strict=True):
            first = known[number].readers[0]
            placed = _placed(side, first, first.rows)
            if placed is None or first.slot.kind != READERS[1][0]:
                return plan
            taken[number] = replace(known[number], placed=placed)
        larger = replace(plan, places=(dict(found[0]), dict(found[1])))
        if limit is not None and larger.nbytes > limit:
            break
        plan = larger
    return plan


def _growing(layers: Sequence[int], blocks: Sequence[Key]) -> Iterator[tuple[list[int], list[Key]]]:
    """Yield growing choices: two layers and a block first, then one more of each in turn."""
    if not layers or not blocks:
        return
    wide, tall = min(2, len(layers)), 1
    last = min(MOST_LAYERS, len(layers)), min(MOST_BLOCKS, len(blocks))
    yield [*layers[:wide]], [*blocks[:tall]]
    while (wide, tall) != last:
        if wide < last[0] and (wide <= 2 * tall or tall == last[1]):
            wide += 1
        else:
            tall += 1
        yield [*layers[:wide]], [*blocks[:tall]]


def _cost(part: _Layer | _Neurons) -> int:
    return sum(block.nbytes for block in part.parts if block.matrix.rows > 1)


def _layers(side: Checkpoint, component: Component) -> dict[int, _Layer]:
    """Return the layers whose readers can be read whole."""
    place = component.value
    matrices = side.inventory.of(component)
    found: dict[int, _Layer] = {}
    for names in READERS:
        for slot, first in matrices.items():
            if slot.kind != names[0] or slot.layer in found or slot.layer < 0 or slot.expert:
                continue
            readers = [matrices.get(Slot(place, name, slot.layer)) for name in names]
            known = tuple(m for m in readers if m is not None and m.cols == first.cols)
            norm = side.inventory.gains_at(Slot(place, "norm_in", slot.layer), first.cols)
            layer = _Layer(known, norm)
            cut = all(_head_size(side, matrix) for matrix in known)
            if cut and all(map(side.holds, layer.parts)):
                found[slot.layer] = layer
    return found


def _head_size(side: Checkpoint, matrix: Matrix) -> int:
    """Return the rows of a head; a latent is one. 0 where a head would be too wide to take."""
    shape, rows = side.attention, matrix.rows
    text = matrix.slot.component == Component.TEXT_DECODER.value
    known = shape.size if shape is not None and text and matrix.slot.kind in "kv" else rows
    if rows % known == 0 and known <= WIDEST:
        return known
    if rows <= WIDEST:
        return rows
    return 0 if rows % USUAL else USUAL


def _blocks(side: Checkpoint, pair: ComponentPair) -> dict[Key, _Neurons]:
    """Return the blocks of which neurons can be read: the component's own, or its experts'."""
    found: dict[Key, _Neurons] = {}
    layers: set[int] = set()
    for component in (pair.component, *([pair.sibling.component] if pair.sibling else [])):
        blocks = gated_blocks(side.inventory, component, most=None)
        for key in blocks.in_turn:
            if key[0] in layers:  # one block of a layer: the first of its experts
                continue
            block = blocks[key].without_third()
            size = block.first.rows
            count = min(size, max(64, -(-math.isqrt(COMMON * size) // 16) * 16))
            part = _Neurons(block, count)
            if all(map(side.holds, part.parts)):
                found[key] = part
                layers.add(key[0])
    return found


def match_by_frames(pair: ComponentPair, plan: FramePlan) -> FramedBasis | None:
    """Read what was planned, and recognise one model's layers in the other's, in any basis."""
    component = Component.TEXT_DECODER if pair.is_decoder else pair.component
    return pair.checkpoints.once(("frames", component, plan.names), lambda: _recognised(pair, plan))


def _recognised(pair: ComponentPair, plan: FramePlan) -> FramedBasis | None:
    checkpoints = pair.checkpoints
    ours = _Read(checkpoints.ours, plan, 0, checkpoints.logs[0])
    theirs = _Read(checkpoints.theirs, plan, 1, checkpoints.logs[1])
    placed = ours.formulas & theirs.formulas  # what both started from is no one's property
    other = theirs.network(theirs.conventions(sure=True)[0], placed)
    conventions = ours.conventions(sure=False)
    best: FramedBasis | None = None
    for offset in conventions:
        network = ours.network(offset, placed)
        match = recognise_by_frames(network, other)
        if match is not None and (best is None or match.pvalue < best.match.pvalue):
            best = FramedBasis(match, network, plan.deep)
        if best is not None and best.match.pvalue <= SIGNIFICANT:
            break
    if best is None:
        return None
    tried = len(conventions)
    match = replace(best.match, pvalue=min(1.0, tried * best.match.pvalue))
    return replace(best, match=match, tried=tried)


class _Read:
    """What was read of one model, as it is stored."""

    def __init__(self, checkpoint: Checkpoint, plan: FramePlan, side: int, log: ReadLog) -> None:
        self.checkpoint = checkpoint
        layers, blocks, places = plan.layers[side], plan.blocks[side], plan.places[side]
        self.layers = {n: (layer, checkpoint.read(layer.parts, log)) for n, layer in layers.items()}
        self.blocks = {k: (part, checkpoint.read(part.parts, log)) for k, part in blocks.items()}
        self.places = {n: (layer, checkpoint.read(layer.parts, log)) for n, layer in places.items()}

    def conventions(self, *, sure: bool) -> tuple[float, ...]:
        """Return what may have to be added to the gains as they are stored."""
        gains = [values[-1][0] for layer, values in self.layers.values() if layer.norm is not None]
        gains += [values[-1][0] for part, values in self.blocks.values() if part.block.norm]
        return conventions_of(self.checkpoint, gains, sure=sure)

    @cached_property
    def formulas(self) -> frozenset[str]:
        """The public formulas that any of it follows."""
        layers, blocks = self._followed
        return frozenset[str]().union(*layers.values(), *blocks.values())

    @cached_property
    def _followed(self) -> tuple[dict[int, set[str]], dict[Key, set[str]]]:
        """The formulas that readers and blocks follow, as they are stored."""
        layers = {
            number: _names(zip(layer.parts, values, strict=True))
            for number, (layer, values) in self.layers.items()
        }
        blocks = {
            key: _names(zip(part.parts, values, strict=True))
            for key, (part, values) in self.blocks.items()
        }
        return layers, blocks

    def network(self, offset: float, placed: frozenset[str]) -> Network:
        """Fold the gains in, and cut readers into heads; leave out what follows `placed`."""
        heads = {}
        for number, (layer, values) in self.layers.items():
            if self._followed[0][number] & placed:
                continue
            gains = _gains(layer.norm, values, offset)
            rows = [value * gains for value in values[: len(layer.readers)]]
            if not any(map(is_degenerate, rows)):
                heads[number] = [
                    self._heads(m, r) for m, r in zip(layer.readers, rows, strict=True)
                ]
        neurons = {}
        for key, (part, values) in self.blocks.items():
            if self._followed[1][key] & placed:
                continue
            gains = _gains(part.block.norm, values, offset)
            first, second = values[0] * gains, values[1]
            if part.block.is_gated:
                second = second * gains
            else:
                second = second[:, part.rows.start : part.rows.stop].T.copy()
            if any(map(is_degenerate, (first, second))):
                continue
            kept = distinct_rows([first, second])
            neurons[key] = Sampled([first[kept], second[kept]], part.block.first.rows)
        places = {}
        for number, (layer, values) in self.places.items():
            keys = values[0] * _gains(layer.norm, values, offset)
            known = _names(zip(layer.parts, values, strict=True)) & placed
            if not known and not is_degenerate(keys):
                places[number] = HeadReads(keys[None])
        return Network(heads, neurons, places)

    def _heads(self, matrix: Matrix, rows: Array) -> HeadReads:
        """Cut the rows of a reader into heads."""
        size = _head_size(self.checkpoint, matrix)
        heads = np.ascontiguousarray(rows.reshape(-1, size, rows.shape[1]))
        return HeadReads(heads, placed=_placed(self.checkpoint, matrix, size))


def _placed(side: Checkpoint, matrix: Matrix, size: int) -> tuple[int, int] | None:
    """Return which rows of a head rotary positions turn; None where it may be all."""
    rotated = None if side.attention is None else side.attention.rotated
    if rotated is None or not 0 < rotated < size:
        return None
    return (size - rotated, size) if matrix.slot.kind == READERS[1][0] else (0, rotated)


def _names(read: Iterable[tuple[Block, Array]]) -> set[str]:
    """Return the formulas that any matrix of a layer or block follows."""
    found = (formula_of(v, block.start, block.matrix.rows) for block, v in read if len(v) > 1)
    return {name for name in found if name is not None}


def _gains(norm: Matrix | None, values: Sequence[Array], offset: float) -> Array | np.float32:
    """Return the gains of the norm that was read last, where there is one."""
    return np.float32(1) if norm is None else values[-1][0] + np.float32(offset)
