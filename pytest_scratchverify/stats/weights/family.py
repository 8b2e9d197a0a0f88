"""The tree of a family of models, from the squared differences of all pairs, and its root.

Steps of training are nearly orthogonal to one another, so that squared differences add up along
the way from one model to another: they are distances along a tree. Of three models each hangs by
its own branch where their ways meet; the length of that branch is what a model has been trained
since (in Witness Overlap, arXiv 2609.31784, the overlap of the two differences at the parent is
none). Where a branch has no length the model itself is where ways meet. A tree of distances has
no direction: which of its models is the root is told by how weights grow (`direction`). The mean
of two models lies on the line between them, where no training would lead, and has two parents.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Square = NDArray[np.float64]

FEWEST = 3
ON_LINE = 0.04  # how much longer the way over a merge may be; a right angle makes it .41
SHARES = (0.1, 0.9)  # of a merge, that either parent may have
ON_WAY = 0.3  # share of a model's own step that may lie off the way to its child
SAME_WAY = 0.5  # the same, where the two steps go the same way


@dataclass(frozen=True, slots=True)
class Edge:
    """A step of descent; `share` is the parent's part in a merge, 1 where there is one parent."""

    parent: int
    child: int
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Family:
    """A directed tree of models, with merges of two parents.

    `root` is None where no model stands out as the earliest; then there are no edges.
    `margin` is the least of the log odds by which the root came before each of the others.
    """

    root: int | None
    edges: tuple[Edge, ...] = ()
    merges: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    margin: float = 0.0

    def ancestors(self, model: int) -> frozenset[int]:
        """Return the models that one was made of."""
        found: set[int] = set()
        waiting = [model]
        while waiting:
            child = waiting.pop()
            parents = {edge.parent for edge in self.edges if edge.child == child}
            waiting += sorted(parents - found)
            found |= parents
        return frozenset(found)


def merges_of(distances: Square) -> dict[int, tuple[int, int]]:
    """Return the models that lie between two others on a line, with these two.

    Parameters
    ----------
    distances : (models, models)
        Squared differences.
    """
    length = np.sqrt(np.maximum(distances, 0))
    found: dict[int, tuple[float, tuple[int, int]]] = {}
    for one, other in combinations(range(len(length)), 2):
        whole = length[one, other]
        for model in range(len(length)):
            if model in (one, other) or whole <= 0:
                continue
            first, second = length[model, one], length[model, other]
            way = (first + second) / whole - 1
            inside = SHARES[0] < first / (first + second) < SHARES[1] if first + second else False
            if inside and way < found.get(model, (ON_LINE, (0, 0)))[0]:
                found[model] = way, (one, other)
    return {model: parents for model, (_, parents) in found.items()}


def overlap(distances: Square, anchor: int, other: int, witness: int) -> float:
    """Return the cosine of the differences from an anchor to two other models."""
    a, b = distances[anchor, other], distances[anchor, witness]
    size = float(np.sqrt(a * b))
    return float((a + b - distances[other, witness]) / (2 * size)) if size > 0 else 0.0


def family_of(distances: Square, odds: Square, *, bar: float, with_merges: bool = True) -> Family:
    """Join models by least squared differences, away from the one that came first.

    Parameters
    ----------
    distances : (models, models)
        Squared differences, on the same numbers for all pairs.
    odds : (models, models)
        Log odds that the first came before the second; antisymmetric.
    bar : float
        Log odds by which the earliest must come before each of the others; calibrated.
    with_merges : bool
        Whether to look for merges, which needs all pairs measured on the very same numbers.
    """
    n = len(distances)
    if n < FEWEST or distances.shape != (n, n) or odds.shape != (n, n):
        return Family(None)
    if not (np.isfinite(distances).all() and np.isfinite(odds).all()):
        return Family(None)
    merged = merges_of(distances) if with_merges else {}
    founders = [model for model in range(n) if model not in merged]
    if len(founders) < 2:
        return Family(None, merges=merged)
    margins = {m: float(min(odds[m, o] for o in founders if o != m)) for m in founders}
    root = max(founders, key=lambda m: (margins[m], -m))
    margin = margins[root]
    if margin < bar:
        return Family(None, merges=merged, margin=margin)
    parents = _tree(_costs(distances, odds, merged), root, merged)
    _reattached(distances, parents, root, merged)
    return Family(root, _edges(distances, parents, merged), merged, margin)


def _tree(
    costs: Square, root: int, merged: Mapping[int, tuple[int, int]], tries: int = 5
) -> dict[int, int]:
    """Return a cheap tree in which no merge is an ancestor of either of its parents.

    Where one is, either what lies below the merge may not be that parent's parent, or the merge
    not that of its child through which it is above: the cheaper of both.
    """
    parents = arborescence(costs, root)
    for model, both in merged.items():
        below = [c for c in parents if model in _above(c, parents, merged)]
        for parent in set(both) & set(below):
            if not tries:
                return parents
            children = [c for c in below if parents[c] == model]
            through = [c for c in children if c == parent or c in _above(parent, parents, merged)]
            without = costs.copy(), costs.copy()
            without[0][[model, *below], parent] = np.inf
            without[1][model, through] = np.inf
            found = [_tree(table, root, merged, tries - 1) for table in without]
            return min(found, key=lambda tree: _cost(costs, tree))
    return parents


def _cost(costs: Square, tree: Mapping[int, int]) -> float:
    return float(sum(costs[parent, child] for child, parent in tree.items()))


def _above(
    model: int, parents: Mapping[int, int], merged: Mapping[int, tuple[int, int]]
) -> set[int]:
    """Return all that a model was made of, by either parent of a merge."""
    waiting, seen = [model], {model}
    while waiting:
        at = waiting.pop()
        above = {*merged.get(at, ()), *({parents[at]} if at in parents else ())} - seen
        seen |= above
        waiting += sorted(above)
    return seen - {model}


def _costs(distances: Square, odds: Square, merged: Mapping[int, tuple[int, int]]) -> Square:
    """Return the cost of every step: the log of its squared length, and of doubtful directions."""
    with np.errstate(divide="ignore"):
        costs = np.log(np.maximum(distances, 1e-12 * distances.max())) + np.logaddexp(0, -odds)
    for model, parents in merged.items():
        costs[[row for row in range(len(costs)) if row not in parents], model] = np.inf
        costs[model, list(parents)] = np.inf
    np.fill_diagonal(costs, np.inf)
    return np.asarray(costs)


def arborescence(costs: Square, root: int) -> dict[int, int]:
    """Return the parent of every model in the cheapest tree of steps away from a root.

    Chu and Liu's and Edmonds' algorithm: the cheapest step into every model; a ring of such steps
    is taken for one model, and opened where that costs least.

    Parameters
    ----------
    costs : (parents, children)
        Infinite where there is no such step.
    """
    n = len(costs)
    cheapest = {c: int(np.argmin(costs[:, c])) for c in range(n) if c != root}
    ring = _ring(cheapest)
    if ring is None:
        return cheapest
    outside = [model for model in range(n) if model not in ring]
    place = {model: i for i, model in enumerate(outside)}
    smaller = np.full((len(outside) + 1, len(outside) + 1), np.inf)
    smaller[:-1, :-1] = costs[np.ix_(outside, outside)]
    inside = sorted(ring)
    gains = costs[:, inside] - np.array([costs[cheapest[c], c] for c in inside])
    smaller[:-1, -1] = gains[outside].min(axis=1)
    smaller[-1, :-1] = costs[np.ix_(inside, outside)].min(axis=0)
    found = arborescence(smaller, place[root])
    parents = {c: cheapest[c] for c in inside}
    for child, parent in found.items():
        if child == len(outside):
            entered = outside[parent]
            parents[inside[int(np.argmin(gains[entered]))]] = entered
        elif parent == len(outside):
            from_ring = costs[inside, outside[child]]
            parents[outside[child]] = inside[int(np.argmin(from_ring))]
        else:
            parents[outside[child]] = outside[parent]
    return parents


def _ring(parents: Mapping[int, int]) -> frozenset[int] | None:
    for start in parents:
        seen, at = [start], parents[start]
        while at in parents and at not in seen:
            seen.append(at)
            at = parents[at]
        if at in seen:
            return frozenset(seen[seen.index(at) :])
    return None


def off_the_way(distances: Square, above: int, model: int, below: int) -> float:
    """Return how much of a model's own step lies off the way to one below: 0 for its parent.

    The branch by which the model hangs, as a share of its step from the one above. Less than none
    where both steps go the same way, as two trainings on one text may do.
    """
    step = distances[above, model]
    branch = (step + distances[model, below] - distances[above, below]) / 2
    return float(branch / step) if step > 0 else 0.0


def _is_on_way(
    distances: Square, ancestors: Sequence[int], model: int, below: int, merged: Container[int]
) -> bool:
    least = -ON_WAY if model in merged else -SAME_WAY
    return all(least < off_the_way(distances, a, model, below) < ON_WAY for a in ancestors)


def _reattached(
    distances: Square,
    parents: dict[int, int],
    root: int,
    merged: Mapping[int, tuple[int, int]],
) -> None:
    """Give the child of a model that is off its way to that model's own parent, as a sibling."""
    for _ in range(len(parents)):
        moved = False
        for child, parent in sorted(parents.items()):
            if parent == root or child in merged:
                continue
            above = merged.get(parent, (parents[parent],))
            if _is_on_way(distances, above, parent, child, merged):
                continue
            free = [a for a in above if a != child and child not in _above(a, parents, merged)]
            if free:
                parents[child] = min(free, key=lambda a: (distances[a, child], a))
                moved = True
        if not moved:
            return


def _edges(
    distances: Square,
    parents: Mapping[int, int],
    merged: Mapping[int, tuple[int, int]],
) -> tuple[Edge, ...]:
    length = np.sqrt(np.maximum(distances, 0))
    found = []
    for child, parent in sorted(parents.items()):
        if child in merged:
            one, other = merged[child]
            whole = length[child, one] + length[child, other]
            found.append(Edge(one, child, float(length[child, other] / whole)))
            found.append(Edge(other, child, float(length[child, one] / whole)))
        else:
            found.append(Edge(parent, child))
    return tuple(found)
