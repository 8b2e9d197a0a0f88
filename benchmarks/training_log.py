"""What the training-log tests miss and what they cost, on the shipped real logs.

    python -m benchmarks.training_log

Prints false alarms over all genuine logs, how often forged and copied segments are caught
(SIMULATED forgeries in real logs), and rows read per second.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from pytest_scratchverify.core.evidence import Direction
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.methods.training_log.readers import TrainingLog, read_training_log
from pytest_scratchverify.stats.training_log.trend_residuals import noise_level
from tools import ROOT

LOGS = ROOT / "tests" / "training_log" / "logs"
LIMITS = methods.TrainingLogThresholds.load(ROOT / "suites" / "calibration" / "training_log.json")
DRAWS = 100


def genuine() -> dict[str, TrainingLog]:
    """Read the shipped logs."""
    paths = [
        p for p in sorted(LOGS.iterdir()) if p.name != "README.md" and "ladder-7B" not in p.name
    ]
    return {path.name.rsplit(".", 1)[0]: read_training_log(path) for path in paths}


def false_alarms(logs: dict[str, TrainingLog]) -> None:
    """Print how many genuine logs each test contradicts."""
    for test in ("first_loss", "continuity", "duplicates", "smoothness", "power_law", "schedule",
                 "gradient_norms"):  # fmt: skip
        alarms = asked = 0
        for name, log in logs.items():
            vocabulary = 100278 if "olmo" in name else 50304
            if name.startswith("zoo/"):
                vocabulary = 768 if name.startswith("zoo/t") else 1024
            batch = 2097152 if "pythia" in name else None
            arguments = {"first_loss": (vocabulary, LIMITS), "smoothness": (LIMITS, batch),
                         "duplicates": (), "gradient_norms": ()}.get(test, (LIMITS,))  # fmt: skip
            found = getattr(methods, test)(name, log, *arguments)
            asked += found.outcome.value != "not-applicable"
            alarms += found.relation == "contradicted" or found.direction is not Direction.NONE
        print(f"{test:12} contradicts {alarms} of {asked} genuine logs")


def forged(log: TrainingLog, rng: np.random.Generator, width: int, ratio: float) -> TrainingLog:
    """Replace a stretch by a straight line with white noise."""
    loss = log.loss.copy()
    at = int(rng.integers(200, len(loss) - width - 50))
    trend = np.linspace(loss[at - 20 : at].mean(), loss[at + width : at + width + 20].mean(), width)
    noise = 0.0245 * ratio * rng.standard_normal(width)
    loss[at : at + width] = np.round(trend + noise, 5)
    return replace(log, loss=loss)


def beside_a_sibling(logs: dict[str, TrainingLog]) -> None:
    """Print how often a forged stretch with the noise of its surroundings is caught."""
    rng = np.random.default_rng(1)
    end = ".window20000-22000"
    for a, b in (("70m-0", "160m-0"), ("14m-1", "70m-1"), ("70m-2", "14m-2")):
        for suffix in (end, "") if f"pythia-{a}{end}" in logs else ("",):
            log, other = logs[f"pythia-{a}{suffix}"], logs[f"pythia-{b}{suffix}"]
            rates = {}
            for width in (32, 64, 128, 256):
                caught = 0
                for _ in range(DRAWS // 2):
                    loss = log.loss.copy()
                    at = int(rng.integers(len(loss) // 5, len(loss) - width - 60))
                    noise = noise_level(loss[at - 200 : at + width + 200]) or 0.0
                    ends = loss[at - 20 : at].mean(), loss[at + width : at + width + 20].mean()
                    forged_part = np.linspace(*ends, width) + noise * rng.standard_normal(width)
                    loss[at : at + width] = np.round(forged_part, 5)
                    found = methods.same_data_order(
                        "m", replace(log, loss=loss), "o", other, LIMITS
                    )
                    caught += found.relation == "stretch_apart"
                rates[width] = caught / (DRAWS // 2)
            print(f"right noise, {a}{suffix} beside {b}, caught by rows:", rates)


def main() -> None:
    """Print all figures."""
    logs = genuine()
    print("real logs of others"), false_alarms(logs)
    zoo = {f"zoo/{p.stem}": read_training_log(p) for p in sorted(LOGS.parent.glob("zoo/*.jsonl"))}
    trained = ("finetune", "cpt-", "lora")
    starts = {n: log for n, log in zoo.items() if not any(word in n for word in trained)}
    print("the zoo's logs from a random start"), false_alarms(starts)
    beside_a_sibling(logs)
    rng = np.random.default_rng(0)
    base, donor = logs["pythia-70m-0"], logs["pythia-14m-2"]
    for width in (64, 128, 256):
        rates = {
            ratio: float(np.mean([methods.smoothness("m", forged(base, rng, width, ratio), LIMITS)
                            .relation == "contradicted" for _ in range(DRAWS)]))
            for ratio in (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
        }  # fmt: skip
        print(f"forged stretch of {width} rows, caught by noise ratio:", rates)
    for length in (4, 6, 8, 12):
        caught = inside = 0
        for _ in range(DRAWS):
            a, b = (int(x) for x in rng.integers(100, 1400, 2))
            loss = base.loss.copy()
            loss[a : a + length] = donor.loss[b : b + length]
            caught += methods.same_data_order(
                "m", replace(base, loss=loss), "d", donor, LIMITS
            ).derived
            loss = base.loss.copy()
            loss[a : a + length] = base.loss[b : b + length]
            found = methods.duplicates("m", replace(base, loss=loss))
            inside += found.relation == "contradicted"
        print(f"{length} rows copied: from another run {caught} %, within the log {inside} %")
    began = time.perf_counter()
    rows = sum(len(read_training_log(LOGS / f"{name}.csv")) for name in logs if "pythia" in name)
    print(f"{rows / (time.perf_counter() - began):,.0f} CSV rows a second")


if __name__ == "__main__":
    main()
