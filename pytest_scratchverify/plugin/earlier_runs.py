"""Stored runs in which earlier models of a developer were judged: ``--predecessor-verdict``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.json_values import count_at_most
from pytest_scratchverify.core.spec import same_name
from pytest_scratchverify.verdict.predecessor import Judged
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.serialization import run_from_json

MAX_RUN_BYTES = 64 * 2**20
MAX_RUN_ITEMS = 3_000_000


def judged_earlier(config: pytest.Config, names: Iterable[str]) -> dict[str, Judged]:
    """Read the models of stored runs by `same_name`; of two files the first named counts.

    A stored run is what somebody says was found: whoever relies on it runs its command again. Its
    verdicts stand beside the name of the file, never in place of this run's own.

    Raises `ScratchError` for a file that cannot be read or is of another schema.
    """
    found: dict[str, Judged] = {}
    for name in names:
        for model in _read(Path(config.invocation_params.dir) / name, name).models:
            judged = Judged(components=model.components, revision=model.revision, source=name)
            found.setdefault(same_name(model.model), judged)
    return found


def _read(path: Path, name: str) -> Run:
    try:
        return stored_run(path)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ScratchError(f"--predecessor-verdict {name}: {error!s:.300}") from error
    except ExceptionGroup as errors:  # cattrs': what is wrong, where
        fault = f"not a run of this version: {errors}"
        raise ScratchError(f"--predecessor-verdict {name}: {fault:.300}") from errors


def stored_run(path: Path) -> Run:
    """Read a stored run within the bounds of any run.

    Raises OSError, ValueError and whatever `run_from_json` raises for what is none.
    """
    with path.open("rb") as stream:
        raw = stream.read(MAX_RUN_BYTES + 1)
    if len(raw) > MAX_RUN_BYTES or count_at_most(raw) > MAX_RUN_ITEMS:
        raise ValueError("larger than any run")
    text = raw.decode("utf-8")
    if "\\u" in text:  # a lone surrogate, with which no report could be written
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    return run_from_json(text)
