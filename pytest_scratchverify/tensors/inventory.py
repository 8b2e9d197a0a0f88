"""Tensor inventory of a checkpoint: which matrices there are, under names that models share.

A slot is a role, a layer and an expert, whatever the file calls the tensor; a matrix is where
its rows lie (`tensors.matrices`, `tensors.layouts`). What no table of names knows is placed by
its shape, or keeps a slot of its own name (`tensors.structure`). What is to be read is
`tensors.plan`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pytest_scratchverify.checkpoint.attention_shape import AttentionShape
from pytest_scratchverify.checkpoint.dtypes import NEEDS_SCALE, NUMPY_DTYPES
from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.header import TensorIndex, TensorInfo
from pytest_scratchverify.checkpoint.roles import TensorRole, read_roles
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.layouts import (
    LayoutContext,
    experts_in,
    matrices_of,
    read_context,
    settled,
)
from pytest_scratchverify.tensors.matrices import (
    RESIDUAL_COLUMNS,
    WHOLE,
    Matrix,
    Slot,
    is_mixer,
    is_no_evidence,
    is_unnamed,
    reads_residual,
    writes_residual,
)
from pytest_scratchverify.tensors.structure import (
    adopted_roles,
    probable_component,
    unnamed_roles,
)
from pytest_scratchverify.tensors.uncounted import is_empty, is_mask, oversized, scaled_by

__all__ = [
    "NORMS",
    "RESIDUAL_COLUMNS",
    "Inventory",
    "Matrix",
    "Slot",
    "is_mixer",
    "is_no_evidence",
    "is_residual_gain",
    "is_unnamed",
    "most_experts",
    "reads_residual",
    "shared_slots",
    "take_inventory",
    "with_undecoded",
    "writes_residual",
]

MOST_EXPERTS = 2**19  # in stacks, all layers together; the largest mixtures of today have 2**17
NORMS = ("norm_pre_ffn", "norm_post")  # before the gated block, whichever there is


def is_residual_gain(slot: Slot) -> bool:
    """Whether a slot holds norm gains whose channels carry arbitrary numbers.

    Gains of queries and keys stand in the order of the rotary frequencies, head by head.
    """
    return slot.kind.startswith("norm") and slot.kind not in ("norm_q", "norm_k")


@dataclass(frozen=True)
class Inventory:
    """The matrices and vectors of a checkpoint by slot, and what could not be placed.

    `unplaced` counts, by component, the parameters of matrices that are compared with nothing:
    of unknown dtype, larger than their names promise (`oversized`), without a place, or in one
    that another tensor has taken (named in `twice`; `doubles` are their matrices). `unmapped` are
    the names that no table knows: the component is then the one that they probably belong to, and
    the slot is one of their own, or a place found by shape or by numbers, which `placed` tells by
    name. `nameless` counts those without a slot, by that component: they are no `parameters` of
    it. `empty` are tensors without elements, `masks` constants of a mask's shape.
    """

    matrices: Mapping[Slot, Matrix]
    parameters: Mapping[str, int]
    unmapped: tuple[str, ...]
    unsupported: tuple[str, ...]
    unplaced: Mapping[str, int] = field(default_factory=dict)
    twice: tuple[str, ...] = ()
    doubles: tuple[Matrix, ...] = ()
    placed: Mapping[str, Slot] = field(default_factory=dict)
    nameless: Mapping[str, int] = field(default_factory=dict)
    oversized: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    masks: tuple[TensorInfo, ...] = ()

    def of(self, component: Component) -> Mapping[Slot, Matrix]:
        """Return the matrices of one component."""
        return self._of_component.get(component.value, {})

    def gains_at(self, slot: Slot, width: int) -> Matrix | None:
        """Return all gains of a norm; None where none of this width are known."""
        for place in (slot, replace(slot, kind=WHOLE + slot.kind)):
            found = self.matrices.get(place)
            if found is not None and found.rows == 1 and found.cols == width:
                return found
        return None

    @cached_property
    def fixed(self) -> Mapping[Slot, Matrix]:
        """The matrices of which any number of rows costs the same: packed across their rows."""
        return {slot: matrix for slot, matrix in self.matrices.items() if matrix.fixed}

    @cached_property
    def derived(self) -> dict[Hashable, Any]:
        """What was made of these matrices, kept as long as they are."""
        return {}

    @cached_property
    def _of_component(self) -> Mapping[str, Mapping[Slot, Matrix]]:
        found: dict[str, dict[Slot, Matrix]] = {}
        for slot, matrix in self.matrices.items():
            found.setdefault(slot.component, {})[slot] = matrix
        return found

    def unplaced_share(self, component: Component) -> float:
        """Return how much of all that is or may be a component's is compared with nothing."""
        return self.unplaced.get(component.value, 0) / max(1, self.counted(component))

    def counted(self, component: Component) -> int:
        """Return all elements that are or may be a component's, compared or not."""
        return self.parameters.get(component.value, 0) + self.nameless.get(component.value, 0)


def take_inventory(
    index: TensorIndex,
    codecs: Mapping[str, Codec] | None = None,
    attention: AttentionShape | None = None,
    *,
    rotary: bool = True,
) -> Inventory:
    """Sort a checkpoint's tensors into slots.

    Only tensors of dtypes that `dtypes` decodes, or that have a codec, get a slot; the others
    are listed. Parameters are counted per component over everything that has a role.

    Parameters
    ----------
    attention
        The heads by the config: without them fused attention stays in one piece, and rotary rows
        stay in the order of the file.
    rotary
        Whether native names mean Meta's order of rows.
    """
    codecs = codecs or {}
    role_map = read_roles(index.tensors)
    adopted = adopted_roles(index.tensors, role_map)
    roles = settled(index.tensors, {**role_map.roles, **adopted})
    context = read_context(index.tensors, roles, attention, rotary=rotary, adopted=adopted)
    nameless = [name for name in role_map.unmapped if name not in adopted]
    roles |= unnamed_roles({name: index.tensors[name] for name in nameless}, context.widths)
    scales = _scales(index, roles)
    matrices: dict[Slot, Matrix] = {}
    parameters: dict[str, int] = {}
    unsupported: list[str] = []
    twice: list[str] = []
    doubles: list[Matrix] = []
    placed: dict[str, Slot] = {}
    large = oversized(index.tensors, roles, role_map.ignored)
    large |= _crowds(index, roles, context)
    for name, role in roles.items():
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
            for matrix in matrices_of(role, info, scales.get(name), codec, context):
                if matrix.slot in matrices:
                    twice.append(name)
                    doubles.append(matrix)
                else:
                    matrices[matrix.slot] = matrix
                    if name in adopted:
                        placed[name] = matrix.slot
    without = [name for name in nameless if name not in roles]
    false = {name: index.tensors[name] for name in large - roles.keys()}  # no constants
    nowhere = {*unsupported, *twice, *without, *large}
    return Inventory(
        matrices,
        dict(Counter(parameters) + Counter(_by_component(false, roles))),
        role_map.unmapped,
        tuple(unsupported),
        unplaced=_by_component({name: index.tensors[name] for name in nowhere}, roles),
        twice=tuple(dict.fromkeys(twice)),
        doubles=tuple(doubles),
        placed=placed,
        nameless=_by_component({name: index.tensors[name] for name in without}, roles),
        oversized=tuple(sorted(large)),
        empty=tuple(name for name, info in index.tensors.items() if is_empty(name, info)),
        masks=tuple(i for name in role_map.ignored if is_mask(i := index.tensors[name])),
    )


def _crowds(
    index: TensorIndex, roles: Mapping[str, TensorRole], context: LayoutContext
) -> set[str]:
    """Name the stacks of more experts than any model has: no shape alone may fill the memory."""
    room, found = MOST_EXPERTS, set()
    for name, role in roles.items():
        count = experts_in(role, index.tensors[name], context)
        if count > room:
            found.add(name)
        else:
            room -= count
    return found


def with_undecoded(inventory: Inventory, undecoded: Mapping[str, int]) -> Inventory:
    """Count what nobody here decodes (name of the weight: elements) as met by nothing."""
    if not undecoded:
        return inventory
    known = read_roles(undecoded).roles
    nameless, unplaced = dict(inventory.nameless), dict(inventory.unplaced)
    for name, elements in undecoded.items():
        role = known.get(name)
        key = (role.component if role else probable_component(name)).value
        nameless[key] = nameless.get(key, 0) + elements
        unplaced[key] = unplaced.get(key, 0) + elements
    return replace(inventory, nameless=nameless, unplaced=unplaced)


def _by_component(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]
) -> dict[str, int]:
    """Count parameters by component, by the probable one where no name says, of any shape."""
    found: dict[str, int] = {}
    for name, info in tensors.items():
        known = roles.get(name)
        key = (known.component if known else probable_component(name)).value
        found[key] = found.get(key, 0) + info.parameters
    return found


def _scales(index: TensorIndex, roles: Mapping[str, TensorRole]) -> dict[str, TensorInfo]:
    found: dict[str, TensorInfo] = {}
    for name, role in roles.items():
        if role.part in ("scale", "scale_inv"):
            found[scaled_by(name)] = index.tensors[name]
    return found


def most_experts(slots: Iterable[Slot]) -> int:
    """Return how many numbered experts the layer with the most of them has."""
    found: dict[int, set[str]] = {}
    for slot in slots:
        if slot.expert.isdigit():
            found.setdefault(slot.layer, set()).add(slot.expert)
    return max(map(len, found.values()), default=0)


def shared_slots(ours: Mapping[Slot, Matrix], theirs: Mapping[Slot, Matrix]) -> list[Slot]:
    """Return the slots at which two models hold matrices of one shape, sorted.

    What has neither a known name nor the residual width on a side is none: such tensors may be
    constants that a formula fills (filters, masks, spectra of state spaces), equal in strangers.
    """
    return sorted(
        slot
        for slot in ours.keys() & theirs.keys()
        if not is_no_evidence(slot.kind)
        and (ours[slot].rows, ours[slot].cols) == (theirs[slot].rows, theirs[slot].cols)
    )
