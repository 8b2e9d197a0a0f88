"""Run the suites on the same inputs under different circumstances, and compare run.json's bytes.

    python -m tools.same_bytes                            this Python
    python -m tools.same_bytes python3.12 python3.13      and others, with the package's dependencies

Each run has folders of its own whose files were written in another order, a working directory of
its own, another PYTHONHASHSEED, and one or two workers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tools.running import CLOSED_PORT, HANGS, ROOT
from tools.zoo.ready_models import READY

MODELS = ("s0", "s0-cpt-long", "s1")
ASKED = ("--model=./s1", "--model=./s0-cpt-long", "--model=skt/A.X-K1", "--against=./s0")


@dataclass(frozen=True)
class Circumstance:
    """What must not change a byte."""

    python: str
    hash_seed: int
    workers: int
    backwards: bool  # whether the models' files are written in the order of their names, or against


def circumstances(pythons: Sequence[str]) -> Iterator[Circumstance]:
    """Yield two circumstances for each Python, none of which is like another."""
    for number, python in enumerate(pythons):
        yield Circumstance(python, 2 * number, 0, backwards=False)
        yield Circumstance(python, 2 * number + 1, 2, backwards=True)


def run_json(at: Circumstance, place: Path, asked: Sequence[str] = ASKED) -> bytes:
    """Return the bytes of run.json of a run in the empty folder `place`.

    Raises
    ------
    RuntimeError
        With pytest's output, if the run leaves none.
    """
    for model in MODELS:
        (place / model).mkdir(parents=True)
        for file in sorted((READY / model).iterdir(), reverse=at.backwards):
            shutil.copy(file, place / model)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTEST_", "GITHUB_"))}
    done = subprocess.run(
        [
            at.python, "-m", "pytest", str(ROOT / "suites"), "-q", "-p", "no:cacheprovider",
            f"--rootdir={ROOT}", "-p", "pytest_scratchverify.plugin.short_options", *asked,
            "--verdict-json=run.json", *(["-n", str(at.workers)] if at.workers else []),
        ],
        cwd=place,
        env={
            **kept,
            "HF_HOME": str(place / "hf"),
            "HF_ENDPOINT": CLOSED_PORT,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": str(at.hash_seed),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )  # fmt: skip
    written = place / "run.json"
    if not written.exists():
        raise RuntimeError(f"{at}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return written.read_bytes()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run under every circumstance; 1 if two of the files differ."""
    others = list(sys.argv[1:] if arguments is None else arguments)
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        for number, at in enumerate(circumstances([sys.executable, *others])):
            digest = sha256(run_json(at, Path(folder, "deeper" * number, str(number)))).hexdigest()
            found.add(digest)
            print(f"{digest[:16]}  {at}", flush=True)
    return int(len(found) > 1)


if __name__ == "__main__":
    sys.exit(main())
