"""Tensor inventory of a checkpoint: which matrices there are, under names that models share.

A slot is a role, a layer and an expert, whatever the file calls the tensor; a matrix is where
its rows lie. What is to be read of them is `tensors.plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod

from pytest_scratchverify.checkpoint.dtypes import NEEDS_SCALE, NUMPY_DTYPES
from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorIndex, TensorInfo
from pytest_scratchverify.checkpoint.roles import TensorRole, read_roles
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.uncounted import is_empty, oversized

# The kinds whose columns are channels of the residual stream: [out, hidden].
RESIDUAL_COLUMNS = frozenset(
    {"q", "k", "v", "qkv", "q_a", "kv_a", "gate", "up", "fc1", "router", "embed", "head"}
)
NORMS = ("norm_pre_ffn", "norm_post")  # before the gated block, whichever there is


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


@dataclass(frozen=True)
class Inventory:
    """The matrices and vectors of a checkpoint by slot, and what could not be placed.

    `unplaced` counts, by component, the parameters of matrices that are compared with nothing:
    of unknown dtype, in a place that another tensor has taken (named in `twice`), larger than
    their names promise (`oversized`), and under "" those whose name says nothing. `empty` are
    tensors without elements.
    """

    matrices: Mapping[Slot, Matrix]
    parameters: Mapping[str, int]
    unmapped: tuple[str, ...]
    unsupported: tuple[str, ...]
    unplaced: Mapping[str, int] = field(default_factory=dict)
    twice: tuple[str, ...] = ()
    oversized: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    def of(self, component: Component) -> Mapping[Slot, Matrix]:
        """Return the matrices of one component."""
        return self._by_component.get(component.value, {})

    @cached_property
    def _by_component(self) -> Mapping[str, Mapping[Slot, Matrix]]:
        found: dict[str, dict[Slot, Matrix]] = {}
        for slot, matrix in self.matrices.items():
            found.setdefault(slot.component, {})[slot] = matrix
        return found

    def unplaced_share(self, component: Component) -> float:
        """Return how much is compared with nothing; the nameless counts as the decoder's."""
        nameless = self.unplaced.get("", 0) if component is Component.TEXT_DECODER else 0
        missed = self.unplaced.get(component.value, 0) + nameless
        return missed / max(1, self.counted(component))

    def counted(self, component: Component) -> int:
        """Return all elements that are or may be a component's, compared or not."""
        nameless = self.unplaced.get("", 0) if component is Component.TEXT_DECODER else 0
        return self.parameters.get(component.value, 0) + nameless


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
    large = oversized(index.tensors, role_map.roles, role_map.ignored)
    for name, role in role_map.roles.items():
        info = index.tensors[name]
        if name in large:
            key = role.component.value
            parameters[key] = parameters.get(key, 0) + info.parameters
            continue
        if not info.parameters:
            continue
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
                placed = _transposed(matrix) if turned else matrix
                if placed.slot in matrices:
                    twice.append(name)
                else:
                    matrices[placed.slot] = placed
    nowhere = {*unsupported, *twice, *role_map.unmapped, *large}
    return Inventory(
        matrices,
        parameters,
        role_map.unmapped,
        tuple(unsupported),
        _unplaced({name: index.tensors[name] for name in nowhere}, role_map.roles),
        tuple(twice),
        tuple(sorted(large)),
        tuple(name for name, info in index.tensors.items() if is_empty(name, info)),
    )


def _unplaced(tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]) -> dict[str, int]:
    """Count the parameters that got no slot, by component, whatever their shape."""
    found: dict[str, int] = {}
    for name, info in tensors.items():
        known = roles.get(name)
        key = known.component.value if known else ""
        found[key] = found.get(key, 0) + info.parameters
    return found


def _transposed(matrix: Matrix) -> Matrix:
    """Name a matrix that is stored inputs first: it never meets one that is not."""
    return replace(matrix, slot=replace(matrix.slot, kind=f"{matrix.slot.kind}^T"))


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
        yield _transposed(Matrix(slot, info, rows, cols))
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


def shared_slots(ours: Mapping[Slot, Matrix], theirs: Mapping[Slot, Matrix]) -> list[Slot]:
    """Return the slots at which two models hold matrices of one shape, sorted."""
    return sorted(
        slot
        for slot in ours.keys() & theirs.keys()
        if (ours[slot].rows, ours[slot].cols) == (theirs[slot].rows, theirs[slot].cols)
    )
