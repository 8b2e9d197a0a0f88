"""Recognition by residual frames: neurons and heads that no frame was fitted to, in any basis.

A frame is fitted to what the heads of some layers read. Neurons have two rows within it, gate
and up, and heads of other layers two tables, of keys and of values. Matched by one and by the
other, the neurons and heads of a copy get the same partner; two matchings of strangers agree as
two shuffled packs of cards do, on about one card whatever their number. A frame needs no whole
block, and a few hundred neurons are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.agreement_null import expected_agreements
from pytest_scratchverify.stats.weights.anchored_matching import Anchors, Views, agreement
from pytest_scratchverify.stats.weights.anchored_search import DISPERSION, Key
from pytest_scratchverify.stats.weights.centring import unit_rows
from pytest_scratchverify.stats.weights.cross_view_matching import SUSPICIOUS, poisson_tail
from pytest_scratchverify.stats.weights.framed_heads import agreed_heads, heads_pvalue
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.residual_frame import (
    Frame,
    Layer,
    Leading,
    fit_frame,
    leading,
)
from pytest_scratchverify.stats.weights.rotary_planes import fit_planes

Array = NDArray[np.float32]

DRAWN = 40  # starts of the frame of all layers
MOST_PAIRS = 12  # of layers that may be each other's under other numbers
FEWEST_NEURONS = 16
FEWEST_ANCHORS = 8  # matched neurons by which those of other blocks are matched again
# Neurons by planes and by neurons of other blocks, under their own numbers and others; heads by
# planes of either half of the layers; and in two forms each: neurons by a frame of all layers and
# by neurons of other blocks, heads by a frame of either half, neurons in these two ways by a frame
# of two layers of unlike numbers.
QUESTIONS = 18
SIGNIFICANT = 1e-9  # from which no further frame is tried


@dataclass(frozen=True, slots=True)
class Sampled:
    """Some neurons of a block: (n, width) gate and up rows out of `total`."""

    views: Views
    total: int


@dataclass(frozen=True, slots=True)
class Network:
    """What is at hand of one network: what the heads of layers read, and neurons of blocks.

    `places` are rows with a place of what the keys of further layers read.
    """

    heads: Mapping[int, Layer]
    neurons: Mapping[Key, Sampled] = field(default_factory=dict)
    places: Mapping[int, HeadReads] = field(default_factory=dict)
    # Made once: power and readings ask one network after another about the same second one.
    _spans: list[Network] = field(default_factory=list, repr=False, compare=False)
    _leading: dict[tuple[int, ...], Leading] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def keys(self) -> dict[int, HeadReads]:
        """What the keys of each layer read: the first of its readers, or the rows with a place."""
        return {**self.places, **{n: layer[0] for n, layer in self.heads.items()}}

    def as_spans(self) -> Network:
        """Return it with heads by what their rows span."""
        if not self._spans:
            spans = {n: [heads.as_spans() for heads in layer] for n, layer in self.heads.items()}
            self._spans.append(Network(spans, self.neurons))
        return self._spans[0]

    def leading(self, layers: Sequence[int]) -> Leading:
        """Return the directions that the heads of these layers use most."""
        key = tuple(layers)
        if key not in self._leading:
            self._leading[key] = leading([self.heads[layer] for layer in key])
        return self._leading[key]


@dataclass(frozen=True, slots=True)
class Held:
    """Heads or neurons of `ours` that found the same partner in `theirs` by either matching.

    `n` is how many would if all were the other's: of heads their number, of sampled neurons the
    number that two samples of one renumbered block have in common. `chance` is how many would of
    strangers, measured on the pair where it matters.
    """

    ours: Key
    theirs: Key
    agreed: int
    n: float
    pvalue: float
    chance: float
    of_heads: bool
    fixed_points: int = 0  # of those that agreed, how many keep their number
    halves: tuple[int, int] = (0, 0)  # how many of every second neuron, and of the others

    @property
    def share(self) -> float:
        """The share of those that could agree."""
        return min(1.0, self.agreed / self.n) if self.n else 0.0


@dataclass(frozen=True, slots=True)
class FramedMatch:
    """What was recognised of one network in another by a frame of their residual streams.

    `statistic` counts the neurons or heads of `held` that agree, of `n` that could; `effect` is
    the quotient. `frame` is the one that recognised most.
    """

    statistic: int
    n: float
    pvalue: float
    held: tuple[Held, ...]
    frame: Frame = field(repr=False)
    null: str = (
        "neurons: Poisson, 2.5 agreements a block; heads: shuffled cards; or what the pair itself"
        " shows under reflections of the frame where that is more"
    )

    @property
    def effect(self) -> float:
        """The share of neurons or heads that agree, of those that could."""
        return min(1.0, self.statistic / self.n) if self.n else 0.0

    @property
    def fixed_share(self) -> float:
        """The share of agreed neurons that keep their number; 1 where heads were asked."""
        agreed = sum(one.agreed for one in self.held if not one.of_heads)
        return sum(one.fixed_points for one in self.held) / agreed if agreed else 1.0

    def layers(self, pvalue: float) -> tuple[int, ...]:
        """Return the layers of A that were recognised, each once."""
        return tuple(dict.fromkeys(one.ours[0] for one in self.held if one.pvalue <= pvalue))

    def replications(self, pvalue: float) -> int:
        """Count the blocks that say the same by themselves, or the halves of one if more."""
        blocks = sum(one.pvalue <= pvalue for one in self.held)
        tests = 2 * len(self.held)
        halves = (
            sum(tests * poisson_tail(half, one.chance / 2) <= pvalue for half in one.halves)
            for one in self.held
        )
        return max(blocks, *halves)


def recognise_by_frames(
    ours: Network, theirs: Network, *, moved: bool = True
) -> FramedMatch | None:
    """Recognise the layers of B in A, whatever was done to basis, neurons, heads and tables.

    `moved` says whether layers may have other numbers. None if nothing could be asked: no heads
    on either side, nothing held out.

    Notes
    -----
    Planes of keys, which have names (`rotary_planes`), give a frame first, asked about neurons, on
    which no frame rests; then what all layers read under their own numbers does. Either is made of
    each half of the layers, too, and asked about the heads of the other half. Where nothing is
    found so, a last frame is of the two layers of unlike numbers that fit each other best, asked
    about their neurons. Heads are taken by their rows, and by what those span. p is Bonferroni
    over all of these, and over the blocks that were asked.

    The null: given the frame, the two matchings of neurons (of held-out heads) are independent of
    each other. Gate and up rows of one neuron resemble each other, and so may the keys and values
    of heads of one kind that both networks have: how many agree for that is measured on the pair,
    with the signs of the frame's directions drawn anew, which keeps all lengths and takes away
    which direction of A is which of B. What it rejects is that the two were trained apart; twins
    of one seed do not agree (`benchmarks.framed_kin`).
    """
    found: list[FramedMatch] = []
    for match in _all_asked(ours, theirs, moved=moved):
        found.append(match)
        if QUESTIONS * match.pvalue <= SIGNIFICANT:
            break
    if not found:
        return None
    best = min(found, key=lambda match: (match.pvalue, -match.effect))
    return replace(best, pvalue=min(1.0, QUESTIONS * best.pvalue))


def _all_asked(ours: Network, theirs: Network, *, moved: bool) -> Iterable[FramedMatch]:
    """Ask by frame after frame, the cheapest and sharpest first."""
    yield from _by_planes(ours, theirs, moved=moved)
    sides = (ours, theirs), (ours.as_spans(), theirs.as_spans())
    for frames, side in product((_in_order, _moved) if moved else (_in_order,), sides):
        yield from frames(*side)


def _by_planes(ours: Network, theirs: Network, *, moved: bool) -> Iterable[FramedMatch]:
    """Ask by planes of keys, for layers under their own numbers and under those that fit."""
    fit = fit_planes(ours.keys, theirs.keys, moved=moved)
    if fit is None:
        return
    same = [(key, key) for key in sorted(ours.neurons.keys() & theirs.neurons.keys())]
    of_layers = product(sorted(ours.neurons), sorted(theirs.neurons))
    other = [(a, b) for a, b in of_layers if fit.layers.get(a[0], a[0]) == b[0] and a[1] == b[1]]
    for blocks in (same, *([other] if other != same else [])):
        yield from _asked_neurons(ours, theirs, fit.frame, blocks)
    # Where every block was trained anew, or experts have other numbers, heads are left.
    for fitted, held in _folds(ours, theirs):
        keys = [{n: side.heads[n][0] for n in fitted} for side in (ours, theirs)]
        fit = fit_planes(keys[0], keys[1], moved=False)
        if fit is not None:
            yield from _asked_heads(ours, theirs, fit.frame, held)


def _in_order(ours: Network, theirs: Network) -> Iterable[FramedMatch]:
    """Ask by frames of layers under their own numbers."""
    common = sorted(ours.heads.keys() & theirs.heads.keys())
    if not common:
        return
    frame = _frame(ours, theirs, [(layer, layer) for layer in common], DRAWN)
    blocks = sorted(ours.neurons.keys() & theirs.neurons.keys())
    yield from _asked_neurons(ours, theirs, frame, [(key, key) for key in blocks])
    for fitted, held in _folds(ours, theirs):
        frame = _frame(ours, theirs, [(layer, layer) for layer in fitted])
        yield from _asked_heads(ours, theirs, frame, held)


def _folds(ours: Network, theirs: Network) -> list[tuple[list[int], list[int]]]:
    """Deal the layers of both networks into two folds: those fitted, those whose heads are held."""
    common = sorted(ours.heads.keys() & theirs.heads.keys())
    one, two = common[::2], common[1::2]
    return [(one, two), (two, one)] if two else []


def _asked_heads(
    ours: Network, theirs: Network, frame: Frame, layers: Sequence[int]
) -> Iterable[FramedMatch]:
    """Match the heads of layers that the frame was not fitted to."""
    heads = [_heads(ours.heads[n], theirs.heads[n], frame, n) for n in layers]
    asked = [one for one in heads if one is not None]
    if asked:
        yield _together(asked, frame)


def _moved(ours: Network, theirs: Network) -> Iterable[FramedMatch]:
    """Ask by the two layers of unlike numbers that fit each other best."""
    pairs = [(a, b) for a, b in product(sorted(ours.heads), sorted(theirs.heads)) if a != b]
    if not pairs or len(pairs) > MOST_PAIRS:
        return
    frames = [(_frame(ours, theirs, [pair]), pair) for pair in pairs]
    frame, (a, b) = max(frames, key=lambda item: item[0].score)
    of_layers = product(
        (key for key in sorted(ours.neurons) if key[0] == a),
        (key for key in sorted(theirs.neurons) if key[0] == b),
    )
    yield from _asked_neurons(ours, theirs, frame, list(of_layers))


def _frame(
    ours: Network, theirs: Network, pairs: Sequence[tuple[int, int]], drawn: int = 0
) -> Frame:
    left, right = ours.leading([a for a, _ in pairs]), theirs.leading([b for _, b in pairs])
    return fit_frame(left, right, drawn=drawn)


def _asked_neurons(
    ours: Network, theirs: Network, frame: Frame, blocks: Sequence[tuple[Key, Key]]
) -> Iterable[FramedMatch]:
    """Match the neurons of blocks by the frame, and by neurons of the other blocks so matched."""
    large = [
        (a, b)
        for a, b in blocks
        if min(len(ours.neurons[a].views[0]), len(theirs.neurons[b].views[0])) >= FEWEST_NEURONS
    ]
    asked = {pair: _Asked(ours.neurons[pair[0]], theirs.neurons[pair[1]]) for pair in large}
    orders = {pair: asked[pair].order(frame.anchors) for pair in large}
    yield from _counted(asked, dict.fromkeys(large, frame.anchors), orders, frame)
    known = {
        pair: _matched(asked[pair], orders[pair], frame)
        for pair in large
        if np.count_nonzero(orders[pair] >= 0) >= FEWEST_ANCHORS
    }
    anchors: dict[tuple[Key, Key], Anchors] = {}
    for pair in large:
        others = [found for other, found in known.items() if other != pair]
        if others:
            anchors[pair] = Anchors(
                np.concatenate([found.ours for found in others]),
                np.concatenate([found.theirs for found in others]),
            )
    refined = {pair: asked[pair].order(found) for pair, found in anchors.items()}
    yield from _counted(asked, anchors, refined, frame)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Sampled neurons of a block of either network."""

    ours: Sampled
    theirs: Sampled

    def order(self, anchors: Anchors) -> NDArray[np.intp]:
        """Return the partner of each of our neurons by both matchings, -1 where they differ."""
        return agreement(*self._seen(anchors), signed=False)

    def chance(self, anchors: Anchors, agreed: int) -> float:
        """Return how many would agree between strangers."""
        sizes = len(self.ours.views[0]), len(self.theirs.views[0])
        mean = DISPERSION * min(sizes) / max(sizes)
        if poisson_tail(agreed, mean) >= SUSPICIOUS:
            return mean
        return expected_agreements(*self._seen(anchors), mean, signed=False)

    def _seen(self, anchors: Anchors) -> tuple[Views, Views, Anchors]:
        """Turn rows and anchors into the anchors' span: as many numbers, and the same products."""
        sides = []
        for side, rows in ((self.ours, anchors.ours), (self.theirs, anchors.theirs)):
            axes = np.linalg.qr(rows.T)[0] if len(rows) < rows.shape[1] else None
            views = side.views if axes is None else [view @ axes for view in side.views]
            sides.append((views, rows if axes is None else rows @ axes))
        (left, one), (right, other) = sides
        return left, right, Anchors(one, other)

    @property
    def common(self) -> float:
        """How many neurons two samples of one renumbered block have in common."""
        sizes = len(self.ours.views[0]), len(self.theirs.views[0])
        return sizes[0] * sizes[1] / max(self.ours.total, self.theirs.total)


def _matched(asked: _Asked, order: NDArray[np.intp], frame: Frame) -> Anchors:
    """Take matched neurons as anchors; the frame settles the signs of their rows."""
    mine = order >= 0
    ours, theirs = [], []
    for left, right in zip(asked.ours.views, asked.theirs.views, strict=True):
        one, other = unit_rows(left[mine]), unit_rows(right[order[mine]])
        along = ((one @ frame.ours) * (other @ frame.theirs)).sum(axis=1)
        ours.append(one * np.where(along < 0, -1, 1).astype(np.float32)[:, None])
        theirs.append(other)
    return Anchors(np.concatenate(ours), np.concatenate(theirs))


def _counted(
    asked: Mapping[tuple[Key, Key], _Asked],
    anchors: Mapping[tuple[Key, Key], Anchors],
    orders: Mapping[tuple[Key, Key], NDArray[np.intp]],
    frame: Frame,
) -> Iterable[FramedMatch]:
    """Count agreed neurons; the best block counts, and pays for all."""
    held = []
    for pair, order in orders.items():
        known = order >= 0
        agreed = int(np.count_nonzero(known))
        mean = asked[pair].chance(anchors[pair], agreed)
        pvalue = min(1.0, len(orders) * poisson_tail(agreed, mean))
        held.append(
            Held(
                *pair,
                agreed,
                asked[pair].common,
                pvalue,
                mean,
                of_heads=False,
                fixed_points=int(np.count_nonzero(order == np.arange(len(order)))),
                halves=(int(np.count_nonzero(known[::2])), int(np.count_nonzero(known[1::2]))),
            )
        )
    if held:
        best = min(held, key=lambda one: (one.pvalue, -one.share))
        yield FramedMatch(best.agreed, best.n, best.pvalue, tuple(held), frame)


def _heads(ours: Layer, theirs: Layer, frame: Frame, layer: int) -> Held | None:
    """Match the heads of two layers by what their keys read, and by what their values read."""
    found = agreed_heads(ours, theirs, frame)
    if found is None:
        return None
    agreed, size, chance = found
    pvalue = heads_pvalue(agreed, [size], chance)
    return Held((layer, ""), (layer, ""), agreed, size, pvalue, chance, of_heads=True)


def _together(held: Sequence[Held], frame: Frame) -> FramedMatch:
    """Add up the heads of several layers under their own numbers."""
    agreed, size = sum(one.agreed for one in held), sum(one.n for one in held)
    chance = sum(one.chance for one in held)
    pvalue = heads_pvalue(agreed, [int(one.n) for one in held], chance)
    return FramedMatch(agreed, size, pvalue, tuple(held), frame)
