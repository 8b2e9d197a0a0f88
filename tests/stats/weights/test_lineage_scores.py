"""Published lineage scores, written anew: exact small cases, what they survive, what breaks them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.lineage_scores import (
    auroc,
    bar_of,
    branch_products,
    raw_cosine,
    raw_frobenius,
    residual_signature,
    ungated_signature,
)
from tools.zoo.disguises import rotate_residual
from tools.zoo.laundering import LAUNDERINGS, MILD, STRONG, log_uniform, rescale_units
from tools.zoo.ready_models import read_model


def blocks(*downs_and_ups):
    """Return gated blocks whose gates are what enters them."""
    return {
        f"model.layers.{layer}.mlp.{kind}_proj.weight": np.asarray(value, np.float32)
        for layer, (down, up) in enumerate(downs_and_ups)
        for kind, value in (("down", down), ("up", up), ("gate", up))
    }


EYE, SWAP = np.eye(2), np.array([[0, 1], [1, 0]])
ONE = blocks((EYE, [[3, 1], [0, 1]]))


def test_by_hand():
    # M = [[3, 1], [0, 1]]: trace / 2 = 2, so what is left is [[1, 1], [0, -1]] of norm sqrt 3.
    (product,) = branch_products(ONE)
    assert product.tolist() == [[3, 1], [0, 1]]
    other = blocks((EYE, [[1, 1], [0, -1]]))  # the same less its share of the identity
    assert ungated_signature(ONE, other) == pytest.approx(1)
    assert raw_cosine(ONE, ONE) == pytest.approx(1)
    assert raw_frobenius(ONE, ONE) == 0
    # Gate and up are 2 sqrt 5 / sqrt 11 away from one another reversed, down is the same.
    turned = blocks((EYE, [[-3, -1], [0, -1]]))
    assert raw_frobenius(ONE, turned) == pytest.approx(-2 * 2 / 3)
    assert raw_cosine(ONE, turned) == pytest.approx(-1 / 3)


def test_a_gate_weakens_blocks_that_no_diagonal_dominates():
    flat = blocks((EYE, [[1, 1], [0, -1]]))  # no trace at all
    assert residual_signature(ONE, flat) == pytest.approx(0)
    assert residual_signature(ONE, ONE) == pytest.approx(1)


def test_blocks_find_their_partner():
    two = blocks((EYE, [[3, 1], [0, 1]]), (SWAP, [[1, 5], [2, 1]]))
    moved = blocks((SWAP, [[1, 5], [2, 1]]), (EYE, [[3, 1], [0, 1]]))
    assert residual_signature(two, moved, gated=False) == pytest.approx(1)
    assert raw_frobenius(two, moved) == 0


def test_auroc_counts_ties_half():
    assert auroc([3, 2], [1, 0]) == 1
    assert auroc([0, 1], [2, 3]) == 0
    assert auroc([1, 1], [1, 1]) == 0.5
    assert auroc([2, 0], [1]) == 0.5


def test_a_bar_is_three_sigma_above_strangers():
    assert bar_of([0, 2]) == pytest.approx(1 + 3 * 2**0.5)
    assert bar_of([0.5, 0.5]) == pytest.approx(0.5 + 3e-6)


@pytest.fixture(scope="module")
def public():
    return read_model("s0")


def laundered(public, column):
    return LAUNDERINGS[column](public, np.random.default_rng(7)).tensors


@pytest.mark.parametrize("column", ["P", "D-mild", "D-strong", "PD"])
def test_units_do_not_change_the_signature(public, column):
    after = laundered(public, column)
    assert residual_signature(public.tensors, after) == pytest.approx(1, abs=1e-5)
    assert raw_cosine(public.tensors, after) < 0.97  # gates keep their size


def test_a_rotation_breaks_it(public):
    assert abs(residual_signature(public.tensors, laundered(public, "R"))) < 0.2
    turned = rotate_residual(public, np.random.default_rng(1)).tensors
    before, after = branch_products(laundered(public, "none")), branch_products(turned)
    assert np.trace(before[0]) != pytest.approx(np.trace(after[0]))  # the gains were folded


def test_a_laundered_copy_is_farther_than_a_clean_stranger(public):
    stranger = read_model("s1").tensors
    far = raw_frobenius(public.tensors, laundered(public, "D-strong"))
    assert far < raw_frobenius(public.tensors, stranger)  # hence an AUROC of zero
    again = LAUNDERINGS["D-strong"](read_model("s1"), np.random.default_rng(8)).tensors
    assert raw_frobenius(public.tensors, again) < far


@pytest.mark.parametrize("between", [MILD, STRONG])
def test_factors_are_log_uniform(between):
    drawn = log_uniform(np.random.default_rng(0), between, 4000)
    low, high = between
    assert low <= drawn.min() < 1.05 * low
    assert high / 1.05 < drawn.max() <= high
    assert np.log(drawn).mean() == pytest.approx(np.log([low, high]).mean(), abs=0.1)


def test_what_units_compute_stays(public):
    after = rescale_units(public, np.random.default_rng(3), STRONG)
    queries, keys, size = public.heads
    x, y = np.random.default_rng(4).normal(size=(2, public.number("hidden_size")))
    for model in (public, after):
        root, w = "model.layers.0.", model.tensors
        q = (w[f"{root}self_attn.q_proj.weight"] @ x).reshape(keys, queries // keys, 2, size // 2)
        k = (w[f"{root}self_attn.k_proj.weight"] @ y).reshape(keys, 1, 2, size // 2)
        planes = np.stack([(q * k).sum(2), q[:, :, 0] * k[:, :, 1] - q[:, :, 1] * k[:, :, 0]])
        values = np.repeat(
            (w[f"{root}self_attn.v_proj.weight"] @ x).reshape(keys, size), queries // keys, 0
        )
        written = w[f"{root}self_attn.o_proj.weight"] @ values.ravel()
        gate = w[f"{root}mlp.gate_proj.weight"] @ x
        inner = gate / (1 + np.exp(-gate)) * (w[f"{root}mlp.up_proj.weight"] @ x)
        block = w[f"{root}mlp.down_proj.weight"] @ inner
        if model is public:
            first = planes, written, block
    for one, two in zip(first, (planes, written, block), strict=True):
        assert np.allclose(one, two, rtol=1e-3, atol=1e-4)
    assert not np.allclose(
        public.tensors["model.layers.0.self_attn.q_proj.weight"],
        after.tensors["model.layers.0.self_attn.q_proj.weight"],
    )
