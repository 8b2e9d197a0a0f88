"""Whose is it? One model against a library of a hundred fingerprints: time, memory, order.

    python -m benchmarks.library [--references 100] [--workers 0] [--model s0-finetune]
    python -m benchmarks.library --models 100 [--references 100] [--workers 2] [--only WORDS]

The library holds the model's parent and five other trained models of the zoo (`tools/zoo/ready`:
four strangers of other seeds, vocabularies and shapes, and a twin that began from the parent's
draw of weights), and drawn strangers (`tools/zoo/strangers.py`) up to the number asked for. It is
built by `scratchverify fingerprint --library`, and asked by `scratchverify run --against-library`.
Prints Markdown, as docs/whose-is-it.md shows it.

With `--models` so many models are asked about in one run, the one above among drawn strangers of
other seeds. `--only` narrows what is asked about each pair, with options of pytest in one word:
`--only "-m weights --component lm_head"`. Prints what a pair costs, as docs/scale.md shows it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools import ROOT
from tools.running import CLOSED_PORT
from tools.zoo.ready_models import READY
from tools.zoo.strangers import write_stranger

PARENT, TWIN = "s0", "s0-twin"
TRAINED = (PARENT, TWIN, "s1", "t0", "moe0", "vl0")
ACCUSED = ("REUSED_VERBATIM", "DERIVED", "SHARED_ANCESTRY", "SUSPECTED")
Measured = tuple[float, float, int]  # seconds, seconds of processors, bytes of the largest process


def command(*arguments: object, home: Path) -> Measured:
    """Run the console script; the figures are of all its processes."""
    environment = {**os.environ, "HF_HOME": str(home), "HF_ENDPOINT": CLOSED_PORT}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    log = home / "log.txt"
    with log.open("w") as stream:
        subprocess.run(
            [sys.executable, "-m", "pytest_scratchverify.cli", *map(str, arguments)],
            cwd=home, env=environment, stdout=stream, stderr=stream, check=False,
        )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, spent, after.ru_maxrss * 1024


def build(home: Path, references: int) -> Measured:
    """Build the library of trained and drawn models under `home`."""
    models = home / "models"
    models.mkdir()
    for name in TRAINED:
        (models / name).symlink_to(READY / name, target_is_directory=True)
    drawn = [f"drawn-{seed}" for seed in range(references - len(TRAINED))]
    for seed, name in enumerate(drawn):
        write_stranger(models / name, seed)
    names = home / "names.txt"
    names.write_text("".join(f"models/{name}\n" for name in (*TRAINED, *drawn)), "utf-8")
    return command("fingerprint", "--list", names, "--library", home / "library", home=home)


def ask(
    home: Path, models: Sequence[Path], workers: int, only: str = ""
) -> tuple[Measured, dict[str, Any]]:
    """Ask of models whose they are, with the whole suites or with what `only` leaves of them."""
    target = home / "run.json"
    arguments: list[object] = [word for model in models for word in ("--model", model)]
    arguments += ["--against-library", "library", "--offline", *shlex.split(only)]
    arguments += ["--verdict-json", target, *(["-n", workers] if workers else [])]
    cost = command("run", *arguments, home=home)
    if not target.exists():
        raise SystemExit((home / "log.txt").read_text("utf-8"))
    return cost, json.loads(target.read_text("utf-8"))


def row(what: str, cost: Measured) -> str:
    """Return one line of the table of costs."""
    seconds, spent, size = cost
    return f"| {what} | {seconds:.0f} s | {spent:.0f} s | {size / 2**20:.0f} MiB |"


def many(count: int, references: int, workers: int, child: str, only: str) -> int:
    """Ask about many models in one run; 1 where a stranger is accused, or the child is not."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = build(home, references)
        asked = [READY / child]
        for seed in range(count - 1):
            asked.append(write_stranger(home / "asked" / f"drawn-{seed}", 10_000 + seed))  # noqa: PERF401
        cost, run = ask(home, asked, workers, only)
        written = (home / "run.json").stat().st_size
    pairs, planned = len(asked) * references, run["plan"]["planned"]
    seconds, spent, size = cost
    print("| | time | processor time | largest process |\n|---|---|---|---|")
    print(row(f"{references} fingerprints made", made))
    print(row(f"{len(asked)} models against them, {len(run['findings'])} findings", cost))
    print(
        f"\n{pairs} pairs, {planned} hypotheses planned; of a pair {1000 * spent / pairs:.0f} ms of"
    )
    print(
        f"processor time and {written / pairs / 2**10:.1f} KiB of run.json; {seconds:.0f} s in all,"
    )
    print(f"the largest process {size / 2**20:.0f} MiB.")
    accused = {
        one["model"]: sorted(
            {near["reference"] for near in one["nearest"] if near["verdict"] in ACCUSED}
        )
        for one in run["models"]
    }
    first = accused.pop(str(READY / child))
    innocent = {model: names for model, names in accused.items() if names}
    print(f"{child}: {', '.join(first) or 'nothing'}; of {len(accused)} strangers accused or")
    print(f"suspected: {len(innocent)}.")
    return int(bool(innocent) or f"models/{PARENT}" not in first)


def main() -> int:
    """Print the tables; 1 where the parent is not first, or somebody innocent is accused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--references", type=int, default=100)
    parser.add_argument("--workers", type=int, default=0, help="processes of pytest-xdist")
    parser.add_argument("--model", default="s0-finetune")
    parser.add_argument("--models", type=int, default=1, help="models that are asked about")
    parser.add_argument("--only", default="", help="options of pytest that narrow what is asked")
    given = parser.parse_args()
    if given.models > 1:
        return many(given.models, given.references, given.workers, given.model, given.only)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        made = build(home, given.references)
        cost, run = ask(home, [READY / given.model], given.workers)
        size = sum(path.stat().st_size for path in (home / "library").glob("*.fingerprint"))
    model = run["models"][0]
    nearest = model["nearest"]
    accused = [n["reference"] for n in nearest if n["verdict"] in ACCUSED]
    kin = [f"models/{PARENT}", f"models/{TWIN}"]
    silent = sum(n["verdict"] == "NO_EVIDENCE_OF_REUSE" for n in nearest)
    print("| | time | processor time | largest process |\n|---|---|---|---|")
    print(row(f"{len(nearest)} fingerprints made ({size / 2**20:.0f} MiB)", made))
    hypotheses = run["plan"]["planned"]
    print(row(f"`{given.model}` against them, {hypotheses} hypotheses", cost))
    print("\n| place | reference | verdict | effect | adjusted p |\n|---|---|---|---|---|")
    for place, near in enumerate(nearest[:5], start=1):
        effect, p = near["effect"], near["p_adjusted"]
        said = f"{effect:.4f} | {p:.3g}" if effect is not None and p is not None else "- | -"
        print(f"| {place} | {near['reference']} | {near['verdict']} | {said} |")
    innocent = [name for name in accused if name not in kin]
    for near in nearest:
        if near["verdict"] == "INSUFFICIENT_EVIDENCE":
            print(f"open: {near['reference']}: {(near['why'] or {}).get('text')}")
    print(f"\n{silent} of {len(nearest)} cleared, {len(innocent)} strangers accused or suspected;")
    print(f"first: {nearest[0]['reference']}.")
    for component, verdict in sorted(model["components"].items()):
        if verdict["effect"] is not None:
            print(f"- {component}: {verdict['verdict']}, {verdict['reference']}")
    return int(bool(innocent) or nearest[0]["reference"] != kin[0])


if __name__ == "__main__":
    sys.exit(main())
