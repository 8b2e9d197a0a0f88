"""A model compared with itself says so, through the library as through the suites."""

from __future__ import annotations

import shutil

import pytest

from pytest_scratchverify import compare_weights
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.plugin.selection import is_itself
from pytest_scratchverify.stores.folder import FolderStore
from tests.weights.shipped import CALIBRATION
from tools.zoo.ready_models import READY


@pytest.mark.parametrize("other", ["s0", "s1/../s0", "link"])
def test_a_folder_by_any_path_is_itself(tmp_path, other):
    (tmp_path / "link").symlink_to(READY / "s0")
    path = tmp_path / other if other == "link" else READY / other
    with pytest.raises(Unavailable, match="itself") as caught:
        compare_weights(READY / "s0", path, component="embeddings")
    assert caught.value.reason is Reason.SAME_MODEL


def test_a_copy_of_a_folder_is_another_model(tmp_path):
    shutil.copytree(READY / "s0", tmp_path / "copy")
    assert compare_weights(tmp_path / "copy", READY / "s0", component="embeddings").derived


@pytest.mark.parametrize(
    ("name", "revision", "same"),
    [("org/M", None, True), ("org/m", "abc", False), ("org/n", None, False)],
)
def test_a_repository_is_itself_at_one_revision(name, revision, same):
    one, other = ModelSpec(name="org/m"), ModelSpec(name=name, revision=revision)
    assert is_itself(one, other) is same


@pytest.mark.parametrize(("revision", "same"), [("abc", True), ("def", False)])
def test_two_names_of_one_commit_are_one_model(monkeypatch, revision, same):
    """A branch and its commit, a repository and its name before it was renamed."""
    ours, theirs = FolderStore(READY / "s0"), FolderStore(READY / "s0")
    monkeypatch.setattr(ours, "_revision", "abc")
    monkeypatch.setattr(theirs, "_revision", revision)
    pair = Pair(ModelSpec(name="org/old"), ModelSpec(name="org/new"))
    asked = ComponentHypothesis(pair=pair, component=Component.EMBEDDINGS)
    if same:
        with pytest.raises(Unavailable, match="org/new is org/old itself"):
            weights_origin(asked, ours, theirs, CALIBRATION)
    else:
        assert weights_origin(asked, ours, theirs, CALIBRATION).derived


def test_a_folder_and_the_one_below_that_is_its_model_are_one(tmp_path):
    """An output folder and its last checkpoint, the root of a hub cache and its snapshot."""
    outputs, cache = tmp_path / "out", tmp_path / "models--org--name"
    for folder in ("checkpoint-1", "checkpoint-2"):
        shutil.copytree(READY / "s0", outputs / folder)
    shutil.copytree(READY / "s0", cache / "snapshots" / "abc")

    def same(one, other):
        specs = (ModelSpec(name=str(path), folder=True) for path in (one, other))
        return is_itself(*specs)

    assert same(outputs, outputs / "checkpoint-2")
    assert same(outputs / "checkpoint-2", outputs)
    assert not same(outputs, outputs / "checkpoint-1")
    assert same(cache, cache / "snapshots" / "abc")
    assert not same(tmp_path, outputs)
