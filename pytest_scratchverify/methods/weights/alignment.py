"""Channels renumbered throughout: align them by the embeddings of shared tokens, then look again.

The alignment is fitted to the weights under test and finds likeness where there is none: no
p-value is valid after it (independent models reach 3 % of agreement). So it never accuses. It
keeps a renumbered copy from being cleared, and says where to look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.measure import Batch
from pytest_scratchverify.methods.weights.token_rows import KIND, read_token_rows, token_rows
from pytest_scratchverify.stats.weights.assignment import best_renumbering
from pytest_scratchverify.stats.weights.centring import centred_cosine
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSums
from pytest_scratchverify.stats.weights.cross_view_matching import match_agreement
from pytest_scratchverify.stats.weights.unbiased_cka import unbiased_cka
from pytest_scratchverify.tensors.reading import Sides
from pytest_scratchverify.tensors.slices import Block, Slot, block_of, common

Array = NDArray[np.float32]

ATTENTION = 8  # matrices of queries and keys that are compared
WIDEST = 4096  # channels; an assignment of more takes minutes
TABLE = Slot(Component.EMBEDDINGS.value, KIND[Component.EMBEDDINGS])


@dataclass(frozen=True, slots=True)
class Aligned:
    """What is alike after the channels were renumbered to make the embeddings alike."""

    embeddings: float  # centred cosine of the tables, fitted
    agreement: float | None  # share of neurons on which both matchings agree
    moved: float  # share of channels that the alignment renumbers
    attention: float | None = None  # unbiased CKA of queries and keys in the aligned channels
    attention_null: float | None = None  # the same after aligning on tokens that do not match


def align(sides: Sides, probe: Batch, budget: int | None) -> Aligned | None:
    """Fit the renumbering on the embeddings, and apply it to gate and up; None if it cannot be."""
    mine = sides.ours.inventory.matrices.get(TABLE)
    if mine is None or mine.cols > WIDEST:
        return None
    table = read_table(sides, Component.EMBEDDINGS, budget)
    if table is None:
        return None
    ours, theirs = table
    width = ours.shape[1]
    order = _aligning(ours, theirs)
    deranged = _aligning(ours, np.roll(theirs, 1, axis=0))
    return Aligned(
        embeddings=centred_cosine(ours, theirs[:, order]),
        agreement=_agreement(probe, order),
        moved=float(np.mean(order != np.arange(width))),
        attention=_attention(probe, order),
        attention_null=_attention(probe, deranged),
    )


def _aligning(ours: Array, theirs: Array) -> NDArray[np.intp]:
    sums = ChannelSums(np.arange(ours.shape[1]))
    sums.add(ours, theirs)
    return best_renumbering(sums.total.astype(np.float32))


def _attention(probe: Batch, order: NDArray[np.intp]) -> float | None:
    """Compare how queries and keys relate the channels, with the channels so renumbered."""
    found = [
        unbiased_cka(ours.T, theirs[:, order].T)
        for (slot, _), (ours, theirs) in sorted(probe.items())
        if slot.kind in ("q", "k", "q_a", "kv_a") and ours.shape[1] == len(order)
    ]
    return float(np.mean(found[:ATTENTION])) if found else None


def read_table(
    sides: Sides, component: Component, budget: int | None
) -> tuple[Array, Array] | None:
    """Read rows of the same tokens of both models' embeddings or heads; None if it cannot be."""
    slot = Slot(component.value, KIND[component])
    mine, other = sides.ours.inventory.matrices, sides.theirs.inventory.matrices
    if slot not in mine or slot not in other:
        return None
    rows = token_rows(sides.ours.store, sides.theirs.store)
    if rows.same_numbers is False:
        found = read_token_rows(sides, component, rows, budget)
    elif slot in common(mine, other):
        block = block_of(mine[slot])
        if budget is not None and block.nbytes > budget:
            return None
        found = next(iter(sides.batches([Block(mine[slot], block.start, block.stop)])), {})
    else:
        return None
    return next(iter(found.values()), None)


def _agreement(probe: Batch, order: NDArray[np.intp]) -> float | None:
    blocks = []
    for (slot, start), gates in sorted(probe.items()):
        ups = probe.get((Slot(slot.component, "up", slot.layer, slot.expert), start))
        if slot.kind == "gate" and ups is not None and gates[0].shape[1] == len(order):
            blocks.append(((gates[0], gates[1][:, order]), (ups[0], ups[1][:, order])))
    return match_agreement(blocks[:4]).effect if blocks else None
