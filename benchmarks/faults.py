"""Faults of a hub, a network, a cache and a disk, one at a time, at every request of a run.

    python -m benchmarks.faults --results build/faults.jsonl            # 600 faults; resumes
    python -m benchmarks.faults --results ... --table docs/security-faults.md

A loopback hub serves an independent model, a fine-tune and a copy of a reference, all of the ready
zoo. A run without a fault says what is right, and of which requests a run consists; then each fault
is put at one of them: once, twice or for ever, in quick and robust, with a cold and a warm cache.
Allowed are the verdict of the run without a fault, and an open one that says why. Anything else is
a violation, and so is a broken test, a traceback, a token that went where it should not, or a run
beyond the limit; with one of them the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fault_bench import Bench, Fault, outcome_of
from tools.zoo.hub_breaks import EVER, KINDS, Place

TIMES = (("once", 1), ("twice", 2), ("for ever", EVER))
CACHE_DAMAGES = ("emptied", "truncated", "zeroed", "flipped", "random", "removed", "a folder",
                 "a dead link", "other content")  # fmt: skip
DISKS = (20, 60, 200, 400, 1000, 2000)  # kB that the cache may fill; needs the right to mount
DEFAULT = 600


def planned(places: list[Place], seed: int = 2026) -> Iterator[Fault]:
    """Yield all faults in one order, such that any first part of it spreads over all kinds.

    Faults of caches, disks and processes come first, as they are few.
    """
    yield from _of_machines()
    rng = random.Random(seed)
    weights = [place for place in places if "safetensors" in place.path]
    for kind in ("reset", "mixed-up", "portal"):
        yield Fault("wire", kind, weights[2], EVER, "for ever", workers=2)
    seen = set()
    for round_ in range(len(places) * len(TIMES)):
        for kind in KINDS:
            pool = weights if round_ % 2 else places
            if kind in _OF_LISTINGS:
                pool = [p for p in places if p.path.startswith("/api") and "refs" not in p.path]
            fault = _drawn(rng, kind, rng.choice(pool), round_)
            if fault.key not in seen:
                seen.add(fault.key)
                yield fault
        if round_ % 2 == 0:
            yield Fault("process", "killed, then run again", rng.choice(places), 1, "once")


def _of_machines() -> Iterator[Fault]:
    """Yield faults of caches, disks and whole hubs."""
    for damage in CACHE_DAMAGES:
        for part in ("hub/", "ranges/", "headers/", "resolutions/"):
            yield Fault("cache", f"{part} {damage}", warm=True)
    for limit in DISKS:
        for depth in ("quick", "robust"):
            yield Fault("disk", f"a disk of {limit} kB", depth=depth)
    yield Fault("disk", "the cache is a file")
    yield Fault("hub", "gone", warm=True)
    yield Fault("hub", "gone")


def _drawn(rng: random.Random, kind: str, place: Place, round_: int) -> Fault:
    often, times = TIMES[(2 + round_ + rng.randrange(3)) % 3]
    # Of a model that is in the cache, a run asks nothing but what its name means.
    asked = place.path == "/" or place.path.startswith("/api/")
    return Fault(
        "wire",
        kind,
        place,
        times,
        often,
        depth=rng.choice(("quick", "quick", "robust")),
        warm=rng.random() < 0.3 and asked,
        wide=rng.random() < 0.1,
    )


_OF_LISTINGS = frozenset(list(KINDS)[list(KINDS).index("sizes one more") :])


def run(results: Path, count: int, home: Path, *, quiet: bool = False, only: str = "") -> int:
    """Put `count` faults, except those that the results have already; returns the violations."""
    done = _read(results)
    results.parent.mkdir(parents=True, exist_ok=True)
    violations = 0
    with Bench(home) as bench:
        todo = [fault for fault in planned(bench.places) if only in fault.key][:count]
        for number, fault in enumerate(todo, 1):
            line = done.get(fault.key)
            if line is None:
                line = outcome_of(bench, fault)
                with results.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(line) + "\n")
            violations += bool(line["violations"])
            if line["violations"] or not quiet:
                print(f"{number}/{len(todo)} {line['seconds']:5.1f}s {fault.key}: {line['outcome']}"
                      f" {'; '.join(line['violations'])}", flush=True)  # fmt: skip
    return violations


def _read(results: Path) -> dict[str, Any]:
    if not results.exists():
        return {}
    lines = (json.loads(line) for line in results.read_text("utf-8").splitlines() if line)
    return {line["key"]: line for line in lines}


OUTCOMES = ("same", "open", "violation")


def table(lines: list[dict[str, Any]], head: tuple[str, ...]) -> str:
    """Return fault x place, with how many ended the same, open, or as a violation."""
    cells: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    columns = ("name of the hub", "API", "small files", "links to weights", "weights", "whole run")
    for line in lines:
        cells[line["what"]][line["column"]][line["outcome"]] += 1
    rows = [f"| {' | '.join(head)} |", f"|---{'|---' * len(columns)}|"]
    for what, row in cells.items():
        shown = [" / ".join(str(row[c][o]) for o in OUTCOMES) if row[c] else "" for c in columns]
        rows.append(f"| {what} | {' | '.join(shown)} |")
    return "\n".join(rows)


HEADS = {
    "en": ("fault", "reachability", "API", "small files", "links to weights", "bytes of weights",
           "whole run"),
    "ko": ("결함", "접속 확인", "API", "작은 파일", "가중치 링크", "가중치 바이트", "실행 전체"),
}  # fmt: skip
START, END = "<!-- table: python -m benchmarks.faults -->", "<!-- end of the table -->"


def write_table(page: Path, lines: list[dict[str, Any]]) -> None:
    """Put the table between the two marks of a page."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    head = HEADS["ko" if "ko" in page.parts else "en"]
    lines = [line for line in lines if line["applied"]]
    counts = Counter(line["outcome"] for line in lines)
    said = f"{len(lines)}: {', '.join(f'{name} {counts[name]}' for name in OUTCOMES)}"
    page.write_text(f"{before}{START}\n\n{said}\n\n{table(lines, head)}\n\n{END}{after}", "utf-8")


def main() -> None:
    """Run, print the table, and exit with 1 if anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("build/faults.jsonl"))
    parser.add_argument("--faults", type=int, default=DEFAULT)
    parser.add_argument("--only", default="", help="a part of the fault's name")
    parser.add_argument("--table", type=Path, action="append", default=[])
    given = parser.parse_args()
    if not given.table:
        with tempfile.TemporaryDirectory(prefix="scratchverify-faults-") as home:
            run(given.results, given.faults, Path(home), only=given.only)
    lines = [*_read(given.results).values()]
    for page in given.table:
        write_table(page, lines)
    print(table(lines, HEADS["en"]))
    broken = [line for line in lines if line["violations"]]
    for line in broken:
        print(line["key"], *line["violations"], sep="\n    ")
    idle = sum(not line["applied"] for line in lines)
    print(f"{len(lines)} faults, of which {idle} met no request; {len(broken)} violations")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
