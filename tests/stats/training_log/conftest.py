from __future__ import annotations

import pytest

from tests.training_log.shipped import frozen_limits, read_logs


@pytest.fixture(scope="session")
def limits():
    return frozen_limits()


@pytest.fixture(scope="session")
def logs():
    return read_logs()
