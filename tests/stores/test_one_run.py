"""One run sees one commit, asks once, and reads no more than it says."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Never

import pytest

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.accounting import traffic
from tests.stores.reading import read_range
from tests.stores.workers import answers, start_worker
from tools.zoo.hub_server import Generated


def test_branch_that_moves_during_the_run_changes_nothing(
    hub, independent, opened, tmp_path
) -> None:
    old = hub.add_repo("org/model", independent)
    first = opened("org/model")
    new = hub.push("org/model", {"config.json": b'{"model_type": "other"}'})
    second = opened("org/model")
    assert first.revision == second.revision == old
    assert second.config().value["model_type"] == "llama"
    next_run = opened("org/model", run_dir=RunDirectory(tmp_path / "next"))
    assert next_run.revision == new
    assert next_run.config().value == {"model_type": "other"}


def test_two_processes_share_resolution_and_files(hub, independent, run, tmp_path) -> None:
    hub.add_repo("org/model", independent)
    targets = ("org/model", "org/missing")
    one, two = answers(*(start_worker(hub, tmp_path, run, *targets) for _ in range(2)))
    assert one == two
    assert one[1][0] == "absent"
    assert len(hub.requests("/api/models/org/model")) == 1
    assert len(hub.requests("/api/models/org/missing")) == 1
    heads = [line for line in hub.log if line.origin == "cdn"]
    assert len(heads) == 4  # two shards, length and header


def test_only_headers_are_read_and_never_weights(hub, independent, opened) -> None:
    hub.add_repo("org/model", independent)
    index = opened("org/model").tensor_index()
    data_starts = {
        file: min(info.start for info in index.value.tensors.values() if info.file == file)
        for file in {info.file for info in index.value.tensors.values()}
    }
    on_cdn = [line for line in hub.log if line.origin == "cdn"]
    for line in on_cdn:
        file = line.path.rsplit("/", 1)[1]
        assert line.range is not None
        assert line.range[1] <= data_starts[file]
    assert hub.sent(".safetensors") - hub.sent("index.json") == sum(data_starts.values())
    index_bytes = (independent / "model.safetensors.index.json").stat().st_size
    assert index.record.bytes_read == index_bytes + sum(data_starts.values())


def test_checkpoint_of_a_trillion_bytes_costs_its_header(hub, opened) -> None:
    side = 519 * 10**5
    table = {
        f"layer.{n}": {
            "dtype": "BF16",
            "shape": [side, 100],
            "data_offsets": [200 * side * n, 200 * side * (n + 1)],
        }
        for n in range(100)
    }
    raw = json.dumps(table).encode()
    head = len(raw).to_bytes(8, "little") + raw
    size = len(head) + 200 * side * 100

    def make(start: int, stop: int) -> bytes:
        return head[start:stop].ljust(stop - start, b"\x01")

    hub.add_repo("org/giant", {"model.safetensors": Generated(size, make)})
    store = opened("org/giant")
    index = store.tensor_index()
    assert index.value.total_parameters == 519_000_000_000
    assert index.record.bytes_total == size
    assert hub.sent("model.safetensors") == len(head)
    last = index.value.tensors["layer.99"]
    assert read_range(store, last.file, last.stop - 4, last.stop) == b"\x01" * 4


def test_requests_and_bytes_on_the_network_are_counted(hub, independent, opened) -> None:
    hub.add_repo("org/model", independent)
    before = traffic()
    store = opened("org/model")
    store.config()
    store.tensor_index()
    read_range(store, "model-00001-of-00002.safetensors", 100, 300)
    after = traffic()
    assert after.requests - before.requests == len(hub.log)
    assert after.received - before.received == hub.sent()


def test_reading_twice_costs_nothing(hub, independent, opened) -> None:
    hub.add_repo("org/model", independent)
    store = opened("org/model")
    for ask in (store.config, store.card, store.tensor_index, store.files, store.tokenizer_files):
        ask()
        before = len(hub.log)
        ask()
        assert len(hub.log) == before


def test_fetches_are_announced(hub, independent, opened, access) -> None:
    hub.add_repo("org/model", independent)
    said: list[tuple] = []
    store = opened("org/model", access=replace(access, on_fetch=lambda *line: said.append(line)))
    store.config()
    store.config()
    size = (independent / "config.json").stat().st_size
    assert said == [("org/model", "config.json", size)]


def test_bars_are_off_unless_the_user_decided(hub, independent, opened) -> None:
    from huggingface_hub.utils import are_progress_bars_disabled

    hub.add_repo("org/model", independent)
    opened("org/model")
    assert are_progress_bars_disabled()


def test_once_computes_once_over_threads(run) -> None:
    calls: list[int] = []

    def compute() -> Json:
        calls.append(1)
        time.sleep(0.05)
        return {"n": 1}

    found: list = []
    threads = [
        threading.Thread(target=lambda: found.append(run.once("kind", "key", compute)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"n": 1}] * 4
    assert len(calls) == 1


def test_once_remembers_failures_with_their_sentences(run) -> None:
    failure = Unavailable(Reason.GATED, Text("{x} is gated.", x=12345), Text("Ask {y}.", y="z"))

    def compute() -> Never:
        raise failure

    for ask in (compute, lambda: "never called"):
        with pytest.raises(Unavailable) as caught:
            run.once("kind", "key", ask)
        assert caught.value.reason is Reason.GATED
        assert caught.value.what == failure.what
        assert str(caught.value) == str(failure)


def test_once_does_not_remember_bugs(run) -> None:
    with pytest.raises(ZeroDivisionError):
        run.once("kind", "key", lambda: 1 // 0)
    assert run.once("kind", "key", lambda: 2) == 2


def test_names_that_read_alike_are_kept_apart(run) -> None:
    assert run.once("kind", "a/b", lambda: 1) == 1
    assert run.once("kind", "a--b", lambda: 2) == 2


def test_stuck_lock_ends_with_a_sentence(tmp_path) -> None:
    holder = RunDirectory(tmp_path)
    waiter = RunDirectory(tmp_path, lock_timeout=0.1)
    with holder.lock("org/model"), pytest.raises(Unavailable) as caught, waiter.lock("org/model"):
        pass
    assert "org/model" in str(caught.value.what)
    assert ".lock" in str(caught.value.remedy)
