"""Neurons of one batch in their places: matched with their numbers, layer by layer.

Rows that carry one arbitrary number (gate and up of a neuron) are matched together. A layer that
repeats an earlier one in both models is the same draw again, and counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.assignment import FixedPoints, fixed_points, row_similarity
from pytest_scratchverify.stats.weights.centring import unit_rows
from pytest_scratchverify.stats.weights.exchangeable_rows import exchangeable
from pytest_scratchverify.tensors.inventory import Slot

Array = NDArray[np.float32]
Piece = tuple[Slot, int]
Batch = Mapping[Piece, tuple[Array, Array]]

# Rows that carry arbitrary numbers and share them: matched together.
NEURON_GROUPS: Mapping[str, str] = {
    "gate": "mlp",
    "up": "mlp",
    "fc1": "mlp",
    "router": "router",
    "q_a": "q_a",
    "kv_a": "kv_a",
    "proj_in": "proj_in",
}
ROWS = 512  # at most so many rows of one piece
SKETCH = 512  # numbers of a group that tell whether it was seen before
REPEATED = 0.25  # cosine of sketches: between independent draws 5.6 standard deviations away


@dataclass(frozen=True, slots=True)
class NeuronGroup:
    """Fixed points of one group of neurons, and where it stands."""

    layer: int
    expert: str
    start: int
    match: FixedPoints


@dataclass(frozen=True, slots=True)
class Sketched:
    """A sketch of one group in either model; groups of one `key` may be repeats."""

    key: tuple[str, int, int, int]
    ours: Array
    theirs: Array


@dataclass(slots=True)
class Draws:
    """Remembers a sketch of every group, to tell one draw that comes again and again.

    Layers that share their weights, or experts that were made of one block, have one numbering
    between them. Where that is so in *both* models, a coincidence of the two numberings comes
    again in every repeat, so repeats are not counted.
    """

    _seen: dict[tuple[str, int, int, int], list[tuple[Array, Array]]] = field(default_factory=dict)

    def is_new(self, group: str, start: int, ours: Array, theirs: Array) -> bool:
        """Whether this group is no repeat, in both models, of an earlier one; remembers it."""
        return self.is_new_sketch(sketched(group, start, ours, theirs))

    def is_new_sketch(self, found: Sketched) -> bool:
        """Whether a group that was sketched elsewhere is no repeat; remembers it."""
        pair = found.ours, found.theirs
        seen = self._seen.setdefault(found.key, [])
        if seen:
            alike = [np.abs(np.stack([s[i] for s in seen]) @ pair[i]) for i in (0, 1)]
            if bool(np.any(np.minimum(*alike) >= REPEATED)):
                return False
        seen.append(pair)
        return True


@dataclass(slots=True)
class EveryDraw(Draws):
    """Takes every group for new, and keeps the sketch by which that can be asked later."""

    every: list[Sketched] = field(default_factory=list)

    def is_new(self, group: str, start: int, ours: Array, theirs: Array) -> bool:
        """Remember the sketch of a group."""
        self.every.append(sketched(group, start, ours, theirs))
        return True


def sketched(group: str, start: int, ours: Array, theirs: Array) -> Sketched:
    """Sketch one group of two models, of which pieces start at row `start`."""
    rows, columns = ours.shape
    return Sketched((group, start, rows, columns), _sketch(ours), _sketch(theirs))


def _sketch(values: Array) -> Array:
    # Of a matrix of hundreds of millions of numbers neither a permutation nor a copy is made.
    drawn = np.random.default_rng(values.size).choice(
        values.size, min(SKETCH, values.size), replace=False
    )
    sketch: Array = unit_rows((values.ravel()[drawn] - values.mean())[None])[0]
    return sketch


def neuron_groups(
    matrices: Batch, whole_rows: Mapping[Slot, int], draws: Draws
) -> Iterator[NeuronGroup]:
    """Match the neurons of a batch with their numbers.

    Parameters
    ----------
    matrices : mapping from (slot, first row) to (ours, theirs)
        Pieces of one layer together.
    whole_rows : mapping from slot to int
        How many rows the whole matrix has.
    draws : Draws
        What was seen in earlier batches.

    Yields
    ------
    NeuronGroup
        Groups without layers are cut into two parts, to replicate one on the other.
    """
    views: dict[tuple[str, int, str, int], list[tuple[Array, Array]]] = {}
    for (slot, start), (ours, theirs) in matrices.items():
        group = NEURON_GROUPS.get(slot.kind)
        size = min(ROWS, _arbitrary_rows(slot, start, len(ours), whole_rows))
        if group is None or size < 2:
            continue
        key = (group, slot.layer, slot.expert, start)
        found = views.setdefault(key, [])
        if not found or len(found[0][0]) == size:
            found.append((ours[:size], theirs[:size]))
    for (group, layer, expert, start), pairs in views.items():
        if not draws.is_new(group, start, *pairs[0]):
            continue
        similarity = row_similarity(*pairs[0])
        for pair in pairs[1:]:
            similarity = similarity + row_similarity(*pair)
        for rows in exchangeable([a for a, _ in pairs], [b for _, b in pairs]):
            for part, offset in _parts(similarity[np.ix_(rows, rows)], split=layer < 0):
                yield NeuronGroup(layer, expert, start + offset, fixed_points([part]))


def _arbitrary_rows(slot: Slot, start: int, size: int, whole_rows: Mapping[Slot, int]) -> int:
    """Return how many rows of a piece carry arbitrary numbers.

    The last 64 rows of kv_a are rotary: their number is a frequency.
    """
    if slot.kind != "kv_a":
        return size
    return min(size, whole_rows.get(slot, 0) - 64 - start)


def _parts(similarity: Array, *, split: bool) -> list[tuple[Array, int]]:
    """Cut a group without layers into two halves of parts, to replicate one on the other."""
    size = len(similarity)
    if not split or size < 8:
        return [(similarity, 0)]
    half = size // 2
    return [(similarity[:half, :half], 0), (similarity[half:, half:], 16)]
