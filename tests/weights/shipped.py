"""The frozen calibration of the weights suite."""

import json

from tools.running import ROOT

CALIBRATION = json.loads((ROOT / "suites" / "calibration" / "weights.json").read_text("utf-8"))
