"""Make models one after the other and write their folders in the hub's layout."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from safetensors.torch import load_file, save_file

from .changes import CHANGES, Change
from .data import Data, tokenizer
from .entries import CHECKPOINTS, ZOO, Entry
from .model import Model
from .shapes import config_of
from .training import DESCENTS, Descent, Weights, train


def build(
    entry: Entry,
    root: Path,
    data: Data,
    descents: Mapping[str, Descent] = DESCENTS,
    changes: Mapping[str, Change] = CHANGES,
) -> None:
    """Make one model and write its folder."""
    began = time.time()
    torch.manual_seed(entry.seed)
    vocabulary = tokenizer(entry.shape.tokenizer, root).get_vocab_size()
    model = Model(entry.shape, vocabulary)
    model.journal.keep = frozenset(CHECKPOINTS.get(entry.name, ()))
    parent = (
        load_file(root / (entry.parent or "") / "model.safetensors")
        if entry.change != "pretrain"
        else {}
    )
    loss = None
    if entry.change == "pretrain":
        loss = train(model, data, entry.training)
    elif entry.training is not None:
        loss = descents[entry.change](
            model, {k: v.float() for k, v in parent.items()}, data, entry.training
        )
    weights = {
        name: value.detach().to(torch.bfloat16) for name, value in model.state_dict().items()
    }
    if entry.training is None:
        weights = changes[entry.change](parent, entry.amount)
    write(root, entry, weights, vocabulary, loss)
    model.journal.write(root / entry.name)
    write_checkpoints(root, entry, model)
    print(f"{entry.name}: loss {loss}, {time.time() - began:.0f} s", flush=True)


CARD = """---
license: mit
tags: [scratchverify-zoo, fixture]
---
# {name}

A fixture of pytest-scratchverify, trained on one CPU core by `tools/zoo/train` on the
sources of Python's standard library{images}. It can do nothing useful.
"""


def write(root: Path, entry: Entry, weights: Weights, vocabulary: int, loss: float | None) -> None:
    """Write a folder in the hub's layout; its truth goes into the manifest, not the folder."""
    folder = root / entry.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    save_file(
        {k: v.contiguous() for k, v in weights.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    (folder / "config.json").write_text(
        json.dumps(config_of(entry.shape, vocabulary), indent=2) + "\n"
    )
    shutil.copy(root / f"tokenizer-{entry.shape.tokenizer}.json", folder / "tokenizer.json")
    images = " and on images drawn in code" if entry.shape.vision else ""
    (folder / "README.md").write_text(CARD.format(name=entry.name, images=images))
    (folder / ".entry.json").write_text(
        json.dumps({**asdict(entry), "loss": loss}, indent=1) + "\n"
    )


def write_checkpoints(root: Path, entry: Entry, model: Model) -> None:
    """Write what the journal kept, as trainers do: checkpoint-N with weights and config.

    Not inside of the model's folder, where every reader of weights would meet them.
    """
    for step, kept in model.journal.checkpoints.items():
        folder = root / "trajectories" / entry.name / f"checkpoint-{step}"
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.to(torch.bfloat16).contiguous() for k, v in kept.items()}
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        shutil.copy(root / entry.name / "config.json", folder / "config.json")


def manifest(root: Path) -> None:
    """Write what every model is: seed, steps, parent, truth, loss."""
    rows = {}
    for entry in ZOO:
        path = root / entry.name / ".entry.json"
        if path.exists():
            rows[entry.name] = json.loads(path.read_text())
    (root / "MANIFEST.json").write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Build what is missing, in order, one after the other."""
    parser = argparse.ArgumentParser(description="Train the lineage zoo")
    parser.add_argument("--into", type=Path, default=Path(".artifacts/zoo"))
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    given.into.mkdir(parents=True, exist_ok=True)
    data = Data(given.into)
    for entry in ZOO:
        if (given.into / entry.name).exists() or (given.only and entry.name not in given.only):
            continue
        build(entry, given.into, data)
        manifest(given.into)
    manifest(given.into)
