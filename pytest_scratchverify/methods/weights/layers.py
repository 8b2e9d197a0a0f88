"""Layer map: the same rows of every layer of one model against every layer of the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.stats.weights.assignment import fixed_points, row_similarity
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.layer_map import LayerMap, layer_map
from pytest_scratchverify.stats.weights.public_formula import formula_of
from pytest_scratchverify.tensors.inventory import Matrix, Slot
from pytest_scratchverify.tensors.plan import Block, block_of
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog

Array = NDArray[np.float32]

KINDS = ("gate", "fc1", "up", "kv_a", "q_a")
ROWS = 64


@dataclass(frozen=True, slots=True)
class _Stack:
    """The same rows of one kind in every layer that fits the budget, and the formulas in them."""

    layers: tuple[int, ...]
    values: tuple[Array, ...]
    formulas: tuple[str | None, ...]

    def without(self, names: frozenset[str | None]) -> _Stack:
        """Leave out layers of some public formulas, which are no one's property."""
        kept = [n for n, name in enumerate(self.formulas) if name not in names]
        return _Stack(
            tuple(self.layers[n] for n in kept),
            tuple(self.values[n] for n in kept),
            tuple(self.formulas[n] for n in kept),
        )


def map_layers(pair: ComponentPair, *, budget: int | None, threshold: float) -> LayerMap | None:
    """Compare all layers with all; None where no kind of matrix has the same shape."""
    checkpoints = pair.checkpoints
    for kind in KINDS:
        mine, partners = _of_kind(pair.ours, kind), _of_kind(pair.theirs, kind)
        shapes = {(m.rows, m.cols) for m in mine} & {(m.rows, m.cols) for m in partners}
        if len(shapes) == 1 and len(mine) > 1 and len(partners) > 1:
            shape = next(iter(shapes))
            left = _read(checkpoints.ours, mine, shape, budget, checkpoints.logs[0])
            right = _read(checkpoints.theirs, partners, shape, budget, checkpoints.logs[1])
            common = frozenset(left.formulas) & frozenset(right.formulas) - {None}
            left, right = left.without(common), right.without(common)
            if len(left.layers) > 1 and len(right.layers) > 1:
                return _mapped(left, right, threshold)
    return None


def mapped_blocks(matrices: Mapping[Slot, Matrix]) -> list[Block]:
    """Return the rows that a map of layers reads, of the first kind that a component has."""
    for kind in KINDS:
        found = _of_kind(matrices, kind)
        if len(found) > 1:
            return [first_rows(matrix, ROWS) for matrix in found]
    return []


def first_rows(matrix: Matrix, limit: int) -> Block:
    """Return the rows by which layers are told apart: of those that a fingerprint keeps, too."""
    block = block_of(matrix)
    return Block(matrix, block.start, block.start + min(block.stop - block.start, limit))


def _of_kind(matrices: Mapping[Slot, Matrix], kind: str) -> list[Matrix]:
    found: dict[int, Matrix] = {}
    first = (s for s in matrices if s.kind == kind and s.layer >= 0 and s.expert in ("", "0"))
    for slot in sorted(first):
        found.setdefault(slot.layer, matrices[slot])
    return [found[layer] for layer in sorted(found)]


def _read(
    checkpoint: Checkpoint,
    matrices: list[Matrix],
    shape: tuple[int, int],
    budget: int | None,
    log: ReadLog,
) -> _Stack:
    blocks: list[Block] = []
    left = budget
    for matrix in matrices:
        if (matrix.rows, matrix.cols) != shape:
            continue
        block = first_rows(matrix, ROWS if budget is not None else 4 * ROWS)
        if not checkpoint.holds(block):
            continue
        if left is not None and block.nbytes > left:
            break
        blocks.append(block)
        left = None if left is None else left - block.nbytes
    values = checkpoint.read(blocks, log)
    kept = [(b, v) for b, v in zip(blocks, values, strict=True) if not is_degenerate(v)]
    return _Stack(
        tuple(b.matrix.slot.layer for b, _ in kept),
        tuple(v for _, v in kept),
        tuple(formula_of(v, b.start, b.matrix.rows) for b, v in kept),
    )


def _mapped(left: _Stack, right: _Stack, threshold: float) -> LayerMap:
    similarity = np.zeros((max(left.layers) + 1, max(right.layers) + 1))
    pvalues = np.ones_like(similarity)
    for a, ours in zip(left.layers, left.values, strict=True):
        for b, theirs in zip(right.layers, right.values, strict=True):
            cosines = row_similarity(ours, theirs)
            match = fixed_points([cosines])
            similarity[a, b] = float(np.diag(cosines).mean())
            pvalues[a, b] = match.pvalue
    found = layer_map(np.where(pvalues < 1e-3, similarity, 0.0), threshold, pvalues)
    read = np.zeros(similarity.shape, bool)
    read[np.ix_(left.layers, right.layers)] = True
    table = tuple(
        tuple(float(value) if known else None for value, known in zip(*row, strict=True))
        for row in zip(similarity, read, strict=True)
    )
    return replace(found, similarity=table)
