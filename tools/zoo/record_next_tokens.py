"""Record the next tokens of the families' models: the fixtures of tests/behaviour/next_tokens.

    python -m tools.zoo.record_next_tokens --families .artifacts/families --torch /tmp/venv-zoo/bin/python

Starts `tools/zoo/serve_logprobs.py` with the Python that has torch, asks a hundred single tokens of
every model through the product's own client, and packs one file a model. With --transformers the
same is asked of transformers' own server (`tools/zoo/serve.py`), which gives no log probabilities,
and it is said how many of its tokens are the same. Minutes on one core.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_scratchverify.methods.behaviour.asking import probe_set
from pytest_scratchverify.methods.behaviour.asking.answers import read_answers
from pytest_scratchverify.methods.behaviour.asking.ask import ask_missing
from pytest_scratchverify.methods.behaviour.asking.endpoint import Endpoint
from tools import ROOT
from tools.zoo import serve
from tools.zoo.record_answers import wait_until_up

INTO = ROOT / "tests" / "behaviour" / "next_tokens"


@contextmanager
def running(command: Sequence[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    """Run a server for a while."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_up(port, process)
        yield
    finally:
        process.terminate()
        process.wait(30)


def record(model: str, port: int, path: Path) -> None:
    """Ask one model its hundred tokens."""
    endpoint = Endpoint(url=f"http://127.0.0.1:{port}/v1", model=model, api="completions",
                        concurrency=2)  # fmt: skip
    done = ask_missing(endpoint, probe_set("next-token"), path)
    print(f"{Path(model).name}: {done}", flush=True)


def pack(path: Path, target: Path) -> None:
    """Compress a recording; concurrency shuffled its lines, and times are nobody's business."""
    lines = sorted(path.read_text("utf-8").splitlines())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n", 9, mtime=0))


def same_tokens(one: Path, two: Path) -> str:
    """Return how many of a model's tokens two servers agree on."""
    a, b = (read_answers(path, "model").by_probe for path in (one, two))
    both = a.keys() & b.keys()
    return f"{sum(a[key].text == b[key].text for key in both)} of {len(both)} tokens the same"


def main() -> None:
    """Record whatever the folder holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", type=Path, default=ROOT / ".artifacts" / "families")
    parser.add_argument("--torch", default="python", help="a Python that has torch")
    parser.add_argument("--into", type=Path, default=INTO)
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--port", type=int, default=8421)
    given = parser.parse_args()
    names = sorted(path.parent.name for path in given.families.glob("*/.entry.json"))
    here = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [given.torch, "-m", "tools.zoo.serve_logprobs", "--models", str(given.families),
               "--port", str(given.port)]  # fmt: skip
    with tempfile.TemporaryDirectory() as work:
        with running(command, given.port, here):
            for name in names:
                record(name, given.port, Path(work) / f"{name}.jsonl")
                pack(Path(work) / f"{name}.jsonl", given.into / f"{name}.jsonl.gz")
        if not given.transformers:
            return
        copies = Path(work) / "served"
        with running(serve.command(given.port + 1), given.port + 1, serve.quiet_environment()):
            for name in names:
                folder = serve.serving_copy(name, given.families, copies)
                other = Path(work) / f"{name}.transformers.jsonl"
                record(str(folder), given.port + 1, other)
                print(same_tokens(given.into / f"{name}.jsonl.gz", other), flush=True)


if __name__ == "__main__":
    main()
