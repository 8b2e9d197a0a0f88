"""Record what the zoo's models answer, from a real server: the fixtures of tests/behaviour.

    python -m tools.zoo.record_answers [--models s0 s1] [--into tests/behaviour/answers]

Starts tools/zoo/serve.py, asks through the product's own client, and packs one file per model.
Every model gets the continuations and style probes; `FULL` get every probe. About three minutes
a model on one core; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import gzip
import subprocess
import time
import urllib.request
from pathlib import Path

from pytest_scratchverify.methods.behaviour.asking.answers import from_line
from pytest_scratchverify.methods.behaviour.asking.ask import ask_missing
from pytest_scratchverify.methods.behaviour.asking.endpoint import Endpoint
from pytest_scratchverify.methods.behaviour.asking.probes import Kind, shipped_probes
from pytest_scratchverify.methods.behaviour.asking.request import request_for
from tools.zoo import serve as serve_zoo

FULL = ("s0", "s0-finetune")
WORK = serve_zoo.ROOT / ".artifacts" / "answers"


def wait_until_up(port: int, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with code {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the server did not come up")


def record(name: str, port: int) -> Path:
    """Ask one model whatever is missing and return its file."""
    folder = serve_zoo.serving_copy(name)
    path = WORK / f"{name}.jsonl"
    endpoint = Endpoint(url=f"http://127.0.0.1:{port}/v1", model=str(folder), api="completions",
                        concurrency=2)  # fmt: skip
    probes = [
        p for p in shipped_probes() if name in FULL or p.kind in (Kind.CONTINUATION, Kind.STYLE)
    ]
    started = time.monotonic()
    done = ask_missing(endpoint, probes, path)
    print(f"{name}: {done} in {time.monotonic() - started:.0f} s", flush=True)
    return path


def pack(path: Path, into: Path, name: str) -> None:
    """Compress a recording, with the model's name in the place of this machine's path."""
    text = path.read_text("utf-8").replace(str(serve_zoo.SERVED / name), f"zoo/{name}")
    asked = {request_for(probe, "completions").key for probe in shipped_probes()}
    known = (line for line in text.splitlines() if from_line(line).key in asked)
    lines = sorted(known)  # concurrency shuffles them
    into.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress("\n".join(lines).encode() + b"\n", 9, mtime=0)
    (into / f"{name}.jsonl.gz").write_bytes(packed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=serve_zoo.LANGUAGE_MODELS)
    parser.add_argument("--into", type=Path, default=serve_zoo.ROOT / "tests/behaviour/answers")
    parser.add_argument("--port", type=int, default=8417)
    given = parser.parse_args()
    for name in given.models:
        serve_zoo.serving_copy(name)
    server = subprocess.Popen(
        serve_zoo.command(given.port),
        env=serve_zoo.quiet_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_up(given.port, server)
        for name in given.models:
            pack(record(name, given.port), given.into, name)
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
