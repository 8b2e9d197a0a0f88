"""Rotation-invariant Gram comparison: the angles between equally numbered neurons.

On the slices at hand, so that it costs no byte; see `stats.weights.gram_permutation`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.methods.weights.neurons import NEURON_GROUPS, Batch, Draws
from pytest_scratchverify.stats.weights.exchangeable_rows import exchangeable
from pytest_scratchverify.stats.weights.gram_permutation import GramPermutation, gram_permutation
from pytest_scratchverify.tensors.inventory import NORMS, Slot

Array = NDArray[np.float32]

# Rotary rows are frequencies, and experts may stand in groups (group-limited routing).
ORDERED = ("kv_a", "router")


def takes_part(slot: Slot) -> bool:
    """Whether a slot is looked at for angles: neurons of a layer, and the gains before them."""
    return slot.kind in NORMS or _kind_of(slot) is not None


def _kind_of(slot: Slot) -> str | None:
    kind = NEURON_GROUPS.get(slot.kind)
    return None if slot.layer < 0 or kind in ORDERED else kind


def compare_angles(sample: Batch, component: Component) -> GramPermutation | None:
    """Compare the Gram matrices of equally numbered neurons, layer by layer.

    What follows a public formula in both is no part of the sample.
    """
    if component in TOKEN_TABLES:  # models that know one language share the angles of tokens
        return None
    gains = {
        slot: pair for (slot, _), pair in sample.items() if slot.kind in NORMS and len(pair[0]) == 1
    }
    draws = Draws()
    new: dict[tuple[str, int, str, int], bool] = {}
    blocks: dict[tuple[str, int, str, int], tuple[list[Array], list[Array]]] = {}
    for (slot, start), pair in sorted(sample.items()):
        kind = _kind_of(slot)
        if kind is None:
            continue
        key = (kind, slot.layer, slot.expert, start)
        if key not in new:  # the first view of a block decides for all of them
            new[key] = draws.is_new(kind, start, *pair)
        if not new[key]:
            continue
        left, right = blocks.setdefault(key, ([], []))
        scale = _gains_before(gains, slot, pair[0].shape[1]) if kind == "mlp" else None
        left.append(pair[0] if scale is None else pair[0] * scale[0])
        right.append(pair[1] if scale is None else pair[1] * scale[1])
    parts = (
        ([view[rows] for view in left], [view[rows] for view in right])
        for left, right in blocks.values()
        if len({len(view) for view in (*left, *right)}) == 1
        for rows in exchangeable(left, right)  # repeats at one place in both are a convention
    )
    return gram_permutation(parts, np.random.default_rng(2026))


def _gains_before(
    gains: Mapping[Slot, tuple[Array, Array]], slot: Slot, width: int
) -> tuple[Array, Array] | None:
    for kind in NORMS:
        found = gains.get(Slot(slot.component, kind, slot.layer))
        if found is not None and found[0].shape[1] == width:
            return found
    return None
