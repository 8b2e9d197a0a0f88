from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.stores.http.ranges import ByteRange, coalesce, cut

RANGES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 60)).map(
        lambda pair: ByteRange(pair[0], pair[0] + pair[1])
    ),
    max_size=12,
)


def positions(ranges) -> set[int]:
    return {position for item in ranges for position in range(item.start, item.stop)}


@given(RANGES, st.integers(0, 100))
def test_every_requested_byte_is_fetched_once_in_order(ranges, gap) -> None:
    plan = coalesce(ranges, gap=gap)
    assert list(plan) == sorted(plan)
    assert sum(map(len, plan)) == len(positions(plan))
    assert positions(ranges) <= positions(plan)
    assert all(left.stop < right.start for left, right in pairwise(plan))


@given(RANGES, st.integers(0, 100))
def test_extra_bytes_lie_in_gaps_no_wider_than_allowed(ranges, gap) -> None:
    extra = positions(coalesce(ranges, gap=gap)) - positions(ranges)
    run = 0
    for position in range(500):
        run = run + 1 if position in extra else 0
        assert run <= gap


@given(RANGES, st.integers(0, 100), st.integers(0, 500))
def test_total_stays_within_the_budget_or_is_refused(ranges, gap, budget) -> None:
    needed = len(positions(ranges))
    if needed > budget:
        with pytest.raises(Unavailable) as caught:
            coalesce(ranges, gap=gap, budget=budget)
        assert caught.value.reason is Reason.OVER_BUDGET
    else:
        plan = coalesce(ranges, gap=gap, budget=budget)
        assert sum(map(len, plan)) <= budget
        assert positions(ranges) <= positions(plan)


@given(RANGES, st.integers(0, 100), st.binary(min_size=460, max_size=460))
def test_cut_returns_what_was_asked_for(ranges, gap, content) -> None:
    fetched = [(item, content[item.start : item.stop]) for item in coalesce(ranges, gap=gap)]
    assert cut(ranges, fetched) == [content[item.start : item.stop] for item in ranges]


def test_narrow_gaps_are_bridged_before_wide_ones() -> None:
    ranges = [ByteRange(0, 10), ByteRange(30, 40), ByteRange(45, 50)]
    assert coalesce(ranges, gap=100, budget=35) == (ByteRange(0, 10), ByteRange(30, 50))


def test_what_was_not_fetched_is_an_error() -> None:
    with pytest.raises(ValueError, match="was not fetched"):
        cut([ByteRange(0, 4)], [(ByteRange(0, 3), b"abc")])


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3)])
def test_impossible_ranges(start, stop) -> None:
    with pytest.raises(ValueError, match="not a byte range"):
        ByteRange(start, stop)


def test_a_gap_as_wide_as_allowed_is_bridged_and_a_wider_one_is_not() -> None:
    ranges = [ByteRange(0, 10), ByteRange(15, 20), ByteRange(26, 30)]
    assert coalesce(ranges, gap=5) == (ByteRange(0, 20), ByteRange(26, 30))
