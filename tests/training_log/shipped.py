"""Published training logs, trajectories of zoo models, and the frozen calibration."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from pytest_scratchverify.methods.training_log.loss_curve import Limits
from pytest_scratchverify.methods.training_log.readers import read_training_log
from tools.running import ROOT

LOGS = Path(__file__).parent / "logs"
TRAJECTORIES = Path(__file__).parent / "trajectories"
CALIBRATION = ROOT / "suites" / "calibration" / "training_log.json"


@cache
def frozen_limits():
    return Limits.from_json(json.loads(CALIBRATION.read_text("utf-8")))


@cache
def read_logs():
    """Every log but the largest, by name."""
    found = {}
    for path in sorted(LOGS.iterdir()):
        if path.name != "README.md" and not path.name.startswith("olmo-ladder-7B"):
            found[path.name.rsplit(".", 1)[0]] = read_training_log(path)
    return found
