"""Train what is laundered, distilled, forged and evaded around the repository's own two models.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.adversaries --into .artifacts/adversaries

For `benchmarks.laundering`, `benchmarks.attacks` and `benchmarks.distillation`: s0 and s1 of
`tools/zoo/ready` are the public models. One process, one thread, fixed seeds, some half an hour
on one core; a model that is already there is kept. What is arithmetic only (permutations, splices)
is made by the benchmarks. `MANIFEST.json` says what every model is, and its loss on fresh text.
"""

from __future__ import annotations

import argparse
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from safetensors.torch import load_file
from torch.nn import functional as F  # noqa: N812, TID251

from tools.zoo import disguises
from tools.zoo.laundering import LAUNDERINGS
from tools.zoo.ready_models import READY

from .build import build
from .changes import CHANGES, Change, rounded
from .data import Data
from .entries import Entry, derived
from .model import Model
from .objectives import LIKENESSES, Objective, answers_of, away, labels_of, toward
from .shapes import SMALL, config_of
from .training import DESCENTS, Descent, Training, Weights, train

PUBLIC = ("s0", "s1")
HOST = "x0"  # into which blocks of s0 are put
LENGTH = 300  # of trainings from a random start
STRANGERS = 8
EVADING = 200
EVADED = ("in place", "all three")
SPLICED = 100
BUDGETS = (0.1, 1.0, 10.0)
PULLS = (0.1, 1.0, 3.0, 10.0, 30.0)
SEPARATOR = "-by-"
LAUNDERED = "PDFT"


def taught(make: Callable[[Model], Objective]) -> Descent:
    """Start anew and learn from the parent, which is the teacher."""

    def start(model: Model, parent: Weights, data: Data, how: Training) -> float:
        teacher = Model(model.shape, len(parent["lm_head.weight"]))
        teacher.load_state_dict(parent)
        return train(model, data, how, objective=make(teacher))

    return start


def forged(weight: float, *, gains: bool = False) -> Descent:
    """Start anew and learn to look like the parent, in its matrices or in its gains too."""

    def start(model: Model, parent: Weights, data: Data, how: Training) -> float:
        return train(model, data, how, objective=toward(parent, weight, gains=gains))

    return start


def evaded(weight: float, likeness: str) -> Descent:
    """Start from the parent and learn not to look like it."""

    def start(model: Model, parent: Weights, data: Data, how: Training) -> float:
        model.load_state_dict(parent)
        return train(model, data, how, objective=away(parent, weight, LIKENESSES[likeness]))

    return start


def laundered(model: Model, parent: Weights, data: Data, how: Training) -> float:
    """Renumber and rescale the parent, then train."""
    kind = config_of(model.shape, len(parent["lm_head.weight"]))
    given = disguises.Model({k: v.numpy() for k, v in parent.items()}, kind)
    changed = LAUNDERINGS["PD"](given, np.random.default_rng(how.order))
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in changed.tensors.items()})
    return train(model, data, how)


def spliced(blocks: int) -> Descent:
    """Put the last blocks of the parent into a stranger, then train all of it."""

    def start(model: Model, parent: Weights, data: Data, how: Training) -> float:
        host = load_file(data.folder / HOST / "model.safetensors")
        taken = tuple(f".layers.{layer}." for layer in range(SMALL.layers - blocks, SMALL.layers))
        model.load_state_dict(
            {
                name: parent[name] if any(part in name for part in taken) else value.float()
                for name, value in host.items()
            }
        )
        return train(model, data, how)

    return start


TAUGHT: dict[str, Descent] = {
    "answers": taught(answers_of),
    "labels": taught(labels_of),
    "states": taught(lambda teacher: answers_of(teacher, hidden=True)),
}
_DESCENTS: dict[str, Descent] = {
    **DESCENTS,
    **TAUGHT,
    LAUNDERED: laundered,
    **{f"splice{SEPARATOR}{blocks}": spliced(blocks) for blocks in range(SMALL.layers + 1)},
    **{f"toward{SEPARATOR}{weight:g}": forged(weight) for weight in PULLS},
    "toward with gains": forged(3.0, gains=True),
    **{
        f"{likeness}{SEPARATOR}{weight:g}": evaded(weight, likeness)
        for likeness in LIKENESSES
        for weight in (0.0, *BUDGETS)
    },
}
_CHANGES: dict[str, Change] = {
    **CHANGES,
    "int8 of rows": rounded(8, 10**6),
    "int8 of 8": rounded(8, 8),
    "int8 of 16": rounded(8, 16),
}


def _seed(name: str) -> int:
    return zlib.crc32(name.encode()) % 100_000


def _trained(name: str, parent: str, change: str, steps: int, **kw: object) -> Entry:
    seed = _seed(name)
    how = Training(steps, order=seed, **kw)  # type: ignore[arg-type]
    return Entry(name, SMALL, seed, parent, change, "", how)


def related_to(public: str) -> list[Entry]:
    """Fifteen descendants of a model, three of each published kind."""
    made = [_trained(f"{public}-finetune-{k}", public, "finetune", 60, rate=3e-4) for k in range(3)]
    made += [
        _trained(f"{public}-newtext-{k}", public, "finetune", 100, rate=1e-3, half="b")
        for k in range(3)
    ]
    made += [
        derived(f"{public}-{kind}{100 * amount:.0f}", public, kind, amount=amount)
        for kind, amounts in {"noise": (0.02, 0.05, 0.1), "prune": (0.3, 0.4, 0.5)}.items()
        for amount in amounts
    ]
    made += [
        derived(f"{public}-int8-{group}", public, f"int8 of {group}")
        for group in ("rows", "16", "8")
    ]
    return made


def entries() -> list[Entry]:
    """Every model that is made, in the order in which others need them."""
    made = [_trained(f"x{k}", "", "pretrain", LENGTH) for k in range(STRANGERS)]
    made += _with_laundered(PUBLIC[0])
    made.append(_trained("forger-0", "", "pretrain", LENGTH, half="b"))
    made += [
        _trained(f"forger-{w:g}", "s0", f"toward{SEPARATOR}{w:g}", LENGTH, half="b") for w in PULLS
    ]
    made.append(_trained("forger-3-and-gains", "s0", "toward with gains", LENGTH, half="b"))
    made += _evaders()
    made += [
        _trained(f"splice-{k}", "s0", f"splice{SEPARATOR}{k}", SPLICED, half="b")
        for k in range(SMALL.layers + 1)
    ]
    for public, kind in (("s0", "answers"), ("s0", "labels"), ("s0", "states"), ("s1", "answers")):
        made += [_trained(f"{public}-{kind}-{k}", public, kind, LENGTH) for k in range(3)]
    return made + _with_laundered(PUBLIC[1])


def _with_laundered(public: str) -> list[Entry]:
    """Return the descendants of a model, and each renumbered, rescaled and trained on."""
    related = related_to(public)
    return related + [
        _trained(f"{entry.name}-{LAUNDERED}", entry.name, LAUNDERED, 20, rate=3e-4)
        for entry in related
    ]


def _evaders() -> list[Entry]:
    budgets = [(likeness, weight) for likeness in EVADED for weight in BUDGETS]
    made = []
    for likeness, weight in [("in place", 0.0), *budgets]:
        name = f"evader {likeness} {weight:g}".replace(" ", "-")
        change = f"{likeness}{SEPARATOR}{weight:g}"
        made.append(_trained(name, "s0", change, EVADING, half="b"))
    made += [  # and with what the same time buys without the attack
        _trained(f"{one.name}-long", "s0", one.change, 3 * EVADING, half="b")
        for one in (made[-1], made[0])
    ]
    return made


def loss_on_fresh_text(folder: Path, data: Data, half: str = "b", batches: int = 12) -> float:
    """Return the mean loss on batches that no training here drew in this order."""
    weights = {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}
    model = Model(SMALL, len(weights["lm_head.weight"]))
    model.load_state_dict(weights)
    texts = data.batches(SMALL.tokenizer, half, 10**6)
    losses = []
    with torch.no_grad():
        for _ in range(batches):
            tokens = next(texts)
            logits = model(tokens[:, :-1])
            losses.append(F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item())
    return float(np.mean(losses))


def main() -> None:
    """Train what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    root = given.into
    root.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in PUBLIC:
        if not (root / name).exists():
            shutil.copytree(READY / name, root / name)
    shutil.copy(READY / "s0" / "tokenizer.json", root / "tokenizer-a.json")
    data = Data(root)
    path = root / "MANIFEST.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    for name in PUBLIC:
        rows.setdefault(name, {"loss_on_fresh_text": loss_on_fresh_text(root / name, data)})
    for entry in entries():
        if entry.name in rows or (given.only and entry.name not in given.only):
            continue
        build(entry, root, data, _DESCENTS, _CHANGES)
        (root / entry.name / ".entry.json").unlink()  # folders tell nothing of the truth
        rows[entry.name] = {
            "parent": entry.parent,
            "change": entry.change,
            "amount": entry.amount,
            "steps": entry.training.steps if entry.training else 0,
            "loss_on_fresh_text": loss_on_fresh_text(root / entry.name, data),
        }
        path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
