"""Forgeries against the weights test itself: what is done so that a known procedure looks past.

`tools/zoo/disguises.py` changes the basis of a copy. Here its layers are hidden among strangers,
its names exchanged, its gains stored under another convention, its neurons split or repeated;
a disguise is put on top.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from tools.zoo.disguises import FFN, Array, Model, Tensors, choose_layers

STEP = 0.02  # standard deviation of fresh matrices
TINY = 2e-5  # of those that write, so that a layer does next to nothing


def near_identity_layers(model: Model, rng: np.random.Generator) -> Model:
    """Put a layer of random readers and tiny writers after every layer."""
    out = choose_layers(model, [layer for layer in model.layers for _ in range(2)])
    for layer in range(1, 2 * len(model.layers), 2):
        for name, value in _of_layer(out.tensors, layer).items():
            if value.ndim > 1:
                writes = name.endswith(("o_proj.weight", "down_proj.weight"))
                out.tensors[name] = _drawn(rng, value.shape, TINY if writes else STEP)
    return out


def transplanted(layers: Collection[int], host: Model) -> Callable[..., Model]:
    """Return a step that puts some layers of a model into a stranger of its shape."""

    def step(model: Model, _: np.random.Generator) -> Model:
        out = host.copy()
        for layer in layers:
            out.tensors.update(_of_layer(model.tensors, layer))
        return out

    return step


def exchanged_names(model: Model, _: np.random.Generator) -> Model:
    """Store gate and up under each other's names."""
    out = model.copy()
    for layer in model.layers:
        for root in model.ffns(layer):
            gate, up = (f"{root}{kind}.weight" for kind in FFN[:2])
            out.tensors[gate], out.tensors[up] = model.tensors[up], model.tensors[gate]
    return out


def gains_less_one(model: Model, _: np.random.Generator) -> Model:
    """Store the gains of all norms less one, as Gemma does."""
    out = model.copy()
    for name, value in model.tensors.items():
        if value.ndim == 1 and name.endswith("norm.weight"):
            out.tensors[name] = value - 1
    return out


def split_neurons(times: int, kind: str) -> Callable[..., Model]:
    """Return a step that splits every neuron, with noise that cancels in `kind` (up or down)."""

    def step(model: Model, rng: np.random.Generator) -> Model:
        out = model.copy(intermediate_size=times * model.number("intermediate_size"))
        w = out.tensors
        for layer in model.layers:
            for root in model.ffns(layer):
                gate, up, down = (f"{root}{k}.weight" for k in FFN)
                parts = [w[gate], w[up], w[down].T / times]
                whole = [np.concatenate([part] * times) for part in parts]
                place = FFN.index(f"{kind}_proj")
                noise = rng.normal(0, float(parts[place].std()), (times, *parts[place].shape))
                noise -= noise.mean(axis=0)
                whole[place] = whole[place] + noise.reshape(whole[place].shape)
                w[gate], w[up], w[down] = (part.astype(np.float32) for part in whole)
                w[down] = w[down].T.copy()
        return out

    return step


def repeated_neuron(times: int) -> Callable[..., Model]:
    """Return a step that appends a neuron of each layer again and again, its work shared out."""

    def step(model: Model, _: np.random.Generator) -> Model:
        out = model.copy(intermediate_size=times + model.number("intermediate_size"))
        w = out.tensors
        for layer in model.layers:
            for root in model.ffns(layer):
                gate, up, down = (f"{root}{k}.weight" for k in FFN)
                chosen = np.concatenate([np.arange(len(w[gate])), np.zeros(times, int)])
                share = np.where(chosen == 0, 1 / (times + 1), 1).astype(np.float32)
                w[gate], w[up] = w[gate][chosen], w[up][chosen]
                w[down] = w[down][:, chosen] * share
        return out

    return step


def _of_layer(tensors: Tensors, layer: int) -> Tensors:
    prefix = f"model.layers.{layer}."
    return {name: value for name, value in tensors.items() if name.startswith(prefix)}


def _drawn(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Array:
    return rng.normal(0, size, shape).astype(np.float32)
