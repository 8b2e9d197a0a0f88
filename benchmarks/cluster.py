"""Full depth on a cluster of two workers, of which one is killed midway, beside one process.

    python -m benchmarks.cluster [--layers 20] [--workers 2] [--scratch FOLDER]

Two checkpoints of Llama's shapes (2,048 wide; by default 1.16 billion parameters and 2.3 GB each,
in shards; one is the other with noise) lie on disk and are served over HTTP. The suites' weights
tests read both whole: in one process, and with `--cluster` by the workers of a Dask cluster, one of
which is killed when half of the bytes were sent. Prints Markdown, as docs/scale.md shows it; 1
where the two runs do not say the same, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tools import ROOT
from tools.zoo.giant import dense
from tools.zoo.hub_server import Body, Generated, LoopbackHub, part_of, size_of
from tools.zoo.ready_models import READY

HIDDEN, INNER, VOCABULARY = 2048, 5632, 32000
PART = 2**26  # bytes that are written at once
MODEL, REFERENCE = "bench/child", "bench/parent"


@dataclass(frozen=True)
class Row:
    """One run: what it took, what it sent for, and what it said."""

    name: str
    seconds: float
    processor: float
    sent: int
    memory: dict[str, int]  # the largest resident set, by kind of process
    answer: bytes
    output: str

    @property
    def cells(self) -> str:
        """The row of the table."""
        memory = ", ".join(f"{kind} {size / 2**20:.0f}" for kind, size in self.memory.items())
        verdict = json.loads(self.answer)["models"][0]["components"]["text_decoder"]["verdict"]
        return (
            f"| {self.name} | {self.seconds:.0f} s | {self.processor:.0f} s |"
            f" {self.sent / 1e9:.2f} GB | {self.sent / self.seconds / 1e6:.0f} MB/s |"
            f" {memory} MiB | {verdict} |"
        )


def on_disk(files: dict[str, Body], folder: Path) -> dict[str, Body]:
    """Write what is made on demand once, so that serving it costs reading."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _written(body, folder / name) for name, body in files.items()}


def _written(body: Body, path: Path) -> Body:
    if not isinstance(body, Generated):
        return body
    if not path.exists() or path.stat().st_size != body.size:
        with path.open("wb") as stream:
            for start in range(0, body.size, PART):
                stream.write(body.make(start, min(body.size, start + PART)))
    return Generated(body.size, lambda start, stop: part_of(path, start, stop), body.sha256)


class Watch(threading.Thread):
    """Notes the largest resident set of processes, and kills a worker when it is time."""

    def __init__(self, hub: LoopbackHub, run: int, cluster: Any = None, kill_at: int = 0) -> None:
        super().__init__(daemon=True)
        self.hub, self.run_pid, self.cluster, self.kill_at = hub, run, cluster, kill_at
        self.memory: dict[str, int] = {"run": 0}
        self.killed: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Look every so often until `over` is set."""
        while not self.over.wait(0.25):
            self._note("run", self.run_pid)
            if self.cluster is None:
                continue
            pids = [worker.pid for worker in self.cluster.workers.values() if worker.pid]
            for pid in pids:
                self._note("worker", pid)
            if not self.killed and sum(line.sent for line in self.hub.log) >= self.kill_at:
                psutil.Process(pids[0]).kill()
                self.killed.append(pids[0])

    def _note(self, kind: str, pid: int) -> None:
        try:
            found = psutil.Process(pid).memory_info().rss
        except psutil.Error:
            return
        self.memory[kind] = max(self.memory.get(kind, 0), found)


def measured(name: str, hub: LoopbackHub, home: Path, workers: int = 0, total: int = 0) -> Row:
    """Run the weights tests at full depth; with `workers` on a cluster that loses one."""
    environment = {**os.environ, **hub.environment(home), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    cluster = _cluster(workers, environment) if workers else None
    target, log = home / "run.json", home / "log.txt"
    command = [
        sys.executable, "-m", "pytest", "suites/test_weights.py", "-q", "--depth", "full",
        "--model", MODEL, "--against", REFERENCE, "--verdict-json", str(target),
        *(["--cluster", cluster.scheduler_address] if cluster is not None else []),
    ]  # fmt: skip
    before = sum(line.sent for line in hub.log)
    spent, began = _processor(), time.monotonic()
    with log.open("w") as stream:
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
        watch = Watch(hub, running.pid, cluster, before + total // 2)
        watch.start()
        running.wait()
    seconds = time.monotonic() - began
    watch.over.set()
    watch.join()
    if cluster is not None:
        cluster.close()
    if not target.exists():
        raise SystemExit(log.read_text("utf-8"))
    return Row(
        name=f"{name}, {len(watch.killed)} killed" if workers else name,
        seconds=seconds,
        processor=_processor() - spent,
        sent=sum(line.sent for line in hub.log) - before,
        memory=watch.memory,
        answer=target.read_bytes(),
        output=log.read_text("utf-8"),
    )


def _cluster(workers: int, environment: dict[str, str]) -> Any:
    from distributed import LocalCluster  # noqa: PLC0415 - an extra

    given = {key: value for key, value in environment.items() if os.environ.get(key) != value}
    os.environ.update(given)  # workers are children of this process, and inherit
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    )


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print the table; 1 where the cluster's answer is not the serial one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--scratch", type=Path, help="where the checkpoints lie, kept (default: temporary)"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LoopbackHub() as hub:
        place = given.scratch or Path(folder)
        total = 0
        for name, seed, parent in ((REFERENCE, 1, None), (MODEL, 3, 1)):
            files = dense(
                HIDDEN, given.layers, INNER, VOCABULARY, seed=seed, descends_from=parent,
                tokenizer=READY / "s0" / "tokenizer.json",
            )  # fmt: skip
            served = on_disk(files, place / f"{name.split('/')[1]}-{given.layers}")
            total += sum(size_of(body) for body in served.values())
            hub.add_repo(name, served)
        print(f"two checkpoints, {total / 1e9:.2f} GB\n")
        print("| run | time | processor time | sent | rate | largest process | text decoder |")
        print("|---|---|---|---|---|---|---|", flush=True)
        rows = []
        for name, workers in (("one process", 0), (f"{given.workers} workers", given.workers)):
            home = Path(folder) / f"home-{workers}"
            home.mkdir()
            rows.append(measured(name, hub, home, workers, total))
            print(rows[-1].cells, flush=True)
    same = rows[0].answer == rows[1].answer
    print("\n".join(line for line in rows[1].output.splitlines() if line.startswith("cluster:")))
    print(f"\nrun.json of both: {'equal, byte for byte' if same else 'DIFFERENT'}")
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
