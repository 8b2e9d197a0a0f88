"""What the three adversary benchmarks share: folders of models, and what is said of a pair.

`python -m tools.zoo.train.adversaries --into FOLDER` trains the models (with torch, once).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.detection import ACCUSES, asked_peer
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.origin import weights_origin
from pytest_scratchverify.stores.folder import FolderStore
from tools import ROOT
from tools.zoo.disguises import Model
from tools.zoo.packing import bfloat16, folder_of, read

DEPTHS = ("quick", "robust")
DECODER = (Component.TEXT_DECODER,)
PARTS = (Component.TEXT_DECODER, Component.EMBEDDINGS, Component.LM_HEAD)
CALIBRATION = ROOT / "suites" / "calibration" / "weights.json"


@dataclass(frozen=True, slots=True)
class Said:
    """What one tool said of one pair: `score` grows with the evidence for descent."""

    score: float
    accused: bool
    word: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Bank:
    """Folders of models in one place; what is made on the way is put into `made`."""

    folder: Path
    made: Path
    peer: Path | None = None
    calibration: Mapping[str, Any] = field(
        default_factory=lambda: json.loads(CALIBRATION.read_text("utf-8"))
    )

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What every trained model is, by name."""
        return dict(json.loads((self.folder / "MANIFEST.json").read_text("utf-8")))

    def path(self, name: str) -> Path:
        """Return a model's folder, made or trained."""
        made = self.made / name
        return made if made.exists() else self.folder / name

    def model(self, name: str) -> Model:
        """Read a model as float32 arrays."""
        folder = self.path(name)
        return Model(read(folder), json.loads((folder / "config.json").read_text("utf-8")))

    def write(self, name: str, model: Model, like: str) -> Path:
        """Write a model in BF16 beside tokenizer and card of another; a config of its own."""
        target = folder_of(self.path(like), self.made / name, model.config)
        # Renumbered columns lie in memory by columns, and safetensors writes memory as it lies.
        state = {
            key: np.ascontiguousarray(value.astype(bfloat16()))
            for key, value in model.tensors.items()
        }
        save_file(state, target / "model.safetensors", metadata={"format": "pt"})
        return target

    def findings(
        self,
        suspect: str,
        reference: str,
        depth: str,
        components: Iterable[Component] = DECODER,
    ) -> list[Finding]:
        """Ask the product about some components of a pair."""
        pair = Pair(ModelSpec(name="suspect"), ModelSpec(name="reference"))
        ours, theirs = FolderStore(self.path(suspect)), FolderStore(self.path(reference))
        return [
            weights_origin(
                ComponentHypothesis(pair=pair, component=component, depth=depth),
                ours,
                theirs,
                self.calibration,
            )
            for component in components
        ]

    def ask(self, suspect: str, reference: str, depth: str) -> Said:
        """Ask the product about the text decoder; the score is -log10 of its p-value."""
        began = time.monotonic()
        (found,) = self.findings(suspect, reference, depth)
        score = -math.log10(max(found.pvalue, 1e-300)) if found.pvalue is not None else 0.0
        return Said(score, found.derived, word_of(found), time.monotonic() - began)

    def ask_peer(self, suspect: str, reference: str) -> Said:
        """Ask modeldna; the score is its probability."""
        began = time.monotonic()
        paths = (str(self.path(suspect)), str(self.path(reference)))
        word, probability = asked_peer(str(self.peer), *paths)
        return Said(probability or 0.0, word in ACCUSES, word, time.monotonic() - began)


def word_of(found: Finding) -> str:
    """Say in short what a finding says: its relation and kinds, or that it found nothing."""
    if found.relation is None:
        return "nothing"
    named = ", ".join(found.kinds)
    return f"{found.relation.value}: {named}" if named else str(found.relation.value)


def options(description: str) -> argparse.ArgumentParser:
    """Return a parser with what all three benchmarks are told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="of tools.zoo.train.adversaries")
    parser.add_argument("--peer", type=Path, help="modeldna's command, if it is installed")
    return parser


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a Markdown table, row by row as they come."""
    names = list(head)
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)
