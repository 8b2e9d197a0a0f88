"""Lineage scores of other authors, written anew from their definitions, and what AUROC is.

Raw Frobenius and raw cosine are the baselines of the Checkpoint Laundering Benchmark, the centred
residual signature is its method: Thakur and Khoury, "Training Leaves Traces" (arXiv 2608.14929).
Blocks are matched by the assignment that is best for the score itself, as theirs are. All scores
grow with likeness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

Array = NDArray[np.float64]
Weights = Mapping[str, NDArray[np.float32]]
Score = Callable[[Weights, Weights], float]
STREAMS = ("gate", "up", "down")  # theirs are two: what enters a block and what leaves it
SIGMAS = 3.0  # above the mean of independent pairs: their verdict "descendant"
SMALLEST = 1e-12


def blocks_of(weights: Weights, stream: str) -> list[Array]:
    """Return one matrix of every gated block, in the order of layers."""
    layers = sum(name.endswith(f"mlp.{stream}_proj.weight") for name in weights)
    names = (f"model.layers.{layer}.mlp.{stream}_proj.weight" for layer in range(layers))
    return [np.asarray(weights[name], np.float64) for name in names]


def raw_frobenius(reference: Weights, suspect: Weights) -> float:
    """Negative distance of matched blocks in units of the reference's norm."""
    found = []
    for stream in STREAMS:
        ours, theirs = blocks_of(reference, stream), blocks_of(suspect, stream)
        apart = np.array([[np.linalg.norm(a - b) for b in theirs] for a in ours])
        norm = np.mean([np.linalg.norm(a) for a in ours])
        found.append(-apart[linear_sum_assignment(apart)].mean() / (norm + SMALLEST))
    return float(np.mean(found))


def raw_cosine(reference: Weights, suspect: Weights) -> float:
    """Mean cosine of matched blocks."""
    found = []
    for stream in STREAMS:
        alike = _cosines(blocks_of(reference, stream), blocks_of(suspect, stream))
        found.append(alike[linear_sum_assignment(-alike)].mean())
    return float(np.mean(found))


def branch_products(weights: Weights) -> list[Array]:
    """Return W_down W_up of every block, (width, width): no numbering of its units is left."""
    return [
        down @ up
        for up, down in zip(blocks_of(weights, "up"), blocks_of(weights, "down"), strict=True)
    ]


def residual_signature(reference: Weights, suspect: Weights, *, gated: bool = True) -> float:
    """Mean cosine of matched branch products less their share of the identity.

    Gated, as on their small networks, a pair of blocks counts by how far either is dominated by
    its diagonal, |trace| / norm, in units of the reference's least; ungated on Llama-2.
    """
    ours, theirs = branch_products(reference), branch_products(suspect)
    alike = _cosines([_centred(m) for m in ours], [_centred(m) for m in theirs])
    if gated:
        one, two = (np.array([_dominance(m) for m in products]) for products in (ours, theirs))
        least = one.min() + SMALLEST
        alike = alike * np.minimum(1.0, np.minimum(one[:, None], two) / least)
    return float(alike[linear_sum_assignment(-alike)].mean())


def ungated_signature(reference: Weights, suspect: Weights) -> float:
    """Return the signature as on Llama-2, where blocks do not dominate by their diagonal."""
    return residual_signature(reference, suspect, gated=False)


SCORES: dict[str, Score] = {
    "raw Frobenius": raw_frobenius,
    "raw cosine": raw_cosine,
    "centred residual signature": residual_signature,
    "the same, ungated": ungated_signature,
}


def bar_of(independent: Sequence[float], sigmas: float = SIGMAS) -> float:
    """Return the score from which a pair is called descendant: 3 sigma above independent pairs."""
    spread = max(float(np.std(independent, ddof=1)), 1e-6)
    return float(np.mean(independent)) + sigmas * spread


def auroc(related: Sequence[float], unrelated: Sequence[float]) -> float:
    """Return how often a related pair scores above an unrelated one; ties count half."""
    ranks = rankdata([*related, *unrelated])[: len(related)]
    wins = float(ranks.sum()) - len(related) * (len(related) + 1) / 2
    return wins / (len(related) * len(unrelated))


def _centred(product: Array) -> Array:
    return np.asarray(product - np.trace(product) / len(product) * np.eye(len(product)))


def _dominance(product: Array) -> float:
    return float(abs(np.trace(product)) / (np.linalg.norm(product) + SMALLEST))


def _cosines(ours: Sequence[Array], theirs: Sequence[Array]) -> Array:
    one, two = (
        np.array([m.ravel() / (np.linalg.norm(m) + SMALLEST) for m in some])
        for some in (ours, theirs)
    )
    return np.asarray(one @ two.T)
