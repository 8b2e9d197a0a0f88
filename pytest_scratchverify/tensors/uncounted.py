"""Uncounted parameters: tensors that no comparison takes, whatever their names promise.

A bias is as long as a side of some matrix; what stands under the name of a bias, a gain, a scale
or a constant and is larger may hold anything, the weights of another model too. So is a tensor
of unknown name, whatever its rank. Each counts as a parameter that was compared with nothing.
Constants are few: where they are more than a trifle together, all of them count. A mask is
believed where its numbers are those of one (`masks.without_false_masks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pytest_scratchverify.checkpoint.formats.recognise import SCALED
from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.roles import TensorRole
from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.tensors.structure import probable_component

LONGEST_CONSTANT = 1 << 20  # numbers of a constant that is no mask
FEW_BYTES = 8192  # the positions of 1,024 tokens, which a very small model keeps too
MOST_CONSTANTS = 0.01  # of a component's bytes: all its constants together that are no masks


def oversized(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole], ignored: Iterable[str]
) -> set[str]:
    """Name the tensors that hold more than their names promise.

    Parameters
    ----------
    tensors
        All tensors of a checkpoint by name.
    roles
        The roles of those that have one.
    ignored
        The names that promise constants: masks, frequencies, positions.
    """
    longest, tokens = _longest_side(tensors, roles), _tokens(tensors, roles)
    constants = [tensors[name] for name in ignored if not is_mask(tensors[name])]
    crowded = _crowded(constants, tensors, roles)
    found = {i.name for i in constants if _is_long(i) or probable_component(i.name) in crowded}
    for name, role in roles.items():
        info = tensors[name]
        if role.part in ("scale", "scale_inv"):
            weight = tensors.get(_weight_of(name))
            if weight is None or SCALED * info.parameters > max(SCALED, weight.parameters):
                found.add(name)
        elif len(info.shape) == 1:
            of_head = role.part == "bias" and role.component in TOKEN_TABLES
            if longest and info.parameters > max(longest, of_head * tokens):
                found.add(name)
        elif (
            role.part == "bias"
            and info.shape
            and (info.shape[-1] > longest or role.expert != "stack")
        ):
            found.add(name)
    return found


def _longest_side(tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]) -> int:
    """Return the longest side of any matrix; of a table of tokens the width only."""
    sides = [0]
    for name, role in roles.items():
        shape = tensors[name].shape
        if len(shape) < 2 or role.part == "bias":
            continue
        sides += shape[1:] if role.component in TOKEN_TABLES else shape
    return max(sides)


def _tokens(tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]) -> int:
    """Return how many tokens the largest table has: a head that is tied to it has its bias."""
    tables = (
        tensors[name].shape[0]
        for name, role in roles.items()
        if TOKEN_TABLES.get(role.component) == role.kind and len(tensors[name].shape) == 2
    )
    return max(tables, default=0)


def _weight_of(name: str) -> str:
    stem, _, last = name.rpartition(".")
    if last in ("scales", "biases"):
        return f"{stem}.weight"
    return scaled_by(name)


def scaled_by(name: str) -> str:
    """Return the name of the weight that a tensor of scales belongs to, by its own name."""
    weight = name.removesuffix("_inv").removesuffix("_scale")
    return weight.removesuffix("scale") + "weight" if weight.endswith(".scale") else weight


def _crowded(
    constants: Iterable[TensorInfo],
    tensors: Mapping[str, TensorInfo],
    roles: Mapping[str, TensorRole],
) -> set[Component]:
    """Return the components beside which constants are more than a trifle together."""
    held: Counter[Component] = Counter()
    for name, role in roles.items():
        held[role.component] += tensors[name].nbytes
    beside: Counter[Component] = Counter()
    for info in constants:
        beside[probable_component(info.name)] += info.nbytes
    return {p for p, size in beside.items() if size > max(FEW_BYTES, MOST_CONSTANTS * held[p])}


def is_mask(info: TensorInfo) -> bool:
    """Whether a constant has the shape of a mask of attention."""
    shape = info.shape
    return len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3]


def _is_long(info: TensorInfo) -> bool:
    """Whether a constant is too long for a table of angles, or a vector for a counter."""
    return info.parameters > LONGEST_CONSTANT // (1 if len(info.shape) > 1 else 64)


def is_empty(name: str, info: TensorInfo) -> bool:
    """Whether a tensor has no element, as ZeRO-3 saves what lies on other ranks.

    Transformer Engine's ``_extra_state`` is empty in sound checkpoints.
    """
    return info.parameters == 0 and not name.endswith("_extra_state")
