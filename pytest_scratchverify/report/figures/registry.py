"""Which drawing a finding's data are for. Adding a figure is one function and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.report.figures.ancestry import RANK_SCATTER, TREE
from pytest_scratchverify.report.figures.checkpoint_path import CHECKPOINT_PATH
from pytest_scratchverify.report.figures.drawing import Drawing
from pytest_scratchverify.report.figures.layer_table import LAYER_TABLE
from pytest_scratchverify.report.figures.lineage import LINEAGE, WEIGHT_PLANE
from pytest_scratchverify.report.figures.norm_gains import NORM_GAINS, NORM_SERIES
from pytest_scratchverify.report.figures.training_log import (
    NOISE_BY_BLOCK,
    ORDER_RESIDUALS,
    TRAINING_CURVE,
)
from pytest_scratchverify.report.figures.weights import (
    KNOWN_PAIRS,
    LAYER_MAP,
    MERGE_SHARES,
    NULL_AND_OBSERVED,
    SIMILARITY_BY_LAYER,
)

DRAWINGS: Mapping[str, Drawing] = {
    "checkpoint_path": CHECKPOINT_PATH,
    "known_pairs": KNOWN_PAIRS,
    "layer_map": LAYER_MAP,
    "layer_table": LAYER_TABLE,
    "lineage": LINEAGE,
    "merge_shares": MERGE_SHARES,
    "noise_by_block": NOISE_BY_BLOCK,
    "norm_gains": NORM_GAINS,
    "norm_series": NORM_SERIES,
    "null_and_observed": NULL_AND_OBSERVED,
    "order_residuals": ORDER_RESIDUALS,
    "rank_scatter": RANK_SCATTER,
    "similarity_by_layer": SIMILARITY_BY_LAYER,
    "training_curve": TRAINING_CURVE,
    "tree": TREE,
    "weight_plane": WEIGHT_PLANE,
}
