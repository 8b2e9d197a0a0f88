"""Unreachable, offline, cached, printed in the catalogue: what is left when nobody answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Source
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.store import Artifact, ModelCard
from pytest_scratchverify.stores.unavailable import UnavailableStore
from tests.stores.reading import read_range
from tests.stores.workers import answers, start_worker
from tools.running import ROOT

SHARD = "model-00001-of-00002.safetensors"


class Printed(UnavailableStore):
    """A catalogue that knows one configuration and nothing else."""

    def __init__(self, repo: str) -> None:
        nothing = Unavailable(Reason.ABSENT, Text("Not printed."), Text("Nothing."))
        super().__init__(repo, nothing)

    def config(self) -> Artifact[dict[str, Json]]:
        record = ArtifactRecord(repo=self.repo, file="config.json", source=Source.CATALOGUE)
        return Artifact({"model_type": "printed"}, record)


def catalogue(repo: str) -> Printed | None:
    return Printed(repo) if repo != "org/unknown" else None


@pytest.fixture
def closed_port(access) -> HubAccess:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return replace(access, endpoint=f"http://127.0.0.1:{port}")


def refused(call) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        call()
    return caught.value


def visit(hub, independent, opened) -> str:
    """Read a model once, so that it is cached; returns its commit."""
    sha = hub.add_repo("org/model", independent)
    store = opened("org/model")
    store.config()
    store.tensor_index()
    store.card()
    return sha


def test_unreachable_hub_is_found_out_without_retries_and_once(closed_port, run, waits) -> None:
    for target in ("org/one", "org/two", "org/one"):
        failure = refused(lambda target=target: open_store(target, run_dir=run, access=closed_port))
        assert failure.reason is Reason.UNREACHABLE
        assert closed_port.endpoint in str(failure.what)
        assert "HF_ENDPOINT" in str(failure.remedy)
    assert waits == []  # nothing slept, nothing was tried again
    assert len(list((run.path / "reachability").iterdir())) == 1


def test_unreachable_hub_is_remembered_by_other_processes(hub, run, tmp_path) -> None:
    hub.endpoint = "http://127.0.0.1:9"  # the discard port: nobody listens
    answers(start_worker(hub, tmp_path, run, "org/one"))
    [remembered] = (run.path / "reachability").iterdir()
    written = remembered.stat().st_mtime_ns
    [[[reason, _]]] = answers(start_worker(hub, tmp_path, run, "org/two"))
    assert reason == "unreachable"
    assert remembered.stat().st_mtime_ns == written


def test_hub_that_dies_during_the_run_is_given_up_once(hub, independent, opened, waits) -> None:
    hub.add_repo("org/model", independent)
    hub.add_repo("org/other", independent)
    store = opened("org/model")
    store.config()
    hub.__exit__(None, None, None)
    hub.__dict__["_servers"] = []
    assert refused(lambda: read_range(store, SHARD, 0, 8)).reason is Reason.UNREACHABLE
    retries = len(waits)
    assert refused(store.card).reason is Reason.UNREACHABLE
    assert refused(lambda: opened("org/other")).reason is Reason.UNREACHABLE
    assert len(waits) == retries
    assert store.config().value


def test_cache_answers_when_the_hub_does_not(
    hub, independent, opened, closed_port, tmp_path
) -> None:
    sha = visit(hub, independent, opened)
    online = opened("org/model")
    store = open_store("org/model", run_dir=RunDirectory(tmp_path / "next"), access=closed_port)
    for question in ("config", "tensor_index", "card"):
        cached, fresh = getattr(store, question)(), getattr(online, question)()
        assert cached.value == fresh.value
        assert cached.record.source is Source.CACHE
        assert cached.record.digest == fresh.record.digest
        assert str(cached.record.note) == f"hub not reachable; cached copy of commit {sha}"
    failure = refused(lambda: store.file("tokenizer.json"))
    assert failure.reason is Reason.UNREACHABLE
    assert refused(lambda: read_range(store, SHARD, 0, 100)).reason is Reason.UNREACHABLE


def test_offline_switch_sends_nothing(hub, independent, opened) -> None:
    visit(hub, independent, opened)
    before = len(hub.log)
    store = opened("org/model", offline=True)
    assert store.config().record.source is Source.CACHE
    failure = refused(store.tokenizer_files)
    assert failure.reason is Reason.OFFLINE
    assert "Run once with a network" in str(failure.remedy)
    assert len(hub.log) == before


def test_offline_without_a_cache_is_offline_and_not_absent(hub, opened) -> None:
    failure = refused(lambda: opened("org/never-seen", offline=True))
    assert failure.reason is Reason.OFFLINE
    assert not hub.log


def test_offline_by_environment(hub, independent, run, tmp_path) -> None:
    hub.add_repo("org/model", independent)
    environment = {**os.environ, **hub.environment(tmp_path), "HF_HUB_OFFLINE": "1"}
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from pytest_scratchverify.stores.opening import open_store\n"
        "from pytest_scratchverify.stores.disk.run_directory import RunDirectory\n"
        "open_store('org/model', run_dir=RunDirectory(Path(sys.argv[1])))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "this run is offline" in done.stderr
    assert not hub.log


def test_cache_filled_by_another_program_is_used(hub, independent, access, run) -> None:
    import huggingface_hub

    sha = hub.add_repo("org/model", independent)
    huggingface_hub.snapshot_download(
        "org/model", cache_dir=access.cache_dir, endpoint=access.endpoint, token=False
    )
    store = open_store("org/model", run_dir=run, access=access, offline=True)
    assert store.revision == sha
    weights = [entry for entry in store.files().value if entry.path.endswith(".safetensors")]
    assert all(entry.sha256 for entry in weights)
    assert store.tensor_index().value.tensors
    assert len(read_range(store, SHARD, 0, 8)) == 8


def test_partly_cached_model_does_not_pass_for_a_smaller_one(hub, independent, access, run) -> None:
    import huggingface_hub

    hub.add_repo("org/model", independent)
    for name in ("config.json", SHARD):
        huggingface_hub.hf_hub_download(
            "org/model", name, cache_dir=access.cache_dir, endpoint=access.endpoint, token=False
        )
    store = open_store("org/model", run_dir=run, access=access, offline=True)
    assert refused(store.tensor_index).reason is Reason.OFFLINE
    assert "only the cached files" in str(store.files().record.note)


def test_pinned_commit_is_found_in_the_cache(hub, independent, opened) -> None:
    sha = visit(hub, independent, opened)
    assert opened("org/model", sha, offline=True).config().value


def test_catalogue_is_the_last_resort(opened) -> None:
    store = opened("org/model", offline=True, catalogue=catalogue)
    artifact = store.config()
    assert artifact.value == {"model_type": "printed"}
    assert artifact.record.source is Source.CATALOGUE
    assert "offline" in str(artifact.record.note)
    assert refused(store.tensor_index).reason is Reason.OFFLINE
    assert refused(store.card).reason is Reason.OFFLINE


def test_catalogue_that_does_not_know_the_model(opened) -> None:
    failure = refused(lambda: opened("org/unknown", offline=True, catalogue=catalogue))
    assert failure.reason is Reason.OFFLINE


def test_catalogue_answers_for_a_gated_file_and_says_why(hub, independent, opened) -> None:
    hub.add_repo("org/gated", independent, gated="manual")
    store = opened("org/gated", catalogue=catalogue)
    artifact = store.config()
    assert artifact.record.source is Source.CATALOGUE
    assert "is gated" in str(artifact.record.note)
    assert isinstance(store.card().value, ModelCard)


def test_catalogue_answers_for_a_withdrawn_repository(opened) -> None:
    store = opened("org/withdrawn", catalogue=catalogue)
    assert "does not exist" in str(store.config().record.note)


def test_catalogue_does_not_hide_that_a_file_is_absent_or_broken(hub, opened) -> None:
    hub.add_repo("org/bare", {"README.md": b"# nothing"})
    hub.add_repo("org/broken", {"config.json": b"[]"})
    assert refused(opened("org/bare", catalogue=catalogue).config).reason is Reason.ABSENT
    assert refused(opened("org/broken", catalogue=catalogue).config).reason is Reason.MALFORMED


def test_catalogue_fills_in_for_a_pinned_commit_without_claiming_it(opened) -> None:
    store = opened("org/x", "0" * 40, offline=True, catalogue=catalogue)
    record = store.config().record
    assert record.source is Source.CATALOGUE
    assert record.revision is None


def test_catalogue_does_not_stand_in_for_a_revision_that_does_not_exist(
    hub, independent, opened
) -> None:
    hub.add_repo("org/model", independent)
    failure = refused(lambda: opened("org/model", "v2", catalogue=catalogue))
    assert failure.reason is Reason.ABSENT


def test_importing_the_package_loads_no_http_stack() -> None:
    code = (
        "import sys, pytest_scratchverify.stores.opening\n"
        "heavy = {'httpx', 'httpx2', 'numpy', 'filelock', 'pytest', 'huggingface_hub.constants'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
