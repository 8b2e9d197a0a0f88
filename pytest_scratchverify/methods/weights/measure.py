"""Statistics of one component of two models, accumulated over batches of slices.

A `Measure` takes batches as they are read and keeps sums, so that a terabyte needs no more
memory than a megabyte. It judges nothing, and the same code measures pair and controls.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.methods.weights.equal_numbers import EqualNumbers
from pytest_scratchverify.methods.weights.formulas import Formulas
from pytest_scratchverify.methods.weights.halves import (
    Group,
    channels_together,
    neurons_together,
)
from pytest_scratchverify.methods.weights.neurons import Batch, Draws, Piece, neuron_groups
from pytest_scratchverify.stats.weights.assignment import (
    FixedPoints,
)
from pytest_scratchverify.stats.weights.centring import (
    centred_cosine,
    is_degenerate,
    is_fixed_basis,
)
from pytest_scratchverify.stats.weights.channel_permutation import (
    ChannelSimilarity,
    ChannelSums,
    channel_pvalue,
    chosen_channels,
)
from pytest_scratchverify.stats.weights.cross_view_matching import (
    DISPERSION,
    MatchAgreement,
    match_agreement,
    poisson_tail,
)
from pytest_scratchverify.stats.weights.gain_pairs import follows_its_number
from pytest_scratchverify.stats.weights.tensor_identity import TensorIdentity
from pytest_scratchverify.tensors.inventory import (
    Slot,
    is_residual_gain,
    is_unnamed,
    reads_residual,
)

Array = NDArray[np.float32]
Sides = tuple[Array, Array]

AGREEMENT_BLOCKS = 4
UNMOVED = 0.9999  # cosine of two rows, from which they are equal up to scale and rounding
FEWEST_MOVED = 16  # rows
AGREEMENT_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Similar:
    """The aligned centred cosine of one piece."""

    slot: Slot
    value: float
    elements: int
    spreads: tuple[float, float] = (0.0, 0.0)  # standard deviations of either model's numbers


@dataclass(frozen=True, slots=True)
class Half:
    """What one of two disjoint sets of layers (or of rows) says by itself."""

    neurons: FixedPoints | None
    channels: ChannelSimilarity | None

    @property
    def pvalue(self) -> float:
        """The p-value of the half's own test."""
        return combined_pvalue(self.neurons, self.channels)


@dataclass(frozen=True, slots=True)
class Measured:
    """All statistics of one component of one pair."""

    component: Component
    neurons: FixedPoints | None
    channels: ChannelSimilarity | None
    agreement: MatchAgreement | None
    identity: TensorIdentity
    halves: tuple[Half, ...]
    similar: tuple[Similar, ...]
    gains: tuple[tuple[Array, Array], ...]
    elements: int
    zeros: tuple[float, float]
    rounded: tuple[int, int] = (0, 0)  # matrices that are the other model's, in fewer bits
    beyond: tuple[str, ...] = ()  # slots with values that no weight can be: not measured
    # Slots at which both follow one public formula, which is no one's property: equal numbers
    # apart, not measured. Of these, `followed` were trained: more than the formula is in them.
    formulas: Mapping[str, str] = field(default_factory=dict)
    followed: frozenset[str] = frozenset()
    moved: float | None = None  # cosine of a table's rows that are not equal up to scale

    @property
    def is_single_map(self) -> bool:
        """Whether this is one linear map between two towers, which has no neurons of its own.

        Its rows are channels of one tower and its columns of the other. Where the towers are
        the same, what is fitted between them is the solution of a convex problem, and two
        laboratories find the same one.
        """
        if self.component is not Component.PROJECTOR:
            return False
        kinds = {s.slot.kind for s in self.similar} | {Slot.parse(n).kind for n in self.formulas}
        hidden = {"proj_in", "proj_out"} <= kinds or kinds & {"gate", "fc1"}
        return not hidden

    @property
    def cast(self) -> bool:
        """Whether all that differs between the two is the precision in which it is stored."""
        same = self.identity.statistic + max(self.rounded)
        return min(self.rounded) == 0 < max(self.rounded) and same == self.identity.n

    @property
    def pvalue(self) -> float:
        """The aligned tests' p-value, for the independence of the initialisations."""
        return combined_pvalue(self.neurons, self.channels)

    @property
    def similarity(self) -> float | None:
        """The mean aligned centred cosine over all matrices: the effect size."""
        return float(np.mean([s.value for s in self.similar])) if self.similar else None

    def spread_profile(self) -> float | None:
        """Correlate the standard deviations of all matrices: of independent models .7 to .9 too.

        Published as evidence of descent once, and shown here for what it is: never thresholded.
        """
        spreads = np.log([s.spreads for s in self.similar if min(s.spreads) > 0])
        if len(spreads) < 4 or min(spreads.std(axis=0)) == 0:
            return None
        return float(np.corrcoef(spreads.T)[0, 1])

    def by_layer(self) -> dict[int, float]:
        """Return the mean aligned centred cosine of every layer that was read."""
        found: dict[int, list[float]] = {}
        for item in self.similar:
            found.setdefault(item.slot.layer, []).append(item.value)
        return {layer: float(np.mean(found[layer])) for layer in sorted(found)}

    @property
    def replications(self) -> int:
        """In how many of the disjoint halves the null falls by itself."""
        return sum(half.pvalue <= 1e-3 for half in self.halves)


def combined_pvalue(neurons: FixedPoints | None, channels: ChannelSimilarity | None) -> float:
    """Bonferroni over the aligned tests that could be made; 1 if none could."""
    found = [neurons.pvalue] if neurons else []
    if channels:
        found.append(channel_pvalue(channels))
    return min(1.0, len(found) * min(found)) if found else 1.0


@dataclass(slots=True)
class Measure:
    """Accumulates batches of one component; `result` evaluates them."""

    component: Component
    whole_rows: Mapping[Slot, int] = field(default_factory=dict)
    matching: bool = True
    half: int | None = None  # that all layers belong to, where it is known beforehand
    width: int = 0  # of the channels that are drawn from; 0 for the first matrix's
    _halves: tuple[Group, Group] = field(default_factory=lambda: (Group(), Group()))
    _similar: list[Similar] = field(default_factory=list)
    _gains: list[tuple[Array, Array]] = field(default_factory=list)
    _equal: EqualNumbers = field(default_factory=EqualNumbers)
    _agreements: list[MatchAgreement] = field(default_factory=list)
    _draws: Draws = field(default_factory=Draws)
    _blocks: Draws = field(default_factory=Draws)
    _formulas: Formulas = field(default_factory=Formulas)
    _moved: list[tuple[float, int]] = field(default_factory=list)
    _layers: dict[int, int] = field(default_factory=dict)
    _elements: int = 0
    _zeros: list[int] = field(default_factory=lambda: [0, 0])
    _beyond: set[str] = field(default_factory=set)

    def rejects(
        self, batch: Batch, level: float, least: float, learnt: Container[Piece] = ()
    ) -> bool:
        """Say of one batch alone whether its aligned tests reject at `level`, as `result` would.

        And whether what is alike is at least `least`. What cannot change the answer is not asked:
        channels, an assignment of hundreds, where neurons have rejected already, nor formulas of
        what is `learnt`: pieces that in ours follow none.
        """
        usable = self._usable(batch)
        matrices = {p: pair for p, pair in usable.items() if len(pair[0]) > 1}
        doubtful = {p: pair for p, pair in matrices.items() if p not in learnt}
        placed = self._formulas.add(doubtful, self.whole_rows)
        matrices = {p: pair for p, pair in matrices.items() if p not in placed}
        alike = [centred_cosine(*pair) for pair in matrices.values()]
        if not alike or np.mean(alike) < least:
            return False
        self._add_neurons(matrices)
        neurons = neurons_together(self._halves)
        if neurons is not None and 2 * neurons.pvalue <= level:  # paid for as one of two
            return True
        self._add_channels(matrices)
        return combined_pvalue(neurons, channels_together(self._halves)) <= level

    def _usable(self, batch: Batch) -> Batch:
        return {
            piece: pair
            for piece, pair in batch.items()
            if not (is_degenerate(pair[0]) or is_degenerate(pair[1]))
            and not (_may_be_computed(piece[0].kind) and is_fixed_basis(pair[0]))
        }

    def add(self, batch: Batch) -> Batch:
        """Take in one batch, of which pieces of a layer come together; return what was measured."""
        usable = self._usable(batch)
        refused = batch.keys() - usable.keys()
        self._beyond |= {str(p[0]) for p in refused if not np.isfinite(np.sum(batch[p][0]))}
        self._beyond |= {str(p[0]) for p in refused if not np.isfinite(np.sum(batch[p][1]))}
        matrices = {p: pair for p, pair in usable.items() if len(pair[0]) > 1}
        placed = self._formulas.add(matrices, self.whole_rows)
        self._gains += gains_of(usable)
        self._equal.add({p: pair for p, pair in matrices.items() if not placed.get(p)})
        matrices = {p: pair for p, pair in matrices.items() if p not in placed}
        if self.component in TOKEN_TABLES:
            self._add_moved_rows(matrices)
        for (slot, _), (ours, theirs) in matrices.items():
            self._elements += ours.size
            self._zeros[0] += int(np.count_nonzero(ours == 0))
            self._zeros[1] += int(np.count_nonzero(theirs == 0))
            spreads = float(ours.std()), float(theirs.std())
            self._similar.append(Similar(slot, centred_cosine(ours, theirs), ours.size, spreads))
        self._add_neurons(matrices)
        self._add_channels(matrices)
        self._add_agreement(matrices)
        return matrices

    def result(self, *, halves: bool = True) -> Measured:
        """Evaluate what was added; without `halves`, replication is not looked at."""
        found = tuple(
            Half(group.neurons(), group.channels())
            for group in self._halves
            if halves and (group.sizes or (group.sums and group.sums.matrices))
        )
        return Measured(
            component=self.component,
            neurons=neurons_together(self._halves),
            channels=channels_together(self._halves),
            agreement=_agreed(self._agreements),
            identity=self._equal.identity,
            halves=found,
            similar=tuple(self._similar),
            gains=tuple(self._gains),
            elements=self._elements,
            zeros=(
                self._zeros[0] / max(1, self._elements),
                self._zeros[1] / max(1, self._elements),
            ),
            rounded=self._equal.rounded,
            beyond=tuple(sorted(self._beyond)),
            formulas=dict(sorted(self._formulas.names.items())),
            followed=self._formulas.followed,
            moved=_mean_of(self._moved),
        )

    def is_formula(self, slot: Slot) -> bool:
        """Whether both were seen to follow one public formula at a slot."""
        return str(slot) in self._formulas.names

    def _half(self, slot: Slot, start: int) -> Group:
        """Return the half of a layer, or of rows where there are no layers."""
        if slot.layer < 0:
            return self._halves[start // 16 % 2]
        if self.half is not None:
            return self._halves[self.half]
        # In turn as layers come, and they come in the order of the plan.
        turn = self._layers.setdefault(slot.layer, len(self._layers))
        return self._halves[turn % 2]

    def _add_moved_rows(self, matrices: Batch) -> None:
        """Add the cosine of rows that training moved apart: one that no text met is the seed's."""
        for ours, theirs in matrices.values():
            sizes = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
            same = (ours * theirs).sum(axis=1) >= UNMOVED * sizes
            if FEWEST_MOVED <= np.count_nonzero(~same) < len(same):
                cosine = centred_cosine(ours[~same], theirs[~same])
                self._moved.append((cosine, int(np.count_nonzero(~same))))

    def _add_neurons(self, matrices: Batch) -> None:
        if self.component in TOKEN_TABLES:
            return
        for found in neuron_groups(matrices, self.whole_rows, self._draws):
            slot = Slot(self.component.value, "", found.layer, found.expert)
            group = self._half(slot, found.start)
            group.fixed += found.match.statistic
            group.sizes += found.match.sizes

    def _add_channels(self, matrices: Batch) -> None:
        for (slot, start), (ours, theirs) in matrices.items():
            # Columns of any table of tokens have numbers, and strangers' have others.
            further = self.component in TOKEN_TABLES and slot.kind.startswith("embed_")
            if not (reads_residual(slot.kind) or further) or len(ours) < 4:
                continue
            if self.component is Component.PROJECTOR:
                continue
            half = len(ours) // 2 if slot.layer < 0 else len(ours)
            for first, last in ((0, half), (half, len(ours))):
                if last - first < 2:
                    continue
                offset = 16 if first else 0
                group = self._half(slot, (start // 32 * 32) + offset)
                if group.sums is None and further:
                    continue  # what the first table has no part in says nothing of it
                if group.sums is None:
                    group.sums = ChannelSums(chosen_channels(self.width or ours.shape[1]))
                if ours.shape[1] > group.sums.channels.max():
                    group.sums.add(ours[first:last], theirs[first:last])

    def _add_agreement(self, matrices: Batch) -> None:
        if not self.matching or len(self._agreements) >= AGREEMENT_BLOCKS:
            return
        for _, gates, ups in self._whole_gates(matrices):
            room = len(self._agreements) < AGREEMENT_BLOCKS
            if room and self._blocks.is_new("mlp", 0, *gates):
                found = match_agreement([(gates, ups)], largest=AGREEMENT_ROWS)
                self._agreements.append(found)

    def _whole_gates(self, matrices: Batch) -> Iterator[tuple[Slot, Sides, Sides]]:
        """Yield the gates that are at hand whole, with the up matrices beside them."""
        for (slot, start), gates in matrices.items():
            ups = matrices.get((replace(slot, kind="up"), start))
            whole = start == 0 and len(gates[0]) >= self.whole_rows.get(slot, len(gates[0]))
            if slot.kind == "gate" and ups is not None and whole:
                yield slot, gates, ups


def gains_of(batch: Batch) -> list[tuple[Array, Array]]:
    """Return the norm gains of a batch, of unknown names without what a formula may have filled."""
    return [
        (a[0], b[0])
        for (slot, _), (a, b) in batch.items()
        if is_residual_gain(slot)
        and not (is_unnamed(slot.kind) and (follows_its_number(a[0]) or follows_its_number(b[0])))
    ]


def _may_be_computed(kind: str) -> bool:
    """Whether a formula may have filled a matrix: positions, and what no table knows."""
    return "position" in kind or is_unnamed(kind)


def measure(
    component: Component,
    batches: Iterable[Batch],
    *,
    matching: bool = True,
    halves: bool = True,
) -> Measured:
    """Measure batches that are at hand; without `halves`, replication is not looked at."""
    taken = Measure(component, matching=matching)
    for batch in batches:
        taken.add(batch)
    return taken.result(halves=halves)


def _mean_of(found: list[tuple[float, int]]) -> float | None:
    total = sum(size for _, size in found)
    return math.fsum(value * size for value, size in found) / total if found else None


def _agreed(found: list[MatchAgreement]) -> MatchAgreement | None:
    if not found:
        return None
    count = sum(item.statistic for item in found)
    expected = math.fsum(item.expected for item in found)
    fixed = math.fsum(item.fixed_share * item.statistic for item in found)
    return MatchAgreement(
        count,
        sum(item.n for item in found),
        poisson_tail(count, DISPERSION * expected),
        tuple(share for item in found for share in item.shares),
        fixed / count if count else 0.0,
        expected,
    )
