"""Trained chains of descent, read back: who was made of whom, and how every pair differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import add
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.direction import (
    Growths,
    Marks,
    Movement,
    OrderWeights,
    growth_of_gains,
    log_odds,
    marks_of,
    movement,
)
from tools.zoo.packing import read

MANIFEST = "CHAINS.json"
Pair = tuple[str, str]


@dataclass(frozen=True)
class Difference:
    """How two models of a chain differ, the first taken for the earlier one."""

    moved: Movement
    gains: float | None
    marks: Marks

    @property
    def growths(self) -> Growths:
        """What an order is told by."""
        return self.moved.growth, self.moved.growth_of_rows, self.gains

    @property
    def reverse(self) -> Difference:
        """The same, the second taken for the earlier one."""
        gains = None if self.gains is None else -self.gains
        return Difference(self.moved.reverse, gains, self.marks.reverse)

    @property
    def squared(self) -> float:
        """The squared difference of all weights of the decoder."""
        first, second, product = self.moved.squares
        return max(0.0, first + second - 2 * product)


@dataclass(frozen=True)
class Chain:
    """One base and what was made of it."""

    name: str
    held_out: bool
    parents: Mapping[str, tuple[str, ...]]
    changes: Mapping[str, str]
    pairs: Mapping[Pair, Difference]
    single: Mapping[str, Mapping[str, float]]  # by name of a number and model

    def ancestors(self, model: str) -> frozenset[str]:
        """Return the models that one was made of."""
        above = self.parents[model]
        return frozenset(above).union(*(self.ancestors(parent) for parent in above))

    def descents(self) -> Iterator[Pair]:
        """Return every pair of which one was made of the other, the earlier first."""
        for child in self.parents:
            yield from ((parent, child) for parent in sorted(self.ancestors(child)))

    def siblings(self) -> Iterator[Pair]:
        """Return every pair of which neither was made of the other, the less trained first."""
        for one, other in combinations(self.parents, 2):
            if one not in self.ancestors(other) and other not in self.ancestors(one):
                near, far = sorted((one, other), key=lambda m: self.step((one, other), m))
                yield near, far

    def step(self, pair: Pair, model: str) -> float:
        """Return how far one of two branches went from where they parted."""
        lines = [self.ancestors(side) for side in pair]
        start = max(lines[0] & lines[1], key=lambda m: len(self.ancestors(m)))
        return self.pairs[start, model].moved.distance

    def matrices(
        self, models: Sequence[str], weights: OrderWeights
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the squared differences and log odds of all pairs of some models."""
        n = len(models)
        distances, odds = np.zeros((n, n)), np.zeros((n, n))
        for i, one in enumerate(models):
            for j, other in enumerate(models):
                if i != j:
                    found = self.pairs[one, other]
                    distances[i, j] = found.squared
                    odds[i, j] = log_odds(found.growths, weights, found.marks)
        return distances, odds


def read_chains(folder: Path, *, held_out: bool) -> list[Chain]:
    """Read the chains of a folder, for calibration or held out, whose models are all there."""
    described = json.loads((folder / MANIFEST).read_text("utf-8"))
    chains = []
    for name, chain in described.items():
        models = chain["models"]
        there = all((folder / f"{name}-{model}" / "config.json").exists() for model in models)
        if chain["held_out"] is held_out and there:
            weights = {model: read(folder / f"{name}-{model}") for model in models}
            chains.append(
                Chain(
                    name,
                    chain["held_out"],
                    {model: tuple(made["parents"]) for model, made in models.items()},
                    {model: made["change"] for model, made in models.items()},
                    _pairs(weights),
                    {
                        number: {model: mean_of(of, read_) for model, read_ in weights.items()}
                        for number, of in SINGLE.items()
                    },
                )
            )
    return chains


def spectral_entropy(matrix: NDArray[np.float32]) -> float:
    """Return the entropy of a matrix's squared singular values, as TensorLock has it."""
    values = np.linalg.svd(matrix, compute_uv=False) ** 2
    shares = values[values > 0] / values.sum()
    return float(-(shares * np.log(shares)).sum())


def kurtosis(matrix: NDArray[np.float32]) -> float:
    """Return the kurtosis of all numbers of a matrix, as MoTHer has it."""
    centred = matrix - matrix.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def size(matrix: NDArray[np.float32]) -> float:
    """Return the log of the mean square."""
    return float(np.log((matrix.astype(np.float64) ** 2).mean()))


SINGLE: Mapping[str, Callable[[NDArray[np.float32]], float]] = {
    "size": size,
    "kurtosis": kurtosis,
    "spectral entropy": spectral_entropy,
}


def mean_of(
    of: Callable[[NDArray[np.float32]], float], weights: Mapping[str, NDArray[np.float32]]
) -> float:
    """Return the mean of a number over the matrices of the decoder's layers."""
    layers = [value for name, value in weights.items() if ".layers." in name and value.ndim == 2]
    return float(np.mean([of(value) for value in layers]))


def _pairs(models: Mapping[str, Mapping[str, NDArray[np.float32]]]) -> dict[Pair, Difference]:
    found = {}
    for one, other in combinations(models, 2):
        found[one, other] = difference(models[one], models[other])
        found[other, one] = found[one, other].reverse
    return found


def difference(
    first: Mapping[str, NDArray[np.float32]], second: Mapping[str, NDArray[np.float32]]
) -> Difference:
    """Measure how two models of one shape differ in their decoders' layers."""
    layers = [name for name in first if ".layers." in name]
    names = [name for name in layers if first[name].ndim == 2]
    moved = reduce(add, (movement(first[name], second[name]) for name in names))
    gains = growth_of_gains((first[k], second[k]) for k in layers if first[k].ndim == 1)
    return Difference(moved, gains, marks_of([(first[name], second[name]) for name in names]))
