"""Fuzz all readers: ``python -m tests.fuzz [--inputs N] [--seed S] [--only TARGET]``.

Prints how many inputs were tried and every crash, keeps what crashed, and fails if anything did.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from random import Random

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, Target

CRASHES = Path("build/fuzz")
_UNFORESEEN = re.compile(r"could not be read: (\w+ at [\w/.:-]+)")


def main() -> int:
    """Try so many inputs of every target; 1 if one of them crashed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="of every target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(TARGETS), action="append")
    given = parser.parse_args()
    warnings.simplefilter("error")
    tried = crashed = 0
    for name in given.only or sorted(TARGETS):
        target, sites = TARGETS[name], {}
        seeds = target.seeds(name)
        refused, unforeseen = 0, set()
        for number in range(given.inputs):
            rng = Random(f"{given.seed} {name} {number}")
            body = mutated(rng.choice(seeds), rng)
            try:
                said = attempt(target, body)
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                site = traceback.format_tb(error.__traceback__)[-1] + type(error).__name__
                if site not in sites:
                    sites[site] = keep(name, number, body), str(error)[:200]
                continue
            refused += said is not None
            unforeseen |= {*_UNFORESEEN.findall(said or "")}
        tried += given.inputs
        crashed += len(sites)
        say(f"{name}: {given.inputs} inputs, {refused} refused, {len(sites)} crash sites")
        for place in sorted(unforeseen):  # refused all the same, at the boundary
            say(f"    at the boundary: {place}")
        for site, (path, error) in sites.items():
            say(f"--- {path}\n{site}: {error}")
    say(f"{tried} inputs of {len(given.only or TARGETS)} readers, {crashed} crash sites")
    return 1 if crashed else 0


def say(line: str) -> None:
    """Write a line at once: somebody waits for hours."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def attempt(target: Target, body: bytes) -> str | None:
    """Read one input in a folder of its own; None, or the sentence that refused it."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return target.run(body, Path(folder))


def keep(name: str, number: int, body: bytes) -> Path:
    """Keep what crashed a reader, for the corpus."""
    path = CRASHES / name / str(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


if __name__ == "__main__":
    sys.exit(main())
