"""Statistics that see through a change of basis: exact cases, invariances, null, power."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.methods.weights.controls import _whole_blocks
from pytest_scratchverify.stats.weights import anchored_search
from pytest_scratchverify.stats.weights.anchored_matching import (
    Anchors,
    invariants,
    match_by_invariants,
    similarities,
)
from pytest_scratchverify.stats.weights.anchored_search import (
    DISPERSION,
    anchored_match,
)
from pytest_scratchverify.stats.weights.centring import unit_rows
from pytest_scratchverify.stats.weights.distinct_neurons import distinct_neurons
from pytest_scratchverify.stats.weights.gram_permutation import binomial_tail, gram_permutation
from pytest_scratchverify.stats.weights.layer_recognition import (
    fold_generator,
    recognise_layer,
)
from pytest_scratchverify.stats.weights.matched_channels import matched_channels
from pytest_scratchverify.stats.weights.merge_shares import Products, merge_shares
from pytest_scratchverify.stats.weights.unbiased_cka import unbiased_cka
from tools.zoo.disguises import disguise_blocks

TRAINED = {"parent": "zoo-s0", "child": "zoo-s0-cpt-long", "stranger": "zoo-s1"}


def blocks(name):
    return _whole_blocks(TRAINED[name])


def random_blocks(rng, layers=3, size=40, width=24):
    return {
        (layer, ""): [rng.normal(size=(size, width)).astype(np.float32) for _ in range(3)]
        for layer in range(layers)
    }


@pytest.mark.parametrize("seed", range(3))
def test_disguised_descendant_is_recognised_neuron_by_neuron(seed):
    found = anchored_match(
        disguise_blocks(blocks("child"), np.random.default_rng(seed)), blocks("parent")
    )
    assert found.effect > 0.9
    assert found.pvalue < 1e-60
    assert found.fixed_share < 0.1
    assert [layer.ours[0] for layer in found.layers] == [layer.theirs[0] for layer in found.layers]


def test_what_was_done_is_told_by_channels_and_numbers():
    rng = np.random.default_rng(5)
    rotated = anchored_match(
        disguise_blocks(blocks("child"), rng, renumber=False), blocks("parent")
    )
    assert rotated.fixed_share > 0.9
    assert matched_channels(rotated.anchors).alike < 0.6
    plain = anchored_match(disguise_blocks(blocks("child"), rng, rotate=False), blocks("parent"))
    assert matched_channels(plain.anchors).alike > 0.6
    assert matched_channels(plain.anchors).fixed_share > 0.9


def test_strangers_agree_by_chance_whatever_is_done_to_them():
    rng = np.random.default_rng(1)
    counts, pvalues = [], []
    for _ in range(30):
        other = disguise_blocks(blocks("stranger"), rng)
        found = anchored_match(other, blocks(["parent", "child"][rng.integers(2)]))
        counts += [layer.agreed for layer in found.layers]
        pvalues.append(found.pvalue)
        assert found.effect < 0.1
    # The mean that the null is given, of a layer that is held out as two folds.
    assert np.mean(counts) < 2 * DISPERSION
    assert min(pvalues) > 1e-3


def test_a_sample_of_a_layer_is_recognised_and_strangers_are_not(monkeypatch):
    """Of large layers a sample is matched: here of 176 neurons 64, so that all is trained weights."""
    monkeypatch.setattr(anchored_search, "ASKED", 64)
    rng = np.random.default_rng(3)
    found = anchored_match(disguise_blocks(blocks("child"), rng), blocks("parent"))
    assert (found.effect > 0.9, found.fixed_share < 0.1, found.n) == (True, True, 2 * 64)
    assert found.pvalue < 1e-30
    numbered = anchored_match(
        disguise_blocks(blocks("child"), rng, renumber=False), blocks("parent")
    )
    assert numbered.fixed_share > 0.9  # the numbers are the layer's, and not the sample's
    counts, pvalues = [], []
    for _ in range(25):
        match = anchored_match(disguise_blocks(blocks("stranger"), rng), blocks("parent"))
        counts += [layer.agreed for layer in match.layers]
        pvalues.append(match.pvalue)
    assert np.mean(counts) < 2 * DISPERSION * 64 / 176 + 0.5
    assert min(pvalues) > 1e-3


def test_cosines_by_products_and_quantiles_by_sorting_are_what_they_were():
    rng = np.random.default_rng(4)
    ours, theirs = random_blocks(rng, 1, 60, 24)[0, ""], random_blocks(rng, 1, 50, 20)[0, ""]
    many = rng.normal(size=(500, 24)).astype(np.float32), rng.normal(size=(500, 20))
    anchors = Anchors(unit_rows(many[0]), unit_rows(many[1].astype(np.float32)))
    direct = [
        unit_rows(a @ anchors.ours.T) @ unit_rows(b @ anchors.theirs.T).T
        for a, b in zip(ours, theirs, strict=True)
    ]
    for found, wanted in zip(similarities(ours, theirs, anchors), direct, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    rows = rng.permutation(60)[:20]
    some, whole = invariants(ours, rows), invariants(ours)[rows]
    for column in range(whole.shape[1]):  # standardised over other neurons: the same up to a line
        if whole[:, column].std() > 1e-6:
            assert np.corrcoef(some[:, column], whole[:, column])[0, 1] > 0.9999


@pytest.mark.slow
def test_a_thousand_null_pairs_of_trained_blocks_are_not_accused():
    rng = np.random.default_rng(7)
    pvalues = []
    for _ in range(1000):
        kept = np.sort(rng.choice(176, 120, replace=False))
        some = {k: [v[kept] for v in b] for k, b in blocks("stranger").items()}
        pvalues.append(anchored_match(disguise_blocks(some, rng), blocks("parent")).pvalue)
    assert min(pvalues) > 1e-6
    for level in (0.05, 0.01, 0.001):  # conservative: never more often than it says
        assert np.mean(np.array(pvalues) <= level) <= level + 3 * np.sqrt(level / 1000)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15)
def test_descriptions_do_not_depend_on_basis_or_scale_and_move_with_the_neurons(seed):
    rng = np.random.default_rng(seed)
    views = random_blocks(rng, layers=1)[0, ""]
    same = disguise_blocks({(0, ""): views}, rng, renumber=False)[0, ""]
    np.testing.assert_allclose(invariants(views), invariants(same), atol=2e-2)
    order = rng.permutation(len(views[0]))
    np.testing.assert_allclose(
        invariants([view[order] for view in views]), invariants(views)[order], atol=1e-3
    )


def test_narrower_and_wider_networks_are_compared():
    rng = np.random.default_rng(2)
    parent = blocks("parent")
    fewer = {k: [v[:110, :52] for v in b] for k, b in blocks("child").items()}
    found = anchored_match(fewer, parent)
    assert found.effect > 0.5
    assert found.pvalue < 1e-30
    assert matched_channels(found.anchors) is None
    assert anchored_match(disguise_blocks(fewer, rng), parent).effect > 0.5


def test_one_layer_is_cross_fitted_between_its_own_neurons():
    rng = np.random.default_rng(0)
    views, stranger = random_blocks(rng, layers=1), random_blocks(rng, layers=1)
    assert anchored_match(disguise_blocks(views, rng), views).effect == 1
    assert anchored_match(disguise_blocks(views, rng), views).pvalue < 1e-6
    assert anchored_match(stranger, views).pvalue > 1e-3
    assert anchored_match({}, views) is None


def test_null_of_one_layer_by_itself_is_uniform_or_better_on_trained_blocks():
    """Chance agreements of a fold have a mean below the null's, for every pair of strangers."""
    rng = np.random.default_rng(11)
    agreed, pvalues = [], []
    for _ in range(40):
        ours, theirs = disguise_blocks(blocks("stranger"), rng), blocks("parent")
        for views in ours.values():
            other = theirs[sorted(theirs)[rng.integers(len(theirs))]]
            order, _ = match_by_invariants(invariants(views), invariants(other))
            found = recognise_layer(views, other, order, rng, DISPERSION)
            agreed.append(found.agreed / 2)
            pvalues.append(found.pvalue)
    assert np.mean(agreed) < DISPERSION
    for level in (0.05, 0.01):
        spread = 3 * np.sqrt(level / len(pvalues))
        assert np.mean(np.array(pvalues) <= level) <= level + spread


@pytest.mark.parametrize("kept", [0, 1])
def test_one_layer_among_strangers_is_recognised(kept):
    rng = np.random.default_rng(kept)
    parent = blocks("parent")
    key = sorted(parent)[kept]
    mixed = random_blocks(rng, layers=3, size=176, width=64) | {key: blocks("child")[key]}
    found = anchored_match(disguise_blocks(mixed, rng), parent)
    assert found.pvalue < 1e-20
    assert found.effect > 0.9
    assert [layer.ours for layer in found.inherited(0.5)] == [key]


def test_folds_are_drawn_from_the_weights_and_repeat():
    views = random_blocks(np.random.default_rng(0))
    changed = {k: [v.copy() for v in b] for k, b in views.items()}
    changed[0, ""][0][0, 0] += 1
    drawn = [fold_generator(v.values()).integers(2**60) for v in (views, views, changed)]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("times", [2, 4])
@pytest.mark.parametrize("noisy", [1, 2])
def test_split_neurons_are_put_together_again(times, noisy):
    """Noise that cancels in the sum, on what a neuron reads (1) or what it writes (2)."""
    rng = np.random.default_rng(times)
    views = random_blocks(rng, layers=1)[0, ""]
    noise = rng.normal(size=(times, *views[0].shape))
    noise -= noise.mean(axis=0)
    parts = [np.concatenate([view] * times) for view in views]
    parts[noisy] = (parts[noisy] + noise.reshape(parts[0].shape)).astype(np.float32)
    order = rng.permutation(len(parts[0]))
    found = distinct_neurons([view[order] for view in parts])
    assert len(found[0]) == len(views[0])
    whole = [
        {tuple(np.round(g, 3)): np.outer(u, d) for g, u, d in zip(*b, strict=True)}
        for b in (found, views)
    ]
    assert whole[0].keys() == whole[1].keys()
    for gate, does in whole[0].items():
        np.testing.assert_allclose(does, times * whole[1][gate], atol=1e-4)


def test_neurons_of_zeros_are_left_out_and_others_stay():
    views = random_blocks(np.random.default_rng(0), layers=1)[0, ""]
    padded = [np.concatenate([view, np.zeros((8, view.shape[1]), np.float32)]) for view in views]
    for one, two in zip(distinct_neurons(padded), views, strict=True):
        np.testing.assert_array_equal(one, two)


def test_binomial_tail_by_hand():
    assert binomial_tail(2, 2, 0.5) == 0.25
    assert binomial_tail(3, 4, 0.001) == pytest.approx(4 * 1e-9 * 0.999 + 1e-12)
    assert binomial_tail(1, 1, 0.001) == 0.001


def test_the_true_numbering_wins_as_rarely_as_its_rank_says():
    """Against five renumberings the true one wins in one of six."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        ours, theirs = (rng.normal(size=(16, 30)).astype(np.float32) for _ in range(2))
        found = gram_permutation([([ours], [theirs])], rng, draws=5)
        hits += found.statistic
    assert 25 < hits < 80  # 1 / (1 + draws) of 300 is 50


def test_angles_survive_a_rotation_and_not_a_renumbering():
    rng = np.random.default_rng(3)
    parent, child = (
        blocks("parent"),
        disguise_blocks(blocks("child"), rng, renumber=False, rescale=False),
    )
    pairs = [(child[key][:2], parent[key][:2]) for key in parent]
    found = gram_permutation(pairs, rng)
    assert found.statistic == found.n == 2
    assert found.effect > 0.5
    moved = disguise_blocks(blocks("child"), rng)
    assert gram_permutation([(moved[k][:2], parent[k][:2]) for k in parent], rng).statistic == 0


def test_angles_of_strangers_fit_best_as_rarely_as_they_say():
    rng = np.random.default_rng(4)
    parent, stranger = blocks("parent"), blocks("stranger")
    hits = blocks_seen = 0
    for _ in range(400):
        other = disguise_blocks(stranger, rng)
        found = gram_permutation([(other[k][:2], parent[k][:2]) for k in parent], rng, draws=19)
        hits, blocks_seen = hits + found.statistic, blocks_seen + found.n
    assert abs(hits / blocks_seen - 1 / 20) < 3 * np.sqrt(0.05 * 0.95 / blocks_seen)


@given(shares=st.lists(st.floats(0.05, 1), min_size=2, max_size=4), seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_linear_merges_are_recovered_exactly(shares, seed):
    rng = np.random.default_rng(seed)
    weights = np.array(shares) / np.sum(shares)
    base = rng.normal(size=(20, 30))
    parents = [(base + 0.3 * rng.normal(size=base.shape)).astype(np.float32) for _ in shares]
    products = Products(len(parents))
    products.add(np.tensordot(weights, np.stack(parents), 1).astype(np.float32), parents)
    found = merge_shares(products)
    np.testing.assert_allclose(found.shares, weights, atol=1e-3)
    assert found.explained > 0.999


def test_a_child_of_one_parent_is_no_mixture():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(60, 60)).astype(np.float32)
    parents = [base + 0.3 * rng.normal(size=base.shape).astype(np.float32) for _ in range(3)]
    products = Products(3)
    products.add(parents[1] + 0.3 * rng.normal(size=base.shape).astype(np.float32), parents)
    found = merge_shares(products)
    assert found.explained < 0.02
    assert found.shares[1] > 0.97
    assert all(share >= 0 for share in found.shares)
    assert sum(found.shares) == pytest.approx(1)
    assert all(
        abs(share) < 4 * error
        for share, error in zip(found.shares[::2], found.errors[::2], strict=True)
    )


def test_products_add_up_in_any_order():
    rng = np.random.default_rng(2)
    slices = [[rng.normal(size=(4, 5)).astype(np.float32) for _ in range(3)] for _ in range(4)]
    one, two = Products(2), Products(2)
    for model, *parents in slices:
        one.add(model, parents)
    for model, *parents in reversed(slices):
        two.add(model, parents)
    np.testing.assert_allclose(one.gram, two.gram)
    for left, right in combinations(range(2), 2):
        assert one.gram[left, right] == pytest.approx(one.gram[right, left])


def test_unbiased_cka_by_hand_and_its_invariances():
    rng = np.random.default_rng(3)
    one = rng.normal(size=(40, 9)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(9, 9)))[0].astype(np.float32)
    assert unbiased_cka(one, one) == pytest.approx(1, abs=1e-6)
    assert unbiased_cka(one, 3 * one @ turn) == pytest.approx(1, abs=1e-5)
    other = rng.normal(size=(40, 9)).astype(np.float32)
    assert unbiased_cka(one, other) == pytest.approx(unbiased_cka(other, one))
    drawn = [unbiased_cka(one, rng.normal(size=(40, 9)).astype(np.float32)) for _ in range(200)]
    assert abs(np.mean(drawn)) < 4 * np.std(drawn) / np.sqrt(200)  # unbiased: zero on average
    assert unbiased_cka(one[rng.permutation(40)], one) < 0.3


def test_unbiased_cka_sees_one_coordinate_of_four_points_by_hand():
    """Points 0, 0, 1, 1 against themselves: K has one pair of products, all terms by hand."""
    points = np.array([[0], [0], [1], [1]], np.float32)
    assert unbiased_cka(points, points) == pytest.approx(1)
    assert unbiased_cka(points, np.zeros((4, 1), np.float32)) == 0.0


def test_renumbered_repeats_of_one_layer_are_one_fold_and_accuse_nobody():
    """Experts made of one block hold nothing out of one another, however they are numbered."""
    rng = np.random.default_rng(6)
    one = blocks("stranger")[min(blocks("stranger"))]
    experts = {}
    for expert in range(4):
        order = rng.permutation(len(one[0]))
        experts[0, str(expert)] = [view[order] for view in one]
    found = anchored_match(experts, blocks("parent"))
    assert found.halves == (1.0, 1.0)
    assert found.pvalue > 1e-3
