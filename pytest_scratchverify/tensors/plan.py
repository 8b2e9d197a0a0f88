"""Sampling plan: which rows of which tensors to read, the same of every model.

What is read depends on nothing but the role of a tensor, its shape and the number of its
layer, and on a seed that is published here. So slices that were saved from one model can be
compared with any other later, and nobody can prepare a model for the places that will be
read and leave the rest alone without knowing that this is possible: pass another seed.

Rows of a tensor do not depend on the layer, so that layers can be compared with one another
(`stats.weights.layer_map`). Layers come in an order drawn from the seed, and a larger budget reads
more of the same order: what is read at quick is a part of what is read at robust.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.inventory import Matrix, Slot, reads_residual

SEED = "scratchverify-slices-2026"
BLOCK_ELEMENTS = 2**17  # one block: a quarter megabyte of BF16, a sensible request
WHOLE_ELEMENTS = 2**19  # a matrix no larger than this is read whole
EXPERT_ELEMENTS = 2**15
NORM_VECTORS = 24
ROUTERS_FIRST = 16  # the router of one layer in so many is read before the experts
WHOLE_GROUPS = 3
PIECE_ELEMENTS = 2**23

# Bytes of weights per model. The headers of the checkpoint are charged to the same account.
BUDGETS: Mapping[str, int | None] = {
    "metadata": 0,
    "quick": 16_000_000,
    "robust": 256_000_000,
    "full": None,
}
# How a model's bytes are divided among the components that it has.
SHARES: Mapping[Component, float] = {
    Component.TEXT_DECODER: 0.30,
    Component.ROUTER_EXPERTS: 0.28,
    Component.EMBEDDINGS: 0.10,
    Component.LM_HEAD: 0.10,
    Component.VISION_ENCODER: 0.12,
    Component.AUDIO_ENCODER: 0.06,
    Component.PROJECTOR: 0.04,
}
TEXT = Component.TEXT_DECODER.value
# Read in this order within a layer; what comes first survives a small budget.
ORDER = ("gate", "up", "fc1", "v", "kv_a", "q_a", "q", "k", "qkv", "router", "o", "down", "fc2")
OUTER = ("embed", "head", "proj_in", "proj_out", "patch_embed")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows `start` to `stop` of a matrix."""

    matrix: Matrix
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Bytes that reading the block costs, with its scales."""
        scale = self.matrix.scale.nbytes if self.matrix.scale else 0
        return max((self.stop - self.start) * self.matrix.row_bytes + scale, self.matrix.fixed)


def block_of(matrix: Matrix, seed: str = SEED) -> Block:
    """Return the rows of a matrix that are read first: all of them if it is small.

    The place depends on the seed, on the group of kinds that share their rows, and on the
    shape; not on the layer, the expert or the model.
    """
    if matrix.rows * matrix.cols <= WHOLE_ELEMENTS:
        return Block(matrix, 0, matrix.rows)
    if matrix.slot.component == Component.ROUTER_EXPERTS.value:
        # Tens of thousands of matrices: a few rows of many say more than many of a few.
        # Of a router ten, since fewer rows have too few angles among them.
        fewest = 10 if matrix.slot.kind == "router" else 4
        count = min(matrix.rows, max(fewest, EXPERT_ELEMENTS // matrix.cols))
    else:
        # A table outside of the layers is alone: what its layers do not use, its rows may.
        elements = BLOCK_ELEMENTS * (2 if matrix.slot.layer < 0 else 1)
        count = min(matrix.rows, max(16, elements // matrix.cols // 16 * 16))
    group = "mlp" if matrix.slot.kind in ("gate", "up", "fc1") else matrix.slot.kind
    places = (matrix.rows - count) // 16 + 1
    start = _draw(seed, group, matrix.rows, matrix.cols) % places * 16
    return Block(matrix, start, start + count)


def neurons_at(matrix: Matrix, count: int, seed: str = SEED) -> Block:
    """Return `count` rows of a matrix whose rows are neurons: the same of all of its shape."""
    places = (matrix.rows - count) // 16 + 1
    start = _draw(seed, "neurons", matrix.rows, matrix.cols) % places * 16
    return Block(matrix, start, start + count)


@lru_cache(2**14)
def _draw(*words: object) -> int:
    digest = hashlib.blake2b("|".join(map(str, words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def layer_rank(layer: int, seed: str = SEED) -> int:
    """Return a number by which layers are ordered for reading: the same for every model."""
    return _draw(seed, "layer", layer)


def in_order(matrices: Iterable[Matrix], seed: str = SEED) -> list[Matrix]:
    """Sort matrices by the order in which they are read: norms, then layer by layer."""

    def key(matrix: Matrix) -> tuple[object, ...]:
        slot = matrix.slot
        if slot.kind.startswith("norm"):
            return (0, layer_rank(slot.layer, seed), slot.kind)
        if slot.layer < 0:
            rank = OUTER.index(slot.kind) if slot.kind in OUTER else len(OUTER)
            return (1, rank, slot.kind)
        # One expert of one layer and then the next layer: experts of a layer come in a drawn
        # order, and the first of every layer before the second of any.
        router = slot.kind.startswith("router") and _draw(seed, slot.layer) % ROUTERS_FIRST
        turn = _draw(seed, "expert", slot.expert) if slot.expert or router else 0
        kind = ORDER.index(slot.kind) if slot.kind in ORDER else len(ORDER)
        late = slot.component == TEXT and not reads_residual(slot.kind)
        return (2, turn, late, layer_rank(slot.layer, seed), kind, slot.kind)

    return sorted(matrices, key=key)


@dataclass(frozen=True, slots=True)
class Plan:
    """The blocks to read of one component."""

    blocks: tuple[Block, ...]


def plan_component(
    matrices: Mapping[Slot, Matrix],
    budget: int | None,
    *,
    whole_budget: int = 0,
    seed: str = SEED,
) -> Plan:
    """Choose blocks of one component within `budget` bytes; None reads everything.

    Out of `whole_budget` the gate and up matrices of the first few layers or experts are
    read whole, because renumbered neurons are only found among all of them.
    """
    chosen: list[Block] = []
    left, norms = budget, 0
    ordered = in_order(matrices.values(), seed)
    whole = _whole_groups(ordered, whole_budget)
    for matrix in ordered:
        everything = Block(matrix, 0, matrix.rows)
        if left is None:
            chosen.append(everything)
            continue
        if matrix.slot.kind.startswith("norm"):
            norms += 1
            if norms > NORM_VECTORS:
                continue
        block = everything if matrix.slot in whole else block_of(matrix, seed)
        if block.nbytes <= left:
            chosen.append(block)
            left -= block.nbytes
    return Plan(tuple(chosen))


def _whole_groups(ordered: Sequence[Matrix], budget: int) -> set[Slot]:
    """Return the slots of the first gate and up pairs that fit into `budget` whole."""
    pairs: dict[tuple[int, str], list[Matrix]] = {}
    for matrix in ordered:
        if matrix.slot.kind in ("gate", "up"):
            pairs.setdefault((matrix.slot.layer, matrix.slot.expert), []).append(matrix)
    chosen: set[Slot] = set()
    for pair in pairs.values():
        cost = sum(matrix.rows * matrix.row_bytes for matrix in pair)
        if len(pair) == 2 and cost <= budget and len(chosen) < 2 * WHOLE_GROUPS:
            budget -= cost
            chosen |= {matrix.slot for matrix in pair}
    return chosen


def pieces(block: Block) -> Iterator[Block]:
    """Cut a block into parts that fit into memory; the cuts depend on its shape only."""
    step = max(16, PIECE_ELEMENTS // max(1, block.matrix.cols) // 16 * 16)
    for start in range(block.start, block.stop, step):
        yield Block(block.matrix, start, min(block.stop, start + step))


def component_budget(
    total: int | None, present: Iterable[Component], component: Component, header_bytes: int
) -> int | None:
    """Return the bytes of weights that one component may cost out of a model's `total`."""
    if total is None:
        return None
    shares = math.fsum(SHARES[c] for c in present)
    return int(max(0, total - header_bytes) * SHARES[component] / shares)
