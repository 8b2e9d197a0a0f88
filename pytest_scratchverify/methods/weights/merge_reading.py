"""Reading for merges: the same blocks of a model and of several references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.methods.weights.compare import Effort, total_budget
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.merge_shares import Products
from pytest_scratchverify.stats.weights.public_formula import formula_of
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.inventory import Matrix, Slot, shared_slots
from pytest_scratchverify.tensors.plan import Block, block_of, component_budget, plan_component
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog, open_checkpoint

DECODER, TABLE = Component.TEXT_DECODER, Component.EMBEDDINGS
MOST = 8  # references that a merge is decomposed into
BATCH = 8  # blocks that are held in memory of every model at once
TABLE_PART = 0.8  # of the bytes that the embedding table may cost
TABLE_ELEMENTS = 2**23  # of each table that are held in memory
ALIKE = 0.9  # of the slots of the most alike reference, for others to be compared with it

Array = NDArray[np.float32]


@dataclass(slots=True)
class MergeProducts:
    """Inner products of a model and its candidate parents: of all weights, and by layer."""

    whole: Products
    layers: dict[int, Products] = field(default_factory=dict)

    def add(self, layer: int, model: Array, parents: Sequence[Array]) -> None:
        """Add one block of the model and of every parent."""
        self.whole.add(model, parents)
        if layer >= 0:
            self.layers.setdefault(layer, Products(self.whole.parents)).add(model, parents)


def readable(
    theirs: Mapping[str, ArtifactStore], names: Iterable[str] | None = None
) -> dict[str, Checkpoint]:
    """Open the references that can be read, all or those of `names`."""
    found = {}
    for name in theirs if names is None else names:
        try:
            found[name] = open_checkpoint(theirs[name])
        except Unavailable:
            continue
    return found


def decoder_slots(mine: Checkpoint, others: Mapping[str, Checkpoint]) -> dict[str, set[Slot]]:
    """Return the decoder's slots that every comparable reference has in the same shape."""
    own = mine.inventory.of(DECODER)
    found = {n: set(shared_slots(own, c.inventory.of(DECODER))) for n, c in others.items()}
    largest = max(map(len, found.values()), default=0)
    return {n: slots for n, slots in found.items() if slots and len(slots) >= ALIKE * largest}


def nearest_references(
    mine: Checkpoint, theirs: Mapping[str, ArtifactStore], effort: Effort, most: int = MOST
) -> Mapping[str, ArtifactStore]:
    """Return the `most` references whose decoders are most like the model's, by cosine.

    Each is laid beside the model by itself, one in memory at a time: what a merge is decomposed
    into costs the square of their number.
    """
    if len(theirs) <= most:
        return theirs
    cosines: dict[str, float] = {}
    for name in theirs:
        others = readable(theirs, [name])
        slots = decoder_slots(mine, others).get(name)
        if slots:
            matrices = {slot: mine.inventory.matrices[slot] for slot in slots}
            products = MergeReading(mine, [others[name]], effort).measure(matrices)
            cosines[name] = float(products.whole.cosines()[0])
    nearest = sorted(cosines, key=lambda name: (-cosines[name], name))[:most]
    return {name: theirs[name] for name in nearest}


class MergeReading:
    """Reads the same blocks of the model and of several references."""

    def __init__(self, mine: Checkpoint, others: Sequence[Checkpoint], effort: Effort) -> None:
        self.mine, self.others, self.effort = mine, others, effort
        self.log = ReadLog()

    def budget(self, component: Component) -> int | None:
        """Return the bytes of weights that a component may cost of any model."""
        header = max(c.index_record.bytes_read for c in (self.mine, *self.others))
        return component_budget(total_budget(self.effort), self.mine.components, component, header)

    def measure(self, matrices: Mapping[Slot, Matrix]) -> MergeProducts:
        """Accumulate the products of all blocks that are planned."""
        products = MergeProducts(Products(len(self.others)))
        for slot, values in self.blocks(matrices, range(len(self.others))):
            products.add(slot.layer, values[0], values[1:])
        return products

    def blocks(
        self, matrices: Mapping[Slot, Matrix], chosen: Sequence[int]
    ) -> Iterator[tuple[Slot, list[Array]]]:
        """Yield the model's values and the chosen references', block by block."""
        plan = plan_component(matrices, self.budget(DECODER)).blocks
        checkpoints = [self.mine, *self.others]
        blocks = [b for b in plan if b.matrix.rows > 1 and _held(b, checkpoints)]
        for start in range(0, len(blocks), BATCH):
            part = blocks[start : start + BATCH]
            for number, values in enumerate(zip(*self.read(part, chosen), strict=True)):
                if not any(map(is_degenerate, values)) and not _one_formula(part[number], values):
                    yield part[number].matrix.slot, list(values)

    def read(self, blocks: Sequence[Block], chosen: Sequence[int]) -> list[list[Array]]:
        """Read blocks of the model and of the chosen references, one list a model."""
        own = self.mine.read(blocks, self.log)
        others = [self.others[i] for i in chosen]
        return [own, *(c.read(_placed(blocks, c), ReadLog()) for c in others)]

    def table(self, chosen: Sequence[int]) -> list[Array] | None:
        """Return the same rows of every embedding table; None if these are not alike."""
        checkpoints = [self.mine, *(self.others[i] for i in chosen)]
        found = [c.inventory.of(TABLE) for c in checkpoints]
        alike = set(found[0]).intersection(*(shared_slots(found[0], f) for f in found[1:]))
        slots = [slot for slot in alike if slot.kind == TOKEN_TABLES[TABLE]]
        if len(slots) != 1:
            return None
        block = block_of(found[0][slots[0]])
        budget = self.budget(TABLE)
        matrix = block.matrix
        affordable = TABLE_ELEMENTS // matrix.cols
        if budget is not None:
            affordable = min(affordable, int(TABLE_PART * budget / matrix.row_bytes))
        block = replace(block, stop=min(matrix.rows, max(block.stop, block.start + affordable)))
        if block.nbytes > (budget or block.nbytes) or not _held(block, checkpoints):
            return None
        return [values[0] for values in self.read([block], chosen)]


def _placed(blocks: Sequence[Block], checkpoint: Checkpoint) -> list[Block]:
    partner = checkpoint.inventory.matrices
    return [replace(block, matrix=partner[block.matrix.slot]) for block in blocks]


def _one_formula(block: Block, values: Sequence[Array]) -> bool:
    """Whether the model and a reference follow one public formula there, which explains nothing."""
    place = (block.start, block.matrix.rows)
    name = formula_of(values[0], *place)
    return name is not None and any(formula_of(other, *place) == name for other in values[1:])


def _held(block: Block, checkpoints: Sequence[Checkpoint]) -> bool:
    return all(c.holds(_placed([block], c)[0]) for c in checkpoints)
