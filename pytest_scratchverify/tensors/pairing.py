"""Pairing of tensors that names leave without a partner: by their numbers, else by their shapes.

Names are the publisher's to choose. What has a name that no table knows, or a place that was only
guessed, or one that another tensor has taken, is held against every tensor of one shape of the
other model, as it lies and turned: a cosine that no two strangers have puts it there (equal bytes
are a cosine of one). Strangers have none, whatever their names, and what is left is laid side by
side by shape and order, so that renaming makes nothing incomparable.

Nothing is tested here. The bar is so high that no choice among strangers' tensors is made by it,
and what it lets pass is measured by the tests of the method like everything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.checkpoint.formats.row_order import InputsFirst
from pytest_scratchverify.core.component import TEXT_ONLY, Component
from pytest_scratchverify.tensors.inventory import (
    Inventory,
    Matrix,
    Slot,
    is_unnamed,
    most_experts,
)
from pytest_scratchverify.tensors.matrices import MIXER_INNER, MIXER_READS, MIXER_WRITES
from pytest_scratchverify.tensors.number_order import natural_order
from pytest_scratchverify.tensors.plan import ORDER, Block
from pytest_scratchverify.tensors.reading import Checkpoint, ReadLog

Array = NDArray[np.float32]
Shape = tuple[int, int]

ALIKE = 0.3  # cosine; trained strangers of this project's zoo have .05 at most
DEVIATIONS = 8.0  # of the cosine of as many independent numbers
ELEMENTS = 2**13  # of a tensor that are looked at
MOST = 256  # tensors of one shape on either side
BUDGET = 4_000_000  # bytes of either model
TEXT = {component.value for component in TEXT_ONLY}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A matrix, and whether a partner is looked for: `loose` ones have no place to rely on."""

    matrix: Matrix
    loose: bool


@dataclass(slots=True)
class _Places:
    """The places of one checkpoint while they change."""

    inventory: Inventory
    moves: dict[int, tuple[Matrix, Slot]] = field(default_factory=dict)

    def move(self, matrix: Matrix, turned: Matrix, slot: Slot) -> None:
        if self.inventory.matrices.get(slot) is not matrix or turned is not matrix:
            self.moves[id(matrix)] = (turned, slot)

    def result(self) -> Inventory:
        """Return the inventory with everything moved; who loses a place is named as second."""
        if not self.moves:
            return self.inventory
        old = self.inventory
        kept = {s: m for s, m in old.matrices.items() if id(m) not in self.moves}
        doubles = [m for m in old.doubles if id(m) not in self.moves]
        parameters, unplaced = dict(old.parameters), dict(old.unplaced)
        placed = dict(old.placed)
        losers: list[tuple[Matrix, Slot]] = []
        for matrix in [*old.matrices.values(), *old.doubles]:
            if id(matrix) not in self.moves:
                continue
            turned, slot = self.moves[id(matrix)]
            size, before = matrix.rows * matrix.cols, matrix.slot.component
            if old.matrices.get(matrix.slot) is not matrix:  # a double: no longer uncompared
                unplaced[before] = unplaced.get(before, 0) - size
            parameters[before] = parameters.get(before, 0) - size
            parameters[slot.component] = parameters.get(slot.component, 0) + size
            if slot in kept:
                losers.append((kept.pop(slot), matrix.slot))
            kept[slot] = replace(turned, slot=slot)
            placed[matrix.info.name] = slot
        for loser, left in losers:  # into the place that was left, if it is one
            strange = is_unnamed(left.kind) and not (
                is_unnamed(loser.slot.kind) and left.component == loser.slot.component
            )
            if left not in kept and not strange:
                kept[left] = replace(loser, slot=left)
                continue
            doubles.append(loser)
            lost = loser.rows * loser.cols
            unplaced[loser.slot.component] = unplaced.get(loser.slot.component, 0) + lost
        names = {m.info.name for m in doubles}
        return replace(
            old,
            matrices=kept,
            parameters={k: v for k, v in parameters.items() if v > 0},
            unplaced={k: v for k, v in unplaced.items() if v > 0},
            twice=tuple(sorted(names)),
            doubles=tuple(doubles),
            placed=placed,
        )


def paired(
    ours: Checkpoint, theirs: Checkpoint, logs: tuple[ReadLog, ReadLog]
) -> tuple[Checkpoint, Checkpoint]:
    """Return both checkpoints with a partner for whatever had none and can be given one.

    Raises `Unavailable` where the rows to look at cannot be read.
    """
    sides = (_loose(ours.inventory, theirs.inventory), _loose(theirs.inventory, ours.inventory))
    if not any(sides):
        return ours, theirs
    places = _Places(ours.inventory), _Places(theirs.inventory)
    _by_numbers((ours, theirs), sides, places, logs)
    ours, theirs = (
        checkpoint.with_inventory(place.result()) if place.moves else checkpoint
        for checkpoint, place in zip((ours, theirs), places, strict=True)
    )
    mine, other = ours.inventory, theirs.inventory
    ours = _by_order(ours, _unnamed(mine, other), _vacant(other, mine))
    theirs = _by_order(theirs, _unnamed(other, ours.inventory), _vacant(ours.inventory, other))
    mine, other = ours.inventory, theirs.inventory
    return _by_order(ours, _unnamed(mine, other), _unnamed(other, mine)), theirs


def _loose(inventory: Inventory, other: Inventory) -> list[Matrix]:
    """Return the matrices of one side that names do not place, or not alone."""
    guessed = {*inventory.placed.values()}
    found = [*_unnamed(inventory, other), *_numbered(inventory, other), *inventory.doubles]
    counts = most_experts(inventory.matrices), most_experts(other.matrices)
    if min(counts) and counts[0] != counts[1]:
        # Left out or added: the numbers of those that stayed say nothing.
        guessed |= {slot for slot in inventory.matrices if slot.expert.isdigit()}
    return found + [m for slot, m in inventory.matrices.items() if slot in guessed and m.rows > 1]


def _unnamed(inventory: Inventory, other: Inventory) -> list[Matrix]:
    """Return what no table names, and mixers of a family that the other model is not of."""
    return [
        matrix
        for slot, matrix in inventory.matrices.items()
        if matrix.rows > 1 and _is_free(slot.kind) and not _meets(matrix, other)
    ]


def _numbered(inventory: Inventory, other: Inventory) -> list[Matrix]:
    """Return what both know by a strange name that does not even tell a layer: ``t0004``.

    Where several have one shape, such a name is no place to rely on.
    """
    found = [
        matrix
        for slot, matrix in inventory.matrices.items()
        if matrix.rows > 1 and slot.layer < 0 and is_unnamed(slot.kind) and _meets(matrix, other)
    ]
    shapes = Counter(map(_shape, found))
    return [matrix for matrix in found if shapes[_shape(matrix)] > 1]


def _is_free(kind: str) -> bool:
    return is_unnamed(kind) or kind.startswith((MIXER_READS, MIXER_WRITES, MIXER_INNER))


def _meets(matrix: Matrix, other: Inventory) -> bool:
    partner = other.matrices.get(matrix.slot)
    return partner is not None and _shape(partner) == _shape(matrix)


def _vacant(inventory: Inventory, other: Inventory) -> list[Matrix]:
    """Return the named matrices of one side that the other has no tensor for."""
    return [
        matrix
        for slot, matrix in inventory.matrices.items()
        if not is_unnamed(slot.kind) and matrix.rows > 1 and slot not in other.matrices
    ]


def _by_numbers(
    checkpoints: tuple[Checkpoint, Checkpoint],
    sides: tuple[list[Matrix], list[Matrix]],
    places: tuple[_Places, _Places],
    logs: tuple[ReadLog, ReadLog],
) -> None:
    loose = {id(matrix) for matrix in (*sides[0], *sides[1])}
    shapes = {shape for m in (*sides[0], *sides[1]) for shape in _either_way(m)}
    every = [
        _by_shape((_Candidate(m, id(m) in loose) for m in _all(c.inventory) if m.rows > 1), shapes)
        for c in checkpoints
    ]
    left_bytes = [BUDGET, BUDGET]
    for shape in sorted(every[0].keys() & every[1].keys()):
        found = []
        for number, checkpoint in enumerate(checkpoints):
            taken = sorted(every[number][shape], key=lambda c: (not c.loose, c.matrix.slot))
            sampled, cost = _sampled(
                checkpoint, taken[:MOST], shape, left_bytes[number], logs[number]
            )
            left_bytes[number] -= cost
            found.append(sampled)
        _assign(found[0], found[1], places)


def _all(inventory: Inventory) -> list[Matrix]:
    return [*inventory.matrices.values(), *inventory.doubles]


def _either_way(matrix: Matrix) -> list[Shape]:
    shape = (matrix.rows, matrix.cols)
    return [shape, shape[::-1]] if _turnable(matrix) else [shape]


def _turnable(matrix: Matrix) -> bool:
    """Whether a matrix may be the other way round: nothing but its name says how it lies."""
    whole = matrix.rows * matrix.cols == matrix.info.parameters
    return whole and matrix.codec is None and matrix.scale is None and is_unnamed(matrix.slot.kind)


def _turned(matrix: Matrix) -> Matrix:
    codec = InputsFirst(matrix.info, (matrix.cols, matrix.rows))
    return replace(
        matrix, rows=matrix.cols, cols=matrix.rows, codec=codec, fixed=codec.fixed, scale=None
    )


def _by_shape(
    candidates: Iterable[_Candidate], shapes: set[Shape]
) -> dict[Shape, list[_Candidate]]:
    found: dict[Shape, list[_Candidate]] = {}
    for candidate in candidates:
        for shape in dict.fromkeys(_either_way(candidate.matrix)):
            if shape in shapes:
                found.setdefault(shape, []).append(candidate)
    return found


_Sampled = list[tuple[_Candidate, Matrix, Array]]  # the matrix as it lies, or turned; its numbers


def _sampled(
    checkpoint: Checkpoint, candidates: list[_Candidate], shape: Shape, budget: int, log: ReadLog
) -> tuple[_Sampled, int]:
    """Read the same rows of all candidates, from the middle, where no table is padded."""
    count = min(shape[0], max(2, ELEMENTS // shape[1]))
    start = (shape[0] - count) // 2
    blocks: list[tuple[_Candidate, Block]] = []
    spent = 0
    for candidate in candidates:
        views = [candidate.matrix] if _shape(candidate.matrix) == shape else []
        if _turnable(candidate.matrix) and _shape(candidate.matrix)[::-1] == shape:
            views.append(_turned(candidate.matrix))
        for view in views:
            block = Block(view, start, start + count)
            if spent + block.nbytes <= budget and checkpoint.holds(block):
                blocks.append((candidate, block))
                spent += block.nbytes
    values = checkpoint.read([block for _, block in blocks], log)
    found = [
        (candidate, block.matrix, _unit(value))
        for (candidate, block), value in zip(blocks, values, strict=True)
        if np.isfinite(value).all()
    ]
    return found, spent


def _shape(matrix: Matrix) -> Shape:
    return matrix.rows, matrix.cols


def _unit(values: Array) -> Array:
    flat = (values - values.mean(axis=1, keepdims=True)).ravel()
    length = float(np.linalg.norm(flat))
    return np.asarray(flat / length if length else flat, np.float32)


def _assign(left: _Sampled, right: _Sampled, places: tuple[_Places, _Places]) -> None:
    """Bring together what is alike beyond what strangers are, one to one."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second to import

    if not left or not right:
        return
    cosines = np.stack([v for *_, v in left]) @ np.stack([v for *_, v in right]).T
    bar = max(ALIKE, DEVIATIONS / np.sqrt(len(left[0][2])))
    asked = np.array([[a.loose or b.loose for b, *_ in right] for a, *_ in left])
    weights = np.where(asked & (cosines >= bar), cosines, 0.0)
    for a, b in zip(*linear_sum_assignment(weights, maximize=True), strict=True):
        if weights[a, b] <= 0 or id(left[a][0].matrix) in places[0].moves:
            continue
        (ours, mine, _), (theirs, other, _) = left[a], right[b]
        guessed = is_unnamed(theirs.matrix.slot.kind) and not is_unnamed(ours.matrix.slot.kind)
        if theirs.loose and (not ours.loose or guessed):
            places[1].move(theirs.matrix, other, ours.matrix.slot)
        else:
            places[0].move(ours.matrix, mine, theirs.matrix.slot)
            places[1].move(theirs.matrix, other, theirs.matrix.slot)


def _by_order(checkpoint: Checkpoint, loose: list[Matrix], vacant: list[Matrix]) -> Checkpoint:
    """Lay what is left side by side by shape and order, where there are as many of each.

    As it lies, or all of it turned: the way in which more of it finds a place, and then the other
    for what is left (tables may lie otherwise than layers).
    """
    ways = [[(m, m) for m in loose], [(m, _turned(m)) for m in loose if _turnable(m)]]
    found = [_in_turn(way, vacant) for way in ways]
    best = max(found, key=len)
    if not best:
        return checkpoint
    placed, taken = {id(m) for m, *_ in best}, {slot for *_, slot in best}
    rest = [(m, view) for m, view in ways[found[0] is best] if id(m) not in placed]
    best = best + _in_turn(rest, [m for m in vacant if m.slot not in taken])
    place = _Places(checkpoint.inventory)
    for matrix, view, slot in best:
        place.move(matrix, view, slot)
    return checkpoint.with_inventory(place.result())


def _in_turn(
    loose: list[tuple[Matrix, Matrix]], vacant: list[Matrix]
) -> list[tuple[Matrix, Matrix, Slot]]:
    """Deal matrices to the vacant places of their shapes, names and places in natural order."""
    targets: dict[tuple[bool, Shape], list[Slot]] = {}
    for matrix in vacant:
        targets.setdefault((matrix.slot.component in TEXT, _shape(matrix)), []).append(matrix.slot)
    sources: dict[tuple[bool, Shape], list[tuple[Matrix, Matrix]]] = {}
    for matrix, view in sorted(loose, key=lambda pair: natural_order(pair[0].info.name)):
        key = matrix.slot.component in TEXT, _shape(view)
        sources.setdefault(key, []).append((matrix, view))
    found = []
    for key, group in sources.items():
        slots = sorted(targets.get(key, ()), key=_reading_order)
        if len(slots) == len(group):
            found += [(*pair, slot) for pair, slot in zip(group, slots, strict=True)]
    return found


def _reading_order(slot: Slot) -> tuple[int, int, str, Slot]:
    rank = ORDER.index(slot.kind) if slot.kind in ORDER else len(ORDER)
    return slot.layer, rank, slot.expert, slot


def placed_names(inventory: Inventory, component: Component) -> Mapping[str, str]:
    """Return the places of a component that no name gave, by the names of the tensors."""
    return {
        name: str(slot)
        for name, slot in sorted(inventory.placed.items())
        if slot.component == component.value
    }
