"""Neighbour joining: a tree of models from distances, with bootstrap support over probes.

A tree is a drawing of distances and no pedigree: it always has branches, also over models that
have nothing to do with one another. Support says how often a branch returns when other probes
are drawn, not whether it means descent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Split = frozenset[str]


@dataclass(frozen=True, slots=True)
class Tree:
    """An unrooted tree: its Newick text and, for every inner branch, one side and its support.

    A side is the set of names that does not hold the first name, so that equal splits compare
    equal. Support is a share of resamplings, None where there were none.
    """

    newick: str
    splits: dict[Split, float | None]


def neighbour_joining(names: Sequence[str], distances: Float) -> Tree:
    """Join neighbours: N. Saitou and M. Nei, Molecular Biology and Evolution 4 (1987).

    Parameters
    ----------
    names
        m distinct names, three at least.
    distances
        Shape (m, m), symmetric, zero on the diagonal.

    Raises
    ------
    ModuleNotFoundError
        Without Biopython (``pip install pytest-scratchverify[behaviour]``).
    """
    return _described(_join(names, distances), names, {})


def supported_tree(
    names: Sequence[str], per_probe: Float, *, draws: int = 200, seed: int = 0
) -> Tree:
    """Return the tree of mean distances, each branch with its support over resampled probes.

    Parameters
    ----------
    per_probe
        Shape (n, m, m): the distance of every two models on each probe. Probes are drawn with
        replacement, whole (J. Felsenstein 1985), because probes are the sample; drawing
        dimensions of an embedding instead measures the embedding.
    """
    rng = np.random.default_rng(seed)
    n = len(per_probe)
    counts: dict[Split, int] = {}
    for _ in range(draws):
        weights = np.bincount(rng.integers(0, n, n), minlength=n) / n
        drawn = np.tensordot(weights, per_probe, 1)
        for split in _splits(_join(names, drawn), names):
            counts[split] = counts.get(split, 0) + 1
    shares = {split: count / draws for split, count in counts.items()}
    return _described(_join(names, per_probe.mean(0)), names, shares)


def _join(names: Sequence[str], distances: Float) -> Any:
    from Bio.Phylo import TreeConstruction  # noqa: PLC0415 - an extra, and 0.3 s

    construction: Any = TreeConstruction  # not typed

    leaves = [str(number) for number in range(len(names))]  # names may hold Newick's own signs
    lower = [[float(distances[i, j]) for j in range(i)] + [0.0] for i in range(len(names))]
    return construction.DistanceTreeConstructor().nj(construction.DistanceMatrix(leaves, lower))


def _splits(tree: Any, names: Sequence[str]) -> dict[Split, Any]:
    everything = frozenset(names)
    found = {}
    for clade in tree.get_nonterminals():
        side = frozenset(names[int(leaf.name)] for leaf in clade.get_terminals())
        side = everything - side if names[0] in side else side
        if 1 < len(side) < len(names) - 1:
            found[side] = clade
    return found


def _described(tree: Any, names: Sequence[str], support: dict[Split, float]) -> Tree:
    from io import StringIO  # noqa: PLC0415

    from Bio.Phylo import NewickIO  # noqa: PLC0415

    splits = _splits(tree, names)
    for clade in tree.get_nonterminals():
        clade.name = None
    if support:
        for side, clade in splits.items():
            clade.confidence = round(100 * support.get(side, 0.0))
    for leaf in tree.get_terminals():
        leaf.name = names[int(leaf.name)]
    text = StringIO()
    writer: Any = NewickIO  # not typed
    writer.write([tree], text, format_branch_length="%1.4f")
    values = {side: support.get(side, 0.0) if support else None for side in splits}
    return Tree(newick=text.getvalue().strip(), splits=values)
