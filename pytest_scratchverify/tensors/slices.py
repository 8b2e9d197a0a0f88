"""Choose which parts of which tensors to read, so that two models are read at the same places.

What is read depends on nothing but the role of a tensor, its shape and the number of its
layer, and on a seed that is published here. So slices that were saved from one model can be
compared with any other later, and nobody can prepare a model for the places that will be
read and leave the rest alone without knowing that this is possible: pass another seed.

Rows of a tensor do not depend on the layer, so that layers can be compared with one another
(`stats.layer_map`). Layers come in an order drawn from the seed, and a larger budget reads
more of the same order: what is read at quick is a part of what is read at robust.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from pytest_scratchverify.checkpoint.dtypes import NEEDS_SCALE, NUMPY_DTYPES
from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorIndex, TensorInfo
from pytest_scratchverify.checkpoint.roles import TensorRole, read_roles
from pytest_scratchverify.core.component import Component

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
# The kinds whose columns are channels of the residual stream: [out, hidden].
RESIDUAL_COLUMNS = frozenset(
    {"q", "k", "v", "qkv", "q_a", "kv_a", "gate", "up", "fc1", "router", "embed", "head"}
)
TEXT = Component.TEXT_DECODER.value
# Read in this order within a layer; what comes first survives a small budget.
ORDER = ("gate", "up", "fc1", "v", "kv_a", "q_a", "q", "k", "qkv", "router", "o", "down", "fc2")
OUTER = ("embed", "head", "proj_in", "proj_out", "patch_embed")


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place that two models may have in common: what is compared is compared by slot."""

    component: str
    kind: str
    layer: int = -1
    expert: str = ""

    def __str__(self) -> str:
        layer = "" if self.layer < 0 else str(self.layer)
        return f"{self.component}/{self.kind}/{layer}/{self.expert}"

    @classmethod
    def parse(cls, text: str) -> Slot:
        """Read what `str` wrote."""
        component, kind, layer, expert = text.split("/")
        return cls(component, kind, int(layer) if layer else -1, expert)


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix as the statistics see it: rows are outputs, whatever the file calls it.

    `first_row` is where the matrix begins inside of its tensor, counted in rows: a fused
    ``gate_up_proj`` holds two matrices, a stack of experts one or two for each expert.
    """

    slot: Slot
    info: TensorInfo
    rows: int
    cols: int
    first_row: int = 0
    scale: TensorInfo | None = None
    codec: Codec | None = None
    step: int = 1  # stored rows from one row to the next: two where gate and up alternate
    fixed: int = 0  # bytes that any block costs, in this or in the other model

    @property
    def row_bytes(self) -> int:
        """Bytes of one stored row, with its share of all that belongs to it."""
        if self.codec is not None:
            if self.codec.fixed:  # charged by the block; a row is what it costs beside BF16
                return 2 * self.cols
            return -(-self.codec.nbytes * self.step // max(1, prod(self.codec.shape[:-1])))
        return self.cols * DTYPE_BITS[self.info.dtype] // 8


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


@dataclass(frozen=True, slots=True)
class Inventory:
    """The matrices and vectors of a checkpoint by slot, and what could not be placed.

    `unplaced` counts, by component, the parameters of matrices that are compared with nothing:
    of unknown dtype, in a place that another tensor has taken (named in `twice`), and under ""
    those whose name says nothing.
    """

    matrices: Mapping[Slot, Matrix]
    parameters: Mapping[str, int]
    unmapped: tuple[str, ...]
    unsupported: tuple[str, ...]
    unplaced: Mapping[str, int] = field(default_factory=dict)
    twice: tuple[str, ...] = ()

    def of(self, component: Component) -> dict[Slot, Matrix]:
        """Return the matrices of one component."""
        return {s: m for s, m in self.matrices.items() if s.component == component.value}

    def unplaced_share(self, component: Component) -> float:
        """Return how much is compared with nothing; the nameless counts as the decoder's."""
        nameless = self.unplaced.get("", 0) if component is Component.TEXT_DECODER else 0
        missed = self.unplaced.get(component.value, 0) + nameless
        return missed / max(1, self.parameters.get(component.value, 0) + nameless)


def take_inventory(index: TensorIndex, codecs: Mapping[str, Codec] | None = None) -> Inventory:
    """Sort a checkpoint's tensors into slots.

    Only tensors of dtypes that `dtypes` decodes, or that have a codec, get a slot; the others
    are listed. Parameters are counted per component over everything that has a role.
    """
    codecs = codecs or {}
    role_map = read_roles(index.tensors)
    scales = _scales(index, role_map.roles)
    matrices: dict[Slot, Matrix] = {}
    parameters: dict[str, int] = {}
    unsupported: list[str] = []
    twice: list[str] = []
    # gpt-oss, unpacked: experts are stored inputs first, and must not meet packed ones.
    inputs_first = any(role.kind == "gate_up_bias" for role in role_map.roles.values())
    for name, role in role_map.roles.items():
        info = index.tensors[name]
        if role.part in ("scale", "scale_inv"):
            continue
        key = role.component.value
        parameters[key] = parameters.get(key, 0) + info.parameters
        codec = codecs.get(name)
        bare = info.dtype in NEEDS_SCALE and role.part == "weight" and name not in scales
        unknown = info.dtype not in NUMPY_DTYPES or role.part == "packed" or bare
        if codec is None and unknown:
            unsupported.append(name)
        elif role.part == "weight":
            turned = inputs_first and role.expert == "stack" and codec is None
            for matrix in _matrices(role, info, scales.get(name), codec):
                kind = f"{matrix.slot.kind}^T" if turned else matrix.slot.kind
                slot = replace(matrix.slot, kind=kind)
                if matrices.setdefault(slot, placed := replace(matrix, slot=slot)) is not placed:
                    twice.append(name)
    unplaced: dict[str, int] = {}
    for name in {*unsupported, *twice, *role_map.unmapped}:
        if len(index.tensors[name].shape) > 1:
            known = role_map.roles.get(name)
            key = known.component.value if known else ""
            unplaced[key] = unplaced.get(key, 0) + index.tensors[name].parameters
    return Inventory(
        matrices, parameters, role_map.unmapped, tuple(unsupported), unplaced, tuple(twice)
    )


def _scales(index: TensorIndex, roles: Mapping[str, TensorRole]) -> dict[str, TensorInfo]:
    found: dict[str, TensorInfo] = {}
    for name, role in roles.items():
        if role.part in ("scale", "scale_inv"):
            weight = name.removesuffix("_inv").removesuffix("_scale")
            found[weight] = index.tensors[name]
    return found


def _matrices(
    role: TensorRole, info: TensorInfo, scale: TensorInfo | None, codec: Codec | None = None
) -> Iterator[Matrix]:
    if codec is None:
        yield from _plain(role, info, scale)
        return
    for matrix in _plain(role, info, None):
        packed = replace(matrix, codec=codec, fixed=codec.fixed)
        if codec.interleaved and matrix.slot.kind in ("gate", "up"):
            late = matrix.slot.kind == "up"  # halves were assumed; rows alternate
            first = matrix.first_row - late * matrix.rows + late
            packed = replace(packed, first_row=first, step=2)
        yield packed


def _plain(role: TensorRole, info: TensorInfo, scale: TensorInfo | None) -> Iterator[Matrix]:
    layer = -1 if role.layer is None else role.layer
    expert = "" if role.expert is None else str(role.expert)
    slot = Slot(role.component.value, role.kind, layer, expert)
    if not info.shape:  # one number is no matrix, whatever it is called
        return
    if len(info.shape) == 1:
        yield Matrix(slot, info, 1, info.shape[0])
    elif role.transposed:
        # Inputs first: a row is a channel of the residual stream. Both models of such a
        # family store it so, and slots of unlike orientation never meet.
        rows, cols = info.shape[0], prod(info.shape[1:])
        yield Matrix(replace(slot, kind=f"{role.kind}^T"), info, rows, cols)
    elif role.expert == "stack" and len(info.shape) == 3:
        yield from _stack(slot, info)
    elif len(info.shape) >= 2:
        rows, cols = info.shape[0], prod(info.shape[1:])
        yield from _split_fused(Matrix(slot, info, rows, cols, scale=scale))


def _stack(slot: Slot, info: TensorInfo) -> Iterator[Matrix]:
    count, rows, cols = info.shape
    for expert in range(count):
        one = Matrix(replace(slot, expert=str(expert)), info, rows, cols, expert * rows)
        # [experts, 2 inner, hidden] has gate and up one after the other; the other layout,
        # [experts, hidden, 2 inner], has inputs first. What is packed is packed along inputs.
        if rows > cols / 2 or info.dtype not in NUMPY_DTYPES:
            yield from _split_fused(one)
        else:
            yield one


def _split_fused(matrix: Matrix) -> Iterator[Matrix]:
    if matrix.slot.kind != "gate_up" or matrix.rows % 2:
        yield matrix
        return
    half = matrix.rows // 2
    for kind, first in (("gate", 0), ("up", half)):
        yield replace(
            matrix,
            slot=replace(matrix.slot, kind=kind),
            rows=half,
            first_row=matrix.first_row + first,
        )


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
        late = slot.component == TEXT and slot.kind not in RESIDUAL_COLUMNS
        return (2, turn, late, layer_rank(slot.layer, seed), kind, slot.kind)

    return sorted(matrices, key=key)


@dataclass(frozen=True, slots=True)
class Plan:
    """The blocks to read of one component, and how many of its parameters they stand for."""

    blocks: tuple[Block, ...]
    touched_parameters: int


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
    touched = sum(b.matrix.rows * b.matrix.cols for b in chosen)
    return Plan(tuple(chosen), touched)


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
    shares = sum(SHARES[c] for c in present)
    return int(max(0, total - header_bytes) * SHARES[component] / shares)


def common(ours: Mapping[Slot, Matrix], theirs: Mapping[Slot, Matrix]) -> list[Slot]:
    """Return the slots at which two models hold matrices of one shape, sorted."""
    return sorted(
        slot
        for slot in ours.keys() & theirs.keys()
        if (ours[slot].rows, ours[slot].cols) == (theirs[slot].rows, theirs[slot].cols)
    )
