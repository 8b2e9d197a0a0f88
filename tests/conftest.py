"""What was never fetched is skipped with the sentence that says how to fetch it.

Tests that read ``.artifacts`` in this process need nothing: `tokenizer_path` and
`real_weights_path` raise. A test whose own child process reads there is marked
``needs_artifacts("name", ...)`` with the tokenizers that it reads. Where everything has to run,
in CI and in ``make test``, what is missing is an error.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from tools.facts.artifact_registry import NotFetchedError, tokenizer_path

REQUIRED = any(
    os.environ.get(name, "").lower() in {"1", "true"} for name in ("CI", "ARTIFACTS_REQUIRED")
)


def _unfetched(missing: NotFetchedError) -> None:
    if REQUIRED:
        pytest.fail(f"{missing} (CI and `make test` skip nothing)", pytrace=False)
    pytest.skip(str(missing))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        for marker in item.iter_markers("needs_artifacts"):
            for name in marker.args:
                tokenizer_path(name)
        return (yield)
    except NotFetchedError as missing:
        _unfetched(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        return (yield)
    except NotFetchedError as missing:
        _unfetched(missing)
