"""Measure every genuine log and freeze the limits: suites/calibration/training_log.json.

    python -m tools.calibrate.training_log

The logs are tests/training_log/logs. Thresholds are chosen by hand beside the measured extremes,
which the file keeps; tests/training_log/test_findings.py checks that it was built by this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from pytest_scratchverify.methods.training_log.readers import TrainingLog, read_training_log
from pytest_scratchverify.stats.training_log.loss_curve import first_loss, power_law
from pytest_scratchverify.stats.training_log.rate_schedule import rate_schedule
from pytest_scratchverify.stats.training_log.trend_residuals import (
    noise_change,
    noise_level,
    residual_correlation,
)
from pytest_scratchverify.stats.training_log.warped_copy import planted_copy, warped_copy
from tools import ROOT

LOGS = ROOT / "tests" / "training_log" / "logs"
TARGET = ROOT / "suites" / "calibration" / "training_log.json"
PILE, DOLMA, GPT2 = 50304, 100278, 50304
ONE_ROW = {"olmo-ladder-7B-28xC", "olmo-ladder-7B-28xC-anneal-new"}
RESUMED = {"pythia-410m-0", "pythia-410m-1"}
BATCH = {"pythia": 2097152, "nanogpt": 524288}
SPAN = 15
MARKS = (1, 10, 50, 100, 200)
CHOSEN = {
    "first_loss_high": [0.5, "twice the highest genuine excess over ln V (.26)"],
    "unknown_vocabulary": [1.2, "ln V between 15,000 and 166,000 tokens"],
    "under_way_drop": [0.02, "resumed exports fall by .0005 and .002 in their first tenth"],
    "unit_drop": [
        0.45,
        "of the first loss: below the least that random starts lose in 1,000 steps (.52)",
    ],
    "unit_steps": [
        1000,
        "by then every genuine random start lost .52 of its first loss; .45 by 600",
    ],
    "averaged": [
        0.4,
        "above the highest genuine correlation of residuals (.24); two losses averaged give .5",
    ],
    "noise_times_root_batch": [
        5.4,
        "lowest genuine noise times root of tokens per step: the zoo's (large runs: 30)",
    ],
    "largest_batch": [6.4e7, "larger than any published batch"],
    "smooth_share": [0.25, "a sixteenth of the variance"],
    "power_law_explained": [0.9, "below the lowest genuine run from its start"],
    "stages_explained": [0.97, "simulated stages .974 and up; more than one law is asked for"],
    "stages_continued": [
        0.4,
        "simulated: trainings that go on .55 and up, fine-tunes joined on .18 at most",
    ],
    "schedule_error": [0.02, "of the peak"],
    "order_from_step": [5000, "the trend is slow from there"],
    "order_span": [SPAN, "moving average, points"],
    "same_order": [0.5, "middle of the gap between unrelated and same order"],
    "copy": [0.998, "above every pair of different models on one data order"],
    "stretch": [0.7, "of 128 points; unrelated ones stay below .4"],
    "order_alpha": [0.01, "beside an r of .5 or more; 400 shifts allow .0025"],
    "detour": [
        1.25,
        "nearly twice the largest of five runs of the zoo (.66); 1 at rest in a minimum",
    ],
    "path_growth": [0.5, "five runs of the zoo all have 1"],
    "highest_utilisation": [0.65, "best published dense BF16 trainings: PaLM .46, others < .6"],
}


def genuine() -> Iterator[tuple[str, TrainingLog]]:
    for path in sorted(LOGS.iterdir()):
        if path.name != "README.md" and path.stem not in ONE_ROW:
            yield path.name.rsplit(".", 1)[0], read_training_log(path)


def measure(name: str, log: TrainingLog) -> dict[str, Any]:
    vocabulary = DOLMA if "olmo" in name else PILE
    batch = next((size for prefix, size in BATCH.items() if name.startswith(prefix)), None)
    noise = noise_level(log.loss[len(log) // 4 :])
    change = noise_change(log.loss[50:]) if len(log) > 200 else None
    law = power_law(log.steps, log.loss)
    rate = rate_schedule(log.steps, log.lr) if log.lr is not None else None
    return {
        "first_step": int(log.steps[0]),
        "first_minus_ln_vocabulary": round(first_loss(log.steps, log.loss, vocabulary).statistic, 4),
        "noise": round(noise, 5) if noise else None,
        "noise_times_root_batch": round(noise * batch**0.5, 1) if noise and batch else None,
        "noise_change_p": float(f"{change.pvalue:.3g}") if change else None,
        "power_law_explained": round(law.statistic, 3) if law else None,
        "power_law_misfit": round(law.misfit, 2) if law else None,
        "schedule": rate.kind if rate else None,
        "schedule_error": round(rate.statistic, 5) if rate else None,
    }  # fmt: skip


def pair_rows(logs: dict[str, TrainingLog]) -> Iterator[list[Any]]:
    for (a, x), (b, y) in combinations(logs.items(), 2):
        common, i, j = np.intersect1d(x.steps, y.steps, return_indices=True)
        late = common >= CHOSEN["order_from_step"][0]
        if "olmo" in a or "olmo" in b or late.sum() < 80:
            continue
        found = residual_correlation(x.loss[i][late], y.loss[j][late], SPAN)
        yield [a, b, int(late.sum()), round(found.statistic, 4), float(f"{found.pvalue:.3g}")]


def lowest(logs: dict[str, TrainingLog]) -> list[list[float]]:
    """The lowest loss minus ln V of genuine starts by each mark, minus a margin that grows."""
    rows = []
    for mark in MARKS:
        values = []
        for name, log in logs.items():
            late = log.steps[0] > 1 and "olmo" not in name
            if late or name in RESUMED or not (log.steps <= mark).any():
                continue
            vocabulary = DOLMA if "olmo" in name else GPT2
            values.append(float(log.loss[log.steps <= mark].min() - np.log(vocabulary)))
        rows.append([mark, round(min(values) - 0.2 - 0.15 * abs(min(values)), 2)])
    return rows


def window(name: str) -> list[float]:
    return read_training_log(LOGS / f"{name}.window20000-22000.csv").loss[:400].tolist()


def planted(logs: dict[str, TrainingLog], draws: int = 10, noise: float = 0.3) -> dict[str, Any]:
    """How many copies at other steps are found in windows of consecutive steps."""
    windows = [log for name, log in logs.items() if "window" in name]
    found = n = 0
    for at, log in enumerate(windows):
        for draw in range(draws):
            copy = planted_copy(log.loss, len(log), seed=100 * at + draw, noise=noise)
            best = warped_copy(copy, log.loss, SPAN)
            n += 1
            found += best is not None and best.pvalue < 1e-3 and best.statistic >= 0.5
    return {"noise": noise, "found": found, "n": n, "rows": len(windows[0])}


def main() -> None:
    logs = dict(genuine())
    thresholds = {name: value for name, (value, _) in CHOSEN.items()}
    data = {
        "schema": "scratchverify/training-log-calibration/1",
        "built_from": {"command": "python -m tools.calibrate.training_log", "logs": "tests/training_log/logs"},
        "thresholds": {"first_loss_low": lowest(logs), **thresholds},
        "chosen": {name: why for name, (_, why) in CHOSEN.items()},
        "population": {name: measure(name, log) for name, log in logs.items()},
        "pairs": list(pair_rows(logs)),
        "planted": planted(logs),
        "controls": {
            "positive": {"pair": ["pythia-160m-0", "pythia-70m-0"], "a": window("pythia-160m-0"), "b": window("pythia-70m-0")},
            "negative": {"pair": ["pythia-160m-0", "pythia-70m-1"], "a": window("pythia-160m-0"), "b": window("pythia-70m-1")},
        },
    }  # fmt: skip
    text = json.dumps(data, indent=1)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
    TARGET.write_text(text + "\n", "utf-8")
    print(json.dumps(data["thresholds"]))
    for row in data["pairs"]:
        print(*row)


if __name__ == "__main__":
    main()
