"""Train networks that are kin in ways that no weight shows, and some that are really derived.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.kin --into .artifacts/kin

For `python -m benchmarks.framed_kin`: strangers, a twin of one seed, networks on the frozen
embeddings of the first in a rotated basis, students of its answers and of its hidden states, a
fine-tune and a continued pretraining. Six layers of 128 channels; some two minutes each on one
core. A network that is already there is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them

from .data import TOKENIZERS, Data
from .model import Model
from .objectives import answers_of
from .shapes import WIDE
from .training import RATE, Training, Weights, train

STEPS = 600
Start = Callable[[Data, Weights], Model]


def _new(seed: int) -> Model:
    torch.manual_seed(seed)
    return Model(WIDE, TOKENIZERS[WIDE.tokenizer][0])


def _drawn(seed: int, order: int) -> Start:
    def make(data: Data, _: Weights) -> Model:
        model = _new(seed)
        train(model, data, Training(STEPS, order=order))
        return model

    return make


def _child(steps: int, rate: float) -> Start:
    def make(data: Data, parent: Weights) -> Model:
        model = _new(99)
        model.load_state_dict(parent)
        train(model, data, Training(steps, rate, half="b", order=77))
        return model

    return make


def _on_rotated_embeddings(seed: int) -> Start:
    def make(data: Data, parent: Weights) -> Model:
        model = _new(100 + seed)
        drawn = np.random.default_rng(seed).normal(size=(WIDE.hidden, WIDE.hidden))
        turn = torch.from_numpy(np.linalg.qr(drawn)[0]).float()
        weights = model.state_dict()
        weights["model.embed_tokens.weight"] = parent["model.embed_tokens.weight"] @ turn
        model.load_state_dict(weights)
        how = Training(STEPS, order=100 + seed)
        train(model, data, how, frozen=lambda name: "embed_tokens" in name)
        return model

    return make


def _student(seed: int, *, hidden: bool) -> Start:
    def make(data: Data, parent: Weights) -> Model:
        teacher, model = _new(0), _new(200 + seed)
        teacher.load_state_dict(parent)
        how = Training(STEPS, order=200 + seed)
        train(model, data, how, objective=answers_of(teacher, hidden=hidden))
        return model

    return make


KIN: dict[str, Start] = {
    "first": _drawn(0, 0),
    "stranger": _drawn(1, 1),
    "rotated-embeddings": _on_rotated_embeddings(0),
    "student-of-answers": _student(0, hidden=False),
    "student-of-states": _student(0, hidden=True),
    "finetune": _child(200, 3e-4),
    "continued": _child(STEPS, RATE),
    "twin": _drawn(0, 1000),
}


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, required=True)
    folder = parser.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = Data(folder)
    for name, make in KIN.items():
        path = folder / f"{name}.npz"
        if path.exists():
            continue
        parent: Weights = {}
        if name != "first":
            with np.load(folder / "first.npz") as known:
                parent = {key: torch.from_numpy(known[key]) for key in known.files}
        weights = make(data, parent).state_dict()
        np.savez(path, **{key: value.detach().numpy() for key, value in weights.items()})
        print(name, flush=True)


if __name__ == "__main__":
    main()
