"""What was never fetched is skipped with the sentence that says how to fetch it.

Tests that read ``.artifacts`` in this process need nothing: `tokenizer_path` and
`real_weights_path` raise. A test whose own child process reads there is marked
``needs_artifacts("name", ...)`` with the tokenizers that it reads. Where everything has to run,
in CI and in ``make test``, what is missing is an error.

`TESTS_SHARED` names a folder that all workers of one run share.
"""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from collections.abc import Generator
from typing import Any

# Before anything imports numpy: threads of a matrix product wait by spinning, and on a busy machine
# they take from each other what little there is.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Pages name the day on which they were made, which may end while two of them are compared.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1790000000")

import pytest
from hypothesis import HealthCheck, settings

from tools.facts.artifact_registry import NotFetchedError, tokenizer_path

REQUIRED = any(
    os.environ.get(name, "").lower() in {"1", "true"} for name in ("CI", "ARTIFACTS_REQUIRED")
)


# An example that takes long says that the machine is busy, and nothing about the code.
settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")

# A fault that fills the memory fails its test, and takes neither the machine nor the other tests.
MOST_MEMORY = 12 * 2**30
resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def pytest_configure(config: pytest.Config) -> None:
    # Here and not in the ini file, which would rule what users run of this checkout, too.
    config.addinivalue_line("filterwarnings", "error")
    if not hasattr(config, "workerinput"):
        os.environ["TESTS_SHARED"] = tempfile.mkdtemp(prefix="scratchverify-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["TESTS_SHARED"], ignore_errors=True)


@pytest.fixture(scope="session")
def nothing_is_skipped() -> bool:
    """Whether what is missing is an error here: in CI and in ``make test``."""
    return REQUIRED


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
