"""How a larger model was made of a smaller one: layers repeated, experts doubled, copies turned.

Asked of what is accused already, for its words: nothing here accuses or clears. Layers are matched
many to one by rows of one kind of matrix, with an exact null each; experts by the rows of the
router and by their own matrices, as they lie and through rotations (`stats.weights.turned_copies`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.layers import first_rows
from pytest_scratchverify.stats.weights.assignment import fixed_points, row_similarity
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.turned_copies import (
    VIEWS,
    agreement_pvalue,
    view_similarity,
)
from pytest_scratchverify.tensors.inventory import Matrix, Slot
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import (
    Checkpoint,
    CheckpointPair,
    ReadLog,
    open_checkpoint,
)

Array = NDArray[np.float32]
DECODER, EXPERTS = Component.TEXT_DECODER.value, Component.ROUTER_EXPERTS.value
BY_ROWS = ("gate", "fc1", "v", "kv_a", "q_a", "q")  # whose rows have numbers that mean nothing
PARTS = ("gate", "up", "down")
ROWS = 64
FEWEST_ROWS = 12  # whose numbers all agree by chance in 2e-9 of cases
ALIKE = 0.3  # cosine of rows or of a view; those of strangers stay far below
SIGNIFICANT = 1e-4  # of layers, each beside all others, and of experts together
MOSTLY = 0.5  # share of the experts from which what was done to them is said of all
TURNED = MOSTLY / 2  # of all experts, where the first copies lie as they were
MOST_LAYERS, MOST_EXPERTS = 4, 16  # that are looked into
SHOWN = 32  # experts that a finding's details list
MOST_BYTES = 6 * 2**20  # of either model, where a budget is set


@dataclass(frozen=True, slots=True)
class Growth:
    """What the layers and experts of one model were made of.

    Attributes
    ----------
    layers
        For each of our layers that was recognised, the reference's layer.
    experts
        For every expert that was looked into, by layer and number: the reference's, and how its
        matrices were recognised: kinds to views of `turned_copies`, none for one that is not known.
    depth
        How many layers ours has.
    counts
        How many experts a layer of either has.
    """

    layers: Mapping[int, int] = field(default_factory=dict)
    experts: Mapping[tuple[int, str], tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    depth: int = 0
    counts: tuple[int, int] = (0, 0)

    @property
    def repeated(self) -> bool:
        """Whether some layer of the reference is there twice."""
        return len(set(self.layers.values())) < len(self.layers)

    @property
    def doubled(self) -> bool:
        """Whether every expert of the reference is there twice, as far as was looked."""
        if self.counts[0] != 2 * self.counts[1]:
            return False
        copies: dict[tuple[int, str], int] = {}
        for (layer, _), (origin, views) in self.experts.items():
            if views:
                copies[layer, origin] = copies.get((layer, origin), 0) + 1
        return bool(copies) and float(np.mean([n >= 2 for n in copies.values()])) > MOSTLY

    @property
    def turned(self) -> bool:
        """Whether the second copies were turned by a rotation, as far as was looked."""
        copies = [views for _, views in self.experts.values() if views]
        turned = [any(view != "as stored" for view in views.values()) for views in copies]
        return self.doubled and float(np.mean(turned)) >= TURNED

    @property
    def share_of_layers(self) -> float:
        """The share of our layers that were recognised."""
        return len(self.layers) / self.depth if self.depth else 0.0

    @property
    def share_of_experts(self) -> float:
        """The share of the experts' matrices that were recognised, in all layers alike."""
        found = [len(views) / len(PARTS) for _, views in self.experts.values()]
        return self.share_of_layers * float(np.mean(found)) if found else 0.0

    @property
    def table(self) -> dict[str, Json]:
        """What a report shows beside the finding."""
        return {
            "layers": {str(layer): origin for layer, origin in self.layers.items()},
            "experts": {
                f"{layer}.{name}": [origin, *(f"{part}: {view}" for part, view in views.items())]
                for (layer, name), (origin, views) in [*self.experts.items()][:SHOWN]
            },
        }

    def kinds(self, component: Component) -> tuple[Kind, ...]:
        """Name what was done to a component."""
        found = [Kind.REPEATED_LAYERS] if self.repeated else []
        if component is Component.ROUTER_EXPERTS and self.doubled:
            found += [Kind.DOUBLED_EXPERTS, *([Kind.TURNED_COPIES] if self.turned else [])]
        return tuple(found)


def grown_kinds(
    kinds: Sequence[Kind], growth: Growth | None, component: Component
) -> tuple[Kind, ...]:
    """Say what was done where what changed in shape was all that could be said."""
    named = growth.kinds(component) if growth is not None else ()
    if not named:
        return tuple(kinds)
    said = {Kind.LAYERS} if Kind.REPEATED_LAYERS in named else set()
    if Kind.DOUBLED_EXPERTS in named:
        said.add(Kind.MORE_EXPERTS)
    if growth is not None and growth.share_of_layers > MOSTLY:
        said.add(Kind.PARTIAL)  # of the layers in place, which are not all
    return tuple(dict.fromkeys((*named, *(kind for kind in kinds if kind not in said))))


def grown(checkpoints: CheckpointPair, *, limited: bool) -> Growth | None:
    """Recognise layers and experts of a larger model in a smaller one; None where nothing is.

    By the names of the tensors: a comparison may have given them other places. What cannot be
    read costs words, and no finding.
    """
    try:
        sides = open_checkpoint(checkpoints.ours.store), open_checkpoint(checkpoints.theirs.store)
        sides = sides[0].with_heads(sides[1].attention), sides[1].with_heads(sides[0].attention)
        reader = _Reader(sides, checkpoints.logs, MOST_BYTES if limited else None)
        matrices = sides[0].inventory.matrices, sides[1].inventory.matrices
        layers = _layers(reader, matrices)
        experts = _experts(reader, matrices, layers) if layers else {}
    except Unavailable:
        return None
    if not layers:
        return None
    counts = _count(matrices[0]), _count(matrices[1])
    return Growth(layers, experts, _depth(matrices[0]), counts)


def _depth(matrices: Mapping[Slot, Matrix]) -> int:
    return len({slot.layer for slot in matrices if slot.layer >= 0 and slot.component in _TEXT})


_TEXT = (DECODER, EXPERTS)


def _count(matrices: Mapping[Slot, Matrix]) -> int:
    found: dict[int, int] = {}
    for slot in matrices:
        if slot.component == EXPERTS and slot.kind == "gate" and slot.expert.isdigit():
            found[slot.layer] = found.get(slot.layer, 0) + 1
    return max(found.values(), default=0)


@dataclass(slots=True)
class _Reader:
    """Reads rows of either side until the bytes are spent."""

    sides: tuple[Checkpoint, Checkpoint]
    logs: tuple[ReadLog, ReadLog]
    limit: int | None
    spent: list[int] = field(default_factory=lambda: [0, 0])

    def affordable(self, side: int, matrices: Sequence[Matrix]) -> int:
        """Return how many rows of each matrix are still affordable, `ROWS` at most."""
        if self.limit is None:
            return ROWS
        row = sum(matrix.row_bytes for matrix in matrices)
        return min(ROWS, (self.limit - self.spent[side]) // max(1, row))

    def fits(self, side: int, matrices: Sequence[Matrix], most: int | None) -> bool:
        """Whether the first rows of matrices are still affordable."""
        cost = sum(block.nbytes for block in _blocks(matrices, most))
        return self.limit is None or self.spent[side] + cost <= self.limit

    def rows(self, side: int, matrices: Sequence[Matrix], most: int | None) -> list[Array] | None:
        """Return `most` rows of matrices, all for None; None where too many bytes or not held."""
        if not self.fits(side, matrices, most):
            return None
        blocks = _blocks(matrices, most)
        if not all(map(self.sides[side].holds, blocks)):
            return None
        self.spent[side] += sum(block.nbytes for block in blocks)
        found = self.sides[side].read(blocks, self.logs[side])
        return None if any(map(is_degenerate, found)) else found


def _blocks(matrices: Sequence[Matrix], most: int | None) -> list[Block]:
    return [Block(m, 0, m.rows) if most is None else first_rows(m, most) for m in matrices]


def _layers(
    reader: _Reader, matrices: tuple[Mapping[Slot, Matrix], Mapping[Slot, Matrix]]
) -> dict[int, int]:
    """Match layers many to one, by the first kind of matrix that all layers of both have."""
    for kind in BY_ROWS:
        sides = [_of_kind(side, kind) for side in matrices]
        shapes = {(m.rows, m.cols) for side in sides for m in side.values()}
        if len(shapes) != 1 or min(map(len, sides)) < 2:
            continue
        most = min(reader.affordable(number, [*side.values()]) for number, side in enumerate(sides))
        if most < min(FEWEST_ROWS, next(iter(shapes))[0]):
            continue
        ours, theirs = (reader.rows(n, [*side.values()], most) for n, side in enumerate(sides))
        if ours is None or theirs is None:
            continue
        bar = SIGNIFICANT / (len(ours) * len(theirs))
        found = {}
        for layer, rows in zip(sides[0], ours, strict=True):
            cosines = [row_similarity(rows, other) for other in theirs]
            alike = [float(np.diag(c).mean()) for c in cosines]
            best = int(np.argmax(alike))
            if alike[best] >= ALIKE and fixed_points([cosines[best]]).pvalue <= bar:
                found[layer] = [*sides[1]][best]
        return found
    return {}


def _of_kind(matrices: Mapping[Slot, Matrix], kind: str) -> dict[int, Matrix]:
    found = {
        slot.layer: matrix
        for slot, matrix in matrices.items()
        if slot.component == DECODER and slot.kind == kind and slot.layer >= 0
    }
    return dict(sorted(found.items()))


def _experts(
    reader: _Reader,
    matrices: tuple[Mapping[Slot, Matrix], Mapping[Slot, Matrix]],
    layers: Mapping[int, int],
) -> dict[tuple[int, str], tuple[str, Mapping[str, str]]]:
    """Recognise experts of a few layers in those of the layers that these were made of."""
    seen: list[_Layer] = []
    chosen = [*layers.items()]
    step = max(1, len(chosen) // MOST_LAYERS)
    for layer, origin in chosen[::step][:MOST_LAYERS]:
        found = _read_layer(reader, matrices, layer, origin)
        if found is not None:
            seen.append(found)
    recognised: dict[tuple[int, str], tuple[str, dict[str, str]]] = {}
    for part in PARTS:
        for view in VIEWS:
            _recognise(seen, part, view, recognised)
    looked: dict[tuple[int, str], tuple[str, Mapping[str, str]]] = {
        (layer.layer, name): ("", {}) for layer in seen for name in layer.names[0]
    }
    return {**looked, **recognised}


@dataclass(frozen=True, slots=True)
class _Layer:
    """The experts of a layer beside those of its origin: numbers, guesses and matrices."""

    layer: int
    names: tuple[list[str], list[str]]
    guesses: Sequence[
        int
    ]  # of each of ours, the place of the one that its router row is nearest to
    values: Mapping[str, tuple[list[Array], list[Array]]]
    whole: bool


def _read_layer(
    reader: _Reader,
    matrices: tuple[Mapping[Slot, Matrix], Mapping[Slot, Matrix]],
    layer: int,
    origin: int,
) -> _Layer | None:
    routers = [
        side.get(Slot(EXPERTS, "router", at))
        for side, at in zip(matrices, (layer, origin), strict=True)
    ]
    if routers[0] is None or routers[1] is None or routers[0].cols != routers[1].cols:
        return None
    read = reader.rows(0, [routers[0]], None), reader.rows(1, [routers[1]], None)
    if read[0] is None or read[1] is None:
        return None
    nearest = row_similarity(read[0][0], read[1][0]).argmax(axis=1)
    theirs = [str(j) for j in range(len(read[1][0]))][:: max(1, len(read[1][0]) // MOST_EXPERTS)]
    places = {name: place for place, name in enumerate(theirs)}
    ours = [str(i) for i, j in enumerate(nearest) if str(j) in places]
    guesses = [places[str(nearest[int(i)])] for i in ours]
    for whole in (True, False):
        values = _read_parts(reader, matrices, (layer, origin), (ours, theirs), whole=whole)
        if values:
            return _Layer(layer, (ours, theirs), guesses, values, whole)
    return None


def _read_parts(
    reader: _Reader,
    matrices: tuple[Mapping[Slot, Matrix], Mapping[Slot, Matrix]],
    at: tuple[int, int],
    names: tuple[list[str], list[str]],
    *,
    whole: bool,
) -> dict[str, tuple[list[Array], list[Array]]]:
    """Read all parts or none: what does not fit must not spend the bytes of what does."""
    chosen: tuple[list[Matrix], list[Matrix]] = ([], [])
    for part in PARTS:
        shapes = set()
        for number in (0, 1):
            slots = [Slot(EXPERTS, part, at[number], expert) for expert in names[number]]
            if not all(slot in matrices[number] for slot in slots):
                return {}
            of = [matrices[number][slot] for slot in slots]
            shapes |= {(m.rows, m.cols) for m in of}
            chosen[number].extend(of)
        if len(shapes) != 1:
            return {}
    most = None if whole else ROWS
    if not all(reader.fits(number, chosen[number], most) for number in (0, 1)):
        return {}
    ours, theirs = (reader.rows(number, chosen[number], most) for number in (0, 1))
    if ours is None or theirs is None:
        return {}
    one, two = (len(of) for of in names)
    return {
        part: (ours[n * one : (n + 1) * one], theirs[n * two : (n + 1) * two])
        for n, part in enumerate(PARTS)
    }


def _recognise(
    layers: Sequence[_Layer],
    part: str,
    view: str,
    recognised: dict[tuple[int, str], tuple[str, dict[str, str]]],
) -> None:
    """Note which experts are recognised by one kind of matrix in one view.

    Who the origin is, the router says; the matrices of the experts say it without it. Only where
    both say the same far more often than by chance, what agrees is noted. Those that an earlier
    view explained are left out.
    """
    agreed: list[tuple[int, str, str]] = []
    asked = candidates = 0
    for layer in layers:
        if not layer.whole and view in ("outputs turned", "both turned"):
            continue  # these views need the whole matrix
        left = [
            place
            for place, name in enumerate(layer.names[0])
            if part not in recognised.get((layer.layer, name), ("", {}))[1]
        ]
        if not left:
            continue
        ours, theirs = layer.values[part]
        cosines = view_similarity([ours[place] for place in left], theirs, view)
        candidates = max(candidates, len(theirs))
        for row, place in zip(cosines, left, strict=True):
            best = int(row.argmax())
            if row[best] < ALIKE:
                continue  # says nothing, whatever its router says
            asked += 1
            if best == layer.guesses[place]:
                agreed.append((layer.layer, layer.names[0][place], layer.names[1][best]))
    if agreement_pvalue(len(agreed), asked, candidates) > SIGNIFICANT:
        return
    for at, name, origin in agreed:
        recognised.setdefault((at, name), (origin, {}))[1][part] = view
