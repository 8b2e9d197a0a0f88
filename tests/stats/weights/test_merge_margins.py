"""How far training after a merge can have moved the shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.stats.weights.merge_shares import Products, merge_shares


def fitted(model, parents):
    products = Products(len(parents))
    products.add(np.float32(model), [np.float32(p) for p in parents])
    return merge_shares(products)


def test_by_hand():
    """Parents at 0 and 10 on one axis, the model at 3, and 4 away from the axis: .7 and .3."""
    found = fitted([3.0, 4.0], [[0.0, 0.0], [10.0, 0.0]])
    assert found.shares == pytest.approx((0.7, 0.3))
    assert found.explained == pytest.approx(1 - 16 / 25)
    # one standard error is 4 / (10 sqrt(1)): of two weights one degree of freedom is left
    assert found.margins(2.0) == pytest.approx([0.4 * (2 * 2**0.5 + 2)] * 2)


@settings(max_examples=50)
@given(
    share=st.floats(0, 1),
    ratio=st.floats(-2, 2),
    size=st.floats(0.01, 2),
    seed=st.integers(0, 2**31),
)
def test_margins_cover_any_drift_that_goes_along_the_difference_by_no_more(
    share, ratio, size, seed
):
    rng = np.random.default_rng(seed)
    one, two, across = rng.normal(size=(3, 4000))
    apart = two - one
    across -= apart * (across @ apart) / (apart @ apart)
    across *= size * np.linalg.norm(apart) / np.linalg.norm(across)
    along = ratio * size * apart  # as long as the drift across, times the ratio
    found = fitted(one + share * apart + across + along, [one, two])
    low, high = (found.shares[1] + s * found.margins(2.0)[1] for s in (-1, 1))
    assert low <= share <= high


def test_a_plain_merge_has_no_margin_to_speak_of():
    rng = np.random.default_rng(1)
    one, two, three = rng.normal(size=(3, 1000))
    found = fitted(0.5 * one + 0.3 * two + 0.2 * three, [one, two, three])
    assert found.shares == pytest.approx((0.5, 0.3, 0.2), abs=1e-5)
    assert max(found.margins(2.0)) < 1e-3
