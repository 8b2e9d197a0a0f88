from __future__ import annotations

from pathlib import Path

import pytest

from pytest_scratchverify.methods.training_log.readers import read_training_log
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds
from tools.running import ROOT

LOGS = Path(__file__).parent / "logs"
CALIBRATION = ROOT / "suites" / "calibration" / "training_log.json"


@pytest.fixture(scope="session")
def limits():
    return TrainingLogThresholds.load(CALIBRATION)


@pytest.fixture(scope="session")
def logs():
    found = {}
    for path in sorted(LOGS.iterdir()):
        if path.name != "README.md" and not path.name.startswith("olmo-ladder-7B"):
            found[path.name.rsplit(".", 1)[0]] = read_training_log(path)
    return found
