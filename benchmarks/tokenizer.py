"""How long the tokenizer method takes, beside a plain unit of work on the same machine.

    python -m tools.facts.fetch_artifacts
    OMP_NUM_THREADS=1 python -m benchmarks.tokenizer

The limits of issue 3 are in seconds; the ratio column divides by the time that `json.loads`
takes for Qwen3's tokenizer.json, so that machines can be compared. Nothing is asserted in
the tests: a busy machine is no bug.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

from pytest_scratchverify.methods.tokenizer import nearest_ancestor, rank_order
from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
from pytest_scratchverify.tokenizer.compare import compare
from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.sketch import load_sketches
from pytest_scratchverify.tokenizer.vocabulary import Tokenizer
from tools import ROOT
from tools.facts.artifact_registry import tokenizer_path

REPEATS = 5
READ = {  # name -> limit in seconds
    "qwen3": 1.0,
    "llama3": 1.0,
    "gemma3": None,
    "llama3-tiktoken": None,
    "llama3-gguf": None,
    "tekken-240911": None,
    "jurassic-2": None,
}


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few runs: the one that nothing disturbed."""
    times = []
    for _ in range(REPEATS):
        gc.collect()
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def read(name: str) -> Tokenizer:
    """Parse, order and hash: all that comes before comparing."""
    tokenizer = read_tokenizer(tokenizer_path(name), name)
    _ = tokenizer.keys
    return tokenizer


def search_cold(suspect: Tokenizer) -> object:
    """Search all sketches as a fresh process would, reading them from disk."""
    for sketch in load_sketches():
        sketch.__dict__.pop("keys", None)
    return nearest_ancestor(suspect, CALIBRATION)


CALIBRATION = TokenizerThresholds.load(ROOT / "suites" / "calibration" / "tokenizer.json")


def main() -> None:
    """Measure and print one table."""
    unit_file = tokenizer_path("qwen3")
    unit = fastest(lambda: json.loads(unit_file.read_bytes()))
    a, b = read("gpt-oss"), read("llama4")
    qwen = read("qwen3")
    rank_order(a, b, CALIBRATION)  # scipy is imported once a process
    rows = [
        (f"json.loads of qwen3 ({_mega(unit_file)})", unit, None),
        *(
            (f"read {name} ({_mega(tokenizer_path(name))})", fastest(partial(read, name)), limit)
            for name, limit in READ.items()
        ),
        ("compare two 200k vocabularies, sample", fastest(lambda: compare(a, b)), 1.0),
        ("compare two 200k vocabularies, whole", fastest(lambda: compare(a, b, None)), 1.0),
        ("rank_order with controls", fastest(lambda: rank_order(a, b, CALIBRATION)), 1.0),
        (f"qwen3 against {len(load_sketches())} sketches", fastest(lambda: search_cold(qwen)), 5.0),
    ]  # fmt: skip
    print(f"{'what':44}{'seconds':>9}{'ratio':>8}{'limit':>7}")
    for what, seconds, limit in rows:
        bound = f"{limit:.0f} s" if limit else "-"
        print(f"{what:44}{seconds:9.3f}{seconds / unit:8.1f}{bound:>7}")


def _mega(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
