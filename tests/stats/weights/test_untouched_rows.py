"""Shares from rows that training left alone: exact where they are, silent where they are not."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_scratchverify.stats.weights.untouched_rows import untouched_rows

ROWS, COLUMNS, DRIFT = 200, 64, 1.1


def rounded(values):
    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def tables(rng, near=0.5, parents=2):
    """A base and children of it."""
    base = rng.normal(size=(ROWS, COLUMNS))
    return [rounded(base + near * rng.normal(size=base.shape)) for _ in range(parents)]


def trained(table, rng, untouched, amount=0.3, decay=0.97):
    """Decay every row; let all but the first few move."""
    moved = decay * table
    moved[untouched:] += amount * rng.normal(size=moved[untouched:].shape)
    return rounded(moved)


@settings(max_examples=25)
@given(
    share=st.floats(0, 1),
    untouched=st.integers(6, ROWS),
    decay=st.floats(0.6, 1),
    seed=st.integers(0, 2**31),
)
def test_shares_of_a_linear_merge_come_back_within_their_margins(share, untouched, decay, seed):
    rng = np.random.default_rng(seed)
    one, two = tables(rng)
    found = untouched_rows(
        trained(share * one + (1 - share) * two, rng, untouched, decay=decay), [one, two], DRIFT
    )
    assert found is not None
    assert found.rows >= 0.8 * untouched
    assert abs(found.shares[0] - share) <= found.margins[0] <= 0.05
    assert found.scale == pytest.approx(decay, abs=0.01)


def drop(change, rng, kept=0.5):
    return change * (rng.random(change.shape) < kept) / kept


@pytest.mark.parametrize("untouched", [8, 40, ROWS])
def test_shares_of_a_merge_with_dropped_entries_come_back(untouched):
    rng = np.random.default_rng(untouched)
    base = rounded(rng.normal(size=(ROWS, COLUMNS)))
    one, two = (rounded(base + 0.5 * rng.normal(size=base.shape)) for _ in "ab")
    merged = base + drop(0.7 * (one - base), rng) + drop(0.3 * (two - base), rng)
    found = untouched_rows(trained(merged, rng, untouched), [one, two, base], DRIFT)
    assert found is not None
    assert found.entrywise
    assert found.shares == pytest.approx((0.7, 0.3, 0), abs=0.02)
    assert found.rows == untouched


def test_nothing_is_said_where_training_met_every_row():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        one, two = tables(rng)
        assert untouched_rows(trained(0.7 * one + 0.3 * two, rng, 0), [one, two], DRIFT) is None


@pytest.mark.parametrize("near", [0.0, 0.002])
def test_nothing_is_said_where_the_parents_are_alike(near):
    """Rows of equal or barely different parents fit any shares."""
    rng = np.random.default_rng(3)
    one, two = tables(rng, near)
    assert untouched_rows(trained(one.copy(), rng, 50), [one, two], DRIFT) is None


def test_parents_that_only_decayed_since_their_base_are_not_told_apart():
    rng = np.random.default_rng(4)
    base = rng.normal(size=(ROWS, COLUMNS))
    assert untouched_rows(rounded(0.95 * base), [rounded(base), rounded(0.9 * base)], DRIFT) is None


def test_child_of_one_parent_has_nothing_of_the_other():
    rng = np.random.default_rng(5)
    one, two = tables(rng)
    toward = one + 0.4 * (two - one)  # what training on the other's text does to met rows
    toward[:20] = one[:20]
    found = untouched_rows(trained(toward, rng, 20, 0.1), [one, two], DRIFT)
    assert found is not None
    assert found.shares == pytest.approx((1, 0), abs=0.02)
    assert found.rows == 20


def test_training_so_light_that_rows_pass_for_untouched_widens_the_margins():
    """Every row moves along the difference by what its residual is, times the stated drift."""
    rng = np.random.default_rng(6)
    one = rng.normal(size=(ROWS, COLUMNS))
    two = one + 0.01 * rng.normal(size=one.shape)
    step = 0.002
    moved = 0.7 * one + 0.3 * two + step * rng.normal(size=one.shape)
    moved += DRIFT * step / 0.01 * (two - one)
    found = untouched_rows(*(np.float32(moved), [np.float32(one), np.float32(two)]), DRIFT)
    assert found is None or abs(found.shares[0] - 0.7) <= found.margins[0]
