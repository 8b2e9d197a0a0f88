"""Nulls under stress: ties, repeats, conventions, formulas, coupled views, teachers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.hard_nulls import THRESHOLDS, judged, word
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.controls import deranged
from pytest_scratchverify.methods.weights.judge import judge
from pytest_scratchverify.methods.weights.measure import measure
from pytest_scratchverify.methods.weights.neurons import Draws, neuron_groups
from pytest_scratchverify.stats.weights.agreement_null import expected_agreements
from pytest_scratchverify.stats.weights.anchored_matching import disguised
from pytest_scratchverify.stats.weights.anchored_search import anchored_match
from pytest_scratchverify.stats.weights.assignment import best_permutation, fixed_points
from pytest_scratchverify.stats.weights.cross_view_matching import match_agreement
from pytest_scratchverify.stats.weights.exchangeable_rows import exchangeable, repeats
from pytest_scratchverify.stats.weights.gram_permutation import gram_permutation
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity
from pytest_scratchverify.stats.weights.public_formula import formula_of, is_formula_alone
from pytest_scratchverify.tensors.inventory import Slot, is_residual_gain
from tools.zoo import hard_nulls
from tools.zoo.hard_nulls import KINDS

TEXT, TABLE = Component.TEXT_DECODER, Component.EMBEDDINGS
# What a shared draw, or a teacher, leaves is a lead; nothing else may even be that.
SHARED = {"students of one teacher", "tables of one teacher", "tables of one seed"}


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", KINDS)
def test_no_hard_null_is_accused(name):
    for pair in range(2):
        found = judged(KINDS[name], np.random.default_rng([7, pair]), any_basis=False)
        assert word(found) != "accused", found
        assert name in SHARED or word(found) == "none", found


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_hundred_hard_nulls_of_a_kind_are_not_accused(name):
    said = [
        word(judged(KINDS[name], np.random.default_rng([8, pair]), any_basis=pair % 5 == 0))
        for pair in range(100)
    ]
    assert "accused" not in said
    assert name in SHARED or said.count("lead") <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [hard_nulls.padded, hard_nulls.dead, hard_nulls.equal_rows, hard_nulls.repeated_layer]
)
def test_the_pvalue_of_aligned_neurons_is_uniform_under_ties(make):
    rng = np.random.default_rng(3)
    drawn = []
    for pair in range(60):
        batch = make(np.random.default_rng([9, pair]))
        neurons = measure(TEXT, [batch], matching=False).neurons
        if neurons is not None:
            drawn.append(rng.uniform(*neurons.randomised_pvalue_bounds))
    assert len(drawn) > 40
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3


def test_ties_are_drawn_and_not_taken_in_order():
    found = [fixed_points([np.full((40, 40), v, np.float32)]).statistic for v in np.arange(200)]
    assert 0.7 < np.mean(found) < 1.3  # the hats
    assert (best_permutation(np.eye(9, dtype=np.float32)[::-1].copy()) == np.arange(9)[::-1]).all()


def test_rows_that_are_zero_or_repeated_take_no_part():
    rows = normal(0, 12, 30)
    rows[3] = 0
    rows[7] = rows[2]
    assert repeats([rows]).tolist() == [1, 1, 2, 0, 1, 1, 1, 0, 1, 1, 1, 1]
    groups = exchangeable([rows], [normal(1, 12, 30)])
    assert [group.tolist() for group in groups] == [[0, 1, 4, 5, 6, 8, 9, 10, 11]]
    # Repeats at one place in both are a class of their own: those are permuted among themselves.
    other = normal(2, 12, 30)
    rows[9], other[7], other[9] = rows[4], other[2], other[4]
    assert [2, 4] in [group.tolist() for group in exchangeable([rows], [other])]


def test_a_copy_is_found_beside_its_padding():
    ours = normal(0, 200, 64)
    ours[150:] = 0
    noisy = ours + 0.3 * normal(1, 200, 64) * (ours != 0)
    batch = {(Slot("text_decoder", k, 0), 0): (noisy, ours) for k in ("gate", "up")}
    assert measure(TEXT, [batch]).neurons.pvalue < 1e-100


def test_repeats_count_once_where_both_models_have_them():
    def groups(one, two):
        batch = {(Slot("text_decoder", "gate", n), 0): (one[n], two[n]) for n in range(6)}
        return len([*neuron_groups(batch, {}, Draws())])

    same, apart = [normal(0, 50, 40)] * 6, [normal(n, 50, 40) for n in range(1, 7)]
    again = [normal(9, 50, 40) + 0.5 * normal(n, 50, 40) for n in range(6)]
    assert (groups(same, again), groups(same, apart), groups(apart, apart)) == (1, 6, 6)


def coupled(rng, share, layers=2):
    found = {}
    for layer in range(layers):
        base = rng.normal(size=(96, 64))
        noise = (1 - share**2) ** 0.5
        found[layer, ""] = [
            (share * base + noise * rng.normal(size=base.shape)).astype(np.float32)
            for _ in range(3)
        ]
    return found


@pytest.mark.parametrize(
    "share", [*(pytest.param(s, marks=pytest.mark.slow) for s in (0.0, 0.6, 0.97)), 0.85]
)
def test_views_of_one_neuron_may_resemble_each_other(share):
    pvalues = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        ours, theirs = coupled(rng, share), coupled(rng, share)
        blocks = [tuple(zip(ours[k][:2], theirs[k][:2], strict=True)) for k in ours]
        pvalues += [match_agreement(blocks).pvalue, anchored_match(ours, theirs).pvalue]
    assert min(pvalues) > 1e-4
    copy = disguised(ours, np.random.default_rng(5))
    found = anchored_match(copy, ours)
    # Two views that say nearly the same are nearly one: the mean that the pair shows is high, in
    # place so high that their agreement says nothing, and in any basis the third view decides.
    assert found.pvalue < (1e-30 if share < 0.9 else 1e-12)
    assert found.effect > 0.9
    agreed = match_agreement([tuple((v, v) for v in ours[k][:2]) for k in ours])
    assert agreed.pvalue < 1e-30 or (share > 0.9 and agreed.shares == (1.0, 1.0))


def test_the_mean_is_never_below_the_least():
    rng = np.random.default_rng(0)
    one, two = coupled(rng, 0.0, 2), coupled(rng, 0.0, 2)
    match = anchored_match(one, two)
    key = 0, ""
    assert 2.5 <= expected_agreements(one[key], two[key], match.anchors, 2.5) < 10


def test_a_convention_of_the_order_is_no_likeness_of_angles():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        load = np.linspace(1, -1, 96)[:, None] * 2
        ours, theirs = (rng.normal(size=(96, 64)) + load * rng.normal(size=64) for _ in "ab")
        found = gram_permutation([([ours], [theirs])], rng)
        assert abs(found.effect) < 0.05
    ours = rng.normal(size=(96, 64))
    turn = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    copied = gram_permutation([([ours @ turn], [ours])], rng)
    assert (copied.statistic, copied.effect > 0.8) == (1, True)


ROW, COLUMN = np.arange(96)[:, None], np.arange(64)[None]
FORMULAS = {
    "identity": np.eye(96, 64) * 8,
    "cosine transform": np.cos(np.pi * ROW * (COLUMN + 0.5) / 64),
    "cosine transform, transposed": np.cos(np.pi * COLUMN * (ROW + 0.5) / 96),
    "sine transform": np.sin(np.pi * (ROW + 1) * (COLUMN + 0.5) / 64),
    "sine transform, transposed": np.sin(np.pi * (COLUMN + 1) * (ROW + 0.5) / 96),
    "Hartley": np.cos(2 * np.pi * ROW * COLUMN / 96) + np.sin(2 * np.pi * ROW * COLUMN / 96),
    "Hadamard": 1.0 - 2 * (np.bitwise_count(ROW & COLUMN) % 2),
    "sinusoids": np.where(COLUMN % 2 == 0, np.sin(ROW / 1e4 ** (COLUMN // 2 / 32)), np.cos(ROW / 1e4 ** (COLUMN // 2 / 32))),
}  # fmt: skip


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("name", FORMULAS)
def test_public_formulas_are_recognised_whole_and_in_pieces(name, noise):
    table = (FORMULAS[name] + noise * normal(3, 96, 64)).astype(np.float32)
    assert formula_of(table) == name
    assert formula_of(table[:48], 0, 96) == name
    assert formula_of(table[32:64], 32, 96) == name


@pytest.mark.parametrize("rows", [40_000, 128_256, 262_144])
def test_tables_of_many_tokens_follow_formulas_too(rows):
    """Two strangers may have filled their vocabularies by one formula before they were trained."""
    place = np.arange(rows // 2, rows // 2 + 128, dtype=float)[:, None]
    channel = np.arange(512)[None]
    for name, table in (
        ("cosine transform", np.cos(np.pi * place * (channel + 0.5) / 512)),
        ("Hadamard", 1.0 - 2.0 * (np.bitwise_count(place.astype(int) & channel) % 2)),
    ):
        sides = [(table + normal(seed, 128, 512)).astype(np.float32) for seed in (1, 2)]
        assert [formula_of(side, rows // 2, rows) for side in sides] == [name] * 2
        slot = Slot("embeddings", "embed")
        measured = measure(TABLE, [{(slot, rows // 2): tuple(sides)}])
        assert judge(Compared(measured=measured), None, THRESHOLDS).relation is None
    assert formula_of(normal(3, 128, 512), rows // 2, rows) is None


def test_drawn_weights_follow_no_formula():
    assert [formula_of(normal(seed, 96, 64)) for seed in range(40)] == [None] * 40
    assert [formula_of(normal(seed, 32, 64), 32, 96) for seed in range(40)] == [None] * 40


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_alone_is_told_from_what_training_left_of_it(name):
    table = FORMULAS[name].astype(np.float32)
    for exact in (table, -3 * table, table.astype("float16").astype("f4"), _quantised(table)):
        assert is_formula_alone(exact)
        assert is_formula_alone(exact[32:64], 32, 96)
    orthonormal = table * np.where(ROW == 0, np.sqrt(0.5), 1).astype("f4")
    assert is_formula_alone(orthonormal)
    for noise in (0.03, 0.3):
        assert not is_formula_alone((table + noise * normal(4, 96, 64)).astype(np.float32))
    assert not is_formula_alone(normal(5, 96, 64))


def _quantised(table):
    step = np.abs(table).max() / 127
    return np.round(table / step) * step


def test_equal_numbers_of_a_formula_alone_are_no_copy_and_trained_ones_are():
    table = FORMULAS["cosine transform, transposed"].astype(np.float32)
    slot = Slot("projector", "proj_in")
    for numbers, copied in ((table, False), (table + 0.3 * normal(6, 96, 64), True)):
        measured = measure(Component.PROJECTOR, [{(slot, 0): (numbers, numbers.copy())}])
        assert measured.formulas == {str(slot): "cosine transform, transposed"}
        assert bool(measured.followed) is copied
        said = judge(Compared(measured=measured), None, THRESHOLDS)
        assert said.relation == ("verbatim" if copied else None)
    apart = tuple(table + 0.3 * normal(n, 96, 64) for n in (7, 8))
    measured = measure(Component.PROJECTOR, [{(slot, 0): apart}])
    assert judge(Compared(measured=measured), None, THRESHOLDS).relation is None


def gains(effect, pvalue, vectors=8):
    return GainSimilarity(effect, pvalue, 0.9, 0.9, 0.5, 0.9, 0.0, vectors, 999, 0.3)


@pytest.mark.parametrize("found", [None, gains(0.0, 0.366), gains(0.0, 1.0), gains(0.497, 0.001)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.82])
def test_gains_that_share_nothing_prove_nothing(found, share):
    seed = normal(0, 1024, 64)
    ours, theirs = (share**0.5 * seed + (1 - share) ** 0.5 * normal(n, 1024, 64) for n in (1, 2))
    measured = measure(TABLE, [{(Slot("embeddings", "embed"), 0): (ours, theirs)}])
    judgement = judge(Compared(measured=measured), found, THRESHOLDS)
    assert judgement.relation == "shared_initialisation"
    assert not judgement.accuses  # nothing but this table is alike: a lead with its explanations
    learnt = judge(Compared(measured=measured), gains(0.9, 0.001), THRESHOLDS)
    assert learnt.relation == "derived"


@pytest.mark.parametrize(
    ("moved", "relation"), [(0.005, "shared_initialisation"), (0.02, "derived")]
)
def test_twins_that_hardly_trained_are_not_told_from_a_child(moved, relation):
    """Gains of a few steps: alike by what the first batches say to any model of that seed."""
    seed = normal(0, 1024, 64)
    sides = tuple(seed + 0.1 * normal(n, 1024, 64) for n in (1, 2))
    trained = tuple(1 + moved * (normal(3, 64) + 0.3 * normal(n, 64)) for n in (4, 5))
    measured = measure(TABLE, [{(Slot("embeddings", "embed"), 0): sides}])
    compared = Compared(measured=measured, context_gains=(trained,) * 4)
    for found in (gains(0.9, 0.001), None):
        assert judge(compared, found, THRESHOLDS).relation == relation
    # Nobody hides by making his own gains smaller: the reference's are asked too.
    shrunk = tuple(
        (1 + (own - 1) * scale) for own, scale in zip(trained, (0.1, 0.02 / moved), strict=True)
    )
    compared = Compared(measured=measured, context_gains=(shrunk,) * 4)
    assert judge(compared, gains(0.9, 0.001), THRESHOLDS).relation == "derived"


def test_rows_that_no_text_met_do_not_make_twins_descendants():
    seed = normal(0, 1000, 64)
    sides = [seed.copy(), 0.9 * seed]
    for n, side in enumerate(sides):
        side[:200] = 0.5 * seed[:200] + normal(n + 1, 200, 64)
    measured = measure(TABLE, [{(Slot("embeddings", "embed"), 0): (sides[0], sides[1])}])
    assert measured.similarity > 0.75
    assert measured.moved < 0.4
    said = judge(Compared(measured=measured), None, THRESHOLDS)
    assert said.relation == "shared_initialisation"
    child = [seed, seed + 0.1 * normal(3, 1000, 64)]
    measured = measure(TABLE, [{(Slot("embeddings", "embed"), 0): (child[1], child[0])}])
    assert judge(Compared(measured=measured), None, THRESHOLDS).relation == "derived"


def test_a_single_map_between_two_towers_is_alike_without_a_source():
    batch = hard_nulls.linear_projector(np.random.default_rng(0))
    measured = measure(Component.PROJECTOR, [batch])
    assert measured.is_single_map
    assert measured.similarity > 0.5  # a convex problem has one solution
    assert judge(Compared(measured=measured), None, THRESHOLDS).relation is None
    hidden = {(Slot("projector", k), 0): (normal(n, 96, 64) + 0.1, normal(n, 96, 64))
              for n, k in enumerate(("proj_in", "proj_out"))}  # fmt: skip
    measured = measure(Component.PROJECTOR, [hidden])
    assert judge(Compared(measured=measured), None, THRESHOLDS).relation == "derived"
    # A second layer that both started from the identity is a layer all the same.
    eye = tuple(np.eye(96, 64, dtype=np.float32) + 0.001 * normal(n, 96, 64) for n in (7, 8))
    hidden[Slot("projector", "proj_out"), 0] = eye
    measured = measure(Component.PROJECTOR, [hidden])
    assert measured.formulas and not measured.is_single_map  # noqa: PT018
    assert judge(Compared(measured=measured), None, THRESHOLDS).relation == "derived"


def test_the_control_made_of_the_pair_fails_where_classes_of_rows_are_alike():
    """Rows of one size are alike between the models, and no row is another's."""
    classes, size = normal(0, 8, 64), np.exp(np.linspace(0, 3, 8))[:, None]
    convention = np.repeat(classes * size, 16, 0)
    batch = {
        (Slot("text_decoder", "v", n), 0): (
            convention + 0.3 * normal(10 + n, 128, 64),
            convention + 0.3 * normal(20 + n, 128, 64),
        )
        for n in range(3)
    }
    assert deranged(TEXT, "r", batch, THRESHOLDS).passed is False
    for ours, theirs in ((normal(1, 128, 64), normal(2, 128, 64)), (normal(1, 128, 64),) * 2):
        other = {(Slot("text_decoder", "v", n), 0): (ours, theirs) for n in range(3)}
        assert deranged(TEXT, "r", other, THRESHOLDS).passed is True


def test_gains_of_queries_and_keys_have_an_order():
    kinds = ["norm_in", "norm_post", "norm_q", "norm_k", "q"]
    assert [is_residual_gain(Slot("text_decoder", k, 0)) for k in kinds] == [True, True, *[False] * 3]  # fmt: skip
