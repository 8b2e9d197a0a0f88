"""What a run costs, beside a peer on the same models, in one run of this command.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install modeldna==0.1.0
    python -m benchmarks.speed --peer /tmp/peers/bin/modeldna [--only NAME ...]

Small models lie in folders; large ones are made on demand by a hub on loopback, random numbers of
real shapes (`tools/zoo/giant.py`), and both tools read them from it with empty caches. Ours is
`scratchverify run`, all suites, at the default depth; the peer's is `compare`, weights alone. Times
are of whole processes with their start: seconds of the clock, seconds of processors, the largest
process, bytes that the hub sent. What making the bytes costs the hub is in the clock of both. One
BLAS thread. Further rows, which the peer has no counterpart of, say what starting, collecting, a
warm cache, several references, workers and the whole of the weights cost. Ratios are what counts:
they come from one machine in one run. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.detection import verdict_of_peer
from tools import ROOT
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.disguises import every_disguise
from tools.zoo.giant import dense, giant
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY, read_model

# The peer spells the hub's address out; here it asks the one on loopback.
PEER = """
import os, sys
from modeldna.io import source
for kind in [k for k in vars(source).values() if isinstance(k, type) and "_url" in vars(k)]:
    kind._url = lambda self, name: "/".join(
        (os.environ["HF_ENDPOINT"], self.repo_id, "resolve", self.revision, name))
from modeldna.cli import app
sys.exit(app())
"""
# Reads addresses of the hub, and hashes what it gets.
READ = """
import hashlib, os, sys, urllib.request
for address in sys.argv[1:]:
    digest = hashlib.sha256()
    with urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/" + address) as answer:
        while piece := answer.read(1 << 20):
            digest.update(piece)
"""
# As users have it: what was compiled once is kept. Either tool is started once before it counts.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
WHOLE = "0.1 B, strangers, full depth"
SMALL = (768, 12, 2048, 32000)
LIMIT = 1800  # seconds for one comparison: beyond, a row says so
# Llama-like: hidden, layers, inner, vocabulary.
DENSE = {
    "1.1 B": (2048, 22, 5632, 32000),
    "6.7 B": (4096, 32, 11008, 32000),
    "79 B": (8192, 80, 28672, 128256),
}


@dataclass(frozen=True)
class Cost:
    """One tool on one pair: clock, processors, largest process, bytes sent, what it said."""

    wall: float
    cpu: float
    memory: int
    sent: int
    said: str

    @property
    def cells(self) -> str:
        """Return what a table shows."""
        sent = f"{self.sent / 1e6:,.1f}" if self.sent else "-"
        memory = self.memory / 2**20
        return f"{self.said} | {self.wall:.1f} | {self.cpu:.1f} | {memory:,.0f} | {sent}"


@dataclass(frozen=True)
class Pair:
    """Suspect and references, folders or repositories of the hub, and how a run is asked."""

    name: str
    suspect: str
    reference: str
    further: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    warm: bool = False  # the same run was made before, and its cache is there

    @property
    def is_for_peers(self) -> bool:
        """Whether the peer has a command for it: one pair at its only depth."""
        return not (self.further or self.options or self.warm)


def measured(
    command: list[str],
    hub: LoopbackHub,
    environment: dict[str, str],
    kept: Path | None = None,
) -> tuple[Cost, str]:
    """Run a command to its end, and return what it cost and printed; `kept` is its home."""
    before, began = hub.sent(), time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryDirectory() as fresh:
        home = kept or Path(fresh)
        started = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=home,
            env=ENVIRONMENT | environment | hub.environment(home) | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        deadline = began + LIMIT
        while True:
            done, _, used = os.wait4(started.pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                started.kill()
            time.sleep(0.02)
        wall = time.monotonic() - began
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    said = "no end" if wall > LIMIT else ""
    cost = Cost(
        wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, hub.sent() - before, said
    )
    return cost, text


def ours(pair: Pair, hub: LoopbackHub) -> Cost:
    """Ask all our suites."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as home:
        target = Path(folder) / "v.json"
        references = [f"--against={name}" for name in (pair.reference, *pair.further)]
        command = [
            sys.executable, "-m", "pytest_scratchverify.cli", "run", f"--model={pair.suspect}",
            *references, f"--verdict-json={target}", "-q", *pair.options,
        ]  # fmt: skip
        kept, paths = Path(home), {"PYTHONPATH": str(ROOT)}
        if pair.warm:
            measured(command, hub, paths, kept)
        cost, text = measured(command, hub, paths, kept)
        if "--collect-only" in pair.options:
            return replace(cost, said="-")
        if not target.exists():
            sys.stderr.write(text)
            return cost
        run = json.loads(target.read_text("utf-8"))
    decoder = run["models"][0]["components"].get("text_decoder", {})
    return replace(cost, said=cost.said or decoder.get("verdict", "-"))


def peers(pair: Pair, hub: LoopbackHub, peer: Path) -> Cost:
    """Ask the peer."""
    python = str(peer.parent / "python")
    command = [python, "-c", PEER, "compare", pair.suspect, pair.reference, "--json"]
    cost, text = measured(command, hub, {})
    try:
        said = verdict_of_peer(json.loads(text[text.index("{") :]))
    except ValueError:
        said = "no answer"
    return replace(cost, said=cost.said or said)


def beside(mine: Cost, other: Cost) -> str:
    """Return the peer's cells and the ratios: clock, processors and, from a hub, bytes."""
    ratios = [mine.wall / other.wall, mine.cpu / other.cpu]
    ratios += [mine.sent / other.sent] if other.sent else []
    return f" {other.cells} | {', '.join(f'{ratio:.2g}' for ratio in ratios)} |"


def small(folder: Path) -> Iterator[Pair]:
    """Yield pairs of models of some hundred thousand parameters, in folders."""
    base = READY / "s0"
    for name in ("s0", "moe0"):
        model = every_disguise(read_model(name), np.random.default_rng(5))
        card = {"license": "mit"}
        checkpoints.write(folder / name, model.tensors, config=model.config, card=card)
    yield Pair("0.3 M, strangers", str(READY / "s1"), str(base))
    yield Pair("0.3 M, twins of one draw", str(READY / "s0-twin"), str(base))
    yield Pair("0.3 M, fine-tuned", str(READY / "s0-finetune"), str(base))
    yield Pair("0.3 M, rotated and renumbered", str(folder / "s0"), str(base))
    mixture = str(READY / "moe0")
    yield Pair("0.3 M mixture, rotated and renumbered", str(folder / "moe0"), mixture)
    yield Pair("0.3 M, a mixture and a stranger", mixture, str(base))
    ours = str(READY / "s1"), str(base)
    yield Pair("0.3 M, collection alone", *ours, options=("--collect-only",))
    yield Pair("0.3 M, metadata", *ours, options=("--depth=metadata",))


def large(hub: LoopbackHub) -> Iterator[Pair]:
    """Yield pairs of real sizes, which a hub makes on demand."""
    tokenizer = READY / "s0" / "tokenizer.json"
    for name, sizes in DENSE.items():
        place = name.replace(" ", "").replace(".", "-")
        for kind, seed, parent in (("base", 1, None), ("tuned", 3, 1), ("stranger", 2, None)):
            files = dense(*sizes, seed=seed, tokenizer=tokenizer, descends_from=parent)
            hub.add_repo(f"dense/{place}-{kind}", files)
        for kind, words in (("stranger", "strangers"), ("tuned", "fine-tuned")):
            yield Pair(f"{name}, {words}", f"dense/{place}-{kind}", f"dense/{place}-base")
    yield from several(hub, tokenizer)
    for kind, seed, parent in (("base", 1, None), ("tuned", 3, 1), ("stranger", 2, None)):
        hub.add_repo(f"giant/{kind}", giant(seed=seed, tokenizer=tokenizer, descends_from=parent))
    yield Pair("519 B mixture, strangers", "giant/stranger", "giant/base")
    yield Pair("519 B mixture, fine-tuned", "giant/tuned", "giant/base")


def several(hub: LoopbackHub, tokenizer: Path) -> Iterator[Pair]:
    """Yield what one pair at one depth does not show: caches, references, workers, all bytes."""
    names = [f"dense/1-1B-other{seed}" for seed in range(4)]
    for seed, name in enumerate(names):
        hub.add_repo(name, dense(*DENSE["1.1 B"], seed=10 + seed, tokenizer=tokenizer))
    pair = "dense/1-1B-stranger", names[0]
    metadata = ("--depth=metadata",)
    yield Pair("1.1 B, metadata", *pair, options=metadata)
    yield Pair("1.1 B, metadata, warm cache", *pair, options=metadata, warm=True)
    yield Pair("1.1 B, strangers, warm cache", *pair, warm=True)
    for count in (2, 4):
        yield Pair(f"1.1 B, {count} references", *pair, further=tuple(names[1:count]))
    two = ("-n2",)
    yield Pair("1.1 B, 4 references, 2 workers", *pair, further=tuple(names[1:]), options=two)
    for kind, seed in (("base", 1), ("stranger", 2)):
        hub.add_repo(f"dense/small-{kind}", dense(*SMALL, seed=seed, tokenizer=tokenizer))
    yield Pair(WHOLE, "dense/small-stranger", "dense/small-base", options=("--depth=full",))


def read_and_hashed(pair: Pair, hub: LoopbackHub) -> Cost:
    """Read all of both models from the hub and hash it: what `full` costs at least."""
    files = dense(*SMALL, seed=1, tokenizer=READY / "s0" / "tokenizer.json")
    names = (pair.suspect, pair.reference)
    addresses = [f"{name}/resolve/main/{file}" for name in names for file in files]
    return replace(measured([sys.executable, "-c", READ, *addresses], hub, {})[0], said="-")


def main() -> None:
    """Print a row for each pair and tool, and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of rows")
    given = parser.parse_args()
    peer = given.peer is not None
    print("| pair | ours says | s | processor s | MiB | MB sent |", end="")
    print(" peer says | s | processor s | MiB | MB sent | times the peer's: s, processor s, bytes |"
          if peer else "")  # fmt: skip
    print("|---" * (12 if peer else 6) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder, LoopbackHub() as hub:
        first = next(small(Path(folder)))
        ours(first, hub)
        if peer:
            peers(first, hub, given.peer)
        for pair in (*small(Path(folder)), *large(hub)):
            if given.only and not any(part in pair.name for part in given.only):
                continue
            mine = ours(pair, hub)
            line = f"| {pair.name} | {mine.cells} |"
            if peer and pair.is_for_peers:
                line += beside(mine, peers(pair, hub, given.peer))
            elif peer:
                line += " - |" * 6
            print(line, flush=True)
            if pair.name == WHOLE:
                least = read_and_hashed(pair, hub)
                print(f"| the same bytes, read and hashed | {least.cells} |{' - |' * 6 * peer}")


if __name__ == "__main__":
    main()
