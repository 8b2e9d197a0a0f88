"""Train networks that are kin in ways that no weight shows, and some that are really derived.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.kin --into .artifacts/kin [--size middle]

For `python -m benchmarks.framed_kin`: strangers, a twin of one seed, networks on the frozen
embeddings of the first in a rotated basis, students of its answers and of its hidden states, a
fine-tune and a continued pretraining. Six layers of 128 channels, some two minutes each on one
core; or of 512 channels and 2,048 neurons, of which a stranger, a fine-tune and a continued
pretraining are made, some ten minutes each. A network that is already there is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them

from .data import TOKENIZERS, Data
from .model import Model
from .objectives import answers_of
from .shapes import MIDDLE, WIDE, Shape
from .training import RATE, Training, Weights, train


@dataclass(frozen=True)
class Size:
    """How large networks are, and how they are trained from a random start."""

    shape: Shape
    steps: int
    rate: float

    def new(self, seed: int) -> Model:
        """Draw a network."""
        torch.manual_seed(seed)
        return Model(self.shape, TOKENIZERS[self.shape.tokenizer][0])

    def trained(self, model: Model, data: Data, order: int) -> Model:
        """Train one that was drawn."""
        train(model, data, Training(self.steps, self.rate, order=order))
        return model


SIZES = {"wide": Size(WIDE, 600, RATE), "middle": Size(MIDDLE, 150, 1e-3)}
Start = Callable[[Size, Data, Weights], Model]


def _drawn(seed: int, order: int) -> Start:
    return lambda size, data, _: size.trained(size.new(seed), data, order)


def _child(share: float, rate: float) -> Start:
    """Train on for a share of the steps, at a share of the rate."""

    def make(size: Size, data: Data, parent: Weights) -> Model:
        model = size.new(99)
        model.load_state_dict(parent)
        how = Training(round(share * size.steps), rate * size.rate, half="b", order=77)
        train(model, data, how)
        return model

    return make


def _on_rotated_embeddings(seed: int) -> Start:
    def make(size: Size, data: Data, parent: Weights) -> Model:
        model = size.new(100 + seed)
        width = size.shape.hidden
        drawn = np.random.default_rng(seed).normal(size=(width, width))
        turn = torch.from_numpy(np.linalg.qr(drawn)[0]).float()
        weights = model.state_dict()
        weights["model.embed_tokens.weight"] = parent["model.embed_tokens.weight"] @ turn
        model.load_state_dict(weights)
        how = Training(size.steps, size.rate, order=100 + seed)
        train(model, data, how, frozen=lambda name: "embed_tokens" in name)
        return model

    return make


def _student(seed: int, *, hidden: bool) -> Start:
    def make(size: Size, data: Data, parent: Weights) -> Model:
        teacher, model = size.new(0), size.new(200 + seed)
        teacher.load_state_dict(parent)
        how = Training(size.steps, size.rate, order=200 + seed)
        train(model, data, how, objective=answers_of(teacher, hidden=hidden))
        return model

    return make


KIN: dict[str, Start] = {
    "first": _drawn(0, 0),
    "stranger": _drawn(1, 1),
    "rotated-embeddings": _on_rotated_embeddings(0),
    "student-of-answers": _student(0, hidden=False),
    "student-of-states": _student(0, hidden=True),
    "finetune": _child(1 / 3, 0.1),
    "continued": _child(1, 1),
    "twin": _drawn(0, 1000),
}
OF_MIDDLE = ("first", "stranger", "finetune", "continued")


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--size", choices=[*SIZES], default="wide")
    given = parser.parse_args()
    folder, size = given.into, SIZES[given.size]
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = Data(folder)
    for name in KIN if given.size == "wide" else OF_MIDDLE:
        path = folder / f"{name}.npz"
        if path.exists():
            continue
        parent: Weights = {}
        if name != "first":
            with np.load(folder / "first.npz") as known:
                parent = {key: torch.from_numpy(known[key]) for key in known.files}
        weights = KIN[name](size, data, parent).state_dict()
        np.savez(path, **{key: value.detach().numpy() for key, value in weights.items()})
        print(name, flush=True)


if __name__ == "__main__":
    main()
