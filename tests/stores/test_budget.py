from __future__ import annotations

import pytest

from pytest_scratchverify.core.errors import Reason, ScratchError, Unavailable
from pytest_scratchverify.stores.budget import ByteBudget, parse_size
from tests.stores.reading import read_range


@pytest.mark.parametrize(
    ("text", "size"),
    [("16MB", 16_000_000), ("256MiB", 2**28), ("1.5 gib", 3 * 2**29), ("77", 77), (" 2 kB ", 2000)],
)
def test_sizes(text, size) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-3MB", "3 furlongs", "1e3"])
def test_no_sizes(text) -> None:
    with pytest.raises(ScratchError, match="write 16MB"):
        parse_size(text)


def test_charge_refuses_before_reading_and_keeps_the_rest_usable() -> None:
    budget = ByteBudget.parse("100")
    budget.charge(60, "a")
    with pytest.raises(Unavailable) as caught:
        budget.charge(41, "model.safetensors")
    assert caught.value.reason is Reason.OVER_BUDGET
    assert "model.safetensors" in str(caught.value.what)
    budget.charge(40, "b")
    assert budget.spent == 100


def test_no_limit() -> None:
    budget = ByteBudget.parse(None)
    budget.charge(10**15, "everything")
    assert budget.limit is None


@pytest.mark.parametrize("where", ["hub", "folder"])
def test_nothing_is_read_beyond_the_budget(hub, independent, opened, where) -> None:
    hub.add_repo("org/model", independent)
    target = "org/model" if where == "hub" else str(independent)
    store = opened(target, budget=ByteBudget(1000))
    config = store.config()
    with pytest.raises(Unavailable) as caught:
        read_range(store, "model-00001-of-00002.safetensors", 0, 1000)
    assert caught.value.reason is Reason.OVER_BUDGET
    assert hub.sent(".safetensors") == 0
    assert store.config() == config
