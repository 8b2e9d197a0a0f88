"""What is found of whole disguises at real size: residual frames, from 1 to 519 billion parameters.

    python -m benchmarks.real_size [--only NAME ...] [--depth robust]

Models are made on demand by a hub on loopback (`tools/zoo/real_size.py`: generated weights with
the shapes of released models and spectra fitted to a trained one), and read from it with empty
caches by `scratchverify.compare_weights`. Every disguise is a rotation of the residual stream with
the gains folded in, renumbered neurons and heads, and a new vocabulary; on top noise, pruning or
rounding. Seconds are of processors, what making the bytes costs the hub not among them. Prints
Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import ROOT
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY
from tools.zoo.real_size import Change, Size, repository, sizes

# How alike to its original noise leaves a weight: 1 / sqrt(1 + noise ** 2).
CHANGES: dict[str, Change] = {
    "nothing else": Change(),
    "rounded to 4 bits": Change(bits=4),
    "pruned by half": Change(pruned=0.5),
    "noise, cosine .8": Change(noise=0.75),
    "noise, cosine .6": Change(noise=1.33),
    "noise, cosine .5": Change(noise=1.73),
    "noise, cosine .4": Change(noise=2.29),
    "experts renumbered": Change(experts=True),
    "experts renumbered, noise, cosine .8": Change(experts=True, noise=0.75),
}
ASK = """
import json, sys, time
from pytest_scratchverify.api import compare_weights
found = compare_weights(sys.argv[1], sys.argv[2], component=sys.argv[3], depth=sys.argv[4])
frames = found.details.get("frames", {})
print(json.dumps({
    "outcome": found.outcome.value, "step": found.details.get("step"), "p": found.pvalue,
    "agreed": frames.get("agreed"), "of": frames.get("of"), "score": frames.get("score"),
    "power": str(found.power.description) if found.power else None,
    "bytes": sum(r.bytes_read for r in found.artifacts if r.repo == sys.argv[1]),
    "seconds": time.process_time(),
}))
"""


def asked(hub: LoopbackHub, model: str, reference: str, component: str, depth: str) -> dict:
    """Compare one component in a process of its own, with an empty cache."""
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | hub.environment(Path(home)) | {"OMP_NUM_THREADS": "1"}
        ran = subprocess.run(
            [sys.executable, "-c", ASK, model, reference, component, depth],
            cwd=ROOT, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if ran.returncode:
        return {"outcome": ran.stderr.strip().splitlines()[-1]}
    return json.loads(ran.stdout.splitlines()[-1])


def rows(size: Size, depth: str, only: set[str]) -> None:
    """Print the rows of one design: its disguises, and strangers in the same one."""
    tokenizers = READY / "s0" / "tokenizer.json", READY / "t0" / "tokenizer.json"
    component = "text_decoder"
    with LoopbackHub() as hub:
        hub.add_repo("real/original", repository(size, 1, tokenizers[0]))
        pairs = [(name, 1, change) for name, change in CHANGES.items()]
        if not any(".experts." in tensor for tensor in size.tensors):
            pairs = [pair for pair in pairs if not pair[2].experts]
        pairs.append(("a stranger in the same disguise", 2, Change()))
        for number, (name, seed, change) in enumerate(pairs):
            if only and name not in only:
                continue
            model = f"real/copy-{number}"
            hub.add_repo(model, repository(size, seed, tokenizers[1], change))
            found = asked(hub, model, "real/original", component, depth)
            agreed = f"{found['agreed']} of {found['of']:.0f}" if found.get("agreed") else ""
            cost = f"{found.get('bytes', 0) / 1e6:.0f} MB | {found.get('seconds', 0):.0f} s"
            said = f"{found['outcome']} | {agreed} | {found.get('p') or 1:.1g}"
            print(f"| {size.name} | {name} | {said} | {cost} |", flush=True)
            if found.get("power"):
                print(f"<!-- {found['power']} -->", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="designs or changes, by name")
    parser.add_argument("--depth", default="robust")
    given = parser.parse_args()
    designs = sizes()
    only = set(given.only)
    chosen = [size for name, size in designs.items() if not only & designs.keys() or name in only]
    print("| design | beside the disguise | said | neurons recognised | p | read | processors |")
    print("|---|---|---|---|---|---|---|")
    for size in chosen:
        rows(size, given.depth, only - designs.keys())


if __name__ == "__main__":
    main()
