"""What a comparison of weights costs, beside a peer on the same models, in one run.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install modeldna==0.1.0
    python -m benchmarks.speed --peer /tmp/peers/bin/modeldna [--only NAME ...]

Small models lie in folders; large ones are made on demand by a hub on loopback, random numbers of
real shapes (`tools/zoo/giant.py`), and both tools read them from it with empty caches. Ours is
`scratchverify run`, all suites, at the default depth; the peer's is `compare`, weights alone. Times
are of whole processes with their start: seconds of the clock, seconds of processors, the largest
process, bytes that the hub sent. What making the bytes costs the hub is in the clock of both. One
BLAS thread. Ratios are what counts: they come from one machine in one run. Prints Markdown.
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
    """Suspect and reference: folders, or repositories of the hub."""

    name: str
    suspect: str
    reference: str


def measured(command: list[str], hub: LoopbackHub, environment: dict[str, str]) -> tuple[Cost, str]:
    """Run a command to its end, and return what it cost and printed."""
    before, began = hub.sent(), time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryDirectory() as home:
        started = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=home,
            env=os.environ | environment | hub.environment(Path(home)) | {"OMP_NUM_THREADS": "1"},
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
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "v.json"
        command = [
            sys.executable, "-m", "pytest_scratchverify.cli", "run", f"--model={pair.suspect}",
            f"--against={pair.reference}", f"--verdict-json={target}", "-q",
        ]  # fmt: skip
        cost, text = measured(command, hub, {"PYTHONPATH": str(ROOT)})
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


def small(folder: Path) -> Iterator[Pair]:
    """Yield pairs of models of some hundred thousand parameters, in folders."""
    base = READY / "s0"
    disguised = folder / "s0-disguised"
    model = every_disguise(read_model("s0"), np.random.default_rng(5))
    checkpoints.write(disguised, model.tensors, config=model.config, card={"license": "mit"})
    yield Pair("0.3 M, strangers", str(READY / "s1"), str(base))
    yield Pair("0.3 M, twins of one draw", str(READY / "s0-twin"), str(base))
    yield Pair("0.3 M, fine-tuned", str(READY / "s0-finetune"), str(base))
    yield Pair("0.3 M, rotated and renumbered", str(disguised), str(base))


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
    for kind, seed, parent in (("base", 1, None), ("tuned", 3, 1), ("stranger", 2, None)):
        hub.add_repo(f"giant/{kind}", giant(seed=seed, tokenizer=tokenizer, descends_from=parent))
    yield Pair("519 B mixture, strangers", "giant/stranger", "giant/base")
    yield Pair("519 B mixture, fine-tuned", "giant/tuned", "giant/base")


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
        for pair in (*small(Path(folder)), *large(hub)):
            if given.only and not any(part in pair.name for part in given.only):
                continue
            mine = ours(pair, hub)
            line = f"| {pair.name} | {mine.cells} |"
            if peer:
                other = peers(pair, hub, given.peer)
                ratios = [mine.wall / other.wall, mine.cpu / other.cpu]
                ratios += [mine.sent / other.sent] if other.sent else []
                line += f" {other.cells} | {', '.join(f'{r:.2g}' for r in ratios)} |"
            print(line, flush=True)


if __name__ == "__main__":
    main()
