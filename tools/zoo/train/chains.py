"""Train chains of descent: which of two models came first is known, and which is the root.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.chains --into .artifacts/chains

For `python -m tools.calibrate.direction` and `python -m benchmarks.direction`. A chain is one base
and what was made of it: five generations in three branches, by continued pretraining, fine-tuning
with and without weight decay, LoRA, pruning, rounding and merging. Every chain has another recipe
(optimiser, decay, rate, tied tables or not, width) and another seed; a table has rows of tokens
that no text holds, as most published ones do. Chains named in `HELD_OUT` were not looked at
while the method was made. Some two minutes a chain on one core; a model that is there is kept.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from safetensors.torch import load_file

from tools.zoo.chain_pairs import MANIFEST

from .build import write
from .changes import CHANGES
from .data import TOKENIZERS, Data, tokenizer
from .entries import Entry
from .model import Model
from .shapes import SMALL, Shape
from .training import Training, Weights, load_and_train, lora, train

RESERVED = 64  # rows of the table beyond the tokenizer's
BROAD = Shape(hidden=128, layers=4, heads=8, kv_heads=4, inner=352)
TABLE, HEAD = "model.embed_tokens.weight", "lm_head.weight"


@dataclass(frozen=True)
class Recipe:
    """How the base of a chain was trained, and by default what follows it."""

    name: str
    seed: int
    optimizer: str = "adamw"
    decay: float = 0.1
    rate: float = 3e-3
    tied: bool = False
    shape: Shape = SMALL


@dataclass(frozen=True)
class Made:
    """One model of a chain: of which it was made, and how."""

    name: str
    parents: tuple[str, ...]
    change: str
    training: Training | None = None
    amount: float = 0.0


CALIBRATION = (
    Recipe("usual", 100),
    Recipe("tied", 101, decay=0.01, rate=2e-3, tied=True),
    Recipe("no-decay", 102, decay=0.0),
    Recipe("strong-decay", 103, decay=0.3, rate=2e-3),
    Recipe("lion", 104, optimizer="lion", decay=0.5, rate=3e-4),
    Recipe("broad-tied", 105, rate=2e-3, tied=True, shape=BROAD),
)
HELD_OUT = (
    Recipe("slow", 200, rate=2e-3),
    Recipe("no-decay-tied", 201, decay=0.0, rate=2e-3, tied=True),
    Recipe("strong-decay-tied", 202, decay=0.2, rate=3e-3, tied=True),
    Recipe("adamax", 203, optimizer="adamax", decay=0.0, rate=4e-3),
    Recipe("lion-tied", 204, optimizer="lion", decay=0.2, rate=3e-4, tied=True),
    Recipe("broad", 205, rate=2e-3, shape=BROAD),
)


def chain_of(recipe: Recipe) -> tuple[Made, ...]:
    """Return what is made of a recipe, parents before children."""
    base = Training(400, recipe.rate, "a", recipe.seed, "cosine", recipe.optimizer, recipe.decay)
    tune = replace(base, steps=120, rate=recipe.rate / 10, half="b")
    free = replace(tune, decay=0.0)
    order = 10 * recipe.seed
    return (
        Made("base", (), "pretrain", base),
        Made("cpt", ("base",), "cpt_long", replace(base, steps=250, half="b", order=order)),
        Made("tune", ("cpt",), "finetune", replace(tune, half="prose", order=order + 1)),
        Made("tune-tune", ("tune",), "finetune", replace(tune, half="a", order=order + 2)),
        Made("free", ("base",), "finetune", replace(free, order=order + 3)),
        Made("free-tune", ("free",), "finetune", replace(tune, half="prose", order=order + 4)),
        Made("lora", ("cpt",), "lora", replace(tune, rate=recipe.rate / 3, order=order + 5)),
        Made("cpt-free", ("cpt",), "finetune", replace(free, half="a", order=order + 6)),
        Made("merge", ("tune", "cpt-free"), "merge"),
        Made("merge-tune", ("merge",), "finetune", replace(tune, order=order + 7)),
        Made("pruned", ("tune",), "prune", amount=0.5),
        Made("int8", ("tune-tune",), "int8"),
        Made("int4", ("free",), "int4"),
    )


def _model(recipe: Recipe) -> Model:
    torch.manual_seed(recipe.seed)
    model = Model(recipe.shape, TOKENIZERS[recipe.shape.tokenizer][0] + RESERVED)
    if recipe.tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    return model


def _weights(recipe: Recipe, made: Made, root: Path, data: Data) -> tuple[Weights, float | None]:
    folders = [root / f"{recipe.name}-{name}" for name in made.parents]
    parents = [load_file(folder / "model.safetensors") for folder in folders]
    if made.training is None:
        first = {key: value.float() for key, value in parents[0].items()}
        if made.change != "merge":
            return CHANGES[made.change](parents[0], made.amount), None
        return {key: (value + parents[1][key].float()) / 2 for key, value in first.items()}, None
    model = _model(recipe)
    if not parents:
        loss = train(model, data, made.training)
    else:
        given = {key: value.float() for key, value in parents[0].items()}
        given.setdefault(HEAD, given[TABLE])
        start = lora if made.change == "lora" else load_and_train
        loss = start(model, given, data, made.training)
    return dict(model.state_dict()), loss


def build(recipe: Recipe, made: Made, root: Path, data: Data) -> None:
    """Make one model and write its folder in the hub's layout."""
    began = time.time()
    weights, loss = _weights(recipe, made, root, data)
    kept = {
        key: value.detach().to(torch.bfloat16)
        for key, value in weights.items()
        if not (recipe.tied and key == HEAD)
    }
    name = f"{recipe.name}-{made.name}"
    vocabulary = len(kept[TABLE])
    parent = f"{recipe.name}-{made.parents[0]}" if made.parents else None
    entry = Entry(name, recipe.shape, recipe.seed, parent, made.change, training=made.training)
    write(root, entry, kept, vocabulary, loss)
    path = root / name / "config.json"
    config = json.loads(path.read_text()) | {"tie_word_embeddings": recipe.tied}
    path.write_text(json.dumps(config, indent=2) + "\n")
    print(f"{name}: loss {loss}, {time.time() - began:.0f} s", flush=True)


def describe(root: Path, recipes: Sequence[Recipe]) -> None:
    """Write which chains there are, and who was made of whom."""
    rows = {
        recipe.name: {
            "held_out": recipe in HELD_OUT,
            "recipe": {k: v for k, v in asdict(recipe).items() if k != "shape"},
            "width": recipe.shape.hidden,
            "models": {
                made.name: {"parents": made.parents, "change": made.change}
                for made in chain_of(recipe)
            },
        }
        for recipe in recipes
    }
    (root / MANIFEST).write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=Path(".artifacts/chains"))
    parser.add_argument("--only", nargs="*", help="names of recipes")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = Data(given.into)
    tokenizer(SMALL.tokenizer, given.into)
    describe(given.into, (*CALIBRATION, *HELD_OUT))
    for recipe in (*CALIBRATION, *HELD_OUT):
        for made in chain_of(recipe):
            there = (given.into / f"{recipe.name}-{made.name}" / "config.json").exists()
            if not there and (not given.only or recipe.name in given.only):
                build(recipe, made, given.into, data)


if __name__ == "__main__":
    main()
