"""Fit what tells the earlier of two models to chains of descent, and write it down.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.chains --into .artifacts/chains
    python -m tools.calibrate.direction --chains .artifacts/chains

Writes ``direction`` into suites/calibration/weights.json. The weights of the three growths are a
logistic regression through the origin over all pairs of parent and descendant of the chains for
calibration; `bar` and `root` are the smallest of a few values at which at most one statement in
`ONE_IN` is wrong, about those pairs and about which of three to seven models is the earliest.
Of the chains that are held out only the shares of wrong statements are taken, once all else is
fixed; `python -m benchmarks.direction` shows them whole.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from pytest_scratchverify.stats.weights.direction import CLIPPED, OrderWeights, log_odds
from pytest_scratchverify.stats.weights.family import family_of
from tools import ROOT
from tools.zoo.chain_pairs import MANIFEST, Chain, read_chains

BARS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
ONE_IN = 40  # twice as strict as the one in 20 that is promised of other chains
SIZES = (3, 4, 5, 7)
DRAWS = 40
PENALTY = 1.0


def fitted(chains: Sequence[Chain]) -> OrderWeights:
    """Return the weights of the growths, none of them below zero, without bars."""
    rows = []
    for chain in chains:
        for pair in chain.descents():
            found = chain.pairs[pair]
            if found.marks.log_odds is None and chain.changes[pair[1]] != "merge":
                given = [0.0 if value is None else value for value in found.growths]
                rows.append(np.clip(given, -CLIPPED, CLIPPED))
    table = np.array(rows)
    weights = np.zeros(3)
    for _ in range(50):
        right = 1 / (1 + np.exp(-table @ weights))
        slope = table.T @ (1 - right) - PENALTY * weights
        bend = (table * (right * (1 - right))[:, None]).T @ table + PENALTY * np.eye(3)
        weights = weights + np.linalg.solve(bend, slope)
    growth, by_rows, gains = (round(max(0.0, float(w)), 2) for w in weights)
    return OrderWeights(growth, by_rows, gains, 0.0, 0.0, 0.0, 0.0)


def draws_of(chain: Chain, seed: int) -> list[list[str]]:
    """Return some of the models of a chain, three to seven of them, drawn at random."""
    rng = np.random.default_rng(seed)
    names = sorted(chain.parents)
    return [
        [str(name) for name in rng.choice(names, size, replace=False)]
        for size in SIZES
        for _ in range(DRAWS)
    ]


def earliest(chain: Chain, models: Sequence[str]) -> tuple[str, bool]:
    """Return the model nearest to what all come from, and whether it is their common ancestor."""
    lines = [chain.ancestors(model) | {model} for model in models]
    start = max(frozenset.intersection(*lines), key=lambda m: len(chain.ancestors(m)))
    if start in models:
        return start, True
    return min(models, key=lambda model: chain.pairs[start, model].moved.distance), False


def _said_of_pairs(chains: Sequence[Chain], weights: OrderWeights) -> np.ndarray:
    """Return the log odds of all pairs of descent, those that are wrong below zero."""
    said = [
        log_odds(chain.pairs[pair].growths, weights, chain.pairs[pair].marks)
        for chain in chains
        for pair in chain.descents()
    ]
    return np.array(said)


def _said_of_roots(chains: Sequence[Chain], weights: OrderWeights) -> np.ndarray:
    """Return the margins of the earliest of parts of chains, those that are wrong below zero."""
    said = []
    for number, chain in enumerate(chains):
        for models in draws_of(chain, number):
            family = family_of(*chain.matrices(models, weights), bar=0.0)
            if family.root is not None:
                right = models[family.root] == earliest(chain, models)[0]
                said.append(family.margin if right else -family.margin)
    return np.array(said)


def _wrong(said: np.ndarray, bar: float) -> float:
    """Return the share of statements that are wrong, rounded up."""
    kept = said[np.abs(said) >= bar]
    return float(np.ceil(1000 * np.mean(kept < 0)) / 1000) if len(kept) else 0.0


def _smallest_bar(said: np.ndarray) -> float:
    """Return the first bar from which on few statements, which are negative, are wrong."""
    for bar in BARS:
        kept = said[np.abs(said) >= bar]
        if ONE_IN * np.count_nonzero(kept < 0) <= len(kept):
            return bar
    return BARS[-1]


def main() -> None:
    """Fit, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chains", type=Path, default=ROOT / ".artifacts" / "chains")
    given = parser.parse_args()
    if not (given.chains / MANIFEST).exists():
        sys.exit(
            f"direction: there are no chains in {given.chains}: python -m tools.zoo.train.chains"
            f" --into {given.chains} trains them (needs torch, half an hour on one core)"
        )
    chains = read_chains(given.chains, held_out=False)
    weights = fitted(chains)
    weights = replace(
        weights,
        bar=_smallest_bar(_said_of_pairs(chains, weights)),
        root=_smallest_bar(_said_of_roots(chains, weights)),
    )
    held_out = read_chains(given.chains, held_out=True)
    weights = replace(
        weights,
        wrong_pairs=_wrong(_said_of_pairs(held_out, weights), weights.bar),
        wrong_roots=_wrong(_said_of_roots(held_out, weights), weights.root),
    )
    path = ROOT / "suites" / "calibration" / "weights.json"
    content = json.loads(path.read_text("utf-8"))
    content["thresholds"]["direction"] = asdict(weights)
    content["population"]["direction"] = {
        "command": "python -m tools.calibrate.direction",
        "chains": [chain.name for chain in chains],
        "pairs": sum(len(list(chain.descents())) for chain in chains),
        "held_out": [chain.name for chain in held_out],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(weights)


if __name__ == "__main__":
    main()
