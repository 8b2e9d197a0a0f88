"""Networks for residual frames, drawn, and their copies of known truth."""

from __future__ import annotations

import numpy as np

from pytest_scratchverify.stats.weights.framed_recognition import Network, Sampled
from pytest_scratchverify.stats.weights.head_reads import HeadReads

WIDTH, GROUPS, HEAD, NEURONS, LAYERS = 96, 4, 16, 160, 4


def orthogonal(rng, size):
    return np.linalg.qr(rng.normal(size=(size, size)))[0].astype(np.float32)


def network(seed, *, alike=0.1, common=None, groups=GROUPS):
    """Draw a network whose matrices fill some directions more than others, as trained ones do.

    `common` are directions that it shares with another one of its kind: independent networks with
    one public basis.
    """
    rng = np.random.default_rng(seed)
    spectrum = np.sqrt((np.arange(WIDTH) * 6.0 + 3) ** -0.65).astype(np.float32)
    base = orthogonal(rng, WIDTH) if common is None else common

    def rows(count):
        own = rng.normal(size=(count, WIDTH)) * spectrum @ orthogonal(rng, WIDTH)
        return (own + rng.normal(size=(count, WIDTH)) * spectrum @ base).astype(np.float32)

    heads = {
        layer: [HeadReads(rows(GROUPS * HEAD).reshape(groups, -1, WIDTH)) for _ in "kv"]
        for layer in range(LAYERS)
    }
    neurons = {}
    for layer in range(LAYERS):
        gate, up = rows(NEURONS), rows(NEURONS)
        up += (alike * rng.normal(size=(NEURONS, 1)) * gate).astype(np.float32)
        neurons[layer, ""] = Sampled([gate, up], NEURONS)
    return Network(heads, neurons)


def changed(given, rng, *, noise=0.0, inner=None, size=NEURONS):
    """Rotate the stream, renumber heads and neurons, and put noise on top; `inner` acts in heads.

    `size` neurons are kept of each block, as a sample is.
    """
    turn = orthogonal(rng, WIDTH)

    def moved(rows):
        return rows + np.float32(noise * rows.std()) * rng.normal(size=rows.shape)

    heads = {}
    for layer, pair in given.heads.items():
        order = rng.permutation(pair[0].heads)
        found = []
        for one in pair:
            rows = moved(one.rows)[order]
            if inner is not None:
                rows = np.stack([inner(rng) @ head for head in rows])
            found.append(HeadReads((rows @ turn).astype(np.float32)))
        heads[layer] = found
    neurons = {}
    for key, block in given.neurons.items():
        order = rng.permutation(NEURONS)[:size]
        views = [(moved(view)[order] @ turn).astype(np.float32) for view in block.views]
        neurons[key] = Sampled(views, NEURONS)
    return Network(heads, neurons)
