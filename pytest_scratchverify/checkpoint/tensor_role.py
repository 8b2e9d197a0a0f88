"""Roles of tensors: what a name, or a shape, says that a tensor is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_scratchverify.core.component import Component


@dataclass(frozen=True, slots=True)
class TensorRole:
    """A tensor's place: its component, layer, kind and expert; `part` is weight, bias, scale.

    `layer` is None outside of the layers, `expert` is a number, "shared", or "stack" for a
    tensor that holds all experts one after the other. `transposed` says that rows are inputs,
    as in GPT-2's Conv1D, where the shapes do not say otherwise; `layout` is one of the other
    marks of `role_lines`. `side` is "encoder" or "decoder" where the name says so.
    """

    component: Component
    kind: str
    layer: int | None = None
    expert: int | str | None = None
    part: str = "weight"
    transposed: bool = False
    layout: str = ""
    side: str = ""


@dataclass(frozen=True, slots=True)
class RoleMap:
    """The roles of a checkpoint's tensors by name, and the names that have none."""

    roles: Mapping[str, TensorRole]
    unmapped: tuple[str, ...]
    ignored: tuple[str, ...] = ()
