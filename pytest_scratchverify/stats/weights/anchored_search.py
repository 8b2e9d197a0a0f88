"""Rotation-invariant layer matching of two networks, cross-fitted between and within layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.agreement_null import expected_agreements
from pytest_scratchverify.stats.weights.anchored_matching import (
    Anchors,
    Matched,
    Order,
    Views,
    agreement,
    anchors_of,
    invariants,
    match_by_invariants,
    refine,
)
from pytest_scratchverify.stats.weights.centring import cosine, unit_rows
from pytest_scratchverify.stats.weights.cross_view_matching import SUSPICIOUS, poisson_tail
from pytest_scratchverify.stats.weights.exchangeable_rows import distinct_rows
from pytest_scratchverify.stats.weights.layer_recognition import fold_generator, recognise_layer

Array = NDArray[np.float32]
Key = tuple[int, str]  # layer, and expert or what else tells groups of one layer apart
Start = tuple[Key, Order]  # a layer of B and a first matching with its neurons

DISPERSION = 2.5  # times the one agreement that chance gives a layer: see the calibration
TRIED = 2  # layers of B that a layer of A is tried against in earnest
EVERY_PAIR = 4e9  # cubed neurons times pairs of layers, up to which all pairs are described
REPEATED = 0.2  # cosine in place from which two layers of one network share their neurons
NEAREST = 0.6  # cosine of most gates with the nearest of another layer, from which it is the same
TRUSTED = 0.5  # of the best layer's score: worse matchings make no anchors
MOST_HELD = 12  # layers of B, up to which a held-out layer of A is asked about every one
ASKED = 512  # neurons of a layer of A that are matched with all of a layer of B
SIGNIFICANT = 1e-6  # of a layer among all, from which it counts as recognised


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One layer of A, recognised by neurons that the anchors were not fitted to.

    `weaker` is the larger p of two disjoint folds of its neurons, each of which was recognised by
    the other; 1 where it was recognised by other layers alone.
    """

    ours: Key
    theirs: Key
    agreed: int
    fixed_points: int  # of the agreed neurons, how many have the same number
    n: int
    pvalue: float
    weaker: float = 1.0

    @property
    def share(self) -> float:
        """The share of neurons on which both matchings agree."""
        return self.agreed / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class AnchoredMatch:
    """What was recognised of one network in another, in any basis.

    `statistic` counts agreed neurons over all layers of `n` neurons, each held out of what it
    was recognised by; `effect` is the mean share of the better half of the layers that were
    recognised, of all where none was; `halves` are the p-values of the two folds of layers.
    """

    statistic: int
    n: int
    pvalue: float
    effect: float
    layers: tuple[HeldOut, ...]
    halves: tuple[float, float]
    anchors: Anchors = field(repr=False)
    null: str = (
        "Poisson, 2.5 agreements per layer, or more where the pair itself shows more (cross-fitted)"
    )

    @property
    def fixed_share(self) -> float:
        """The share of agreed neurons that are fixed points of the matching."""
        agreed = sum(layer.agreed for layer in self.layers)
        return sum(layer.fixed_points for layer in self.layers) / agreed if agreed else 0.0

    @property
    def minimum_detectable_effect(self) -> float:
        """The smallest share of one layer whose p is below one in a million."""
        size = max(layer.n for layer in self.layers)
        tests = 2 * len(self.layers) * max(1, len({layer.theirs for layer in self.layers}))
        agreed = 1
        while agreed < size and tests * poisson_tail(agreed, DISPERSION) > 1e-6:
            agreed += 1
        return agreed / size

    def inherited(self, share: float) -> tuple[HeldOut, ...]:
        """Return the layers of A that were recognised with at least `share`."""
        return tuple(layer for layer in self.layers if layer.share >= share)

    def replications(self, pvalue: float) -> int:
        """Count the layers of B that were recognised each by itself, or the folds if more.

        One layer alone is recognised twice where either fold of its neurons says it by itself.
        """
        tests = 2 * len(self.layers)
        alone = {layer.theirs for layer in self.layers if tests * layer.pvalue <= pvalue}
        twice = 2 * any(tests * layer.weaker <= pvalue for layer in self.layers)
        return max(len(alone), twice, sum(half <= pvalue for half in self.halves))

    def among(self, tried: int) -> AnchoredMatch:
        """Pay for the best of several readings of the same weights (Bonferroni)."""
        layers = tuple(_paid(layer, tried) for layer in self.layers)
        halves = (min(1.0, tried * self.halves[0]), min(1.0, tried * self.halves[1]))
        return replace(self, pvalue=min(1.0, tried * self.pvalue), layers=layers, halves=halves)


def anchored_match(
    ours: Mapping[Key, Views],
    theirs: Mapping[Key, Views],
    known: MutableMapping[Key, Array] | None = None,
) -> AnchoredMatch | None:
    """Look for the layers of B in A, whatever was done to basis, order, scale and width.

    Parameters
    ----------
    ours, theirs : mapping from (layer, expert) to views
        The views of one layer are matrices (n, d) with its neurons as rows: gate, up and, where
        at hand, the transpose of down, each with the gains of the norm before it folded in.
        All layers of a network have one d; n and d may differ between the networks.
    known : mutable mapping, optional
        Layers of B as `described` says, for a caller that asks about them again; added to.

    Returns
    -------
    AnchoredMatch or None
        None if either network has no layer at hand.

    Notes
    -----
    Two ways to hold out, paid for by a factor of two. *Between layers*: those of A are dealt into
    two folds, repeats of one layer into the same; each fold is matched with the layers of B by
    what no disguise changes, and its neurons become anchors for the other fold, where gate and
    up matrices are matched apart and agreements are counted. *Within a layer*: the same between
    two folds of its neurons (`layer_recognition`), so that one layer taken among strangers is
    recognised. Either way the count is of weights that the anchors were not fitted to, and the
    folds are drawn from a seed that the weights of both models decide. By chance one neuron in
    a layer agrees. p is Bonferroni over layers and over the layers of B that were tried, of a
    Poisson tail with mean 2.5, or of what the pair itself shows under its null where that is more
    (a neuron's gate and up rows resemble each other, see `expected_agreements`): approximate, and
    controls decide beside it. Of a layer of more than 512 neurons a sample is matched, with all
    neurons of B. After MATCH of Zhu et al. (arXiv 2502.12292), without activations
    and without a basis.
    """
    ours, theirs = distinct_layers(ours), distinct_layers(theirs)
    if not ours or not theirs:
        return None
    whole = ours
    rng = fold_generator(
        [*(ours[key] for key in sorted(ours)), *(theirs[key] for key in sorted(theirs))]
    )
    pairs = _candidates(ours, theirs)
    asked = {key for keys in pairs.values() for key in keys}
    other = {} if known is None else known
    other.update(described({key: theirs[key] for key in sorted(asked - other.keys())}))
    numbers = {key: _asked(ours[key], rng) for key in sorted(ours)}
    starts = {key: _starts(invariants(ours[key], numbers[key]), other, pairs[key]) for key in ours}
    ours = {key: [view[numbers[key]] for view in ours[key]] for key in ours}
    matched = {key: _matched(key, ours, theirs, starts[key]) for key in ours}
    layers = {key: _Asked(key, ours[key], numbers[key]) for key in sorted(ours)}
    within = {key: _by_itself(layers[key], theirs, starts[key], rng) for key in layers}
    if len(theirs) > MOST_HELD:  # p pays for all of them, asked or not
        pairs = {key: [other for other, _ in starts[key]] for key in ours}
    between, halves = _between_layers(layers, whole, theirs, pairs, matched=matched, rng=rng)
    found = [_better(within[key], between.get(key)) for key in sorted(ours)]
    alone = len(found) * min(layer.pvalue for layer in within.values())
    return AnchoredMatch(
        statistic=sum(layer.agreed for layer in found),
        n=sum(layer.n for layer in found),
        pvalue=min(1.0, 2 * min(alone, 2 * min(halves))),
        effect=_effect(found),
        layers=tuple(found),
        halves=(min(1.0, 2 * halves[0]), min(1.0, 2 * halves[1])),
        anchors=anchors_of(_trusted([*matched.values()])),
    )


def _better(one: HeldOut, two: HeldOut | None) -> HeldOut:
    """Return what recognised a layer better, of the two ways to hold neurons out, and pay."""
    tried = [one] if two is None else [one, two]
    best = min(tried, key=lambda layer: (layer.pvalue, -layer.share))
    return _paid(replace(best, weaker=one.weaker if best.theirs == one.theirs else 1.0), 2)


def _paid(layer: HeldOut, tests: int) -> HeldOut:
    pvalue, weaker = min(1.0, tests * layer.pvalue), min(1.0, tests * layer.weaker)
    return replace(layer, pvalue=pvalue, weaker=weaker)


def _effect(found: Sequence[HeldOut]) -> float:
    recognised = [x.share for x in found if len(found) * x.pvalue <= SIGNIFICANT]
    best = sorted(recognised or [layer.share for layer in found], reverse=True)
    return float(np.mean(best[: max(1, len(best) // 2)]))


def recognise_one(
    views: Views,
    theirs: Mapping[Key, Views],
    known: Mapping[Key, Array],
    among: int,
    enough: Callable[[HeldOut], bool] = lambda _: False,
) -> HeldOut:
    """Look for the layers of B in one layer of A, which stands `among` as many (its p pays).

    `known` are the layers of B as `described` says. Beyond one that is `enough` none is asked.
    """
    rng = fold_generator([views])
    numbers = _asked(views, rng)
    starts = _starts(invariants(views, numbers), known, sorted(theirs))
    asked = _Asked((0, ""), [view[numbers] for view in views], numbers)
    found = _by_itself(asked, theirs, starts, rng, lambda one: enough(_paid(one, 2 * among)))
    return _paid(found, 2 * among)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A layer of A: the views of the neurons that are asked about, and their numbers."""

    key: Key
    views: Views
    numbers: Order


def _asked(views: Views, rng: np.random.Generator) -> Order:
    """Draw the neurons that are matched: all of a small layer, `ASKED` of a large one.

    A copy is known by each of its neurons, and the costs grow with the square of their number.
    """
    size = len(views[0])
    return np.arange(size) if size <= ASKED else np.sort(rng.permutation(size)[:ASKED])


def _by_itself(
    asked: _Asked,
    theirs: Mapping[Key, Views],
    starts: Sequence[Start],
    rng: np.random.Generator,
    enough: Callable[[HeldOut], bool] = lambda _: False,
) -> HeldOut:
    """Recognise a layer of A by folds of its own neurons; all of B are paid for."""
    tried: list[HeldOut] = []
    for other, order in starts:
        found = recognise_layer(
            asked.views, theirs[other], order, rng, DISPERSION, numbers=asked.numbers
        )
        held = (found.agreed, found.fixed_points, found.n, found.pvalue, found.weaker)
        tried.append(_paid(HeldOut(asked.key, other, *held), len(theirs)))
        if enough(tried[-1]):
            break
    return min(tried, key=lambda layer: (layer.pvalue, -layer.agreed))


def _between_layers(  # noqa: PLR0913 - both networks, and what is known of them
    asked: Mapping[Key, _Asked],
    ours: Mapping[Key, Views],
    theirs: Mapping[Key, Views],
    pairs: Mapping[Key, Sequence[Key]],
    *,
    matched: Mapping[Key, Matched],
    rng: np.random.Generator,
) -> tuple[dict[Key, HeldOut], tuple[float, float]]:
    """Recognise the layers of each fold by anchors from the other; say p of either fold."""
    keys = [sorted(ours)[i] for i in rng.permutation(len(ours))]
    halves = _halves(ours, keys)
    found: dict[Key, HeldOut] = {}
    if not all(halves) or len(theirs) < 2:
        return found, (1.0, 1.0)
    pvalues: list[float] = []
    for fitted, held in (halves, halves[::-1]):
        anchors = anchors_of(_trusted([matched[key] for key in fitted]))
        layers = [_recognised(asked[key], theirs, pairs[key], anchors) for key in held]
        found |= {layer.ours: layer for layer in layers}
        pvalues.append(min(1.0, len(layers) * min(layer.pvalue for layer in layers)))
    return found, (pvalues[0], pvalues[1])


def distinct_layers(blocks: Mapping[Key, Views]) -> dict[Key, Views]:
    """Leave out neurons that are zero or another one's repeat: they match whom they like."""
    found: dict[Key, Views] = {}
    for key, views in blocks.items():
        rows = distinct_rows(views)
        if len(rows) > 1:
            found[key] = views if len(rows) == len(views[0]) else [view[rows] for view in views]
    return found


def _halves(ours: Mapping[Key, Views], keys: Sequence[Key]) -> tuple[list[Key], list[Key]]:
    """Split layers into two folds for cross-fitting; repeats of one layer go into one fold."""
    repeats: list[list[Key]] = []
    for key in keys:
        known = next((group for group in repeats if _repeated(ours[group[0]], ours[key])), None)
        if known is None:
            repeats.append([key])
        else:
            known.append(key)
    return (
        [key for group in repeats[::2] for key in group],
        [key for group in repeats[1::2] for key in group],
    )


def _repeated(one: Views, two: Views) -> bool:
    """Whether two layers of one network share neurons, in their places or renumbered."""
    in_place = any(
        a.shape == b.shape and abs(cosine(a, b)) >= REPEATED for a, b in zip(one, two, strict=False)
    )
    if in_place or one[0].shape[1] != two[0].shape[1]:
        return in_place
    nearest = (unit_rows(one[0]) @ unit_rows(two[0]).T).max(axis=1)
    return float(np.median(nearest)) >= NEAREST


def _candidates(ours: Mapping[Key, Views], theirs: Mapping[Key, Views]) -> dict[Key, Sequence[Key]]:
    """Say which layers of B a layer of A may be: all, or where that is too much its namesake."""
    size = max(len(views[0]) for views in (*ours.values(), *theirs.values()))
    if size**3 * len(ours) * len(theirs) <= EVERY_PAIR:
        return {key: sorted(theirs) for key in ours}
    last = max(key[0] for key in ours), max(key[0] for key in theirs)

    def near(key: Key) -> list[Key]:
        place = key[0] * last[1] / max(1, last[0])
        ranked = sorted(theirs, key=lambda other: (other != key, abs(other[0] - place), other))
        return ranked[: 2 * TRIED]

    return {key: near(key) for key in ours}


def described(blocks: Mapping[Key, Views]) -> dict[Key, Array]:
    """Describe the neurons of every block once, for many questions about them."""
    return {key: invariants(views) for key, views in blocks.items()}


def _starts(mine: Array, other: Mapping[Key, Array], keys: Sequence[Key]) -> list[Start]:
    """Match a described layer of A with layers of B neuron by neuron; keep the best few."""
    tried = [(match_by_invariants(mine, other[key]), key) for key in keys]
    tried.sort(key=lambda item: item[0][1])
    return [(key, order) for (order, _), key in tried[:TRIED]]


def _matched(
    key: Key,
    ours: Mapping[Key, Views],
    theirs: Mapping[Key, Views],
    starts: Sequence[Start],
) -> Matched:
    """Refine the first matchings of a layer and return the best."""
    refined = [refine(ours[key], theirs[other], order) for other, order in starts]
    return max(refined, key=lambda item: item.score)


def _trusted(matched: Sequence[Matched]) -> list[Matched]:
    bar = TRUSTED * max(item.score for item in matched)
    return [item for item in matched if item.score >= bar]


def _recognised(
    asked: _Asked,
    theirs: Mapping[Key, Views],
    keys: Sequence[Key],
    anchors: Anchors,
) -> HeldOut:
    def count(other: Key) -> tuple[int, NDArray[np.intp]]:
        order = agreement(asked.views, theirs[other], anchors)
        return int(np.count_nonzero(order >= 0)), order

    (agreed, order), other = max(((count(k), k) for k in keys), key=lambda item: item[0][0])
    fixed = int(np.count_nonzero(order == asked.numbers))
    sizes = len(asked.numbers), len(theirs[other][0])
    tried = max(len(keys), len(theirs) if len(theirs) > MOST_HELD else 0)
    mean = DISPERSION * min(sizes) / max(sizes)
    if tried * poisson_tail(agreed, mean) < SUSPICIOUS:
        mean = expected_agreements(asked.views, theirs[other], anchors, mean)
    tail = poisson_tail(agreed, mean)
    return HeldOut(asked.key, other, agreed, fixed, min(sizes), min(1.0, tried * tail))
