"""Uncounted parameters: tensors that no comparison takes, whatever their names promise.

A bias is as long as a side of some matrix; what stands under the name of a bias, a gain, a scale
or a constant and is larger may hold anything, the weights of another model too. So is a tensor
of unknown name, whatever its rank. Each counts as a parameter that was compared with nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.roles import TensorRole
from pytest_scratchverify.core.component import TOKEN_TABLES

SCALED = 4  # numbers to one scale, at the least
LONGEST_CONSTANT = 1 << 20  # numbers of a constant that is no mask


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
    found = {name for name in ignored if _is_no_constant(tensors[name])}
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


def _is_no_constant(info: TensorInfo) -> bool:
    """Whether a tensor under a constant's name is no mask, no table of angles, no counter."""
    shape = info.shape
    mask = len(shape) == 4 and shape[:2] == (1, 1) and shape[2] == shape[3]
    return not mask and info.parameters > LONGEST_CONSTANT // (1 if len(shape) > 1 else 64)


def is_empty(name: str, info: TensorInfo) -> bool:
    """Whether a tensor has no element, as ZeRO-3 saves what lies on other ranks.

    Transformer Engine's ``_extra_state`` is empty in sound checkpoints.
    """
    return info.parameters == 0 and not name.endswith("_extra_state")
