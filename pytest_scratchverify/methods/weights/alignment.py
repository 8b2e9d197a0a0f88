"""Channel alignment by the embeddings of shared tokens: for copies whose channels are permuted.

The alignment is fitted to the weights under test and finds likeness where there is none: no
p-value is valid after it (independent models reach 3 % of agreement). So it never accuses. It
keeps a renumbered copy from being cleared, and says where to look.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.neurons import Batch
from pytest_scratchverify.methods.weights.token_rows import read_table
from pytest_scratchverify.stats.weights.assignment import best_permutation
from pytest_scratchverify.stats.weights.centring import centred_cosine, is_degenerate
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSums
from pytest_scratchverify.stats.weights.cross_view_matching import match_agreement
from pytest_scratchverify.stats.weights.unbiased_cka import unbiased_cka
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]

ATTENTION = 8  # matrices of queries and keys that are compared
WIDEST = 4096  # channels; an assignment of more takes minutes


@dataclass(frozen=True, slots=True)
class Aligned:
    """What is alike under the channel permutation that makes the embeddings most alike."""

    embeddings: float  # centred cosine of the tables, fitted
    agreement: float | None  # share of neurons on which both matchings agree
    table: float  # the same of the component's own table, under the embeddings' permutation
    moved: float  # share of channels that are no fixed points of the permutation
    attention: float | None = None  # unbiased CKA of queries and keys in the aligned channels
    attention_null: float | None = None  # the same after aligning on tokens that do not match


def align(embeddings: ComponentPair, sample: Batch, budget: int | None) -> Aligned | None:
    """Fit the permutation on the embeddings, and apply it to gate and up; None if it cannot be."""
    mine = embeddings.ours.get(embeddings.token_slot)
    if mine is None or mine.cols > WIDEST:
        return None
    table = read_table(embeddings, budget)
    if table is None:
        return None
    ours, theirs = table
    width = ours.shape[1]
    order = _aligning(ours, theirs)
    deranged = _aligning(ours, np.roll(theirs, 1, axis=0))
    fitted = centred_cosine(ours, theirs[:, order])
    return Aligned(
        embeddings=fitted,
        table=_head(sample, order, fitted),
        agreement=_agreement(sample, order),
        moved=float(np.mean(order != np.arange(width))),
        attention=_attention(sample, order),
        attention_null=_attention(sample, deranged),
    )


def _aligning(ours: Array, theirs: Array) -> NDArray[np.intp]:
    sums = ChannelSums(np.arange(ours.shape[1]))
    sums.add(ours, theirs)
    return best_permutation(sums.total.astype(np.float32))


def _head(sample: Batch, order: NDArray[np.intp], fitted: float) -> float:
    """Compare heads under the embeddings' permutation; without a head, what the embeddings have.

    A head that was drawn anew is as unlike its parent's after it as before; heads of zeros or of
    one number are as like as any two, which is no likeness.
    """
    heads = [
        pair
        for (slot, _), pair in sorted(sample.items())
        if slot.kind == "head" and pair[0].shape[1] == len(order)
    ]
    if not heads:
        return fitted
    drawn = [pair for pair in heads if not any(map(is_degenerate, pair))]
    return float(np.mean([centred_cosine(a, b[:, order]) for a, b in drawn])) if drawn else 0.0


def _attention(sample: Batch, order: NDArray[np.intp]) -> float | None:
    """Compare how queries and keys relate the channels, under a permutation of the channels."""
    found = [
        unbiased_cka(ours.T, theirs[:, order].T)
        for (slot, _), (ours, theirs) in sorted(sample.items())
        if slot.kind in ("q", "k", "q_a", "kv_a") and ours.shape[1] == len(order)
    ]
    return float(np.mean(found[:ATTENTION])) if found else None


def _agreement(sample: Batch, order: NDArray[np.intp]) -> float | None:
    blocks = []
    for (slot, start), gates in sorted(sample.items()):
        ups = sample.get((Slot(slot.component, "up", slot.layer, slot.expert), start))
        if slot.kind == "gate" and ups is not None and gates[0].shape[1] == len(order):
            blocks.append(((gates[0], gates[1][:, order]), (ups[0], ups[1][:, order])))
    return match_agreement(blocks[:4]).effect if blocks else None
