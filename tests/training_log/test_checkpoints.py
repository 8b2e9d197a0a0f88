"""Checkpoints on the way: of really trained models, and of paths with a stranger in them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_scratchverify.checkpoint.step_names import StepName, longest_series, read_step
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Direction, Level, Outcome
from pytest_scratchverify.methods.training_log import checkpoints as methods
from pytest_scratchverify.methods.training_log.checkpoint_reading import choose, read_walk
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.snapshots import in_folders, list_refs
from tests.training_log.shipped import TRAJECTORIES
from tools.running import HANGS, run_suites
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY

SUITE = "suites/test_checkpoint_trajectory.py"


def walk_of(folder, **options):
    store = FolderStore(folder)
    given = {"depth": "quick", "limit": None, **options}
    return read_walk(in_folders(store), store, **given)


def copied(tmp_path, name, **other):
    """A run's folder; `other` replaces the checkpoint of a step by another file."""
    folder = tmp_path / "model"
    shutil.copytree(TRAJECTORIES / name, folder)
    for step, source in other.items():
        shutil.copy(source, folder / f"checkpoint-{step.removeprefix('at')}" / "model.safetensors")
    return folder


def of(name, step):
    return TRAJECTORIES / name / f"checkpoint-{step}" / "model.safetensors"


# ---- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "series", "step"),
    [
        ("step143000", "", 143000),
        ("step_512", "", 512),
        ("checkpoint-500", "", 500),
        ("runs/a/checkpoint-500", "runs/a/", 500),
        ("stage1-step5000-tokens21B", "stage1-", 5000),
        ("stage2-ingredient1-step1000-tokens5B", "stage2-ingredient1-", 1000),
        ("global_step1000", "", 1000),
        ("iter_0000500", "", 500),
    ],
)
def test_names_of_checkpoints_are_read(name, series, step):
    assert read_step(name) == StepName(series, step, name)


@pytest.mark.parametrize("name", ["main", "v1.0", "step", "onnx", "refs/pr/3", "step-by-step"])
def test_other_names_are_not(name):
    assert read_step(name) is None


def test_the_stage_with_the_most_checkpoints_is_followed_and_the_others_counted():
    names = ["main", *(f"stage1-step{i * 1000}-tokens{i}B" for i in range(5)),
             "stage2-ingredient1-step1000-tokens9B", "stage2-ingredient2-step1000-tokens9B"]  # fmt: skip
    found, others = longest_series(names)
    assert [name.step for name in found] == [0, 1000, 2000, 3000, 4000]
    assert others == {"stage2-ingredient1-": 1, "stage2-ingredient2-": 1}


@given(st.lists(st.text(max_size=30), max_size=20))
def test_any_names_give_steps_in_order(names):
    found, _ = longest_series(names)
    steps = [name.step for name in found]
    assert steps == sorted(set(steps))


@given(st.integers(2, 300), st.sampled_from([10, 24, 64]))
def test_first_second_and_last_are_always_chosen(n, most):
    chosen = choose(list(range(n)), most)
    assert chosen[:2] == [0, 1]
    assert chosen[-1] == n - 1
    assert len(chosen) <= most
    assert chosen == sorted(set(chosen))


# ---- trained models ----------------------------------------------------------------------------


def test_the_run_from_a_random_start_passes(limits):
    walk = walk_of(TRAJECTORIES / "s0")
    assert walk.steps == (0, 10, 25, 50, 100, 200, 350, 500, 600)
    start = methods.random_initialisation("s0", walk)
    assert (start.outcome, start.kind) == (Outcome.CONSISTENT, "random start")
    assert {c.kind: c.passed for c in start.controls} == {"positive": True, "negative": True}
    path = methods.checkpoint_path("s0", walk, limits)
    assert path.outcome is Outcome.CONSISTENT
    assert path.statistic.value > 20
    assert path.level is Level.E2  # no verdict rests on it
    assert [c.passed for c in path.controls] == [True]


def test_the_fine_tunes_step_0_is_a_warm_start_with_what_else_explains_it(limits):
    walk = walk_of(TRAJECTORIES / "s0-finetune")
    start = methods.random_initialisation("m", walk)
    assert (start.outcome, start.kind) == (Outcome.INDETERMINATE, "warm start")
    assert start.direction is Direction.TOWARD_REUSE
    assert start.pvalue < 1e-6
    for word in ("after a resume", "wrong label", "low rank"):
        assert word in str(start.headline)
    assert methods.checkpoint_path("m", walk, limits).outcome is Outcome.CONSISTENT


def test_a_later_first_checkpoint_is_no_warm_start(tmp_path):
    folder = copied(tmp_path, "s0")
    for step in (0, 10, 25):
        shutil.rmtree(folder / f"checkpoint-{step}")
    start = methods.random_initialisation("m", walk_of(folder))
    assert (start.kind, start.relation) == ("truncated", "incomplete")
    assert start.direction is Direction.NONE


@pytest.mark.parametrize("stranger", [of("s1", 100), READY / "s1" / "model.safetensors"])
def test_a_checkpoint_of_another_model_in_the_middle_is_caught(tmp_path, stranger, limits):
    folder = copied(tmp_path, "s0", at100=stranger)
    found = methods.checkpoint_path("m", walk_of(folder), limits)
    assert (found.outcome, found.relation) == (Outcome.INDETERMINATE, "contradicted")
    assert "checkpoint-100 shows no relation to its neighbours" in str(found.headline)
    assert found.direction is Direction.NONE  # the rest is one run


def test_two_checkpoints_of_another_model_are_caught(tmp_path, limits):
    folder = copied(tmp_path, "s0", at100=of("s1", 100), at350=of("s1", 350))
    found = methods.checkpoint_path("m", walk_of(folder), limits)
    assert found.relation == "contradicted"


def test_a_tail_that_is_another_model_is_a_lead(tmp_path, limits):
    stranger = READY / "s1" / "model.safetensors"
    folder = copied(tmp_path, "s0", at500=stranger, at600=stranger)
    found = methods.checkpoint_path("m", walk_of(folder), limits)
    assert found.direction is Direction.TOWARD_REUSE
    assert "no relation, as between models of independent initialisation" in str(found.headline)
    assert found.details["breaks"] == [["checkpoint-350", "checkpoint-500"]]


def test_a_published_model_that_is_not_where_the_path_leads_is_a_lead(tmp_path, limits):
    folder = copied(tmp_path, "s0")
    shutil.copy(READY / "s1" / "model.safetensors", folder)
    found = methods.checkpoint_path("m", walk_of(folder), limits)
    assert found.direction is Direction.TOWARD_REUSE
    assert "the published model" in str(found.headline)
    shutil.copy(READY / "s0" / "model.safetensors", folder)
    assert methods.checkpoint_path("m", walk_of(folder), limits).outcome is Outcome.CONSISTENT


def test_a_twin_in_the_middle_lies_off_the_way_and_at_the_end_is_missed(tmp_path, limits):
    """What it cannot see: the same initialisation on other data, put at the very end."""
    twin = READY / "s0-twin" / "model.safetensors"
    middle = copied(tmp_path / "a", "s0", at350=twin)
    found = methods.checkpoint_path("m", walk_of(middle), limits)
    assert "checkpoint-350 lies off the way" in str(found.headline)
    end = copied(tmp_path / "b", "s0", at600=twin)
    assert methods.checkpoint_path("m", walk_of(end), limits).outcome is Outcome.CONSISTENT


def test_what_cannot_be_read_is_named_and_the_rest_is_kept(tmp_path, limits):
    folder = copied(tmp_path, "s0")
    (folder / "checkpoint-100" / "model.safetensors").write_bytes(b"\xff" * 100)
    found = methods.checkpoint_path("m", walk_of(folder), limits)
    assert found.outcome is Outcome.CONSISTENT
    assert "checkpoint-100" in found.details["not_read"][0]


def test_a_budget_is_kept_and_one_too_small_is_said(tmp_path):
    walk = walk_of(TRAJECTORIES / "s0", limit=400_000)
    weights = sum(record.bytes_read for record in walk.records)
    assert 0 < weights < 400_000
    with pytest.raises(Unavailable) as failure:
        walk_of(TRAJECTORIES / "s0", limit=1000)
    assert failure.value.reason is Reason.OVER_BUDGET


def test_equal_reads_give_equal_findings(limits):
    one, two = (walk_of(TRAJECTORIES / "s0") for _ in range(2))
    assert methods.checkpoint_path("m", one, limits) == methods.checkpoint_path("m", two, limits)
    assert replace(one, others={}) == replace(one, others={})


# ---- the suite, over a folder and over a hub ---------------------------------------------------


def run(model, home, *arguments, env=None):
    arguments = ["--depth", "quick", *arguments]
    return run_suites("--model", model, *arguments, home=home, suites=SUITE, env=env)


def test_folders_of_a_trainer_are_found(tmp_path):
    ran = run(str(copied(tmp_path, "s0")), tmp_path, "--offline")
    assert ran.finding("training_log.random_initialisation")["kind"] == "random start"
    path = ran.finding("training_log.checkpoint_path")
    assert path["outcome"] == "consistent", ran.output
    assert any(r["file"] == "checkpoint-600/model.safetensors" for r in path["artifacts"])


def test_a_folder_without_checkpoints_is_not_asked(tmp_path):
    ran = run(str(READY / "s0"), tmp_path, "--offline")
    found = ran.finding("training_log.checkpoint_path")
    assert found["outcome"] == "not-applicable", ran.output
    assert "stepN" in str(found["headline"])


@pytest.fixture
def hub():
    """A repository with a branch for every checkpoint, as Pythia has."""
    with LoopbackHub() as running:
        running.add_repo("org/run", READY / "s0")
        for folder in (TRAJECTORIES / "s0").iterdir():
            running.push("org/run", folder, f"step{folder.name.split('-')[1]}")
        running.push("org/run", READY / "t0", "v1.0")
        running.add_repo("org/single", READY / "s1")
        yield running


def test_branches_of_a_hub_are_read_by_ranges(hub, tmp_path):
    env = {**os.environ, **hub.environment(tmp_path / "hf")}
    ran = run("org/run", tmp_path, env=env)
    path = ran.finding("training_log.checkpoint_path")
    assert path["outcome"] == "consistent", ran.output
    assert path["details"]["checkpoints"] == [
        f"step{n}" for n in (0, 10, 25, 50, 100, 200, 350, 500, 600)
    ]
    assert path["details"]["published_compared"] is True
    assert ran.finding("training_log.random_initialisation")["kind"] == "random start"
    assert len(hub.requests("/refs")) == 1
    assert len({record["revision"] for record in path["artifacts"]}) == 10
    whole = 9 * of("s0", 0).stat().st_size + (READY / "s0" / "model.safetensors").stat().st_size
    assert sum(line.sent for line in hub.log) < whole
    assert ran.verdicts("org/run")["training_record"] == "INSUFFICIENT_EVIDENCE"
    assert run("org/run", tmp_path, "-n", "2", env=env).json_bytes == ran.json_bytes


def test_a_stranger_in_a_branch_is_a_lead_and_convicts_nobody(hub, tmp_path):
    stranger = {"model.safetensors": (READY / "s1" / "model.safetensors").read_bytes()}
    for step in (350, 500, 600):
        hub.push("org/run", stranger, f"step{step}")
    hub.push("org/run", READY / "s1")
    env = {**os.environ, **hub.environment(tmp_path / "hf")}
    ran = run("org/run", tmp_path, env=env)
    path = ran.finding("training_log.checkpoint_path")
    assert path["direction"] == "toward_reuse"
    assert "between step200 and step350" in json.dumps(path["headline"])
    assert ran.code == 10, ran.output


def test_a_repository_without_such_branches_is_not_asked(hub, tmp_path):
    env = {**os.environ, **hub.environment(tmp_path / "hf")}
    ran = run("org/single", tmp_path, env=env)
    assert ran.finding("training_log.checkpoint_path")["outcome"] == "not-applicable"


@pytest.mark.parametrize(
    ("body", "reason"), [(b"[]", "malformed"), (b'{"branches": 3}', "malformed")]
)
def test_a_nonsensical_list_of_branches_is_unavailable(body, reason, hub, tmp_path):
    hub.fault("org/run", "refs", "garbage", body=body)
    with pytest.raises(Unavailable) as failure:
        refs_of(hub, tmp_path)
    assert failure.value.reason.value == reason


def test_names_that_could_not_stand_in_an_address_are_left_out(hub, tmp_path):
    for name in ("../step7", "step8?x=1", "step9/../..", "step 10", "a" * 300):
        hub.repos["org/run"].branches[name] = next(iter(hub.repos["org/run"].commits))
    names = refs_of(hub, tmp_path)
    assert {"main", "step0", "v1.0"} <= set(names)
    assert not [name for name in names if ".." in name or "?" in name or " " in name]


def refs_of(hub, tmp_path):
    access = HubAccess(endpoint=hub.endpoint, token=False, timeout=HANGS)
    return list_refs("org/run", run=RunDirectory(tmp_path / "run"), access=access, offline=False)


def test_an_unreachable_hub_is_unavailable_and_no_verdict(tmp_path):
    ran = run("org/run", tmp_path)
    found = ran.finding("training_log.checkpoint_path")
    assert found["outcome"] == "unavailable", ran.output
