"""Write suites/calibration/architecture.json: how near unrelated designs come to each other.

    python -m tools.calibrate.architecture

The population is every pair of catalogue entries of different developers. It is a population
of published designs, not of independent ones: some of its pairs are fine-tunes. It says how
common a distance is, and no more.
"""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np

from pytest_scratchverify.catalog.entries import shipped_catalogue
from pytest_scratchverify.catalog.nearest import compare
from pytest_scratchverify.checkpoint.design import Tower
from pytest_scratchverify.methods.architecture.thresholds import ArchitectureThresholds
from tools import ROOT

TARGET = ROOT / "suites" / "calibration" / "architecture.json"
QUANTILES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
# Chosen by reading the catalogue: A.X-K1 and Kimi-K2 (core 5 of 5) are 0.235 apart.
NEAR = 0.25


def main() -> None:
    """Measure all foreign pairs and freeze the quantiles."""
    entries = shipped_catalogue().with_tower(Tower.TEXT)
    distances = [
        comparison.distance
        for a, b in combinations(entries, 2)
        if a.developer != b.developer
        and (comparison := compare(a.designs[Tower.TEXT], b)) is not None
    ]
    values = np.quantile(distances, QUANTILES)
    TARGET.parent.mkdir(exist_ok=True)
    calibration = {
        "schema": ArchitectureThresholds.schema(),
        "thresholds": {"near": NEAR, "parameter_tolerance": 0.03},
        "population": {
            "what": "pairs of catalogue entries of different developers",
            "models": len(entries),
            "pairs": len(distances),
            "exactly_equal": sum(distance == 0 for distance in distances),
            "quantiles": {
                f"{q:g}": round(float(v), 4) for q, v in zip(QUANTILES, values, strict=True)
            },
        },
    }
    TARGET.write_text(json.dumps(calibration, indent=2) + "\n", "utf-8")
    print(json.dumps(calibration, indent=2))


if __name__ == "__main__":
    main()
