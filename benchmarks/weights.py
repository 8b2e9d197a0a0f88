"""Tables of the weights method: what it costs by size and depth, what it finds in the zoo.

    python -m benchmarks.weights scale [--sizes 0.1 1 8 70 519] [--depths quick robust]
    python -m benchmarks.weights zoo --zoo .artifacts/zoo [--figure docs/methods/weights-null.svg]

Both print Markdown, as docs/methods/weights.md shows it. `scale` serves checkpoints of real
shapes and generated weights over HTTP and runs the suites on them in a process of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.compare import Effort, compare
from pytest_scratchverify.methods.weights.origin import Question, weights_origin
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.reading import Checkpoint, Sides
from tools import ROOT
from tools.calibrate.weights import relation
from tools.zoo.giant import dense, giant
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY

TOKENIZERS = [READY / name / "tokenizer.json" for name in ("s0", "t0")]
DENSE = {
    0.1: (768, 12, 3072, 32000),
    1.0: (2048, 16, 8192, 32000),
    8.0: (4096, 32, 14336, 128256),
    70.0: (8192, 80, 28672, 128256),
}


def scale(sizes: list[float], depths: list[str]) -> None:
    """Print bytes, seconds and peak memory per size and depth."""
    print("| parameters | depth | bytes read | of | requests | seconds | peak memory |")
    print("|---|---|---|---|---|---|---|")
    for size in sizes:
        for depth in depths:
            with LoopbackHub() as hub:
                for seed, name in enumerate(("suspect", "reference"), start=1):
                    tokenizer = TOKENIZERS[seed - 1]
                    files = (
                        dense(*DENSE[size], seed=seed, tokenizer=tokenizer)
                        if size in DENSE
                        else giant(seed=seed, tokenizer=tokenizer)
                    )
                    hub.add_repo(f"bench/{name}", files)
                print(_row(size, depth, hub), flush=True)


def _row(size: float, depth: str, hub: LoopbackHub) -> str:
    with tempfile.TemporaryDirectory() as home:
        target = Path(home) / "run.json"
        command = [
            sys.executable, "-m", "pytest", "suites/test_weights.py", "-q", "--depth", depth,
            "--model", "bench/suspect", "--against", "bench/reference",
            "--verdict-json", str(target),
        ]  # fmt: skip
        environment = {**os.environ, **hub.environment(Path(home)), "OMP_NUM_THREADS": "1"}
        began = time.monotonic()
        running = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, _, usage = os.wait4(running.pid, 0)
        seconds = time.monotonic() - began
        model = json.loads(target.read_text())["models"][0]
    total = model["bytes_total"]
    return (
        f"| {size:g} B | {depth} | {model['bytes_read'] / 1e6:.1f} MB | {total / 1e9:.1f} GB |"
        f" {len(hub.requests('bench/suspect'))} | {seconds:.0f} | {usage.ru_maxrss / 1024:.0f} MB |"
    )


def zoo_table(folder: Path, figure: Path | None) -> None:
    """Print a row per descendant and component, then the p-values of all strangers."""
    zoo = json.loads((folder / "MANIFEST.json").read_text())
    calibration = json.loads((ROOT / "suites" / "calibration" / "weights.json").read_text())
    run = RunDirectory(Path(tempfile.mkdtemp()))

    def store(name: str) -> Any:
        return open_store(str(folder / name), None, run_dir=run, budget=ByteBudget())

    print("| model | truth | component | said | statistic | cosine | p | decided by | bytes |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, row in zoo.items():
        if not row["parent"]:
            continue
        ours, theirs = store(name), store(row["parent"])
        pair = Pair(ModelSpec(name=name), ModelSpec(name=row["parent"]))
        for component in Checkpoint(ours).components:
            question = Question(pair=pair, component=component)
            finding = weights_origin(question, ours, theirs, calibration)
            print(_finding_row(name, row, component, finding))
    _strangers(zoo, {name: Checkpoint(store(name)) for name in zoo}, figure)


def _finding_row(name: str, row: dict[str, Any], component: Component, finding: Finding) -> str:
    said = finding.kind or finding.relation or finding.outcome.value
    if finding.relation == "verbatim":
        said = "verbatim"
    if finding.relation == "unclear":
        said = "unclear (a lead)"
    statistic, effect = finding.statistic, finding.effect
    shown = f"{statistic.value:g} of {statistic.n}" if statistic and statistic.n else "-"
    size = sum(record.bytes_read for record in finding.artifacts) // 2
    pvalue = "below 1e-300" if finding.pvalue == 0 else f"{finding.pvalue:.1g}"
    return (
        f"| {name} | {row['truth']} | {component.value} | {said} | {shown} |"
        f" {effect.value if effect else 0:.3f} | {pvalue} | {finding.details.get('step')} |"
        f" {size / 1e3:.0f} kB |"
    )


def _strangers(
    zoo: dict[str, Any], checkpoints: dict[str, Checkpoint], figure: Path | None
) -> None:
    """Say how the p-values of all independent pairs are spread, and draw them."""
    from scipy import stats  # noqa: PLC0415

    found: dict[str, list[float]] = {}
    smallest = 1.0
    for one, two in combinations(zoo.values(), 2):
        same = {**one["shape"], "tokenizer": ""} == {**two["shape"], "tokenizer": ""}
        if not same or relation(one, two, zoo) != "independent" or one["parent"] or two["parent"]:
            continue
        sides = Sides(checkpoints[two["name"]], checkpoints[one["name"]])
        for component in sides.ours.components:
            compared = compare(sides, component, Effort())
            if compared is None:
                continue
            smallest = min(smallest, compared.measured.pvalue)
            channels = compared.measured.channels
            if channels is not None:
                found.setdefault(component.value, []).append(channels.pvalue)
    everything = [p for values in found.values() for p in values]
    test = stats.kstest(everything, "uniform")
    print(
        f"\n{len(everything)} comparisons of independent models of one shape: smallest p"
        f" {smallest:.2g}, Kolmogorov-Smirnov distance from uniform {test.statistic:.3f}"
        f" (p {test.pvalue:.2f})."
    )
    if figure is not None:
        _draw(everything, figure)


def _draw(strangers: list[float], figure: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "weights", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt  # noqa: PLC0415

    from tools.zoo.null_pairs import STRANGERS, null_pairs  # noqa: PLC0415

    drawing, axes = plt.subplots(figsize=(5, 4))
    for number, component in enumerate(STRANGERS):
        values = np.sort([m.channels.pvalue for m in null_pairs(component, 440, number)])
        axes.plot((np.arange(len(values)) + 0.5) / len(values), values, label=component.value)
    values = np.sort(strangers)
    axes.plot(
        (np.arange(len(values)) + 0.5) / len(values), values, "k.", label="independent models"
    )
    axes.plot([0, 1], [0, 1], ":", color="grey")
    axes.set(xlabel="expected under the null", ylabel="p-value")
    axes.legend(fontsize=7)
    drawing.savefig(figure, metadata={"Date": None})


def main() -> None:
    """Print one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("scale")
    one.add_argument("--sizes", type=float, nargs="+", default=[*DENSE, 519.0])
    one.add_argument("--depths", nargs="+", default=["quick", "robust"])
    two = commands.add_parser("zoo")
    two.add_argument("--zoo", type=Path, default=ROOT / ".artifacts" / "zoo")
    two.add_argument("--figure", type=Path)
    given = parser.parse_args()
    if given.command == "scale":
        scale(given.sizes, given.depths)
    else:
        zoo_table(given.zoo, given.figure)


if __name__ == "__main__":
    main()
