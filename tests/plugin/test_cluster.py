"""Full depth on a cluster: what it says is what one process says, and a lost worker is no verdict."""

from __future__ import annotations

import hashlib
import os
import signal
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights import tensor_groups
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.methods.weights.tensor_groups import (
    GroupRunner,
    GroupsLost,
    use_runner,
)
from pytest_scratchverify.plugin import cluster as cluster_module
from pytest_scratchverify.plugin.cluster import ClusterRunner
from pytest_scratchverify.plugin.cluster_run import cluster_run
from pytest_scratchverify.stats.weights.centring import centred
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSums
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.verdict.serialization import dumps
from tests.weights.shipped import CALIBRATION
from tools.running import run_suites
from tools.zoo.hub_server import Generated, LoopbackHub, part_of
from tools.zoo.ready_models import READY

DECODER = Component.TEXT_DECODER
DECODER_ALONE = ("--component", DECODER.value)
MIDWAY = 0.3  # of a file of which the decoder is more than half


def asked(model, reference, component=DECODER):
    """Compare two ready models whole."""
    pair = Pair(ModelSpec(name=model), ModelSpec(name=reference))
    hypothesis = ComponentHypothesis(pair=pair, component=component, depth="full")
    stores = (FolderStore(READY / name) for name in (model, reference))
    return weights_origin(hypothesis, *stores, CALIBRATION)


@contextmanager
def dask_config(values):
    dask = pytest.importorskip("dask")
    with dask.config.set(values):
        yield


@contextmanager
def runner_of(runner):
    use_runner(runner)
    try:
        yield runner
    finally:
        use_runner(None)


@pytest.fixture(scope="module")
def workers():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, protocol="tcp://",
        dashboard_address=":0",
    ) as local:  # fmt: skip
        runner = ClusterRunner(local.scheduler_address, lambda _: None)
        yield runner
        runner.close()


@pytest.mark.parametrize(
    ("model", "component"),
    [
        ("s0-cpt-long", DECODER),
        ("vl0", Component.VISION_ENCODER),
        ("moe0", Component.ROUTER_EXPERTS),
    ],
)
def test_workers_say_what_one_process_says(workers, model, component, monkeypatch):
    monkeypatch.setattr(tensor_groups, "GROUP_BYTES", 2**14)  # several groups a layer
    reference = {"vl0": "vl0-vision-only", "moe0": "moe0"}.get(model, "s0")
    alone = asked(model, reference, component)
    with runner_of(workers):
        together = asked(model, reference, component)
    assert dumps(together) == dumps(alone)
    assert alone.outcome is not Outcome.NOT_APPLICABLE


def test_groups_hold_every_row_once(monkeypatch):
    monkeypatch.setattr(tensor_groups, "GROUP_BYTES", 2**14)
    seen = []

    class Kept(GroupRunner):
        def measured(self, checkpoints, groups):
            seen.extend(groups)
            return super().measured(checkpoints, groups)

    with runner_of(Kept()):
        asked("moe0", "moe0", Component.ROUTER_EXPERTS)
    rows = [
        (b.matrix.slot, n) for group in seen for b in group.ours for n in range(b.start, b.stop)
    ]
    assert (
        len(rows)
        == len(set(rows))
        == sum({s: n for g in seen for s, n in g.whole_rows.items()}.values())
    )
    layers = {b.matrix.slot.layer for group in seen for b in group.ours}
    assert len(seen) > len(layers) > 1
    for group in seen:
        assert len({b.matrix.slot.layer for b in group.ours}) == 1
        assert [b.matrix.slot for b in group.ours] == [b.matrix.slot for b in group.theirs]


def test_sums_are_exact_in_any_order():
    rng = np.random.default_rng(1)
    pairs = [rng.standard_normal((2, 40, 24)).astype(np.float32) for _ in range(50)]

    def summed(order, cuts):
        parts = [ChannelSums(np.arange(24)) for _ in range(cuts)]
        for turn, number in enumerate(order):
            parts[turn % cuts].add(*pairs[number])
        for part in parts[1:]:
            parts[0].join(part)
        return parts[0].total

    whole = summed(range(50), 1)
    assert (whole == summed(rng.permutation(50), 7)).all()
    exact = np.zeros((24, 24))
    for pair in pairs:
        ours, theirs = (centred(side).astype(float) for side in pair)
        exact += ours.T @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert np.abs(whole - exact).max() < 1e-6 * np.abs(exact).max()


def test_a_part_of_the_groups_is_no_verdict():
    class Breaking(GroupRunner):
        def measured(self, checkpoints, groups):
            yield from super().measured(checkpoints, groups[:2])
            raise GroupsLost(Text("lost"), Text("again"))

    with runner_of(Breaking()):
        finding = asked("s0-finetune", "s0")
    assert finding.outcome is Outcome.INDETERMINATE
    assert finding.pvalue is None
    assert finding.details["until_lost"]["groups"] == {"measured": 2, "planned": 5}
    assert (
        finding.details["until_lost"]["aligned_cosine"] > 0.9
    )  # which is kept, and accuses nobody
    assert sum(record.bytes_read for record in finding.artifacts) > 0


def test_workers_that_are_gone_leave_the_question_open():
    distributed = pytest.importorskip("distributed")
    with (
        dask_config({cluster_module.PATIENCE: 0.2}),
        distributed.LocalCluster(
            n_workers=1, processes=False, protocol="tcp://", dashboard_address=":0"
        ) as local,
    ):
        runner = ClusterRunner(local.scheduler_address, lambda _: None)
        local.scale(0)
        with runner_of(runner):
            findings = [asked("s0-finetune", "s0"), asked("s0-finetune", "s0", Component.LM_HEAD)]
        runner.close()
        with runner_of(runner):
            findings.append(asked("s0-finetune", "s0"))
    for finding in findings:
        assert finding.outcome is Outcome.INDETERMINATE
        assert "lost its workers" in str(finding.headline)
        assert finding.details["until_lost"]["groups"]["measured"] == 0


@pytest.mark.parametrize("address", ["", "remote", "http://a:1", "tcp://a", "tcp://a:b", "local:0"])
def test_what_is_no_address_is_one_line(address):
    with pytest.raises(
        ScratchError, match="is no cluster; write local, local:WORKERS, tcp://"
    ) as said:
        ClusterRunner(address, print)
    assert len(str(said.value).splitlines()) == 1


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setattr(cluster_module, "find_spec", lambda _: None)
    with pytest.raises(ScratchError, match=r"pip install 'pytest-scratchverify\[cluster\]'"):
        ClusterRunner("local", print)


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_module, "CONNECT", 0.2)
    with pytest.raises(ScratchError, match="no scheduler answers there") as said:
        ClusterRunner("tcp://127.0.0.1:9", print)
    assert len(str(said.value).splitlines()) == 1


def test_a_scheduler_without_workers_is_one_line(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_module, "CONNECT", 1.0)
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address=":0"
        ) as local,
        pytest.raises(ScratchError, match="the scheduler has no workers"),
    ):
        ClusterRunner(local.scheduler_address, print)


@pytest.mark.parametrize(
    ("depth", "count", "why"),
    [("robust", None, "--cluster is for --depth full"), ("full", 2, "--cluster and -n")],
)
def test_a_cluster_is_for_full_depth_and_instead_of_n(depth, count, why):
    settings = SimpleNamespace(depth=depth, cluster="local")
    config = SimpleNamespace(option=SimpleNamespace(numprocesses=count))
    with pytest.raises(ScratchError, match=why):
        cluster_run(SimpleNamespace(settings=settings, config=config))


class Trigger:
    """Serves a file, and from so many bytes on calls something, until it says that it is done."""

    def __init__(self, path, at):
        self.path, self.left, self.call = path, at, None

    def served(self):
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return Generated(self.path.stat().st_size, self.read, digest)

    def read(self, start, stop):
        self.left -= stop - start
        if self.left <= 0 and self.call is not None:
            self.call = None if self.call() else self.call
        return part_of(self.path, start, stop)


@contextmanager
def served_to_processes(home, monkeypatch, share):
    """Serve a pair over HTTP to a cluster of two processes; yield the trigger, too."""
    distributed = pytest.importorskip("distributed")
    weights = READY / "s0-cpt-long" / "model.safetensors"
    trigger = Trigger(weights, int(share * weights.stat().st_size))
    with LoopbackHub() as hub:
        files = {p.name: p for p in (READY / "s0-cpt-long").iterdir() if p.is_file()}
        hub.add_repo("org/child", {**files, weights.name: trigger.served()})
        hub.add_repo("org/parent", READY / "s0")
        for name, value in hub.environment(home).items():
            monkeypatch.setenv(name, value)
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as local:
            yield hub, local, trigger


def busy(local):
    """Return the processes of the workers that measure something."""
    return [worker.pid for worker in local.scheduler.workers.values() if worker.processing]


def run_on(local, hub, home, *more):
    at = ["--cluster", local.scheduler_address] if local is not None else []
    return run_suites(
        "--model", "org/child", "--against", "org/parent", "--depth", "full", "-m", "weights",
        "-p", "no:cacheprovider", *at, *more, home=home, env=hub.environment(home),
    )  # fmt: skip


@pytest.mark.slow
def test_a_worker_that_is_killed_midway_changes_nothing(tmp_path, monkeypatch):
    homes = [tmp_path / name for name in ("serial", "cluster", "run")]
    for home in homes:
        home.mkdir()
    with served_to_processes(homes[1], monkeypatch, MIDWAY) as (hub, local, trigger):
        alone = run_on(None, hub, homes[0], *DECODER_ALONE)
        killed = []

        def kill():
            killed.extend(busy(local)[:1])
            return bool(killed) and os.kill(killed[0], signal.SIGKILL) is None

        weights = READY / "s0-cpt-long" / "model.safetensors"
        trigger.left, trigger.call = int(MIDWAY * weights.stat().st_size), kill
        together = run_on(local, hub, homes[2], *DECODER_ALONE)
    assert killed
    assert "cluster: 2 workers" in together.output
    assert together.json_bytes == alone.json_bytes


@pytest.mark.slow
def test_workers_that_are_lost_for_good_leave_the_question_open(tmp_path, monkeypatch):
    homes = [tmp_path / name for name in ("cluster", "run")]
    for home in homes:
        home.mkdir()
    with (
        dask_config({"distributed.scheduler.allowed-failures": 0}),
        served_to_processes(homes[0], monkeypatch, MIDWAY) as (hub, local, trigger),
    ):

        def kill():
            found = busy(local)
            for pid in found:
                os.kill(pid, signal.SIGKILL)
            return bool(found)

        trigger.call = kill
        run = run_on(local, hub, homes[1], *DECODER_ALONE, "-k", "not_inherited")
    assert trigger.call is None
    finding = run.finding("weights.origin")
    assert finding["outcome"] == "indeterminate"
    assert "lost its workers" in finding["headline"]["text"]
    groups = finding["details"]["until_lost"]["groups"]
    assert groups["measured"] < groups["planned"]
    assert run.verdicts("org/child")["text_decoder"] == "INSUFFICIENT_EVIDENCE"
