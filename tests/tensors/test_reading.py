"""A checkpoint is opened once a store, and what two of them have in common is found once."""

from __future__ import annotations

import pytest

from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.plan import Block
from pytest_scratchverify.tensors.reading import CheckpointPair, ReadLog, open_checkpoint
from tools.zoo import small_checkpoints


@pytest.fixture
def store(tmp_path):
    folder = small_checkpoints.independent(tmp_path / "model")
    return open_store(str(folder), None, run_dir=RunDirectory(tmp_path), budget=ByteBudget())


def test_a_store_keeps_its_checkpoint(store):
    assert open_checkpoint(store) is open_checkpoint(store)


def test_rows_are_fetched_once_and_logged_for_every_comparison(store, monkeypatch):
    checkpoint = open_checkpoint(store)
    blocks = [Block(m, 0, m.rows) for m in checkpoint.inventory.matrices.values()][:3]
    first, again = ReadLog(), ReadLog()
    values = checkpoint.read(blocks, first)
    monkeypatch.setattr(type(store), "read_ranges", None)  # whoever asks again, fails
    repeated = checkpoint.read(blocks, again)
    assert [v.tobytes() for v in values] == [v.tobytes() for v in repeated]
    assert first.as_records() == again.as_records()


def test_what_two_checkpoints_have_in_common_is_found_once(store):
    checkpoint = open_checkpoint(store)
    asked = []
    for _ in range(2):
        pair = CheckpointPair(checkpoint, checkpoint)
        assert pair.once("rows", lambda: asked.append(1) or 7) == 7
    assert asked == [1]
    assert pair.once("others", lambda: 8) == 8
