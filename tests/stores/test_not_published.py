"""That a model publishes no weights is said only where its own list shows it."""

from __future__ import annotations

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.stores.weight_files import holds_no_weights

PLAIN = {
    "config.json": b"{}",
    "README.md": b"# A model",
    "LICENSE": b"MIT",
    "tokenizer.model": b"x",
    "modeling_x.py": b"",
    ".gitattributes": b"",
}


def reason_of(store) -> Reason:
    with pytest.raises(Unavailable) as caught:
        store.tensor_index()
    return caught.value.reason


def test_a_listed_repository_without_a_file_that_can_hold_weights(hub, opened):
    hub.add_repo("org/withheld", PLAIN)
    assert reason_of(opened("org/withheld")) is Reason.NOT_PUBLISHED


@pytest.mark.parametrize(
    "name",
    [
        "weights.distcp",  # a format that is not read
        "checkpoint/global_step1/mp_rank_00.pt",  # in a folder
        "model.ckpt",
        "shards.tar",
        "unknown",
        "other.safetensors.index.json",  # an index says that there are weights
        "data.model",  # no tokenizer by its name
    ],
)
def test_a_file_that_may_hold_weights_leaves_it_open(hub, opened, name):
    hub.add_repo("org/other", {**PLAIN, name: b"x"})
    assert reason_of(opened("org/other")) is not Reason.NOT_PUBLISHED
    assert not holds_no_weights([*PLAIN, name])


def test_a_folder_is_no_publication(opened, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert reason_of(opened(str(tmp_path))) is Reason.ABSENT


def test_a_cache_holds_what_somebody_fetched(hub, opened, run):
    hub.add_repo("org/withheld", PLAIN)
    opened("org/withheld").config()
    cached = opened("org/withheld", offline=True)
    assert reason_of(cached) is not Reason.NOT_PUBLISHED


@pytest.mark.parametrize("name", ["org/gone", "org/secret"])
def test_what_cannot_be_listed_is_not_unpublished(hub, opened, name):
    hub.add_repo("org/secret", PLAIN, private=True)
    with pytest.raises(Unavailable) as caught:
        opened(name).tensor_index()
    assert caught.value.reason is not Reason.NOT_PUBLISHED
