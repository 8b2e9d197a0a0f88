"""Full depth, cut into tensor groups: each is measured by itself, wherever that is, and joined.

A group is some of the blocks of one layer, or of the tables that belong to none. What measuring it
needs is in it: the places of the rows in either model's files, which half its layer counts to,
the width that channels are drawn from. What depends on other groups is decided where they are
joined, in their order: draws that come again, the blocks whose neurons are matched, the sample.
Sums over channels are exact (`ChannelSums`), so that many machines say what one process says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.group_measured import (
    Candidate,
    DrawnNeurons,
    GroupMeasured,
    Sums,
)
from pytest_scratchverify.methods.weights.measure import (
    AGREEMENT_BLOCKS,
    AGREEMENT_ROWS,
    Measure,
    Measured,
)
from pytest_scratchverify.methods.weights.neurons import (
    Batch,
    EveryDraw,
    Piece,
    neuron_groups,
    sketched,
)
from pytest_scratchverify.methods.weights.roles_in_place import RoleSums
from pytest_scratchverify.stats.weights.cross_view_matching import match_agreement
from pytest_scratchverify.tensors.inventory import Matrix, Slot, reads_residual
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import CheckpointPair, pieces_together

Array = NDArray[np.float32]

GROUP_BYTES = 256 * 2**20  # of either model, about: some seconds of reading and measuring
SAMPLE_ELEMENTS = 2**20  # of the suspect's own slices, kept for controls and power


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorGroup:
    """Blocks of one component that are read and measured together.

    Attributes
    ----------
    ours, theirs
        The same rows of either model, block by block.
    whole_rows
        How many rows the whole matrices have.
    half
        Which half the group's layer counts to; None for tables without layers.
    width
        Of the channels that are drawn from, the same in all groups of a component.
    """

    component: Component
    ours: tuple[Block, ...]
    theirs: tuple[Block, ...]
    whole_rows: Mapping[Slot, int]
    half: int | None = None
    width: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes that the group costs, of both models."""
        return sum(block.nbytes for block in (*self.ours, *self.theirs))

    def matrices(self) -> tuple[dict[Slot, Matrix], dict[Slot, Matrix]]:
        """Return the places of the group in either model."""
        ours, theirs = ({b.matrix.slot: b.matrix for b in s} for s in (self.ours, self.theirs))
        return ours, theirs


@dataclass(slots=True)
class _GroupMeasure(Measure):
    """Measures one group, and leaves to the joining what other groups have a say in."""

    drawn: list[DrawnNeurons] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    def left(self, roles: RoleSums, pieces: list[tuple[Piece, int, int]]) -> GroupMeasured:
        """Return what measuring left."""
        return GroupMeasured(
            similar=self._similar,
            gains=self._gains,
            equal=self._equal,
            formulas=self._formulas,
            moved=self._moved,
            elements=self._elements,
            zeros=self._zeros,
            beyond=self._beyond,
            drawn=self.drawn,
            candidates=self.candidates,
            pieces=pieces,
            sums=Sums([group.sums for group in self._halves], roles),
        )

    def _add_neurons(self, matrices: Batch) -> None:
        if self.component in TOKEN_TABLES:
            return
        draws = EveryDraw()
        counted: dict[int, list[tuple[int, int, tuple[int, ...]]]] = {}
        for found in neuron_groups(matrices, self.whole_rows, draws):
            slot = Slot(self.component.value, "", found.layer, found.expert)
            half = int(self._half(slot, found.start) is self._halves[1])
            of_draw = counted.setdefault(len(draws.every) - 1, [])
            of_draw.append((half, found.match.statistic, found.match.sizes))
        self.drawn += [DrawnNeurons(d, counted.get(n, [])) for n, d in enumerate(draws.every)]

    def _add_agreement(self, matrices: Batch) -> None:
        for slot, gates, _ in self._whole_gates(matrices):
            self.candidates.append(Candidate(slot, len(gates[0]), sketched("mlp", 0, *gates)))


@dataclass(slots=True)
class _JoinedMeasure(Measure):
    """Joins what was left of all groups, in their order."""

    def join(self, part: GroupMeasured, checkpoints: CheckpointPair) -> None:
        """Take in one group, the next in order."""
        self._similar += part.similar
        self._gains += part.gains
        self._equal.join(part.equal)
        self._formulas.join(part.formulas)
        self._moved += part.moved
        self._elements += part.elements
        self._zeros = [a + b for a, b in zip(self._zeros, part.zeros, strict=True)]
        self._beyond |= part.beyond
        for neurons in part.drawn:
            if self._draws.is_new_sketch(neurons.draw):
                for half, fixed, sizes in neurons.counted:
                    self._halves[half].fixed += fixed
                    self._halves[half].sizes += sizes
        for candidate in part.candidates:
            room = len(self._agreements) < AGREEMENT_BLOCKS
            if room and self._blocks.is_new_sketch(candidate.draw):
                gates, ups = _gate_and_up(checkpoints, candidate)
                found = match_agreement([(gates, ups)], largest=AGREEMENT_ROWS)
                self._agreements.append(found)

    def take_sums(self, sums: Sums) -> None:
        """Take the sums over channels of all groups together."""
        for half, found in zip(self._halves, sums.halves, strict=True):
            half.sums = found


class GroupRunner:
    """Measures groups and yields what is left of each, in order: here, one after the other."""

    def measured(
        self, checkpoints: CheckpointPair, groups: Sequence[TensorGroup]
    ) -> Iterator[GroupMeasured]:
        """Measure groups of two checkpoints that lie side by side.

        Raises `Unavailable` where rows cannot be read.
        """
        for group in groups:
            yield measured_group(checkpoints, group)


# Who measures groups in the run that goes on in this process: it changes where, and nothing else.
_runner: list[GroupRunner] = []


def use_runner(runner: GroupRunner | None) -> None:
    """Let groups be measured by `runner` from now on; None for this process."""
    _runner[:] = [] if runner is None else [runner]


class GroupsLost(Unavailable):
    """Groups that will not be measured any more, because whoever measured them is gone.

    `found` is what the groups say that were: a part of the evidence, and no verdict.
    """

    def __init__(self, what: Text, remedy: Text) -> None:
        super().__init__(Reason.UNREACHABLE, what, remedy)
        self.found: dict[str, Json] = {}


Everything: TypeAlias = tuple[Measured, Batch, RoleSums]


def measure_everything(pair: ComponentPair, blocks: Sequence[Block]) -> Everything:
    """Measure all blocks of a component group by group; a sample of them is read again.

    Returns
    -------
    The statistics, at most `SAMPLE_ELEMENTS` numbers of either model, and the sums by role.

    Raises `Unavailable` where rows cannot be read, and `GroupsLost` with what was found until then.
    """
    rows = {slot: matrix.rows for slot, matrix in pair.matrices.items()}
    joined, checkpoints = _JoinedMeasure(pair.component, rows), pair.checkpoints
    sums = Sums([None, None], RoleSums())
    sample: list[tuple[Piece, int]] = []
    room, done = SAMPLE_ELEMENTS, 0
    groups = tensor_groups(pair, blocks)
    runner = _runner[0] if _runner else GroupRunner()
    try:
        for part in runner.measured(checkpoints, groups):
            _take_over(checkpoints, part)
            joined.join(part, checkpoints)
            if part.sums is not None:
                sums.join(part.sums)
            for piece, height, size in part.pieces:
                if size <= room and not joined.is_formula(piece[0]):
                    sample.append((piece, height))
                    room -= size
            done += 1
    except GroupsLost as lost:
        lost.found = _found_until(joined.result(halves=False), done, len(groups))
        raise
    joined.take_sums(sums)
    return joined.result(), _read_again(checkpoints, sample), sums.roles


def _found_until(measured: Measured, done: int, planned: int) -> dict[str, Json]:
    """Return what the groups that were measured say, for the details of an open finding."""
    identity = measured.identity
    return {
        "groups": {"measured": done, "planned": planned},
        "equal_matrices": {"equal": identity.statistic, "compared": identity.n},
        "aligned_cosine": measured.similarity,
        "elements": measured.elements,
    }


def tensor_groups(pair: ComponentPair, blocks: Sequence[Block]) -> list[TensorGroup]:
    """Cut the blocks of a component into groups, layer by layer as the plan has them.

    Tables of tokens are cut only where there is one: the columns of a second one count if the
    first has any part in the sums.
    """
    partner = pair.checkpoints.theirs.inventory.matrices
    reading = [b.matrix for b in blocks if b.matrix.rows > 1]
    width = next((m.cols for m in reading if reads_residual(m.slot.kind)), 0)
    layers = dict.fromkeys(matrix.slot.layer for matrix in reading if matrix.slot.layer >= 0)
    turns = {layer: turn for turn, layer in enumerate(layers)}
    whole = pair.is_token_table and len({block.matrix.slot for block in blocks}) > 1
    found = []
    for layer, group in _cut(blocks, None if whole else GROUP_BYTES):
        found.append(
            TensorGroup(
                component=pair.component,
                ours=tuple(group),
                theirs=tuple(replace(b, matrix=partner[b.matrix.slot]) for b in group),
                whole_rows={b.matrix.slot: b.matrix.rows for b in group},
                half=turns.get(layer, 0) % 2 if layer >= 0 else None,
                width=width,
            )
        )
    return found


def _cut(blocks: Sequence[Block], limit: int | None) -> Iterator[tuple[int, list[Block]]]:
    """Yield pieces of one layer, of `limit` bytes at most where one piece is no more."""
    layers: dict[int, list[list[Block]]] = {}
    for together in pieces_together(blocks):
        layers.setdefault(together[0].matrix.slot.layer, []).append(together)
    for layer, units in layers.items():
        group: list[Block] = []
        size = 0
        for unit in units:
            cost = sum(block.nbytes for block in unit)
            if group and limit is not None and size + cost > limit:
                yield layer, group
                group, size = [], 0
            group = [*group, *unit]
            size += cost
        yield layer, group


def measured_group(checkpoints: CheckpointPair, group: TensorGroup) -> GroupMeasured:
    """Read and measure one group; raises `Unavailable` where its rows cannot be read."""
    taken = _GroupMeasure(
        group.component, whole_rows=group.whole_rows, half=group.half, width=group.width
    )
    roles = RoleSums()
    pieces: list[tuple[Piece, int, int]] = []
    for batch in checkpoints.batches(group.ours):
        matrices = taken.add(batch)
        if group.component not in TOKEN_TABLES:  # which are one role
            roles.add(matrices)
        pieces += _small(batch)
        del batch, matrices  # before the next one is read: either is hundreds of megabytes
    return taken.left(roles, pieces)


def _small(batch: Batch) -> Iterator[tuple[Piece, int, int]]:
    for piece, pair in batch.items():
        size = pair[0].size
        if size <= SAMPLE_ELEMENTS and all(np.isfinite(side).all() for side in pair):
            yield piece, len(pair[0]), size


def _take_over(checkpoints: CheckpointPair, part: GroupMeasured) -> None:
    """Account for what was read elsewhere, as if it had been read here."""
    checkpoints.files |= part.files
    if part.logs is not None and part.broken is not None:
        sides = (checkpoints.ours, checkpoints.theirs)
        for side, log, read, bad in zip(
            sides, checkpoints.logs, part.logs, part.broken, strict=True
        ):
            log.join(read, side.store.repo)
            side.broken.join(bad)


def _read_again(checkpoints: CheckpointPair, sample: Iterable[tuple[Piece, int]]) -> Batch:
    own = checkpoints.ours.inventory.matrices
    blocks = [Block(own[slot], start, start + rows) for (slot, start), rows in sample]
    found = {piece: pair for batch in checkpoints.batches(blocks) for piece, pair in batch.items()}
    return {(b.matrix.slot, b.start): found[b.matrix.slot, b.start] for b in blocks}


def _gate_and_up(
    checkpoints: CheckpointPair, candidate: Candidate
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Read the whole gate and up matrices of one block of both models."""
    sides = [candidate.slot, replace(candidate.slot, kind="up")]
    read = _read_again(checkpoints, [((slot, 0), candidate.rows) for slot in sides])
    return read[sides[0], 0], read[sides[1], 0]
