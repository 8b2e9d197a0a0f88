from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_scratchverify.methods.training_log.loss_curve import Limits
from pytest_scratchverify.methods.training_log.readers import read_training_log
from tools.running import ROOT

LOGS = Path(__file__).parent / "logs"
CALIBRATION = ROOT / "suites" / "calibration" / "training_log.json"


@pytest.fixture(scope="session")
def limits():
    return Limits.from_json(json.loads(CALIBRATION.read_text("utf-8")))


@pytest.fixture(scope="session")
def logs():
    found = {}
    for path in sorted(LOGS.iterdir()):
        if path.name != "README.md" and not path.name.startswith("olmo-ladder-7B"):
            found[path.name.rsplit(".", 1)[0]] = read_training_log(path)
    return found
