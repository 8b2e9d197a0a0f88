"""Hard null pairs: independent draws with the conventions and accidents that fool a test.

Each kind makes one pair of models' slices that have no weight in common. What they do have in
common is a convention (padding, an order of neurons, a formula), a problem with one solution, a
teacher, or a structure that both have by themselves. Sizes, shares and strengths are drawn anew
for every pair. Two kinds share a draw and must not be called descent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]
Sides = tuple[Array, Array]
Batch = dict[tuple[Slot, int], Sides]
Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class HardNull:
    """One kind: how to make a pair, and which component it is of."""

    component: Component
    make: Callable[[Rng], Batch]


def _sizes(rng: Rng) -> tuple[int, int, int]:
    """Draw channels, neurons and layers."""
    return int(rng.choice([48, 64, 96])), int(rng.choice([96, 128, 176])), int(rng.integers(2, 5))


def _noise(rng: Rng, *shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def _decoder(rng: Rng, view: Callable[[int, int, str], Sides]) -> Batch:
    """Make gate and up matrices of some layers; `view` gives (ours, theirs) of one."""
    _, _, layers = _sizes(rng)
    return {
        (Slot("text_decoder", kind, layer), 0): view(layer, number, kind)
        for layer in range(layers)
        for number, kind in enumerate(("gate", "up"))
    }


def plain(rng: Rng) -> Batch:
    """Independent Gaussian weights."""
    d, f, _ = _sizes(rng)
    return _decoder(rng, lambda *_: (_noise(rng, f, d), _noise(rng, f, d)))


def padded(rng: Rng) -> Batch:
    """Zero neurons at the end of both, as for tensor parallelism."""
    d, f, _ = _sizes(rng)
    count = int(f * rng.uniform(0.05, 0.6))

    def view(*_: object) -> Sides:
        ours, theirs = _noise(rng, f, d), _noise(rng, f, d)
        ours[-count:] = theirs[-count:] = 0
        return ours, theirs

    return _decoder(rng, view)


def dead(rng: Rng) -> Batch:
    """Dead neurons at random places of either: zero, or next to it."""
    d, f, _ = _sizes(rng)
    left = rng.choice([0.0, 1e-8, 1e-5, 1e-3])
    share = rng.uniform(0.1, 0.7)
    gone = {(n, s): rng.random(f) < share for n in range(8) for s in (0, 1)}

    def view(layer: int, *_: object) -> Sides:
        sides = [_noise(rng, f, d) for _ in range(2)]
        for side, values in enumerate(sides):
            values[gone[layer, side]] *= left
        return sides[0], sides[1]

    return _decoder(rng, view)


def equal_rows(rng: Rng) -> Batch:
    """Neurons of both that repeat one vector, at the end or in blocks, with little noise."""
    d, f, _ = _sizes(rng)
    count, noise = int(f * rng.uniform(0.1, 0.5)), rng.choice([0.0, 1e-6, 1e-2])
    blocks = rng.random() < 0.5

    def view(*_: object) -> Sides:
        sides = []
        for _ in range(2):
            values = _noise(rng, f, d)
            if blocks:  # every neuron of the first part again in the last
                values[-count:] = values[:count] + noise * _noise(rng, count, d)
            else:
                values[-count:] = _noise(rng, 1, d) + noise * _noise(rng, count, d)
            sides.append(values)
        return sides[0], sides[1]

    return _decoder(rng, view)


def repeated_layer(rng: Rng) -> Batch:
    """One layer many times in both (ALBERT), with a little drift."""
    d, f, _ = _sizes(rng)
    drift, count = rng.choice([0.0, 0.1, 0.5, 1.0]), int(rng.integers(4, 16))
    source = {k: (_noise(rng, f, d), _noise(rng, f, d)) for k in ("gate", "up")}
    return {
        (Slot("text_decoder", kind, layer), 0): (
            pair[0] + drift * _noise(rng, f, d),
            pair[1] + drift * _noise(rng, f, d),
        )
        for layer in range(count)
        for kind, pair in source.items()
    }


def upcycled(rng: Rng) -> Batch:
    """Experts of both made of one block each."""
    d, f = int(rng.choice([48, 64])), int(rng.choice([48, 96]))
    drift, experts, layers = rng.choice([0.05, 0.1, 0.5, 1.0]), int(rng.integers(4, 12)), 3
    batch: Batch = {}
    for layer in range(layers):
        source = {k: (_noise(rng, f, d), _noise(rng, f, d)) for k in ("gate", "up")}
        for expert in range(experts):
            for kind, pair in source.items():
                batch[Slot("router_experts", kind, layer, str(expert)), 0] = (
                    pair[0] + drift * _noise(rng, f, d),
                    pair[1] + drift * _noise(rng, f, d),
                )
    return batch


def grouped_routers(rng: Rng) -> Batch:
    """Routers whose experts share a direction with their group (group-limited routing)."""
    experts, groups = [(64, 8), (32, 8), (48, 4), (160, 8), (60, 6), (36, 6)][rng.integers(6)]
    width, size, offset = int(rng.choice([128, 256])), experts // groups, rng.uniform(0.1, 1.2)

    def side() -> Array:
        return _noise(rng, experts, width) + np.float32(offset) * np.repeat(
            _noise(rng, groups, width), size, 0
        )

    return {(Slot("router_experts", "router", n), 0): (side(), side()) for n in range(12)}


def sorted_neurons(rng: Rng) -> Batch:
    """Neurons in the order of what they load on an own dominant direction."""
    d, f, _ = _sizes(rng)
    load = (np.linspace(1, -1, f)[:, None] * rng.uniform(0.1, 2)).astype(np.float32)
    own = {n: _noise(rng, 2, d) for n in range(8)}
    return _decoder(rng, lambda n, *_: tuple(_noise(rng, f, d) + load * own[n][s] for s in (0, 1)))


def sorted_by_norm(rng: Rng) -> Batch:
    """Neurons in the order of their importance, as nested models keep them."""
    d, f, _ = _sizes(rng)
    size = np.exp(np.linspace(rng.uniform(0.2, 2), 0, f))[:, None].astype(np.float32)
    return _decoder(rng, lambda *_: (_noise(rng, f, d) * size, _noise(rng, f, d) * size))


def scaled_channels(rng: Rng) -> Batch:
    """Channels of one order of sizes in both, and some massive ones at the same place."""
    d, f, _ = _sizes(rng)
    size = np.exp(rng.uniform(0, 2) * np.linspace(1, 0, d)).astype(np.float32)
    size[rng.permutation(d)[: rng.integers(0, 4)]] *= 20
    return _decoder(rng, lambda *_: (_noise(rng, f, d) * size, _noise(rng, f, d) * size))


def coupled_views(rng: Rng) -> Batch:
    """Gate and up of a neuron point the same way."""
    d, f, _ = _sizes(rng)
    share = rng.uniform(0.3, 0.97)
    base = {(n, s): _noise(rng, f, d) for n in range(8) for s in (0, 1)}

    def view(layer: int, *_: object) -> Sides:
        ours, theirs = (
            share * base[layer, s] + (1 - share**2) ** 0.5 * _noise(rng, f, d) for s in (0, 1)
        )
        return ours.astype(np.float32), theirs.astype(np.float32)

    return _decoder(rng, view)


def linear_projector(rng: Rng) -> Batch:
    """One linear map each, fitted to one data set in another order from another start."""
    outs, ins = int(rng.choice([64, 96])), int(rng.choice([32, 48, 64]))
    true, data = rng.normal(size=(outs, ins)) / 7, rng.normal(size=(400, ins))
    sides = []
    for _ in range(2):
        own = data[rng.permutation(400)]
        seen = own @ true.T + rng.uniform(0.1, 1) * rng.normal(size=(400, outs))
        ridge = own.T @ own + rng.uniform(0, 50) * np.eye(ins)
        sides.append(np.linalg.solve(ridge, own.T @ seen).T.astype(np.float32))
    return {(Slot("projector", "proj_in"), 0): (sides[0], sides[1])}


def placed_projector(rng: Rng) -> Batch:
    """Projectors of two layers that both start from one public formula."""
    outs, ins = int(rng.choice([64, 96, 128])), int(rng.choice([48, 64]))
    formula = _formula(rng, outs, ins)

    def side(scale: float) -> Array:
        return formula + np.float32(scale) * _noise(rng, outs, ins)

    noise = rng.uniform(0.01, 0.3)
    return {
        (Slot("projector", "proj_in"), 0): (side(noise), side(noise)),
        (Slot("projector", "proj_out"), 0): (_noise(rng, ins, outs), _noise(rng, ins, outs)),
    }


def formula_decoder(rng: Rng) -> Batch:
    """Decoders that both start from one public formula, in every layer."""
    d, f, _ = _sizes(rng)
    formula, noise = _formula(rng, f, d), rng.uniform(0.01, 0.3)
    return _decoder(
        rng, lambda *_: tuple(formula + np.float32(noise) * _noise(rng, f, d) for _ in "ab")
    )


def _formula(rng: Rng, rows: int, cols: int) -> Array:
    i, j = np.arange(rows)[:, None], np.arange(cols)[None]
    tables = (
        np.eye(rows, cols),
        np.cos(np.pi * i * (j + 0.5) / cols),
        np.cos(np.pi * j * (i + 0.5) / rows),
        1.0 - 2.0 * (np.bitwise_count(i & j) % 2),
    )
    return np.asarray(tables[rng.integers(4)] * rng.choice([-1, 0.5, 1, 3]), np.float32)


def one_teacher(rng: Rng) -> Batch:
    """Students of one teacher's hidden states: readers' channels have a meaning, neurons none."""
    d, f, layers = _sizes(rng)
    share, rank = rng.uniform(0.05, 0.35), int(rng.integers(4, 16))
    batch: Batch = {}
    for layer in range(layers):
        common = _noise(rng, rank, d)
        for kind in ("gate", "up"):
            sides = []
            for _ in range(2):
                read = _noise(rng, f, rank) @ common / np.float32(rank**0.5)
                sides.append(share * read + (1 - share) * _noise(rng, f, d))
            batch[Slot("text_decoder", kind, layer), 0] = sides[0], sides[1]
        # What queries and keys ask of the teacher's channels has no order of its own either.
        asked = _noise(rng, d, d)
        batch[Slot("text_decoder", "v", layer), 0] = tuple(
            np.float32(share) * asked + _noise(rng, d, d) for _ in "ab"
        )
    return batch


def one_teacher_table(rng: Rng) -> Batch:
    """Tables of two students of one teacher's hidden states."""
    d, tokens, share = int(rng.choice([48, 64, 96])), 512, rng.uniform(0.2, 0.6)
    meaning = _noise(rng, tokens, d)
    sides = (share * meaning + (1 - share**2) ** 0.5 * _noise(rng, tokens, d) for _ in "ab")
    ours, theirs = (np.asarray(side, np.float32) for side in sides)
    return {(Slot("embeddings", "embed"), 0): (ours, theirs)}


def twin_table(rng: Rng) -> Batch:
    """Tables of one seed and nothing else: most rows are of tokens that no text met."""
    d, tokens = int(rng.choice([48, 64, 96])), 1024
    seed, met = _noise(rng, tokens, d), rng.random(tokens) < rng.uniform(0.1, 0.9)
    kept = rng.uniform(0.2, 0.85)
    sides = []
    for _ in range(2):
        moved = kept * seed + (1 - kept**2) ** 0.5 * _noise(rng, tokens, d)
        sides.append(np.where(met[:, None], moved, rng.uniform(0.9, 1) * seed).astype(np.float32))
    return {(Slot("embeddings", "embed"), 0): (sides[0], sides[1])}


_TEXT, _EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS
KINDS: Mapping[str, HardNull] = {
    "independent weights": HardNull(_TEXT, plain),
    "zero neurons at the end of both": HardNull(_TEXT, padded),
    "dead neurons": HardNull(_TEXT, dead),
    "equal rows": HardNull(_TEXT, equal_rows),
    "one layer again and again": HardNull(_TEXT, repeated_layer),
    "upcycled experts": HardNull(_EXPERTS, upcycled),
    "experts in groups": HardNull(_EXPERTS, grouped_routers),
    "neurons along a direction": HardNull(_TEXT, sorted_neurons),
    "neurons by importance": HardNull(_TEXT, sorted_by_norm),
    "channels of one order of sizes": HardNull(_TEXT, scaled_channels),
    "gate and up alike": HardNull(_TEXT, coupled_views),
    "linear projectors": HardNull(Component.PROJECTOR, linear_projector),
    "projectors of one formula": HardNull(Component.PROJECTOR, placed_projector),
    "decoders of one formula": HardNull(_TEXT, formula_decoder),
    "students of one teacher": HardNull(_TEXT, one_teacher),
    "tables of one teacher": HardNull(Component.EMBEDDINGS, one_teacher_table),
    "tables of one seed": HardNull(Component.EMBEDDINGS, twin_table),
}
