"""Measure what training after a merge does to its shares: the table of docs/methods.

    /tmp/venv-zoo/bin/python -m tools.calibrate.merge_drift --zoo .artifacts/zoo

Trains ``.7 s0-cpt-short + .3 s0-cpt-long`` for 200 steps on several texts and prints, for each,
how the drift lies to the parents' difference, and the second parent's share by least squares on
all weights of the decoder and by rows of the embedding table that were left alone. Needs the
environment of `tools/zoo/train`; two minutes. Nothing is kept.
"""

from __future__ import annotations

import argparse
import sysconfig
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them

from pytest_scratchverify.stats.weights.untouched_rows import untouched_rows
from tools import ROOT
from tools.zoo import disguises as d
from tools.zoo import train as zoo
from tools.zoo.build_disguises import STEPS, network, read
from tools.zoo.train.data import tokenizer

TABLE = "model.embed_tokens.weight"
DRIFT = 2.0  # WeightsThresholds.merge_drift
RUNS = (
    ("the parents' difference, another order", "b", 3e-3),
    ("their common base", "a", 3e-3),
    ("the standard library's tests, of neither", "tests", 3e-3),
    ("English prose, of neither", "prose", 3e-3),
    ("Perl, of neither", "perl", 3e-3),
    ("the parents' difference, a tenth of the rate", "b", 3e-4),
    ("Perl, a tenth of the rate", "perl", 3e-4),
)


def texts() -> dict[str, list[Path]]:
    """Return the files of texts that no model of the zoo was trained on."""
    library = Path(sysconfig.get_path("stdlib")) / "test"
    return {
        "tests": sorted(library.glob("test_*.py")),
        "perl": sorted(Path("/usr/share/perl").rglob("*.p[ml]")),
    }


def add_text(data: zoo.Data, name: str, files: list[Path]) -> None:
    """Encode some files as another half of the corpus."""
    text = "\n".join(path.read_text("utf-8", "ignore") for path in files)[:6_000_000]
    pieces = [text[i : i + 20_000] for i in range(0, len(text), 20_000)]
    encoded = tokenizer("a", data.folder).encode_batch(pieces)
    data.streams["a", name] = torch.tensor([i for e in encoded for i in e.ids])


def stored(model: d.Model) -> d.Model:
    """Round as a BF16 file rounds."""
    rounded = {
        name: torch.from_numpy(value.copy()).to(torch.bfloat16).float().numpy()
        for name, value in model.tensors.items()
    }
    return d.Model(rounded, model.config)


def decoder(model: d.Model) -> np.ndarray:
    """Return all matrices of the layers as one vector."""
    names = sorted(n for n, v in model.tensors.items() if ".layers." in n and v.ndim == 2)
    return np.concatenate([model.tensors[name].ravel() for name in names]).astype(np.float64)


def row(name: str, merge: d.Model, after: d.Model, parents: list[d.Model]) -> str:
    """Return one line of the table."""
    one, two = (decoder(parent) for parent in parents)
    apart, drift = two - one, decoder(after) - decoder(merge)
    size = float(np.linalg.norm(apart))
    moved = float(np.linalg.norm(drift))
    cosine = f"{drift @ apart / (moved * size):.2f}" if moved else ""
    fitted = float((decoder(after) - one) @ apart) / size**2
    found = untouched_rows(after.tensors[TABLE], [p.tensors[TABLE] for p in parents], DRIFT)
    rows = f"{found.shares[1]:.3f} ± {found.margins[1]:.3f} | {found.rows}" if found else "- | 0"
    return f"| {name} | {cosine} | {moved / size:.2f} | {fitted:.3f} | {rows} |"


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", type=Path, default=ROOT / ".artifacts" / "zoo")
    source = parser.parse_args().zoo
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    data = zoo.Data(source)
    for name, files in texts().items():
        if files:
            add_text(data, name, files)
    parents = [read(source / name) for name in ("s0-cpt-short", "s0-cpt-long")]
    merge = d.linear(parents, (0.7, 0.3))
    print("| later training | cosine with R2 - R1 | drift | all weights | rows left alone | rows |")
    print("|---|---|---|---|---|---|")
    print(row("none", merge, stored(merge), parents))
    for name, half, rate in RUNS:
        if half in texts() and ("a", half) not in data.streams:
            continue  # this machine has no such text
        torch.manual_seed(500)
        net = network(merge, "a")
        zoo.train(net, data, zoo.Training(STEPS, rate, half=half, order=500))
        weights = {k: v.detach().numpy() for k, v in net.state_dict().items()}
        print(row(name, merge, stored(d.Model(weights, merge.config)), parents), flush=True)


if __name__ == "__main__":
    main()
