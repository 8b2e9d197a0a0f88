"""Merges that were really trained on afterwards: their shares come back, or an interval does.

The models of `merges` are those of `tools/zoo/build_disguises.py`, cut to the embedding table and one
layer (`tools/zoo/ship_records.py`). After the merge came 200 steps at the pretraining's own rate:
``-cpt`` on the text that made the parents differ, ``-prose`` on a text that neither knew.
"""

from __future__ import annotations

import json

import pytest

from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.methods.weights.merge import weights_merge
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from tests.weights.shipped import CALIBRATION
from tools.running import ROOT
from tools.zoo.ready_models import READY

MERGES = ROOT / "tests" / "weights" / "merges"
TRUTH = json.loads((MERGES / "MANIFEST.json").read_text())
MADE = [name for name in TRUTH if name.startswith("merge")]
NEW_TABLE = "merge-linear2-newvocab-cpt"
BOTH = "merge, or trained on the second parent's data"


@pytest.fixture(scope="module")
def taken_apart(tmp_path_factory):
    run = RunDirectory(tmp_path_factory.mktemp("run"))

    def opened(name):
        folder = MERGES / name if (MERGES / name).is_dir() else READY / name
        return open_store(str(folder), run_dir=run, budget=ByteBudget())

    def ask(model, parents):
        stores = {parent: opened(parent) for parent in parents}
        return weights_merge(ModelSpec(name=model), opened(model), stores, CALIBRATION)

    return ask


def true_shares(name):
    given = dict(zip(TRUTH[name]["parents"], TRUTH[name]["shares"], strict=False))
    return [given.get(parent, 0.0) for parent in TRUTH[name]["parents"]]


@pytest.mark.parametrize("name", [name for name in MADE if name != NEW_TABLE])
def test_shares_are_found_though_training_went_on(name, taken_apart):
    found = taken_apart(name, TRUTH[name]["parents"])
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "merge"), found.headline
    assert found.kind == "merge"
    assert found.details["parents"] == TRUTH[name]["parents"]
    assert found.details["shares"] == pytest.approx(true_shares(name), abs=0.05)
    assert found.details["rows_left_alone"]["rows"] >= 10
    assert "rows of the embedding table" in str(found.headline)


@pytest.mark.parametrize("name", MADE)
def test_intervals_cover_the_truth(name, taken_apart):
    found = taken_apart(name, TRUTH[name]["parents"])
    for share, (low, high) in zip(true_shares(name), found.details["intervals"], strict=True):
        assert low - 0.001 <= share <= high + 0.001
        assert name == NEW_TABLE or high - low <= 0.15


def test_interval_is_all_there_is_where_the_table_was_replaced(taken_apart):
    """Later training moves all weights along what the parents differ in: no share is claimed."""
    found = taken_apart(NEW_TABLE, TRUTH[NEW_TABLE]["parents"])
    assert (found.relation, found.kind) == ("merge", BOTH)
    assert found.details["rows_left_alone"] is None
    assert "no closer since training moves" in str(found.headline)


@pytest.mark.parametrize("text", ["cpt", "prose"])
def test_part_of_a_stranger_is_named_with_its_p_value(text, taken_apart):
    found = taken_apart(f"merge-linear-strangers-{text}", ["s0", "s1"])
    assert found.details["pvalues_of_strangers"]["s1"] < 1e-6


OTHERS = [
    ["s0", "s0-cpt-long"],
    ["s0", "s0-cpt-short"],
    ["s0", "s0-finetune"],
    ["s0", "s1"],
    ["s0", "s0-cpt-long", "s1"],
    ["s0", "s0-cpt-short", "s0-cpt-long", "s1"],
    ["s0", "s0-twin"],
]


@pytest.mark.parametrize("parents", OTHERS, ids=", ".join)
@pytest.mark.parametrize("child", ["s0-plain-cpt", "s0-cpt-short", "s0-finetune"])
def test_child_of_one_parent_is_called_no_merge(child, parents, taken_apart):
    """s0-cpt-short had the very batches of s0-cpt-long, s0-plain-cpt the same text anew."""
    asked = [parent for parent in parents if parent != child]
    found = taken_apart(child, asked)
    assert found.outcome is Outcome.NOT_APPLICABLE or found.kind == BOTH, found.headline
    if found.kind == BOTH:  # only where the true parent cannot be told from another reference
        assert all(low == 0 for low, _ in found.details["intervals"][1:])


@pytest.mark.parametrize("child", ["s0-plain-cpt", "s0-cpt-short"])
@pytest.mark.parametrize("other", ["s0-cpt-long", "s1", "s0-twin"])
def test_nothing_of_another_model_is_in_a_child(child, other, taken_apart):
    found = taken_apart(child, ["s0", other])
    assert found.relation is None, found.headline
    if "shares" in found.details:
        assert found.details["shares"] == pytest.approx([1, 0], abs=0.01)
