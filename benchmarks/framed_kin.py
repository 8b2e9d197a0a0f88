"""Residual frames on networks that are kin without a weight in common, beside derived ones.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.kin --into .artifacts/kin
    python -m benchmarks.framed_kin .artifacts/kin

Every pair of really trained networks: how many neurons (or heads) found the same partner by both
matchings in the best block, of how many, and p. Derived pairs are rotated and renumbered first.
Prints Markdown.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

from pytest_scratchverify.methods.weights.framed_power import renumbered
from pytest_scratchverify.stats.weights.framed_recognition import (
    Network,
    Sampled,
    recognise_by_frames,
)
from pytest_scratchverify.stats.weights.head_reads import HeadReads

KEYS = 4  # heads of keys in either size
DERIVED = ({"first", "finetune"}, {"first", "continued"}, {"finetune", "continued"})


def read(path: Path) -> Network:
    """Read one network, with the gains folded in."""
    weights = np.load(path)
    layers = sum(name.endswith("input_layernorm.weight") for name in weights.files)
    heads, neurons = {}, {}
    for layer in range(layers):
        root = f"model.layers.{layer}."
        gains = weights[f"{root}input_layernorm.weight"]
        rows = [weights[f"{root}self_attn.{kind}_proj.weight"] * gains for kind in "kv"]
        heads[layer] = [HeadReads(part.reshape(KEYS, -1, part.shape[1])) for part in rows]
        gains = weights[f"{root}post_attention_layernorm.weight"]
        views = [weights[f"{root}mlp.{kind}_proj.weight"] * gains for kind in ("gate", "up")]
        neurons[layer, ""] = Sampled(views, len(views[0]))
    return Network(heads, neurons)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    paths = sorted(parser.parse_args().folder.glob("*.npz"))
    networks = {path.stem: read(path) for path in paths}
    print("| pair | derived | agreed | p |")
    print("|---|---|---|---|")
    for one, two in combinations(networks, 2):
        derived = {one, two} in DERIVED
        ours = renumbered(networks[one], np.random.default_rng(1))
        match = recognise_by_frames(ours, networks[two])
        if match is None:
            continue
        most = max(held.agreed for held in match.held)
        what = "heads" if match.held[0].of_heads else "neurons of a block"
        size = match.n if match.held[0].of_heads else max(held.n for held in match.held)
        said = f"{match.statistic if match.held[0].of_heads else most} of {size:.0f} {what}"
        print(f"| {one}, {two} | {'yes' if derived else 'no'} | {said} | {match.pvalue:.1g} |")


if __name__ == "__main__":
    main()
