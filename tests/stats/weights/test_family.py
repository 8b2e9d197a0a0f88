"""The tree of a family: parents, merges and the root, on steps of known order."""

from itertools import product

import numpy as np
import pytest

from pytest_scratchverify.stats.weights.family import (
    arborescence,
    family_of,
    merges_of,
    off_the_way,
    overlap,
)

SIZE = 4000
BAR = 1.5


def distances(models):
    rows = np.array(models)
    return ((rows[:, None] - rows[None]) ** 2).sum(-1)


def odds(models):
    """Return log odds by growth alone, as orthogonal steps have it."""
    squares = (np.array(models) ** 2).sum(1)
    with np.errstate(invalid="ignore"):
        growth = (squares[None] - squares[:, None]) / distances(models)
    return np.clip(2 * np.nan_to_num(growth), -4, 4)


def made(seed):
    """Return base, its child and grandchild, another child, and the merge of two; a child of it."""
    rng = np.random.default_rng(seed)

    def later(model, size):
        return model + size * rng.normal(size=SIZE)

    base = rng.normal(size=SIZE)
    long = later(base, 0.4)
    tuned, other = later(long, 0.1), later(long, 0.12)
    merged = 0.6 * tuned + 0.4 * other
    return [base, long, tuned, other, merged, later(merged, 0.1), later(base, 0.2)]


PARENTS = {1: {0}, 2: {1}, 3: {1}, 4: {2, 3}, 5: {4}, 6: {0}}


@pytest.mark.parametrize("seed", range(8))
def test_parents_merges_and_root_of_a_whole_family_are_found(seed):
    models = made(seed)
    order = np.random.default_rng(seed).permutation(len(models))
    given = [models[i] for i in order]
    family = family_of(distances(given), odds(given), bar=BAR)
    assert order[family.root] == 0
    found = {}
    for edge in family.edges:
        found.setdefault(int(order[edge.child]), set()).add(int(order[edge.parent]))
    assert found == PARENTS
    shares = {int(order[e.parent]): e.share for e in family.edges if order[e.child] == 4}
    assert shares == {2: pytest.approx(0.6, abs=0.02), 3: pytest.approx(0.4, abs=0.02)}
    assert family.ancestors(int(np.flatnonzero(order == 5)[0])) == {
        int(np.flatnonzero(order == i)[0]) for i in (0, 1, 2, 3, 4)
    }


@pytest.mark.parametrize("seed", range(8))
def test_siblings_without_their_parent_have_no_root(seed):
    """Three children of one length: none is the earliest."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=SIZE)
    models = [base + 0.3 * rng.normal(size=SIZE) for _ in range(4)]
    family = family_of(distances(models), odds(models), bar=BAR)
    assert family.root is None
    assert family.edges == ()


def test_independent_steps_make_no_merges():
    rng = np.random.default_rng(1)
    for _ in range(50):
        walk = np.cumsum(rng.normal(size=(6, SIZE)) * rng.uniform(0.05, 0.5, (6, 1)), axis=0)
        assert merges_of(distances(list(walk))) == {}


def test_overlap_at_a_parent_is_none_and_at_a_child_is_not():
    rng = np.random.default_rng(2)
    base = rng.normal(size=SIZE)
    one, other = base + 0.3 * rng.normal(size=SIZE), base + 0.3 * rng.normal(size=SIZE)
    table = distances([base, one, other])
    assert abs(overlap(table, 0, 1, 2)) < 0.06
    assert overlap(table, 1, 0, 2) == pytest.approx(np.sqrt(0.5), abs=0.05)
    assert off_the_way(table, 0, 1, 2) == pytest.approx(1, abs=0.1)  # a sibling is not on the way


def test_the_cheapest_tree_is_found_through_rings():
    rng = np.random.default_rng(3)
    for _ in range(40):
        costs = rng.uniform(size=(5, 5))
        np.fill_diagonal(costs, np.inf)
        found = arborescence(costs, 0)
        best = min(_every_tree(costs))
        assert sum(costs[p, c] for c, p in found.items()) == pytest.approx(best)


def _every_tree(costs):
    for parents in product(range(5), repeat=4):
        tree = dict(zip(range(1, 5), parents, strict=True))
        if all(_reaches(tree, c) for c in tree):
            yield sum(costs[p, c] for c, p in tree.items())


def _reaches(tree, at):
    seen = set()
    while at != 0:
        if at in seen:
            return False
        seen.add(at)
        at = tree[at]
    return True


@pytest.mark.parametrize(
    "table", [np.zeros((2, 2)), np.zeros((3, 4)), np.full((3, 3), np.nan), np.zeros((4, 4))]
)
def test_what_is_no_family_has_no_root(table):
    assert family_of(table, np.zeros(table.shape), bar=BAR).root is None
