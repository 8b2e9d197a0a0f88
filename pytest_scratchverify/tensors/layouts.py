"""Layouts of one and the same matrix: what a tensor holds, as [outputs, inputs] of single roles.

Names say what a tensor is; shapes say how it lies. A matrix that reads the residual stream has
its width as columns, one that writes it as rows; where that is the other way round, it is stored
inputs first, whatever its name. Fused tensors are cut, rotary and grouped heads put in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.attention_shape import AttentionShape
from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES
from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.formats.row_order import (
    InputsFirst,
    PickedRows,
    PlainRows,
    grouped_heads,
    rotary_pairs,
)
from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.mixer_lines import COLOURS, MIXER, TAPS, sided
from pytest_scratchverify.checkpoint.roles import TensorRole
from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.tensors.matrices import Matrix, Slot, is_mixer

READING = frozenset({"q", "k", "v", "qkv", "q_a", "kv_a", "gate", "up", "gate_up", "fc1", "router",
                     "cross_q", "cross_k", "cross_v"})  # fmt: skip
WRITING = frozenset({"o", "down", "fc2", "cross_o"})
MOST_ROWS = 2**20  # whose order is listed row by row; no projection of today has a tenth
BLOCKS = frozenset({"gate", "up", "down", "gate_up", "fc1", "fc2"})
TEXT = frozenset({Component.TEXT_DECODER, Component.ROUTER_EXPERTS})
_WIDE_NORMS = frozenset({"norm_in", "norm_post", "norm_final", "norm_post_ffn", "norm_post_attn"})


@dataclass(frozen=True)
class LayoutContext:
    """What one tensor's layout cannot tell by itself: the width, the heads, the majority.

    `turned` are the groups of names of which most matrices that are not square lie inputs first.
    """

    width: int | None = None
    attention: AttentionShape | None = None
    widths: Mapping[Component, int] = field(default_factory=dict)  # of the towers' own streams
    turned: frozenset[tuple[bool, bool]] = frozenset()
    alternating: bool = False  # gate and up columns in turn: gpt-oss, unpacked
    experts: Mapping[int, int] = field(default_factory=dict)
    rotary: bool = True  # False: rows of native names lie as in transformers all the same


def read_context(
    tensors: Mapping[str, TensorInfo],
    roles: Mapping[str, TensorRole],
    attention: AttentionShape | None,
    *,
    rotary: bool = True,
    adopted: Mapping[str, TensorRole] | None = None,
) -> LayoutContext:
    """Find out what all tensors of a checkpoint say together; `adopted` have places by shape."""
    widths = _guessed_width(tensors, adopted or {}) | residual_widths(tensors, roles)
    width = widths.get(Component.TEXT_DECODER)
    votes: Counter[tuple[bool, bool]] = Counter()
    for name, role in roles.items():
        found = _is_turned(role, tensors[name].shape, width)
        if found is not None:
            votes[_family(role)] += 1 if found else -1
    experts = {
        role.layer: tensors[name].shape[0]
        for name, role in roles.items()
        if role.kind == "router" and role.layer is not None and len(tensors[name].shape) == 2
    }
    return LayoutContext(
        width,
        attention,
        widths,
        frozenset(family for family, count in votes.items() if count > 0),
        any(role.kind == "gate_up_bias" for role in roles.values()),
        experts,
        rotary,
    )


def settled(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]
) -> dict[str, TensorRole]:
    """Settle what roles mean together with shapes.

    Experts that lie in one tensor are experts, whatever their module is called; a mixer's matrix
    has the residual stream on the side that has its width; and a block's matrices are called by
    what the block has: gated ones gate, up, down, others fc1, fc2.
    """
    roles = _convolutions_known(tensors, _stacks_known(tensors, roles))
    roles = _mixers_sided(tensors, roles)
    blocks: dict[tuple[Component, int | None, object], dict[str, str]] = {}
    for name, role in roles.items():
        if role.layer is not None and role.part in ("weight", "packed"):
            blocks.setdefault((role.component, role.layer, role.expert), {})[role.kind] = name
    gated_kinds = {
        (component, type(expert))
        for (component, _, expert), kinds in blocks.items()
        if {"gate", "gate_up"} & kinds.keys()
    }
    found = dict(roles)
    for (component, _, expert), kinds in blocks.items():
        gated = (component, type(expert)) in gated_kinds
        if "fc1" in kinds and not gated:
            last = kinds.get("fc2") or kinds.get("down")
            fused = last and _fused(tensors[kinds["fc1"]].shape, tensors[last].shape)
            names = {"fc1": "gate_up", "fc2": "down"} if fused else {"down": "fc2"}
        else:
            names = {"fc2": "down"} if gated else {"up": "fc1", "down": "fc2"}
        for kind, name in kinds.items():
            if kind in names and not (kind == "up" and "down" not in kinds):
                found[name] = replace(roles[name], kind=names[kind])
    return found


def _fused(first: tuple[int, ...], last: tuple[int, ...]) -> bool:
    """Whether a first matrix is twice as high as the last one is wide: gate and up in one."""
    return len(first) == len(last) == 2 and first[1] == last[0] and first[0] == 2 * last[1]


def _stacks_known(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]
) -> dict[str, TensorRole]:
    """Find experts stored in one tensor that a dense block's names have: Step-3.5's ``moe``."""
    found = dict(roles)
    for name, role in roles.items():
        if (
            role.component is Component.TEXT_DECODER
            and role.kind in BLOCKS
            and role.part == "weight"
            and role.layer is not None
            and len(tensors[name].shape) == 3
            and min(tensors[name].shape) > 1
        ):
            found[name] = replace(role, component=Component.ROUTER_EXPERTS, expert="stack")
    return found


def _convolutions_known(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]
) -> dict[str, TensorRole]:
    """Find convolutions that are called as the first one is: what reads patches reads colours."""
    found = dict(roles)
    for name, role in roles.items():
        shape = tensors[name].shape
        if role.kind == "patch_embed" and len(shape) > 3 and shape[1] > COLOURS:
            found[name] = replace(role, kind=MIXER + name.removesuffix(".weight"))
    return found


def _mixers_sided(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]
) -> dict[str, TensorRole]:
    mixers = {name: role for name, role in roles.items() if role.kind.startswith(MIXER)}
    if not mixers:
        return dict(roles)
    widths = residual_widths(tensors, roles)
    sides = {
        name: sided(role.kind, tensors[name].shape, widths.get(_stream(role.component)))
        for name, role in mixers.items()
    }
    return {**roles, **{name: replace(mixers[name], kind=kind) for name, kind in sides.items()}}


def _stream(component: Component) -> Component:
    """Return the component of whose norms experts have the width: the decoder that they are in."""
    return Component.TEXT_DECODER if component in TEXT else component


def residual_widths(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]
) -> dict[Component, int]:
    """Return the width of the residual stream of every tower: what its norms have.

    Of the text, where no norm has a name, its table's.
    """
    norms: dict[Component, Counter[int]] = {}
    tables: Counter[int] = Counter()
    for name, role in roles.items():
        shape = tensors[name].shape
        if len(shape) == 1 and role.kind in _WIDE_NORMS and role.part == "weight":
            norms.setdefault(role.component, Counter())[shape[0]] += 1
        elif role.kind == "embed" and len(shape) == 2 and role.part in ("weight", "packed"):
            tables[min(shape)] += 1
    if tables:
        norms.setdefault(Component.TEXT_DECODER, tables)
    return {component: counted.most_common(1)[0][0] for component, counted in norms.items()}


def _guessed_width(
    tensors: Mapping[str, TensorInfo], adopted: Mapping[str, TensorRole]
) -> dict[Component, int]:
    """Return what all matrices of a stack of unknown names have on a side, where they have one."""
    shapes = [
        {*tensors[name].shape}
        for name, role in adopted.items()
        if role.kind in READING | WRITING and len(tensors[name].shape) == 2
    ]
    common = set.intersection(*shapes) if shapes else set()
    return {Component.TEXT_DECODER: common.pop()} if len(common) == 1 else {}


def _family(role: TensorRole) -> tuple[bool, bool]:
    """Say which matrices are stored alike: those of experts in one tensor, and all others.

    And among these the ones that GPT-2's names have.
    """
    return role.expert == "stack", role.transposed


def _is_turned(role: TensorRole, shape: tuple[int, ...], width: int | None) -> bool | None:
    """Whether a tensor lies inputs first; None where its shape does not say so."""
    if width is None or role.part != "weight" or not 2 <= len(shape) <= 3:
        return None
    if role.component in TEXT:
        if len(shape) == 3 and role.expert != "stack":
            return None
        first, last = shape[-2] == width, shape[-1] == width
        if first == last or role.kind not in READING | WRITING:
            return None
        return first if role.kind in READING else last
    if TOKEN_TABLES.get(role.component) == role.kind and len(shape) == 2:
        return shape[0] == width != shape[1]
    return None


def matrices_of(
    role: TensorRole,
    info: TensorInfo,
    scale: TensorInfo | None,
    codec: Codec | None,
    context: LayoutContext,
) -> Iterator[Matrix]:
    """Cut a tensor into matrices of one role each, rows being outputs in the usual order."""
    layer = -1 if role.layer is None else role.layer
    expert = "" if role.expert is None else str(role.expert)
    slot = Slot(role.component.value, role.kind, layer, expert)
    if not info.shape:  # one number is no matrix, whatever it is called
        return
    if len(info.shape) == 1:
        yield Matrix(slot, info, 1, info.shape[0])
    elif experts_in(role, info, context):
        yield from _stack(slot, role, info, codec, context)
    else:
        rows, cols = info.shape[0], prod(info.shape[1:])
        if (
            len(info.shape) == 3
            and is_mixer(role.kind)
            and info.shape[2] > TAPS
            and not _convolves(role)
        ):
            rows, cols = prod(info.shape[:2]), info.shape[2]  # several matrices of one kind
        turned = codec is None and scale is None and len(info.shape) == 2
        if turned and _lies_turned(role, info.shape, context):
            rows, cols = cols, rows
            codec = InputsFirst(info, (rows, cols))
        fixed = codec.fixed if codec is not None else 0
        one = Matrix(slot, info, rows, cols, scale=None if codec else scale, codec=codec,
                     fixed=fixed)  # fmt: skip
        yield from _cut(one, role, context)


def _convolves(role: TensorRole) -> bool:
    return "conv" in role.kind


def _lies_turned(role: TensorRole, shape: tuple[int, ...], context: LayoutContext) -> bool:
    found = _is_turned(role, shape, context.width)
    if found is not None:
        return found
    if role.component not in TEXT or role.kind not in READING | WRITING:
        return role.transposed and len(shape) == 2 and context.width is None
    if context.width is None:
        return role.transposed
    # Square, or of no known width: as the others of its kind are.
    return shape[-1] == shape[-2] and _family(role) in context.turned


def _flat_count(role: TensorRole, info: TensorInfo, context: LayoutContext) -> int:
    """Return how many experts a tensor of two dimensions holds one after the other (DBRX)."""
    count = context.experts.get(-1 if role.layer is None else role.layer, 0)
    return count if count > 1 and len(info.shape) == 2 and info.shape[0] % count == 0 else 0


def experts_in(role: TensorRole, info: TensorInfo, context: LayoutContext) -> int:
    """Return how many experts a tensor holds, one behind the other; 0 where it is no stack."""
    if role.expert != "stack":
        return 0
    return info.shape[0] if len(info.shape) == 3 else _flat_count(role, info, context)


def _stack(
    slot: Slot,
    role: TensorRole,
    info: TensorInfo,
    codec: Codec | None,
    context: LayoutContext,
) -> Iterator[Matrix]:
    count = experts_in(role, info, context)
    rows, cols = prod(info.shape[:-1]) // count, info.shape[-1]
    plain = codec is None and info.dtype in NUMPY_DTYPES
    turned = plain and _lies_turned(role, (count, rows, cols), context)
    for expert in range(count):
        place = replace(slot, expert=str(expert))
        if turned:
            own = InputsFirst(info, (cols, rows), expert * rows * cols)
            one = Matrix(place, info, cols, rows, codec=own, fixed=own.fixed)
        else:
            fixed = codec.fixed if codec is not None else 0
            one = Matrix(place, info, rows, cols, expert * rows, codec=codec, fixed=fixed)
        yield from _cut(one, role, context)


def _cut(matrix: Matrix, role: TensorRole, context: LayoutContext) -> Iterator[Matrix]:
    kind = matrix.slot.kind
    if kind == "gate_up" and matrix.rows % 2 == 0:
        yield from _halves(matrix, role, context)
    elif kind == "qkv" and matrix.slot.component in {c.value for c in TEXT}:
        yield from _three(matrix, role, context)
    elif role.layout == "~" and context.attention is not None and context.rotary:
        heads = context.attention.heads if kind == "q" else context.attention.groups
        fits = matrix.rows % (2 * heads) == 0 and matrix.rows <= MOST_ROWS
        if fits and matrix.first_row == 0:
            matrix = _picked(matrix, kind, _rotary(matrix.rows, heads))
        yield matrix
    else:
        yield matrix


def _halves(matrix: Matrix, role: TensorRole, context: LayoutContext) -> Iterator[Matrix]:
    half = matrix.rows // 2
    codec = matrix.codec
    turned = isinstance(codec, InputsFirst) and role.expert == "stack"
    alternate = (codec is not None and codec.interleaved) or (turned and context.alternating)
    order = ("up", "gate") if role.layout == "^2" else ("gate", "up")
    for number, kind in enumerate(order):
        first = number if alternate else number * half
        yield replace(
            matrix,
            slot=replace(matrix.slot, kind=kind),
            rows=half,
            first_row=matrix.first_row + first,
            step=2 if alternate else 1,
        )


def _three(matrix: Matrix, role: TensorRole, context: LayoutContext) -> Iterator[Matrix]:
    """Cut queries, keys and values apart, where the config says how many heads there are."""
    shape = context.attention
    if shape is None or matrix.rows != sum(shape.rows) or matrix.rows > MOST_ROWS:
        yield matrix
        return
    grouped = role.layout == "#" if shape.grouped is None else shape.grouped
    if grouped:
        found = _grouped(shape.groups, shape.heads // shape.groups, shape.size)
        for kind, rows in zip("qkv", found, strict=True):
            yield _picked(matrix, kind, rows)
        return
    first = matrix.first_row
    for kind, count in zip("qkv", shape.rows, strict=True):
        place = replace(matrix.slot, kind=kind)
        yield replace(matrix, slot=place, rows=count, first_row=first)
        first += count


def _picked(matrix: Matrix, kind: str, rows: NDArray[np.intp]) -> Matrix:
    inner = matrix.codec or PlainRows(matrix.info, (matrix.rows, matrix.cols), matrix.scale)
    codec = PickedRows(inner, rows)
    place = replace(matrix.slot, kind=kind)
    return replace(matrix, slot=place, rows=len(rows), codec=codec, scale=None, fixed=codec.fixed)


@lru_cache(maxsize=64)
def _rotary(rows: int, heads: int) -> NDArray[np.intp]:
    return rotary_pairs(rows, heads)


@lru_cache(maxsize=64)
def _grouped(
    groups: int, queries: int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    return grouped_heads(groups, queries, size)
