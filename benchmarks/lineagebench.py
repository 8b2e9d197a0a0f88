"""A published table of lineage, asked anew by ranges: 15 suspects beside 8 bases (LineageBench).

    python -m benchmarks.lineagebench [--table FILE] [--depth quick] [--only NAME ...] [--json FILE]
    python -m benchmarks.lineagebench --stand-in [--modeldna PROGRAM]

The first asks the hub, and needs a network, HF_TOKEN for the gated repositories and some hours; it
prints what is said of every suspect beside the figure that `benchmarks/lineagebench.json` holds of
it, with its source. The second rebuilds the kinds of the table from models of the zoo, serves them
by a hub on loopback and is a STAND-IN: small models, the same code. `--modeldna` runs the peer on
the very same models. Prints Markdown; what was not read is a row that says why.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file
from scipy import stats

from benchmarks.detection import asked_peer
from tools import ROOT
from tools.zoo import disguises, packing
from tools.zoo.hub_server import LoopbackHub
from tools.zoo.ready_models import READY, read_model

PUBLISHED = Path(__file__).with_name("lineagebench.json")
SMALLEST_P = 1e-300
GROUPS = {"quant_method": "gptq", "bits": 4, "group_size": 16, "desc_act": False}
ASK = """
import json, sys
from pytest_scratchverify.api import compare_weights
from pytest_scratchverify.core.errors import ScratchError, Unavailable
try:
    found = compare_weights(sys.argv[1], sys.argv[2], depth=sys.argv[3])
except (ScratchError, Unavailable) as error:
    print(json.dumps({"said": "not read", "why": str(error)}))
else:
    print(json.dumps({
        "said": found.outcome.value, "toward": found.direction.value, "p": found.pvalue,
        "kinds": [*found.kinds], "cosine": found.effect.value if found.effect else None,
        "why": str(found.headline), "bytes": sum(r.bytes_read for r in found.artifacts),
    }))
"""


@dataclass(frozen=True)
class Suspect:
    """A line of the table: where a model comes from by its makers' word, and what was published."""

    name: str
    base: str
    kind: str
    published: float | None = None
    scored: bool = True  # whether the published AUROC counts it


@dataclass(frozen=True)
class Table:
    """Suspects, and bases with their families: a wrong base of the right family is no negative."""

    name: str
    source: str
    families: Mapping[str, str]
    suspects: tuple[Suspect, ...]
    published: Mapping[str, float] = field(default_factory=dict)

    def negatives(self) -> list[tuple[str, str]]:
        """Return the unrelated pairs: suspects or bases with bases, across families."""
        of, bases = self.families, [*self.families]
        found = [
            (one.name, base)
            for one in self.suspects
            if one.scored
            for base in bases
            if of[base] != of[one.base]
        ]
        between = [
            (a, b) for i, a in enumerate(bases) for b in bases[i + 1 :] if of[a] != of[b]
        ]  # fmt: skip
        return found + between


def read_table(path: Path) -> Table:
    """Read a table as `lineagebench.json` is laid out."""
    data = json.loads(path.read_text("utf-8"))
    return Table(
        name=data["name"],
        source=data["source"],
        families={base["name"]: base["family"] for base in data["bases"]},
        suspects=tuple(
            Suspect(s["name"], s["base"], s["kind"], s.get("published"), s.get("scored", True))
            for s in data["suspects"]
        ),
        published=data.get("published", {}),
    )


def ask(model: str, base: str, depth: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Compare the decoders of two repositories in a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", ASK, model, base, depth],
        cwd=ROOT, env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        return {"said": "failed", "why": (ran.stderr.strip() or "no word").splitlines()[-1]}
    return json.loads(ran.stdout.splitlines()[-1])


def score(said: Mapping[str, Any]) -> float | None:
    """Return how strongly a relation is said: -log10 p where it points toward reuse, else 0."""
    if said.get("p") is None:
        return None if said["said"] in ("not read", "failed", "unavailable") else 0.0
    if said["toward"] != "toward_reuse" and said["said"] not in ("derived", "declared"):
        return 0.0
    return -math.log10(max(said["p"], SMALLEST_P))


@dataclass(frozen=True)
class Peer:
    """modelDNA's command; `folders` say where it finds models that no real hub has."""

    program: str
    folders: Mapping[str, Path] = field(default_factory=dict)

    def said(self, model: str, base: str) -> str:
        """Return the peer's verdict and probability on the same two models."""
        names = [str(self.folders.get(name, name)) for name in (model, base)]
        word, found = asked_peer(self.program, *names, offline=False)
        return word if found is None else f"{word} {found:.3f}"


def shown(said: Mapping[str, Any]) -> str:
    """Return what is said of a pair in a cell."""
    if said.get("p") is None:
        return f"{said['said']}: {said['why'][:90]}"
    kinds = f" ({', '.join(said['kinds'])})" if said["kinds"] else ""
    return f"{said['said']}{kinds}, p {max(said['p'], SMALLEST_P):.1g}"


def run(
    table: Table,
    depth: str,
    environment: Mapping[str, str],
    only: Sequence[str] = (),
    peer: Peer | None = None,
) -> dict[str, Any]:
    """Ask every pair, print a row a suspect and what the table comes to."""
    suspects = [one for one in table.suspects if not only or one.name in only]
    heads = ["suspect", "kind", "true base", "published", "ours"]
    heads += ["modelDNA, here"] if peer else []
    print(f"{table.name}. Source: {table.source}\n")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    answers: dict[str, dict[str, Any]] = {}

    def asked(model: str, base: str) -> dict[str, Any]:
        key = f"{model} {base}"
        if key not in answers:
            answers[key] = ask(model, base, depth, environment)
        return answers[key]

    for one in suspects:
        cells = [f"`{one.name}`", one.kind, f"`{one.base}`",
                 "-" if one.published is None else f"{one.published:.4f}",
                 shown(asked(one.name, one.base))]  # fmt: skip
        if peer:
            cells.append(peer.said(one.name, one.base))
        print(f"| {' | '.join(cells)} |", flush=True)
    negatives = [
        pair for pair in table.negatives() if not only or pair[0] in {one.name for one in suspects}
    ]
    wrong = [asked(*pair) for pair in negatives]
    true = [asked(one.name, one.base) for one in suspects]
    summed = summary(
        [t for t, one in zip(true, suspects, strict=True) if one.scored], wrong, table.published
    )
    print(f"\n{summed}")
    for pair, said in zip(negatives, wrong, strict=True):
        if said["said"] not in ("consistent", "not read"):
            print(f"- {pair[0]} beside {pair[1]}: {shown(said)}")
    return {"table": asdict(table), "answers": answers}


def summary(
    true: Sequence[Mapping[str, Any]],
    wrong: Sequence[Mapping[str, Any]],
    published: Mapping[str, float],
) -> str:
    """Return AUROC and counts of accusations, beside those that were published."""
    positive = [s for s in map(score, true) if s is not None]
    negative = [s for s in map(score, wrong) if s is not None]
    area = auroc(positive, negative)
    accused = sum(said["said"] in ("derived", "declared") for said in wrong)
    found = sum(said["said"] in ("derived", "declared") for said in true)
    leads = sum(said["said"] == "indeterminate" for said in wrong)
    theirs = (
        f" Published: AUROC {published['auroc']:g}, weakest positive"
        f" {published['weakest_positive']}, strongest negative {published['strongest_negative']},"
        f" {published['positives']} and {published['negatives']} pairs."
        if published
        else ""
    )
    return (
        f"Ours: AUROC {'-' if area is None else f'{area:.4f}'} by -log10 p; of"
        f" {len(positive)} scored suspects read (of {len(true)}) {found} called derived; of"
        f" {len(negative)} unrelated pairs read (of {len(wrong)}) {accused} accused, {leads}"
        f" undecided.{theirs}"
    )


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Return the share of pairs in which the positive scores higher, ties half."""
    if not positive or not negative:
        return None
    rank = stats.mannwhitneyu(positive, negative).statistic
    return float(rank / (len(positive) * len(negative)))


@contextlib.contextmanager
def stand_in() -> Iterator[tuple[Table, LoopbackHub, dict[str, Path]]]:
    """Serve small models of the kinds of the table: trained ones, and the two kinds rebuilt.

    Yields the table, the hub that has its models, and the folders that they were published from.
    """
    rng = np.random.default_rng(15)
    config = {"quantization_config": GROUPS}
    bases = {"s0": "one", "s1": "another", "t0": "third", "moe0": "fourth"}
    with tempfile.TemporaryDirectory() as made, LoopbackHub() as hub:
        home = Path(made)
        deep = disguises.choose_layers(read_model("s0"), (0, 1, 2, 1, 2, 3))
        folders = {name: READY / name for name in (*bases, "s0-finetune", "s0-cpt-long")}
        folders |= {
            "s0-deepened": _written(deep, home / "deepened"),
            "s0-deepened-noise": _written(_noisy(deep, rng), home / "noise"),
            "s0-gptq": packing.packed_folder(READY / "s0", home / "gptq", packing.gptq, config),
        }
        for name, folder in folders.items():
            hub.add_repo(f"zoo/{name}", folder)
        rows = (
            Suspect("zoo/s0-finetune", "zoo/s0", "fine-tune"),
            Suspect("zoo/s0-cpt-long", "zoo/s0", "continued-pretrain"),
            Suspect("zoo/s0-deepened", "zoo/s0", "depth-upscale", scored=False),
            Suspect("zoo/s0-deepened-noise", "zoo/s0", "depth-upscale and noise", scored=False),
            Suspect("zoo/s0-gptq", "zoo/s0", "quantized-copy", scored=False),
        )
        families = {f"zoo/{name}": family for name, family in bases.items()}
        table = Table("STAND-IN: small models of the zoo", "tools/zoo/ready", families, rows)
        yield table, hub, {f"zoo/{name}": folder for name, folder in folders.items()}


def _noisy(model: disguises.Model, rng: np.random.Generator) -> disguises.Model:
    """Add .3 standard deviations to every matrix: it stands for the training that follows."""
    out = model.copy()
    for name, value in model.tensors.items():
        if value.ndim > 1:
            drawn = rng.normal(0, 0.3 * value.std(), value.shape)
            out.tensors[name] = (value + drawn).astype(np.float32)
    return out


def _written(model: disguises.Model, folder: Path) -> Path:
    folder.mkdir()
    tensors = {
        name: np.ascontiguousarray(value).astype(ml_dtypes.bfloat16)
        for name, value in model.tensors.items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(model.config), "utf-8")
    (folder / "tokenizer.json").write_bytes((READY / "s0" / "tokenizer.json").read_bytes())
    return folder


def main() -> int:
    """Print the table; 1 where an unrelated pair is accused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=PUBLISHED)
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--depth", default="quick", choices=("quick", "robust", "full"))
    parser.add_argument("--only", nargs="*", default=[], help="suspects, by name")
    parser.add_argument("--modeldna", metavar="PROGRAM", help="the peer's command, if installed")
    parser.add_argument("--json", type=Path, help="where to leave every pair's answer")
    given = parser.parse_args()
    program = given.modeldna
    if given.stand_in:
        with stand_in() as (table, hub, folders), tempfile.TemporaryDirectory() as home:
            peer = Peer(program, folders) if program else None
            made = run(table, given.depth, hub.environment(Path(home)), given.only, peer)
    else:
        table = read_table(given.table)
        made = run(table, given.depth, {}, given.only, Peer(program) if program else None)
    if given.json:
        given.json.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    said = [made["answers"].get(f"{a} {b}") for a, b in table.negatives()]
    return int(any(one is not None and one["said"] == "derived" for one in said))


if __name__ == "__main__":
    sys.exit(main())
