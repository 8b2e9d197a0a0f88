"""Which drawing a class of figure data is for: one entry of `_ALL` each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_scratchverify.report.figures.ancestry import RANK_SCATTER, TREE
from pytest_scratchverify.report.figures.checkpoint_path import CHECKPOINT_PATH
from pytest_scratchverify.report.figures.drawing import Drawing
from pytest_scratchverify.report.figures.family_tree import FAMILY_TREE
from pytest_scratchverify.report.figures.known_pairs import KNOWN_ROWS
from pytest_scratchverify.report.figures.layer_table import LAYER_TABLE
from pytest_scratchverify.report.figures.lineage import LINEAGE, WEIGHT_PLANE
from pytest_scratchverify.report.figures.norm_gains import NORM_GAINS, NORM_SERIES
from pytest_scratchverify.report.figures.role_table import ROLE_TABLE
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

_ALL: tuple[Drawing[Any], ...] = (
    CHECKPOINT_PATH,
    FAMILY_TREE,
    KNOWN_PAIRS,
    KNOWN_ROWS,
    LAYER_MAP,
    LAYER_TABLE,
    LINEAGE,
    MERGE_SHARES,
    NOISE_BY_BLOCK,
    NORM_GAINS,
    NORM_SERIES,
    NULL_AND_OBSERVED,
    ORDER_RESIDUALS,
    RANK_SCATTER,
    ROLE_TABLE,
    SIMILARITY_BY_LAYER,
    TRAINING_CURVE,
    TREE,
    WEIGHT_PLANE,
)
DRAWINGS: Mapping[str, Drawing[Any]] = {drawing.data.kind: drawing for drawing in _ALL}
