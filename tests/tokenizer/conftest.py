"""The frozen calibration and what others published."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_scratchverify.methods.tokenizer.relation import Calibration, load_calibration
from tools import ROOT


@pytest.fixture(scope="session")
def calibration() -> Calibration:
    return load_calibration(ROOT / "suites" / "calibration" / "tokenizer.json")


@pytest.fixture(scope="session")
def published_csv() -> Path:
    return Path(__file__).with_name("published_pairs.csv")
