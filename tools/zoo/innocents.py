"""Innocent pairs as whole checkpoints: trained strangers to which one and the same thing was done.

A kind is a step that the suspect and every reference take, each with an own generator: padding,
repeated layers, neurons in an order, one public formula, one layout. Whatever likeness the step
makes, no weight of one model was taken from the other; what the two do share (a table of one
seed, of one teacher) is said with the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.zoo import disguises, forgeries, layouts
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.disguises import FFN, Array, Model, choose_layers
from tools.zoo.ready_models import READY, read_model

Step = Callable[[Model, np.random.Generator], Model]
TABLE, HEAD = "model.embed_tokens.weight", "lm_head.weight"
STRANGERS = {  # suspect: references that were trained apart from it
    "s1": ("s0", "s0-cpt-long", "s0-twin", "t0"),
    "t0": ("s0", "s0-cpt-long", "s0-finetune", "s1"),
}


def _gated(step: Callable[[list[Array], np.random.Generator], list[Array]]) -> Step:
    """Apply a change of (gate, up, transposed down) to every block of a model."""

    def changed(model: Model, rng: np.random.Generator) -> Model:
        out = model.copy()
        for layer in model.layers:
            for root in model.ffns(layer):
                names = [f"{root}{kind}.weight" for kind in FFN]
                gate, up, down = (np.array(model.tensors[name]) for name in names)
                gate, up, down = step([gate, up, down.T.copy()], rng)
                for name, value in zip(names, (gate, up, down.T), strict=True):
                    out.tensors[name] = np.ascontiguousarray(value, np.float32)
                out.config["intermediate_size"] = len(gate)
        return out

    return changed


def _padded(block: list[Array], _: np.random.Generator) -> list[Array]:
    return [np.concatenate([view, np.zeros((32, view.shape[1]))]) for view in block]


def _dead(block: list[Array], rng: np.random.Generator) -> list[Array]:
    killed = rng.permutation(len(block[0]))[:60]
    for view in block:
        view[killed] *= 1e-6
    return block


def _equal_rows(block: list[Array], rng: np.random.Generator) -> list[Array]:
    return [np.concatenate([view, np.repeat(view[rng.integers(len(view))][None], 40, 0)])
            for view in block]  # fmt: skip


def _by_importance(block: list[Array], _: np.random.Generator) -> list[Array]:
    order = np.argsort(-np.prod([np.linalg.norm(view, axis=1) for view in block], axis=0))
    return [view[order] for view in block]


def _by_direction(block: list[Array], _: np.random.Generator) -> list[Array]:
    main = np.linalg.svd(block[0], full_matrices=False)[2][0]
    order = np.argsort(block[0] @ main)
    return [view[order] for view in block]


def _alike(block: list[Array], _: np.random.Generator) -> list[Array]:
    gate, up, down = block
    return [gate + 0.5 * up, up + 0.5 * gate, down]


def _repeated_layer(model: Model, _: np.random.Generator) -> Model:
    return choose_layers(model, [1] * 6)


def _channels_of_one_order(model: Model, _: np.random.Generator) -> Model:
    """Scale the channels of everything that reads, as long trainings with outliers do."""
    out = model.copy()
    scale = np.exp(np.linspace(1.5, -1.5, model.number("hidden_size")))
    for layer in model.layers:
        for name, _norm in disguises.reads(model, layer):
            out.tensors[name] = (model.tensors[name] * scale).astype(np.float32)
    return out


def _public_formula(model: Model, _: np.random.Generator) -> Model:
    """Put one cosine transform in the place of every output projection."""
    out = model.copy()
    size = model.number("hidden_size")
    place = np.arange(size)
    wave = np.sqrt(2 / size) * np.cos(np.pi / size * (place[:, None] + 0.5) * place)
    for layer in model.layers:
        name = f"model.layers.{layer}.self_attn.o_proj.weight"
        out.tensors[name] = wave.astype(np.float32)
    return out


def _fresh_head(model: Model, rng: np.random.Generator) -> Model:
    out = model.copy()
    out.tensors[HEAD] = rng.normal(0, 0.02, out.tensors[HEAD].shape).astype(np.float32)
    return out


def _placeholders(value: float) -> Step:
    def step(model: Model, _: np.random.Generator) -> Model:
        out = model.copy()
        out.tensors[HEAD] = np.full_like(out.tensors[HEAD], value)
        return out

    return step


def _without_gains(model: Model, _: np.random.Generator) -> Model:
    out = disguises.fold_norms(model)
    for name in [name for name, value in out.tensors.items() if value.ndim == 1]:
        del out.tensors[name]
    return out


def _table_of(share: float, seed: int) -> Step:
    """Give the table a share of one public draw, as one seed or one teacher leaves it."""

    def step(model: Model, _: np.random.Generator) -> Model:
        out = model.copy()
        own = out.tensors[TABLE]
        draw = np.random.default_rng(seed).normal(0, own.std(), (1024, own.shape[1]))[: len(own)]
        out.tensors[TABLE] = (share * draw + np.sqrt(1 - share**2) * own).astype(np.float32)
        return out

    return step


def _rounded(model: Model, _: np.random.Generator) -> Model:
    """Round every matrix to sixteen values, as four bits do."""
    out = model.copy()
    for name, value in model.tensors.items():
        if value.ndim > 1:
            step = np.abs(value).max() / 7.5
            out.tensors[name] = (np.round(value / step) * step).astype(np.float32)
    return out


def _laid_out(layout: Callable[[Model], Model]) -> Step:
    return lambda model, _: layout(model)


@dataclass(frozen=True)
class Innocent:
    """A kind: what both sides did, and whether they share a draw that may be named as such."""

    step: Step
    shares_a_table: bool = False


KINDS: Mapping[str, Innocent] = {
    "as trained": Innocent(lambda model, _: model),
    "zero neurons at the end of both": Innocent(_gated(_padded)),
    "dead neurons": Innocent(_gated(_dead)),
    "equal rows": Innocent(_gated(_equal_rows)),
    "neurons by importance": Innocent(_gated(_by_importance)),
    "neurons along a direction": Innocent(_gated(_by_direction)),
    "gate and up alike": Innocent(_gated(_alike)),
    "one layer again and again": Innocent(_repeated_layer),
    "upcycled experts": Innocent(lambda model, rng: disguises.upcycle(model, 4, rng)),
    "channels of one order of sizes": Innocent(_channels_of_one_order),
    "one public formula": Innocent(_public_formula),
    "fresh heads": Innocent(_fresh_head),
    "heads of zeros": Innocent(_placeholders(0.0)),
    "heads of one number": Innocent(_placeholders(0.02)),
    "gains folded away": Innocent(lambda model, _: disguises.fold_norms(model)),
    "no gains": Innocent(_without_gains),
    "gains less one": Innocent(forgeries.gains_less_one),
    "every disguise": Innocent(disguises.every_disguise),
    "four bits": Innocent(_rounded),
    "pruned": Innocent(lambda model, _: disguises.prune(model)),
    "split neurons": Innocent(forgeries.split_neurons(2, "up")),
    "native names": Innocent(_laid_out(layouts.native)),
    "names that nobody knows": Innocent(_laid_out(layouts.strange)),
    "tables of one seed": Innocent(_table_of(0.5, 42), shares_a_table=True),
    "tables of one teacher": Innocent(_table_of(0.8, 7), shares_a_table=True),
}


def written(kind: Innocent, name: str, folder: Path, seed: int) -> Path:
    """Write one side of a pair: a trained model after the step of its kind."""
    model = kind.step(read_model(name), np.random.default_rng(seed))
    checkpoints.write(folder, model.tensors, config=model.config, card={"license": "mit"})
    (folder / "tokenizer.json").write_bytes((READY / name / "tokenizer.json").read_bytes())
    return folder


def sides(number: int, root: Path) -> Iterator[Path]:
    """Write the suspect of a kind, then its four references; suspects take turns."""
    kind = list(KINDS.values())[number]
    suspect = list(STRANGERS)[number % len(STRANGERS)]
    for place, name in enumerate((suspect, *STRANGERS[suspect])):
        yield written(kind, name, root / f"{number:02d}-{name}", seed=100 * number + place)
