"""What is found through every disguise, beside the peers that install from PyPI, in one run.

    python -m tools.zoo.train && python -m tools.zoo.build_disguises      # with torch, once
    python -m venv /tmp/peers && /tmp/peers/bin/pip install modeldna==0.1.0
    python -m benchmarks.detection --peer /tmp/peers/bin/modeldna

Prints Markdown: a row for every disguised checkpoint, and the sums. The suspects are s0's, w0's and
moe0's descendants in disguise, and s1, w1 and moe1, which have nothing of them, in the same
disguises; some are packed here as GPTQ and AWQ pack (`tools/zoo/packing.py`). Both tools see the
same folders; seconds are wall time, with the peer's start.
`--dilution` prints instead from which cosine on a disguised copy is recognised.
`cisco-ai-provenance-kit` wants Python 3.12 or later and is left out where it does not install.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.merge import weights_merge
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.methods.weights.rotation_invariant import match_rotation_invariant
from pytest_scratchverify.stats.weights.anchored_matching import disguised
from pytest_scratchverify.stats.weights.anchored_search import anchored_match
from pytest_scratchverify.stats.weights.power_by_dilution import diluted
from pytest_scratchverify.stores.budget import ByteBudget
from pytest_scratchverify.stores.disk.run_directory import RunDirectory
from pytest_scratchverify.stores.opening import open_store
from pytest_scratchverify.tensors.reading import CheckpointPair, open_checkpoint
from tools import ROOT
from tools.zoo import packing

STRANGERS = ("s1", "w1", "moe1")
PARENTS = {"s": "s0", "w": "w0", "m": "moe0"}
PACKERS = {"gptq": packing.gptq, "awq": packing.awq}
PACKED = [
    f"{name}-{how}"
    for how in PACKERS
    for name in ("s0", "s0-plain-cpt", "s0-permuted-newvocab", "s0-permuted-newvocab-cpt",
                 "s1", "s1-newvocab-cpt", "s1-permuted-newvocab")
]  # fmt: skip
ACCUSES = ("EXACT_COPY", "QUANTIZED_COPY", "FINE_TUNE", "SAME_LINEAGE", "LIKELY_MERGE")


@dataclass(frozen=True)
class Row:
    """One suspect: the truth, what we say and what the peer says."""

    name: str
    derived: bool
    accused: bool
    lead: bool
    kind: str
    pvalue: float | None
    megabytes: float
    seconds: float
    failed_controls: int
    peer: str = "-"
    peer_accused: bool = False
    peer_seconds: float = 0.0


class Bench:
    """Opens folders and asks both tools."""

    def __init__(self, zoo: Path, disguises: Path, peer: Path | None) -> None:
        self.zoo, self.disguises, self.peer = zoo, disguises, peer
        self.made = Path(tempfile.mkdtemp())
        self.run = RunDirectory(self.made / "run")
        path = ROOT / "suites" / "calibration" / "weights.json"
        self.calibration = json.loads(path.read_text())

    def store(self, path: Path) -> Any:
        """Open a folder."""
        return open_store(str(path), None, run_dir=self.run, budget=ByteBudget())

    def folder(self, name: str) -> Path:
        """Return a suspect's folder; pack it first if its name says so."""
        if name not in PACKED:
            return self.disguises / name
        source, how = name.rsplit("-", 1)
        target = self.made / name
        if not target.exists():
            parent = self.zoo if (self.zoo / source).is_dir() else self.disguises
            packing.packed_folder(parent / source, target, PACKERS[how])
        return target

    def row(self, name: str, truth: dict[str, Any]) -> Row:
        """Ask both tools about one suspect and its alleged parent."""
        parent, folder = _parent(name), self.folder(name)
        began = time.monotonic()
        findings = [*self._ask(folder, self.zoo / parent)]
        if name.startswith("merge"):
            findings.append(self._merge(name, truth["parents"]))
        seconds = time.monotonic() - began
        accusing = [f for f in findings if f.outcome is Outcome.DERIVED]
        best = min(accusing, key=lambda f: f.pvalue or 0.0, default=None)
        kinds = [", ".join(f.kinds) for f in findings if f.component in _BODY and f.kinds]
        peer, accused, spent = self._peer(folder, self.zoo / parent)
        return Row(
            name=name,
            derived=not name.startswith(STRANGERS),
            accused=bool(accusing),
            lead=any(f.relation == "unclear" for f in findings),
            kind="; ".join(dict.fromkeys(kinds)),
            pvalue=best.pvalue if best else None,
            megabytes=_read(findings) / 1e6,
            seconds=seconds,
            failed_controls=sum(c.passed is not True for f in findings for c in f.controls),
            peer=peer,
            peer_accused=accused,
            peer_seconds=spent,
        )

    def _ask(self, suspect: Path, reference: Path) -> list[Finding]:
        ours, theirs = self.store(suspect), self.store(reference)
        pair = Pair(ModelSpec(name=suspect.name), ModelSpec(name=reference.name))
        return [
            weights_origin(
                ComponentHypothesis(pair=pair, component=c), ours, theirs, self.calibration
            )
            for c in open_checkpoint(ours).components
        ]

    def _merge(self, name: str, parents: list[str]) -> Finding:
        stores = {parent: self.store(self.zoo / parent) for parent in parents}
        ours = self.store(self.disguises / name)
        found = weights_merge(ModelSpec(name=name), ours, stores, self.calibration)
        shares = zip(found.details.get("parents", []), found.details.get("shares", []), strict=True)
        mixed = ", ".join(f"{parent} {share:.2f}" for parent, share in shares)
        return replace(found, kinds=tuple(f"{k} of {mixed}" for k in found.kinds))

    def _peer(self, suspect: Path, reference: Path) -> tuple[str, bool, float]:
        if self.peer is None:
            return "-", False, 0.0
        began = time.monotonic()
        said, _ = asked_peer(self.peer, str(suspect), str(reference))
        return said, said in ACCUSES, time.monotonic() - began


_BODY = (Component.TEXT_DECODER, Component.ROUTER_EXPERTS)


def asked_peer(
    peer: str | Path, suspect: str, reference: str, *, offline: bool = True
) -> tuple[str, float | None]:
    """Ask modeldna about a pair of folders or repositories; return its verdict and probability."""
    ran = subprocess.run(
        [str(peer), "compare", suspect, reference, "--json"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **({"HF_HUB_OFFLINE": "1"} if offline else {})},
    )  # fmt: skip
    try:
        found = json.loads(ran.stdout[ran.stdout.index("{") :])
    except ValueError:
        return "no answer", None
    verdict = found.get("verdict")
    return verdict_of_peer(found), verdict.get("probability") if isinstance(verdict, dict) else None


def verdict_of_peer(found: dict[str, Any]) -> str:
    """Return the word of the peer's JSON that says what it thinks of a pair."""
    for value in (found, *(v for v in found.values() if isinstance(v, dict))):
        for key in ("verdict", "label", "relation"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return "no answer"


def _parent(name: str) -> str:
    return "s0" if name.startswith("merge") else PARENTS[name[0]]


def _read(findings: list[Finding]) -> int:
    spans: dict[tuple[str, str], set[tuple[int, int]]] = {}
    for finding in findings:
        for record in finding.artifacts:
            if record.repo != finding.reference:
                spans.setdefault((record.repo, record.file), set()).update(record.ranges)
    total = 0
    for ranges in spans.values():
        reached = 0
        for start, stop in sorted(ranges):
            total += max(0, stop - max(start, reached))
            reached = max(reached, stop)
    return total // 2  # the reference's folder is counted too


def table(asked: Iterable[Row], *, peer: bool) -> None:
    """Print the rows as they come, and the sums."""
    rows = []
    print(
        "| suspect | truth | said | kind | p | MB | s |" + (" modeldna 0.1.0 | s |" if peer else "")
    )
    print("|---|---|---|---|---|---|---|" + ("---|---|" if peer else ""))
    for row in asked:
        rows.append(row)
        truth = "descendant" if row.derived else "stranger"
        said = "derived" if row.accused else "a lead" if row.lead else "nothing found"
        value = "" if row.pvalue is None else f"{row.pvalue:.0e}"
        line = f"| {row.name} | {truth} | {said} | {row.kind or '-'} | {value} |"
        line += f" {row.megabytes:.2f} | {row.seconds:.1f} |"
        print(line + (f" {row.peer} | {row.peer_seconds:.1f} |" if peer else ""), flush=True)
    for name, accused in (("pytest-scratchverify", "accused"), ("modeldna 0.1.0", "peer_accused")):
        if name != "pytest-scratchverify" and not peer:
            continue
        true = [row for row in rows if row.derived]
        false = [row for row in rows if not row.derived]
        hits, wrong = (sum(getattr(r, accused) for r in part) for part in (true, false))
        print(f"\n{name}: {hits} of {len(true)} descendants found, {wrong} of {len(false)}"
              " strangers accused.")  # fmt: skip
    failed = sum(row.failed_controls for row in rows)
    print(f"Failed controls: {failed}. Seconds: {sum(r.seconds for r in rows):.0f}"
          f" and {sum(r.peer_seconds for r in rows):.0f}.")  # fmt: skip


def dilution(zoo: Path) -> None:
    """Print from which cosine on a copy is recognised in another basis and order."""
    run = RunDirectory(Path(tempfile.mkdtemp()))
    print("| cosine with the parent | share of neurons recognised, s0 | p | w0 | p |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(8)
    parents = {}
    for name in ("s0", "w0"):
        store = open_store(str(zoo / name), None, run_dir=run, budget=ByteBudget())
        checkpoint = open_checkpoint(store)
        pair = ComponentPair(CheckpointPair(checkpoint, checkpoint), Component.TEXT_DECODER)
        found = match_rotation_invariant(pair, (), None)
        assert found is not None
        parents[name] = found.views
    for share in (0.9, 0.8, 0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.4, 0.3):
        cells = []
        for views in parents.values():
            faint = {key: [diluted(v, share, rng) for v in block] for key, block in views.items()}
            found_again = anchored_match(disguised(faint, rng), views)
            assert found_again is not None
            cells += [f"{found_again.effect:.2f}", f"{found_again.pvalue:.0e}"]
        print(f"| {share} | {' | '.join(cells)} |")


def main() -> None:
    """Run both over all disguises."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", type=Path, default=ROOT / ".artifacts" / "zoo")
    parser.add_argument("--disguises", type=Path, default=ROOT / ".artifacts" / "disguises")
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--dilution", action="store_true", help="where detection ends, instead")
    given = parser.parse_args()
    if given.dilution:
        dilution(given.zoo)
        return
    bench = Bench(given.zoo, given.disguises, given.peer)
    manifest = json.loads((given.disguises / "MANIFEST.json").read_text())
    chosen = given.only or [*manifest, *PACKED]
    table((bench.row(name, manifest.get(name, {})) for name in chosen), peer=given.peer is not None)


if __name__ == "__main__":
    main()
