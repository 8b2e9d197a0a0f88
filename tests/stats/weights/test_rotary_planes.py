"""Rotary planes: what they do not depend on, how much noise they outlast, what strangers show."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from pytest_scratchverify.stats.weights.framed_recognition import Network, recognise_by_frames
from pytest_scratchverify.stats.weights.head_reads import HeadReads
from pytest_scratchverify.stats.weights.rotary_planes import fit_planes
from tests.stats.weights.framed_networks import (
    GROUPS,
    HEAD,
    LAYERS,
    WIDTH,
    changed,
    network,
    orthogonal,
)

PLANES = HEAD // 2


def turned(rng):
    """Turn and scale every plane of a head, as queries can undo: planes are two halves."""
    angle, size = rng.uniform(0, 2 * np.pi, PLANES), np.exp(rng.normal(0, 0.5, PLANES))
    cos, sin = (np.diag(size * part) for part in (np.cos(angle), np.sin(angle)))
    return np.block([[cos, -sin], [sin, cos]]).astype(np.float32)


def as_neighbours(network):
    """Store planes as neighbouring rows, as other programs do."""
    order = np.arange(HEAD).reshape(2, PLANES).T.ravel()
    heads = {
        number: [replace(layer[0], rows=layer[0].rows[:, order]), *layer[1:]]
        for number, layer in network.heads.items()
    }
    return Network(heads, network.neurons)


def fitted(one, other, **kwargs):
    return fit_planes(one.keys, other.keys, **kwargs)


@pytest.mark.parametrize("stored", [lambda n: n, as_neighbours])
def test_nothing_that_can_be_undone_changes_what_is_fitted(stored):
    """The stream rotated, heads exchanged, planes turned and scaled, stored in either order."""
    one = network(1)
    copy = stored(changed(one, np.random.default_rng(1), inner=turned))
    fit = fitted(copy, one)
    assert fit.frame.score > 0.999
    assert fit.layers == {layer: layer for layer in range(LAYERS)}
    assert recognise_by_frames(copy, one).effect > 0.9


def test_a_copy_is_recognised_under_noise_that_hides_its_leading_directions():
    """At a cosine of .8 and of .6, a third of the neurons drawn; heads turned within."""
    one = network(2)
    for noise in (0.75, 1.33):
        copy = changed(one, np.random.default_rng(2), noise=noise, inner=turned, size=100)
        match = recognise_by_frames(copy, one)
        assert not match.held[0].of_heads
        assert match.pvalue < 1e-12
        assert match.effect > 0.5


def latent(seed, rng, *, turn, noise=0.0):
    """Draw what a layer's latent reads: rows without a place, renumbered, and then those with."""
    drawn = np.random.default_rng(seed)
    found = {}
    for layer in range(LAYERS):
        rows = drawn.normal(size=(40, WIDTH)) * (np.arange(WIDTH) + 3) ** -0.3
        rows = rows + noise * rows.std() * rng.normal(size=rows.shape)
        rows[:24] = rows[rng.permutation(24)]
        found[layer] = HeadReads((rows @ turn).astype(np.float32)[None], placed=(24, 40))
    return found


def test_of_latents_the_rows_with_a_place_tell():
    rng = np.random.default_rng(3)
    turn = orthogonal(rng, WIDTH)
    one = latent(1, rng, turn=np.eye(WIDTH))
    fit = fit_planes(latent(1, rng, turn=turn), one)
    assert fit.frame.score > 0.999
    carried = fit.frame.ours.T @ turn.T  # directions of the copy, taken back
    assert np.abs((carried * fit.frame.theirs.T).sum(axis=1)).min() > 0.99
    assert fit_planes(latent(1, rng, turn=turn, noise=0.75), one).frame.score > 0.5
    # The angles of a stranger's planes are fitted, too.
    assert fit_planes(latent(2, rng, turn=turn), one).frame.score < 0.35


def test_layers_under_other_numbers_are_found():
    one = network(4)
    copy = changed(one, np.random.default_rng(4), noise=0.3)
    moved = Network(
        {(layer + 1) % LAYERS: heads for layer, heads in copy.heads.items()},
        {((layer + 1) % LAYERS, ""): block for (layer, _), block in copy.neurons.items()},
    )
    assert fitted(moved, one).layers == {(n + 1) % LAYERS: n for n in range(LAYERS)}
    match = recognise_by_frames(moved, one)
    assert match.pvalue < 1e-20
    assert (match.held[0].ours[0] - match.held[0].theirs[0]) % LAYERS == 1
    assert fitted(moved, one, moved=False).layers == {n: n for n in range(LAYERS)}


def test_heads_tell_under_noise_where_every_block_was_trained_anew():
    """As they do where the experts of a mixture have other numbers."""
    one, other = network(4, groups=16), network(5)
    copy = changed(one, np.random.default_rng(4), noise=0.75)
    match = recognise_by_frames(Network(copy.heads, other.neurons), one)
    assert match.held[0].of_heads
    assert match.pvalue < 1e-9


def test_planes_of_unlike_heads_have_no_common_names():
    one = network(5)
    assert fitted(network(5, groups=2 * GROUPS), one) is None
    assert fit_planes({}, one.keys) is None
    few = {0: replace(one.heads[0][0], rows=one.heads[0][0].rows[:1])}
    assert fit_planes(few, few) is None


def typed(seed, *, own):
    """Draw a stranger of a hard kind: planes of one frequency go together in all of its heads.

    Gate and up rows of a neuron have their weights on these directions in common.
    """
    rng = np.random.default_rng(seed)
    found = network(seed)
    types = orthogonal(rng, WIDTH)[:PLANES]
    heads = {}
    for number, layer in found.heads.items():
        common = np.concatenate([types, types[::-1]]) * own * layer[0].rows.std() * WIDTH**0.5
        heads[number] = [replace(layer[0], rows=layer[0].rows + common), layer[1]]
    neurons = {}
    for key, block in found.neurons.items():
        along = np.abs(rng.normal(size=(block.total, PLANES))) @ types * block.views[0].std()
        neurons[key] = replace(block, views=[view + own * along for view in block.views])
    return Network(heads, neurons)


@pytest.mark.parametrize(("own", "count"), [(1.0, 2), pytest.param(2.0, 6, marks=pytest.mark.slow)])
def test_strangers_whose_frequencies_have_types_agree_on_what_chance_gives(own, count):
    many = [typed(seed, own=own) for seed in range(20, 20 + count)]
    found = [recognise_by_frames(a, b) for a, b in combinations(many, 2)]
    assert min(match.pvalue for match in found) > 1e-3
