from __future__ import annotations

import pytest

from tests.behaviour.recorded import frozen_limits


@pytest.fixture(scope="session")
def limits():
    return frozen_limits()
