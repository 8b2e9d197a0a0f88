from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.http.access import HubAccess
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.stores.store import ArtifactStore
from tools.running import HANGS
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.hub_server import LoopbackHub

Open = Callable[..., ArtifactStore]


@pytest.fixture(scope="session")
def independent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.independent(tmp_path_factory.mktemp("zoo") / "independent")


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as running:
        yield running
        huggingface_hub.close_session()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run", lock_timeout=HANGS)


@pytest.fixture
def access(hub: LoopbackHub, tmp_path: Path) -> HubAccess:
    return HubAccess(
        endpoint=hub.endpoint,
        token=False,
        cache_dir=tmp_path / "cache",
        assets_dir=tmp_path / "assets",
        timeout=HANGS,
    )


@pytest.fixture
def opened(run: RunDirectory, access: HubAccess) -> Open:
    """Open a model on the loopback hub; keyword arguments as for `open_store`."""

    def open_one(target: str, revision: str | None = None, **options: object) -> ArtifactStore:
        given = {"run_dir": run, "access": access, "budget": ByteBudget(), **options}
        return open_store(target, revision, **given)

    return open_one


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What huggingface_hub would have slept between its retries, in seconds; nobody sleeps."""
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, time=time.time)
    monkeypatch.setattr("huggingface_hub.utils._http.time", clock)
    monkeypatch.setattr("huggingface_hub.file_download.time", clock)
    return slept
