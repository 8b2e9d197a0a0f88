"""Which drawing a finding's data are for. Adding a figure is one function and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.report.figures.checkpoint_path import CHECKPOINT_PATH
from pytest_scratchverify.report.figures.drawing import Drawing
from pytest_scratchverify.report.figures.training_log import (
    NOISE_BY_BLOCK,
    ORDER_RESIDUALS,
    TRAINING_CURVE,
)

DRAWINGS: Mapping[str, Drawing] = {
    "checkpoint_path": CHECKPOINT_PATH,
    "noise_by_block": NOISE_BY_BLOCK,
    "order_residuals": ORDER_RESIDUALS,
    "training_curve": TRAINING_CURVE,
}
