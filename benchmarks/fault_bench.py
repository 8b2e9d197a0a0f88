"""The bench of the fault matrix: a loopback hub, a warm process, and what counts as right."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools import ROOT
from tools.running import GUESTS
from tools.zoo.hub_breaks import Break, Place
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY

MODELS = ("org/s1", "org/s0-finetune", "org/copy")
REFERENCE = "org/s0"
ACCUSED = frozenset({"REUSED_VERBATIM", "DERIVED"})
OPEN = frozenset({"UNDETERMINED", "INSUFFICIENT_EVIDENCE", "NOT_TESTABLE"})
TOKEN = "hf_" + "SecretOfTheFaultMatrix" * 2
LIMIT = 60.0
SUITES = ("test_architecture.py", "test_checkpoint_trajectory.py", "test_disclosure.py",
          "test_layernorm.py", "test_tokenizer.py", "test_weights.py")  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One fault of one run. `kind` is wire, cache, disk, process or hub."""

    kind: str
    what: str
    place: Place | None = None
    times: int = 1
    often: str = ""
    depth: str = "quick"
    warm: bool = False
    workers: int = 0
    wide: bool = (
        False  # all components and methods, not only the tables of tokens and the tokenizer
    )

    @property
    def key(self) -> str:
        """Its name in the results."""
        at = self.place
        where = f"{at.method} {at.path} #{at.first}" if at else "run"
        cache = "warm" if self.warm else "cold"
        how = f"{self.depth} {cache} -n {self.workers} {'wide' if self.wide else 'narrow'}"
        return " ".join(f"{self.what} @ {where} {self.often} {how}".split())

    @property
    def asks(self) -> str:
        """What the run asks: its verdicts without a fault are those of this question."""
        return f"{self.depth} {'wide' if self.wide else 'narrow'}"

    @property
    def column(self) -> str:
        """Its column of the table."""
        if self.place is None or self.kind == "process":
            return "whole run"
        path = self.place.path
        if path == "/":
            return "name of the hub"
        if path.startswith("/api/"):
            return "API"
        if "safetensors" not in path:
            return "small files"
        return "weights" if self.place.origin == "cdn" else "links to weights"


class Bench:
    """Serves the models, knows the right verdicts, and runs one fault after the other."""

    def __init__(self, home: Path) -> None:
        self.home, self.cache, self.warm = home, home / "hf", home / "warm"
        self.hub = LoopbackHub()
        self.baseline: dict[str, dict[str, Any]] = {}
        self.places: list[Place] = []

    def __enter__(self) -> Self:
        self.hub.__enter__()
        for name in ("s0", "s1", "s0-finetune"):
            self.hub.add_repo(f"org/{name}", READY / name)
        body = (READY / "s0" / "model.safetensors").read_bytes()
        copy = {path.name: path for path in (READY / "s0").iterdir()}
        # A blank more in the header's padding: another digest, the same weights.
        length = int.from_bytes(body[:8], "little")
        padded = (length + 8).to_bytes(8, "little") + body[8 : 8 + length] + b" " * 8
        self.hub.add_repo("org/copy", {**copy, "model.safetensors": padded + body[8 + length :]})
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "GITHUB_"))}
        environment |= self.hub.environment(self.cache)
        environment |= {"HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
        environment |= {"HF_HUB_ETAG_TIMEOUT": "2", "HF_HUB_DOWNLOAD_TIMEOUT": "2"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fault_runs"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._order(self._run_of("quick wide"))
        if "warm" not in self._answer():
            raise RuntimeError((self.home / "output").read_text("utf-8", "replace"))
        self.fresh(warm=False)
        self.hub.forget()
        self.right("quick wide")
        self.places = places_of(self.hub)
        shutil.copytree(self.cache, self.warm, symlinks=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.hub.__exit__(kind, error, trace)

    def right(self, asks: str) -> dict[str, Any]:
        """Return what a run without a fault says."""
        if asks not in self.baseline:
            self.fresh(warm=False)
            self.run(asks)
            found = self.found()
            if found is None:
                raise RuntimeError((self.home / "output").read_text("utf-8", "replace"))
            self.baseline[asks] = found
        return self.baseline[asks]

    def fresh(self, *, warm: bool) -> None:
        """Start from a cold cache, or from the one of a run without a fault."""
        self.hub.mend()
        if self.cache.is_file():
            self.cache.unlink()
        shutil.rmtree(self.cache, ignore_errors=True)
        if warm:
            shutil.copytree(self.warm, self.cache, symlinks=True)
        (self.home / "run.json").unlink(missing_ok=True)

    def run(self, asks: str, *, workers: int = 0) -> dict[str, Any]:
        """Run the suites once; returns exit code and seconds."""
        order = self._run_of(asks)
        if workers:
            order["arguments"] += ["-n", str(workers)]
            order["limit"] *= 3
        self._order(order)
        self.pid = self._answer()["pid"]
        return self._answer()

    def kill(self) -> None:
        """Kill the run that is going on."""
        os.kill(self.pid, signal.SIGKILL)

    def found(self) -> dict[str, Any] | None:
        """Return the run.json of the last run, if it left one."""
        try:
            found: dict[str, Any] = json.loads((self.home / "run.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found

    def _run_of(self, asks: str) -> dict[str, Any]:
        depth, width = asks.split()
        narrow = ["--component=embeddings", "--component=tokenizer"] if width == "narrow" else []
        models = [f"--model={name}" for name in MODELS]
        without = [part for name in GUESTS for part in ("-p", f"no:{name}")]
        return {
            "arguments": [
                *(f"suites/{name}" for name in SUITES), *models, f"--against={REFERENCE}",
                f"--depth={depth}", f"--verdict-json={self.home / 'run.json'}", *without, *narrow,
                "-p", "no:cacheprovider", f"--basetemp={self.home / 'temp'}", "-q",
            ],
            "output": str(self.home / "output"),
            "limit": LIMIT,
        }  # fmt: skip

    def _order(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        return answer


def places_of(hub: LoopbackHub) -> list[Place]:
    """Return every request of the run that the log holds."""
    counts: Counter[tuple[str, str, str]] = Counter()
    places = []
    for line in hub.log:
        asked = (line.origin, line.method, line.path)
        places.append(Place(*asked, first=counts[asked]))
        counts[asked] += 1
    return places


def outcome_of(bench: Bench, fault: Fault) -> dict[str, Any]:
    """Run with a fault, and say how it ended."""
    bench.right(fault.asks)
    bench.fresh(warm=fault.warm)
    bench.hub.forget()
    broken = _armed(bench, fault)
    with _disk(bench, fault):
        ran = bench.run(fault.asks, workers=fault.workers)
    if fault.kind == "process":
        bench.hub.mend()
        ran = bench.run(fault.asks)
    violations, outcome = judged(bench, fault, ran)
    return {
        "key": fault.key,
        "what": fault.what,
        "column": fault.column,
        "applied": broken.applied if broken else 1,
        "outcome": outcome,
        "seconds": round(ran["seconds"], 1),
        "violations": violations,
    }


def _armed(bench: Bench, fault: Fault) -> Break | None:
    """Prepare the hub, or the cache, for a fault."""
    if fault.place is not None:
        options: dict[str, Any] = {"of": _other(fault.place)}
        kind = fault.what
        if fault.kind == "process":
            options["call"], kind = bench.kill, "closed"
        broken = Break(kind, fault.place, fault.times, options)
        bench.hub.arm(broken)
        return broken
    if fault.kind == "hub":
        for place in bench.places:
            bench.hub.arm(Break("closed", replace(place, first=0)))
    elif fault.kind == "cache":
        damaged(bench.cache, *fault.what.split(" ", 1))
    elif fault.what == "the cache is a file":
        bench.cache.write_text("no folder")
    return None


@contextmanager
def _disk(bench: Bench, fault: Fault) -> Iterator[None]:
    """Give the cache a small disk of its own, if that is the fault."""
    if not fault.what.startswith("a disk of"):
        yield
        return
    bench.cache.mkdir()
    size = f"size={fault.what.split()[3]}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", bench.cache], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", bench.cache], check=True)


def _other(place: Place) -> str:
    return "org/s1" if REFERENCE in place.path and "finetune" not in place.path else REFERENCE


def damaged(cache: Path, part: str, damage: str) -> None:
    """Damage every file of one part of a cache."""
    rng = random.Random(part + damage)
    for path in sorted(cache.rglob("*")):
        if part not in path.as_posix() or path.is_symlink() or not path.is_file():
            continue
        body = path.read_bytes()
        changed = {
            "emptied": b"",
            "truncated": body[: len(body) // 2],
            "zeroed": bytes(len(body)),
            "flipped": bytes([body[0] ^ 1]) + body[1:] if body else body,
            "random": rng.randbytes(len(body)),
            "other content": b'{"value": null}',
        }.get(damage)
        path.unlink()
        if changed is not None:
            path.write_bytes(changed)
        elif damage == "a folder":
            path.mkdir()
        elif damage == "a dead link":
            path.symlink_to("nowhere")


def judged(bench: Bench, fault: Fault, ran: dict[str, Any]) -> tuple[list[str], str]:
    """Return what was violated, and whether the verdicts are the same or open."""
    output = (bench.home / "output").read_text("utf-8", "replace")
    found = bench.found()
    violations = []
    if ran["code"] is None:
        violations.append(f"hang: over {ran['seconds']} seconds")
    elif ran["code"] not in (0, 1, 10):
        violations.append(f"exit code {ran['code']}: {output[-300:]}")
    if "Traceback (most recent" in output or "INTERNALERROR" in output:
        violations.append(f"traceback: {output[output.find('Traceback') :][-400:]}")
    if found is None:
        return [*violations, "no run.json"], "violation"
    broken = [f for f in found["findings"] if f["outcome"] == "harness-error"]
    violations += [f"harness: {f['method']} {f['headline']}" for f in broken[:2]]
    same, wrong = compared(bench.right(fault.asks), found)
    violations += wrong + leaks(bench, output)
    return violations, "violation" if violations else "same" if same else "open"


def compared(right: dict[str, Any], found: dict[str, Any]) -> tuple[bool, list[str]]:
    """Return whether all verdicts are the same, and which ones are neither the same nor open."""
    same, wrong = True, []
    after = {model["model"]: model for model in found["models"]}
    for model in right["models"]:
        name = model["model"]
        now = after.get(name, {"components": {}, "policies": {}})
        for component, was in model["components"].items():
            got = now["components"].get(component)
            verdict = got["verdict"] if got else "UNDETERMINED"
            if verdict == was["verdict"]:
                continue
            same = False
            lead = verdict == "SUSPECTED" and was["verdict"] in ACCUSED  # of what is there
            if verdict not in OPEN and not lead:
                wrong.append(f"{name} {component}: {verdict} instead of {was['verdict']}")
            elif got and not (got["because"] or got["missing"]):
                wrong.append(f"{name} {component}: {verdict} without a reason")
        for component, got in now["components"].items():
            if component not in model["components"] and got["verdict"] not in OPEN:
                wrong.append(f"{name} {component}: {got['verdict']}, which was not there")
        for policy, was in model["policies"].items():
            got = now["policies"].get(policy)
            if got and got["result"] != was["result"] and got["result"] == "PASS":
                wrong.append(f"{name}: policy {policy} PASS instead of {was['result']}")
    return same, wrong


def leaks(bench: Bench, output: str) -> list[str]:
    """Say where the token went, if it went anywhere but to the hub."""
    found = []
    if TOKEN in output or TOKEN in (bench.home / "run.json").read_text("utf-8"):
        found.append("token in the output")
    if any(line.authorization and line.origin == "cdn" for line in bench.hub.log):
        found.append("token sent to the CDN")
    for path in bench.cache.rglob("*") if bench.cache.is_dir() else ():
        small = path.is_file() and path.stat().st_size < 2**20
        found += [f"token in {path.name}"] if small and TOKEN.encode() in path.read_bytes() else []
    return found
