"""Fixtures of the suites; registered only in sessions that use the plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from pytest_scratchverify.core.evidence import ArtifactRecord, Finding
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.plugin import options
from pytest_scratchverify.plugin.collection import INTENT
from pytest_scratchverify.plugin.session import SESSION, Session

FINDINGS = pytest.StashKey[list[Finding]]()


@pytest.fixture(scope="session")
def scratch_session(pytestconfig: pytest.Config) -> Session:
    """The plugin's session: options, matrix, models."""
    return pytestconfig.stash[SESSION]


@pytest.fixture(scope="session")
def artifacts(scratch_session: Session) -> Callable[[ModelSpec], Any]:
    """Open a model's store: folder, hub, cache or catalogue, one commit per run."""
    from pytest_scratchverify.plugin.model_stores import open_model  # noqa: PLC0415 - brings the hub client

    return lambda spec: open_model(scratch_session, spec)


class _References(Mapping[str, Any]):
    """Stores by name: open ones, and those of a library, which are opened one by one."""

    def __init__(
        self,
        opened: Mapping[str, Any],
        saved: Mapping[str, ModelSpec],
        artifacts: Callable[[ModelSpec], Any],
    ) -> None:
        self._opened, self._saved, self._artifacts = opened, saved, artifacts

    def __getitem__(self, name: str) -> Any:
        return self._opened[name] if name in self._opened else self._artifacts(self._saved[name])

    def __iter__(self) -> Iterator[str]:
        yield from self._opened
        yield from self._saved

    def __len__(self) -> int:
        return len(self._opened) + len(self._saved)


@pytest.fixture(scope="session")
def loaded(scratch_session: Session) -> Callable[[ModelSpec], Any]:
    """Open what a loader makes of a model: an adapter together with its base, where at hand."""
    from pytest_scratchverify.plugin.model_stores import loaded_model  # noqa: PLC0415 - brings the hub client

    return lambda spec: loaded_model(scratch_session, spec)


@pytest.fixture(scope="session")
def references(
    scratch_session: Session, artifacts: Callable[[ModelSpec], Any]
) -> Callable[[ModelSpec], Mapping[str, Any]]:
    """Open everything that a model is compared with, by name; what does not open is left out.

    The fingerprints of a library are opened when they are asked for, and may raise `Unavailable`.
    """
    from pytest_scratchverify.core.errors import Unavailable  # noqa: PLC0415

    def of(model: ModelSpec) -> Mapping[str, Any]:
        found: dict[str, Any] = {}
        for pair in scratch_session.pairs:
            if pair.model == model and pair.reference.saved is None:
                with suppress(Unavailable):
                    found[pair.reference.name] = artifacts(pair.reference)
        saved = {
            pair.reference.name: pair.reference
            for pair in scratch_session.pairs
            if pair.model == model and pair.reference.saved is not None
        }
        return _References(found, saved, artifacts) if saved else found

    return of


@pytest.fixture(scope="session")
def snapshots(scratch_session: Session) -> Callable[[ModelSpec], Any]:
    """Find a model's intermediate checkpoints: its folders, branches or tags that name a step."""
    from pytest_scratchverify.plugin.model_stores import snapshots_of  # noqa: PLC0415 - the hub client

    return lambda spec: snapshots_of(scratch_session, spec)


@pytest.fixture(scope="session")
def config(artifacts: Callable[[ModelSpec], Any]) -> Callable[[ModelSpec], Any]:
    """Read a model's config.json, as `methods.architecture.Config`."""
    from pytest_scratchverify.methods.architecture.config import Config  # noqa: PLC0415

    def read(spec: ModelSpec) -> Config:
        artifact = artifacts(spec).config()
        return Config(artifact.value, artifact.record)

    return read


@pytest.fixture(scope="session")
def catalogue() -> Any:
    """The shipped catalogue of reference designs."""
    from pytest_scratchverify.catalog.entries import shipped_catalogue  # noqa: PLC0415

    return shipped_catalogue()


@pytest.fixture(scope="session")
def calibration(scratch_session: Session) -> Callable[[str], Mapping[str, Any]]:
    """Read a frozen calibration file by the name of its method, once a process."""
    return cache(scratch_session.calibration)


@pytest.fixture(scope="session")
def given_logs(scratch_session: Session) -> list[str]:
    """The training logs of --training-log, as they were given."""
    return [*options.value(scratch_session.config, "training-log")]


@pytest.fixture(scope="session")
def answers(scratch_session: Session) -> Any:
    """The answers of --answers and --endpoint, as `plugin.answers.RunAnswers`: asked once a run."""
    from pytest_scratchverify.plugin.answers import RunAnswers  # noqa: PLC0415 - numpy

    return RunAnswers(scratch_session)


@pytest.fixture(scope="session")
def reading(scratch_session: Session) -> dict[str, Any]:
    """How much may be read: the depth's name and the limit of bytes per model."""
    from pytest_scratchverify.stores.budget import parse_size  # noqa: PLC0415

    settings = scratch_session.settings
    limit = parse_size(settings.byte_budget) if settings.byte_budget else None
    return {"depth": settings.depth, "limit": limit}


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., Finding]:
    """Keep a finding for the verdict and return it, for the test to assert on.

    Further arguments are records of what was read for it, where the method did not see them.
    """
    intent = request.node.stash.get(INTENT, None)
    kept: list[Finding] = request.node.stash.setdefault(FINDINGS, [])

    def keep(finding: Finding, *records: ArtifactRecord) -> Finding:
        if intent is not None:
            expected = (intent.method, intent.component, intent.model)
            if (finding.method, finding.component, finding.model) != expected:
                raise ValueError(f"planned {expected}, got {finding.id}")
        finding = replace(finding, artifacts=(*finding.artifacts, *records))
        kept.append(finding)
        return finding

    return keep
