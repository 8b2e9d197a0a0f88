"""What it takes to screen every text model of a hub: machines, days and bytes, from measured costs.

    python -m benchmarks.scale [--repositories 3000000] [--share 0.5] [--cores 32] [--machines 4]

Measures, on this machine and over a hub on loopback: what a fingerprint of models of real shapes
costs in bytes, requests and processor time; what a pair of fingerprints costs, strangers and kin;
what comparing sketches costs. Then multiplies, by assumptions that it prints. Prints Markdown, as
docs/scale.md shows it. The plan that it prices stands there.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from tools import ROOT
from tools.zoo.giant import dense, giant
from tools.zoo.hub_server import LoopbackHub, size_of
from tools.zoo.ready_models import READY

TOKENIZERS = [READY / name / "tokenizer.json" for name in ("s0", "t0")]
DENSE = {"0.1 B": (768, 12, 3072, 32000), "1 B": (2048, 16, 8192, 32000),
         "8 B": (4096, 32, 14336, 128256)}  # fmt: skip
GIANT = "519 B mixture"
SKETCH = 1024  # numbers of a sketch, of two bytes each
SKETCHES = 8192  # that are compared with one another to measure the rate
FULL_RATE = 4.64e9 / 84  # bytes of both models a second of one core: benchmarks.cluster, serial
DAY, WINDOW = 86400, 300  # seconds; the second is the window of the hub's limits


@dataclass(frozen=True)
class Assumptions:
    """What is not measured here."""

    repositories: int
    share: float
    cores: int
    machines: int
    bandwidth: float = 1e9 / 8  # bytes a second of a machine
    # huggingface.co/docs/hub/rate-limits, per five minutes: API, files. Read in September 2026.
    limits: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {
            "free": (1000, 5000), "PRO": (2500, 12_000), "Enterprise": (6000, 50_000),
            "Enterprise Plus": (10_000, 100_000),
        }
    )  # fmt: skip
    # By parameters, of text models: how many are about as large as what was measured.
    sizes: dict[str, float] = field(
        default_factory=lambda: {"0.1 B": 0.35, "1 B": 0.30, "8 B": 0.33, GIANT: 0.02}
    )
    nearest: int = 10  # references that each model is compared with as a pair
    kin: float = 0.5  # of these, related
    whole: int = 1000  # models that are read whole beside their nearest, both of 8 B

    @property
    def models(self) -> int:
        """How many models are screened."""
        return round(self.repositories * self.share)


@dataclass(frozen=True)
class Cost:
    """What one thing took."""

    processor: float
    received: int = 0
    api: int = 0
    files: int = 0
    kept: int = 0
    whole: int = 0


def child(arguments: list[object], hub: LoopbackHub, home: Path) -> float:
    """Run the console script with an empty cache; return its processor time."""
    environment = {**os.environ, **hub.environment(home), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (home / "log.txt").open("w") as stream:
        subprocess.run(
            [sys.executable, "-m", "pytest_scratchverify.cli", *map(str, arguments)],
            cwd=home, env=environment, stdout=stream, stderr=stream, check=False,
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fingerprint(hub: LoopbackHub, repo: str, home: Path) -> Cost:
    """Make a library of one fingerprint, and count what the hub was asked for."""
    hub.forget()
    place = home / "library"
    spent = child(["fingerprint", repo, "--library", place], hub, home)
    made = [*place.glob("*.fingerprint")]
    if not made:
        raise SystemExit((home / "log.txt").read_text("utf-8"))
    log = hub.log
    return Cost(
        processor=spent,
        received=sum(line.sent for line in log),
        api=sum("/api/" in line.path for line in log),
        files=sum("/resolve/" in line.path for line in log),
        kept=sum(path.stat().st_size for path in made),
    )


def pair(hub: LoopbackHub, model: Path, reference: Path, home: Path) -> Cost:
    """Ask all suites about one saved fingerprint against another."""
    target = home / "run.json"
    arguments = ["run", f"--model={model}", f"--against={reference}", "--offline"]
    spent = child([*arguments, "--verdict-json", target], hub, home)
    if not target.exists():
        raise SystemExit((home / "log.txt").read_text("utf-8"))
    return Cost(processor=spent)


def sketches_a_second() -> float:
    """Measure how many pairs of sketches one thread compares in a second."""
    found = np.random.default_rng(1).standard_normal((SKETCHES, SKETCH), np.float32)
    began = time.process_time()
    for start in range(0, SKETCHES, 1024):
        (found[start : start + 1024] @ found.T).argpartition(-10, axis=1)
    return SKETCHES**2 / (time.process_time() - began)


def measured() -> tuple[dict[str, Cost], dict[str, Cost]]:
    """Return the costs of fingerprints by size, and of pairs by size and kinship."""
    made: dict[str, Cost] = {}
    pairs: dict[str, Cost] = {}
    kinds = (("base", 1, None), ("tuned", 3, 1), ("stranger", 2, None))
    print("| model | bytes | of | API | files | processor time | kept |")
    print("|---|---|---|---|---|---|---|")
    for name in (*DENSE, GIANT):
        with LoopbackHub() as hub, tempfile.TemporaryDirectory() as folder:
            saved = {}
            for kind, seed, parent in kinds:
                if name == GIANT and kind == "tuned":
                    continue
                tokenizer = TOKENIZERS[kind == "stranger"]
                files = (
                    dense(*DENSE[name], seed=seed, tokenizer=tokenizer, descends_from=parent)
                    if name in DENSE
                    else giant(seed=seed, tokenizer=tokenizer)
                )
                hub.add_repo(f"bench/{kind}", files)
                home = Path(folder) / kind
                home.mkdir()
                whole = sum(size_of(body) for body in files.values())
                made[name] = replace(fingerprint(hub, f"bench/{kind}", home), whole=whole)
                [saved[kind]] = (home / "library").glob("*.fingerprint")
            cost = made[name]
            print(
                f"| {name} | {cost.received / 1e6:.1f} MB | {cost.whole / 1e9:.1f} GB |"
                f" {cost.api} | {cost.files} | {cost.processor:.1f} s |"
                f" {cost.kept / 1e6:.1f} MB |", flush=True,
            )  # fmt: skip
            for kind in saved.keys() - {"base"}:
                words = "strangers" if kind == "stranger" else "kin"
                pairs[f"{name}, {words}"] = pair(hub, saved[kind], saved["base"], Path(folder))
    return made, pairs


def mean(costs: dict[str, Cost], shares: dict[str, float], what: str) -> float:
    """Average one figure of measured sizes by their shares."""
    return sum(share * float(getattr(costs[name], what)) for name, share in shares.items())


def priced(made: dict[str, Cost], pairs: dict[str, Cost], rate: float, given: Assumptions) -> None:
    """Print what each step of the plan takes."""
    models, cores = given.models, given.cores * given.machines
    received = models * mean(made, given.sizes, "received")
    spent = models * mean(made, given.sizes, "processor")
    kept = models * mean(made, given.sizes, "kept")
    files = models * mean(made, given.sizes, "files")
    strangers = sum(s * pairs[f"{n}, strangers"].processor for n, s in given.sizes.items())
    dense_only = {n: s for n, s in given.sizes.items() if n in DENSE}
    kin = sum(s * pairs[f"{n}, kin"].processor for n, s in dense_only.items())
    kin /= sum(dense_only.values())
    asked = models * given.nearest
    judged = asked * (given.kin * kin + (1 - given.kin) * strangers)
    sketching = models**2 / rate
    read = given.whole * 2 * made["8 B"].whole
    print(f"\n{given.repositories:,} repositories, {models:,} of them text models: of parameters")
    print(", ".join(f"{100 * share:.0f} % as {name}" for name, share in given.sizes.items()))
    print(f"{given.nearest} nearest of each, {100 * given.kin:.0f} % of them kin; {given.machines}")
    print(f"machines of {given.cores} cores and {given.bandwidth * 8 / 1e9:.0f} Gbit/s:\n")
    print("| step | bytes | requests | core-days | days |\n|---|---|---|---|---|")
    moved = received / given.bandwidth / given.machines / DAY
    rows = [
        ("1. list all repositories", "-", f"{given.repositories:,} (API)", 0.0, 0.0),
        ("2. fingerprints", f"{received / 1e12:.1f} TB", f"{files:,.0f} (files)", spent / DAY,
         moved),
        (f"3. sketches, all with all ({models**2:.1e} pairs)",
         f"{models * SKETCH * 2 / 1e9:.0f} GB in memory", "-", sketching / DAY, 0.0),
        (f"4. {given.nearest} nearest as pairs ({asked:,})", f"{kept / 1e12:.1f} TB kept", "-",
         judged / DAY, 0.0),
        (f"5. {given.whole:,} pairs of 8 B read whole", f"{read / 1e12:.1f} TB", "-",
         read / FULL_RATE / DAY, read / given.bandwidth / given.machines / DAY),
    ]  # fmt: skip
    total = 0.0
    for step, amount, requests, work, moving in rows:
        days = max(work / cores, moving)
        total += days
        print(f"| {step} | {amount} | {requests} | {work:,.1f} | {days:,.2f} |")
    print(f"| all | | | {sum(row[3] for row in rows):,.0f} | {total:,.1f} |")
    every = models * (models - 1) / 2 * strangers / DAY / 365.25
    print(f"\nAll pairs of them instead, each by all suites: {every:,.0f} core-years.")
    print("\n| account | list, days | fingerprints, days |\n|---|---|---|")
    for plan, (api, resolved) in given.limits.items():
        listing = given.repositories / api * WINDOW / DAY
        asked = models * mean(made, given.sizes, "api") / api
        reading = max(files / resolved, asked) * WINDOW / DAY
        print(f"| {plan} | {listing:,.1f} | {reading:,.1f} |")


def main() -> None:
    """Measure, then multiply."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repositories", type=int, default=3_000_000)
    parser.add_argument("--share", type=float, default=0.5, help="of them, text models")
    parser.add_argument("--cores", type=int, default=32)
    parser.add_argument("--machines", type=int, default=4)
    words = parser.parse_args()
    given = Assumptions(words.repositories, words.share, words.cores, words.machines)
    made, pairs = measured()
    print("\n| pair of fingerprints, all suites | processor time |\n|---|---|")
    for name, cost in pairs.items():
        print(f"| {name} | {cost.processor:.1f} s |")
    rate = sketches_a_second()
    print(f"\nSketches of {SKETCH} numbers: {rate / 1e6:.1f} million pairs a second and core.")
    priced(made, pairs, rate, given)


if __name__ == "__main__":
    main()
