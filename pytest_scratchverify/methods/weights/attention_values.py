"""Attention values recognised by anchors from gated blocks, in any basis of either stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stats.weights.agreement_null import expected_agreements
from pytest_scratchverify.stats.weights.anchored_matching import Anchors, agreement
from pytest_scratchverify.stats.weights.anchored_search import DISPERSION
from pytest_scratchverify.stats.weights.cross_view_matching import SUSPICIOUS, poisson_tail
from pytest_scratchverify.tensors.inventory import Slot
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import Checkpoint, CheckpointPair, ReadLog

Array = NDArray[np.float32]

FEWEST_VALUES = 16
MOST_VALUES = 2048  # an assignment of more takes too long
MOST_LAYERS = 12


def match_attention_values(
    pair: CheckpointPair, anchors: Anchors, offsets: tuple[float, float]
) -> tuple[int, int, float] | None:
    """Match attention values and what reads them, layer by layer; return (agreed, n, p).

    `offsets` are what the gains of either model are stored less: one convention for a model.
    """
    agreed = total = 0
    expected = 0.0
    layers = zip(
        _value_views(pair.ours, pair.logs[0], offsets[0]),
        _value_views(pair.theirs, pair.logs[1], offsets[1]),
        strict=False,
    )
    for ours, theirs in layers:
        if len(ours[0]) != len(theirs[0]) or len(ours[0]) < FEWEST_VALUES:
            continue
        order = agreement(ours, theirs, anchors, signed=False)
        total += len(order)
        found = int(np.count_nonzero(order >= 0))
        agreed += found
        mean = DISPERSION
        if poisson_tail(found, mean) < SUSPICIOUS:
            mean = expected_agreements(ours, theirs, anchors, mean, signed=False)
        expected += mean
    return (agreed, total, poisson_tail(agreed, expected)) if total else None


def _value_views(checkpoint: Checkpoint, log: ReadLog, offset: float) -> Iterator[list[Array]]:
    """Yield values and the sum of what the heads of their group write, of the first layers."""
    size = _head_size(checkpoint)
    place = Component.TEXT_DECODER.value
    matrices = checkpoint.inventory.matrices
    for layer in range(MOST_LAYERS):
        value, output = (matrices.get(Slot(place, kind, layer)) for kind in ("v", "o"))
        if value is None or output is None or not size or value.rows > MOST_VALUES:
            return
        blocks = [Block(matrix, 0, matrix.rows) for matrix in (value, output)]
        norm = checkpoint.inventory.gains_at(Slot(place, "norm_in", layer), value.cols)
        blocks += [Block(norm, 0, 1)] if norm is not None else []
        values = checkpoint.read(blocks, log)
        if not all(np.isfinite(part).all() for part in values):
            yield [values[0][:0], values[0][:0]]  # a layer of NaN keeps its place
            continue
        gains = np.float32(1)
        if norm is not None:
            gains = values[2][0] + np.float32(offset)
        keys = value.rows // size
        heads = values[1].T.reshape(keys, -1, size, output.rows).sum(axis=1)
        yield [values[0] * gains, heads.reshape(value.rows, output.rows)]


def _head_size(checkpoint: Checkpoint) -> int:
    """Return the size of an attention head by the config, 0 where it does not say."""
    try:
        config = checkpoint.store.config().value
    except Unavailable:
        return 0
    text = config.get("text_config")
    found = text if isinstance(text, dict) else config
    size, hidden, heads = (found.get(k) for k in ("head_dim", "hidden_size", "num_attention_heads"))
    if isinstance(size, int) and size > 0:
        return size
    if isinstance(hidden, int) and isinstance(heads, int) and heads > 0:
        return hidden // heads
    return 0
