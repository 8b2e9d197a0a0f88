"""Merge decomposition: a model as a mixture of several references, with shares, layer by layer.

It names a kind: that the weights come from a reference at all is what `weights_origin` decides,
pair by pair, with a p-value and controls. So a merge that is found is a lead here, never an
accusation, and a merge that is not found clears nobody. Shares of a merge that was trained on
come from rows of the embedding table that the later training left alone; where there are none,
they are given as the interval that training can have moved them within.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.methods.weights.compare import Effort
from pytest_scratchverify.methods.weights.merge_finding import (
    Explained,
    merge_finding,
    no_candidates,
)
from pytest_scratchverify.methods.weights.merge_reading import (
    DECODER,
    MergeProducts,
    MergeReading,
    decoder_slots,
    nearest_references,
    readable,
)
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSums, channel_pvalue
from pytest_scratchverify.stats.weights.merge_shares import Products, by_layer, merge_shares
from pytest_scratchverify.stats.weights.untouched_rows import UntouchedRows, untouched_rows
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.inventory import Matrix, Slot, reads_residual
from pytest_scratchverify.tensors.reading import open_checkpoint


def weights_merge(
    model: ModelSpec,
    ours: ArtifactStore,
    theirs: Mapping[str, ArtifactStore],
    calibration: Mapping[str, Any],
    effort: Effort | None = None,
) -> Finding:
    """Explain the model's decoder by several references at once.

    Parameters
    ----------
    theirs : mapping from a reference's name to its store
        Those that cannot be read are left out, and of many all but the nearest eight; fewer than
        two that are related leave nothing to ask.

    Raises `Unavailable` where the model's own weights cannot be read.
    """
    thresholds = WeightsThresholds.from_json(calibration)
    mine = open_checkpoint(ours)
    effort = effort or Effort()
    others = readable(nearest_references(mine, theirs, effort))
    slots = decoder_slots(mine, others)
    names = [name for name in others if name in slots]
    if len(names) < 2:
        return no_candidates(model)
    matrices = {slot: mine.inventory.matrices[slot] for slot in set.intersection(*slots.values())}
    reading = MergeReading(mine, [others[name] for name in names], effort)
    products = reading.measure(matrices)
    cosines = products.whole.cosines()
    related = [i for i, cosine in enumerate(cosines) if cosine >= thresholds.merge_related]
    if not related:
        return no_candidates(model)
    unrelated = _unrelated_parents(reading, matrices, products, related, thresholds)
    parents = sorted([*related, *unrelated])
    if len(parents) < 2:
        return no_candidates(model)
    decoder = merge_shares(products.whole.of(parents))
    explained = Explained(
        names=[names[i] for i in parents],
        decoder=decoder,
        margins=decoder.margins(thresholds.merge_drift),
        layers=by_layer(products.layers, parents),
        unrelated={names[i]: p for i, p in unrelated.items()},
        rows=_untouched_rows(reading, parents, thresholds),
    )
    found = merge_finding(model, explained, thresholds)
    return replace(found, artifacts=(mine.index_record, *reading.log.as_records()))


def _unrelated_parents(
    reading: MergeReading,
    matrices: Mapping[Slot, Matrix],
    products: MergeProducts,
    related: Sequence[int],
    thresholds: WeightsThresholds,
) -> dict[int, float]:
    """Return further parents with p-values: of what the nearest does not explain, part is theirs.

    The null is that of `stats.weights.channel_permutation`: training cannot bring a model nearer
    to the numbering of another's channels, whatever text it is trained on.
    """
    nearest = int(np.argmax(products.whole.cosines()))
    asked = [
        i
        for i in range(products.whole.parents)
        if i not in related and _may_be_a_parent(products, nearest, i, thresholds)
    ]
    found: dict[int, float] = {}
    for i, sums in _unexplained_sums(reading, matrices, nearest, asked).items():
        result = sums.result()
        if result is not None:
            pvalue = min(1.0, len(asked) * channel_pvalue(result))
            if pvalue <= thresholds.alpha:
                found[i] = pvalue
    return found


def _may_be_a_parent(
    products: MergeProducts, nearest: int, other: int, thresholds: WeightsThresholds
) -> bool:
    """Whether an unrelated reference explains enough beside the nearest one, in every layer.

    A merge has both in every layer; a model that took some layers, and shares a first draw in
    others, is none.
    """
    pair, share = [nearest, other], thresholds.merge_share
    if min(merge_shares(products.whole.of(pair)).shares) < share:
        return False
    if abs(_cosine(products.whole, nearest, other)) >= thresholds.shared_from(DECODER):
        return False
    return all(_smaller_part(layer.of(pair)) >= share for layer in products.layers.values())


def _unexplained_sums(
    reading: MergeReading, matrices: Mapping[Slot, Matrix], nearest: int, asked: Sequence[int]
) -> dict[int, ChannelSums]:
    """Compare what the nearest leaves of the model with every other parent, channel by channel."""
    sums: dict[int, ChannelSums] = {}
    residual = {slot: m for slot, m in matrices.items() if reads_residual(slot.kind)}
    for _, values in reading.blocks(residual, [nearest, *asked]) if asked else ():
        own, base, *others = values
        part = float(np.vdot(own, base)) / float(np.vdot(base, base))
        for i, other in zip(asked, others, strict=True):
            every = np.arange(own.shape[1], dtype=np.intp)
            sums.setdefault(i, ChannelSums(every)).add(own - np.float32(part) * base, other)
    return sums


def _smaller_part(pair: Products) -> float:
    """Return the smaller coefficient of two parents, of whatever sum: either may be absent."""
    return float(np.linalg.lstsq(pair.gram, pair.cross, rcond=None)[0].min())


def _cosine(products: Products, one: int, two: int) -> float:
    gram = products.gram
    return float(gram[one, two] / np.sqrt(gram[one, one] * gram[two, two]))


def _untouched_rows(
    reading: MergeReading, parents: Sequence[int], thresholds: WeightsThresholds
) -> UntouchedRows | None:
    rows = reading.table(parents)
    if rows is None or not all(np.isfinite(values).all() for values in rows):
        return None
    return untouched_rows(rows[0], rows[1:], thresholds.merge_drift)
