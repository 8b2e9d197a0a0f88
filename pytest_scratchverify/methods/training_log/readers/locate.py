"""Find a model's training log: the one that was given, or one in its own repository."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import ArtifactRecord, Source
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.user_path import user_path
from pytest_scratchverify.methods.training_log.readers.log import TrainingLog
from pytest_scratchverify.methods.training_log.readers.read import read_training_log
from pytest_scratchverify.stores.store import Artifact, ArtifactStore

KNOWN_NAMES = (
    re.compile(r"(^|/)trainer_state\.json$"),
    re.compile(r"(^|/)(training|train|loss)([-_]?(log|curve|history)[^/]*)?\.(csv|jsonl|log|txt)$"),
    re.compile(r"(^|/)events\.out\.tfevents\.[^/]*$"),
    re.compile(r"(^|/)wandb[^/]*\.(csv|jsonl)$"),
)
GIVE_LOG = Text("Give one with --training-log PATH, or --training-log ORG/NAME=PATH.")


def locate_log(
    model: str, store: ArtifactStore | None, given: Sequence[str], *, alone: bool
) -> Artifact[TrainingLog]:
    """Read the log of `model`: a given file, a given name in its repository, or a known name.

    `given` are ``PATH`` or ``MODEL=PATH``, each with ``#step=NAME,loss=NAME`` if its columns
    must be named; a bare path counts where `alone`, for the only model of a run.
    """
    for entry in given:
        place, _, named = entry.partition("#")
        owner, _, path = place.rpartition("=")
        if owner == model or (not owner and alone):
            columns = dict(pair.split("=", 1) for pair in named.split(",") if "=" in pair)
            return _given(model, store, path, columns)
    if store is None:
        raise _no_log(model)
    paths = [entry.path for entry in store.files().value]
    for pattern in KNOWN_NAMES:
        found = sorted((path for path in paths if pattern.search(path)), key=lambda p: (len(p), p))
        if found:
            return _from_store(store, found[0], {})
    raise _no_log(model)


def _given(
    model: str, store: ArtifactStore | None, path: str, columns: dict[str, str]
) -> Artifact[TrainingLog]:
    local = user_path(path)
    if not local.is_file() and store is not None:
        return _from_store(store, path, columns)
    log = read_training_log(local, columns, name=path)
    size = local.stat().st_size
    record = ArtifactRecord(
        repo=model, file=local.name, source=Source.FOLDER, bytes_read=size, bytes_total=size
    )
    return Artifact(log, record)


def _from_store(store: ArtifactStore, path: str, columns: dict[str, str]) -> Artifact[TrainingLog]:
    found = store.file(path)
    return Artifact(read_training_log(found.value, columns, name=path), found.record)


def _no_log(model: str) -> Unavailable:
    return Unavailable(
        Reason.ABSENT, Text("{model} comes with no training log.", model=model), GIVE_LOG
    )
