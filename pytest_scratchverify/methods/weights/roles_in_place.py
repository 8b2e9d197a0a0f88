"""Which roles of which layers are the reference's, in place: queries taken, blocks drawn anew.

A mean over a component says little of a model that took all of one role and none of another. So
every role is tested by itself, against its own null, and reported layer by layer, with the share
of the component's parameters that lies in what was inherited.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

from pytest_scratchverify.methods.weights.measure import Similar
from pytest_scratchverify.methods.weights.neurons import Batch
from pytest_scratchverify.stats.weights.channel_permutation import (
    ChannelSums,
    channel_pvalue,
    chosen_channels,
)
from pytest_scratchverify.tensors.inventory import Matrix, Slot, reads_residual, writes_residual

ORDER = ("q", "k", "v", "qkv", "q_a", "q_b", "kv_a", "kv_b", "o", "router", "gate", "up", "fc1",
         "down", "fc2")  # fmt: skip
ALIKE = math.sqrt(0.5)  # cosine from which half of a matrix's variance is the other's
FEWEST = 4  # rows and columns: below these a matrix has no test of its own


@dataclass(frozen=True, slots=True)
class RoleInPlace:
    """One role of a component beside the same role of the other model.

    Attributes
    ----------
    kind
        The kind of its slots, such as ``"q"``.
    layers
        The mean aligned centred cosine by layer, of what was read.
    pvalue
        Of a joint permutation of the residual channels in this role alone (see
        `stats.weights.channel_permutation`); 1 where the role has no such channels, or nothing
        of it is at hand.
    """

    kind: str
    layers: Mapping[int, float]
    pvalue: float

    @property
    def similarity(self) -> float:
        """The mean over its layers."""
        return float(np.mean([*self.layers.values()]))

    def mean_of(self, layers: Collection[int]) -> float:
        """Return the mean over some of its layers, over all if none is given; 0 without them."""
        values = [self.layers[layer] for layer in layers or self.layers if layer in self.layers]
        return float(np.mean(values)) if values else 0.0

    def inherited(self, bar: float) -> tuple[int, ...]:
        """Return the layers that are alike from `bar` on."""
        return tuple(layer for layer, value in sorted(self.layers.items()) if value >= bar)


@dataclass(slots=True)
class RoleSums:
    """Accumulates the pieces of every role by itself, at constant memory."""

    _sums: dict[tuple[str, int, int], ChannelSums] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Take in the matrices of one batch that `Measure.add` measured."""
        for (slot, start), pair in batch.items():
            ours, theirs = pair
            if writes_residual(slot.kind):  # a piece holds the channels from `start` on
                ours, theirs, first = ours.T, theirs.T, start
            elif reads_residual(slot.kind):
                first = 0
            else:
                continue
            if min(ours.shape) < FEWEST:
                continue
            key = (slot.kind, first, ours.shape[1])
            if key not in self._sums:
                self._sums[key] = ChannelSums(chosen_channels(ours.shape[1]))
            self._sums[key].add(ours, theirs)

    def join(self, other: RoleSums) -> None:
        """Take in what was added elsewhere."""
        for key, sums in other._sums.items():
            if key in self._sums:
                self._sums[key].join(sums)
            else:
                self._sums[key] = deepcopy(sums)

    def pvalues(self) -> Mapping[str, float]:
        """Return a p-value for every role that could be tested, paid for its groups of channels."""
        found: dict[str, list[float]] = {}
        for (kind, _, _), sums in self._sums.items():
            result = sums.result()
            if result is not None:
                found.setdefault(kind, []).append(channel_pvalue(result))
        return {kind: min(1.0, len(values) * min(values)) for kind, values in found.items()}


def roles_in_place(
    similar: Iterable[Similar], pvalues: Mapping[str, float]
) -> tuple[RoleInPlace, ...]:
    """Sort cosines in place by role and layer; roles in the order in which a layer computes."""
    cosines: dict[str, dict[int, list[float]]] = {}
    for item in similar:
        of_role = cosines.setdefault(item.slot.kind, {})
        of_role.setdefault(item.slot.layer, []).append(item.value)
    found = (
        RoleInPlace(
            kind,
            {layer: float(np.mean(values)) for layer, values in sorted(layers.items())},
            pvalues.get(kind, 1.0),
        )
        for kind, layers in cosines.items()
    )
    return tuple(sorted(found, key=_place))


def _place(role: RoleInPlace) -> tuple[int, str]:
    return ORDER.index(role.kind) if role.kind in ORDER else len(ORDER), role.kind


@dataclass(frozen=True, slots=True)
class SharedRoles:
    """Roles that are the reference's, beside roles of the same layers that are not.

    `pvalue` is the largest of the inherited roles', already paid for the number of roles.
    """

    inherited: tuple[RoleInPlace, ...]
    pvalue: float
    similarity: float
    layers: tuple[int, ...]
    fresh: frozenset[str] = frozenset()  # the kinds of those that are not

    def named(self, *, learnt: bool) -> tuple[str, ...]:
        """Name what was taken: roles, and norms where their gains were `learnt` in common."""
        roles = tuple(role.kind for role in self.inherited)
        return (*roles, "norms") if learnt else roles


def shared_roles(
    roles: Iterable[RoleInPlace], *, derived: float, shared: float, alpha: float, undecided: float
) -> SharedRoles | None:
    """Find roles that were taken while others were drawn anew; None if there are no such two.

    Both are asked for. Models of one seed share *every* role that was drawn, more or less, so a
    role that shares nothing, in layers where another is a descendant's, tells a seed in common
    from weights that were taken. `derived` and `shared` are the component's bars for an aligned
    cosine, `alpha` and `undecided` for p-values.
    """
    tested = [*roles]
    cost = max(1, len(tested))
    inherited = [
        role for role in tested if role.inherited(derived) and min(1.0, cost * role.pvalue) <= alpha
    ]
    layers = sorted({layer for role in inherited for layer in role.inherited(derived)})
    fresh = [
        role
        for role in tested
        if role not in inherited
        and role.pvalue > undecided
        and any(layer in role.layers for layer in layers)
        and abs(role.mean_of(layers)) < shared
    ]
    if not inherited or not fresh:
        return None
    values = [role.layers[layer] for role in inherited for layer in role.inherited(derived)]
    return SharedRoles(
        tuple(inherited),
        min(1.0, cost * max(role.pvalue for role in inherited)),
        float(np.mean(values)),
        tuple(layers),
        frozenset(role.kind for role in fresh),
    )


def inherited_share(
    roles: Iterable[RoleInPlace], matrices: Mapping[Slot, Matrix], parameters: int
) -> float:
    """Return the share of a component's parameters in the places that are `ALIKE`.

    Parameters
    ----------
    matrices : mapping of Slot to Matrix
        The suspect's own, whole: what was read of a role in a layer stands for all of it there.
    parameters : int
        How many the component has, compared or not.
    """
    places = {(role.kind, layer) for role in roles for layer in role.inherited(ALIKE)}
    taken = sum(
        matrix.rows * matrix.cols
        for slot, matrix in matrices.items()
        if (slot.kind, slot.layer) in places
    )
    return taken / parameters if parameters else 0.0
