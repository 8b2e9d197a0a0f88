"""The two published recipes of 2026 by which a maker starts from an own earlier model.

What is returned is a start, before any training: `tools/zoo/train` trains on from there. Arithmetic
on tensors with the hub's names, as in `tools/zoo/disguises.py`.

* Depth and experts doubled (K-EXAONE-2.0, arXiv 2608.04505): blocks of layers are repeated, every
  expert and its row of the router is there twice, and the second copies are turned by a random
  rotation, which keeps their norms.
* Roles carried over (Solar Open 2, arXiv 2607.20062): tables, norms and some projections of the
  attention are the earlier model's, all else is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tools.zoo.disguises import FFN, Model, choose_layers

Array = NDArray[np.float32]
SIDES = ("input", "output", "inner", "all")  # where a copy is turned; which is not published


def repeat_and_double(
    model: Model, layers: Sequence[int], rng: np.random.Generator, *, side: str = "output"
) -> Model:
    """Repeat layers and double the experts, the copies turned.

    Parameters
    ----------
    layers : sequence of int
        Layer i of the result is layer ``layers[i]`` of the model.
    side : str
        One of `SIDES`: which channels of a copy are turned, what it reads, what it writes, its own
        neurons, or all three.
    """
    have = model.number("num_experts")
    out = choose_layers(model, layers).copy(num_experts=2 * have)
    w = out.tensors
    for layer in out.layers:
        root = f"model.layers.{layer}.mlp."
        router = w[f"{root}gate.weight"]
        w[f"{root}gate.weight"] = np.concatenate([router, router])
        for expert in range(have):
            gate, up, down = (w[f"{root}experts.{expert}.{kind}.weight"] for kind in FFN)
            turned = _turned(gate, up, down, side, rng)
            for kind, value in zip(FFN, turned, strict=True):
                w[f"{root}experts.{expert + have}.{kind}.weight"] = value
    return out


def _turned(
    gate: Array, up: Array, down: Array, side: str, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    if side not in SIDES:
        raise ValueError(f"{side!r} is no side: {', '.join(SIDES)}")
    inner, width = gate.shape
    if side in ("input", "all"):
        turn = _rotation(width, rng)
        gate, up = gate @ turn, up @ turn
    if side in ("inner", "all"):
        turn = _rotation(inner, rng)
        gate, up, down = turn @ gate, turn @ up, down @ turn.T
    if side in ("output", "all"):
        down = _rotation(width, rng) @ down
    return gate, up, down


def _rotation(size: int, rng: np.random.Generator) -> Array:
    return np.linalg.qr(rng.normal(size=(size, size)))[0].astype(np.float32)


def carry_over(model: Model, kept: Callable[[str], bool], rng: np.random.Generator) -> Model:
    """Keep the tensors whose names are `kept`; draw other matrices anew, set other gains to one."""
    out = model.copy()
    for name, value in model.tensors.items():
        if not kept(name):
            fresh = rng.normal(0, 0.02, value.shape) if value.ndim > 1 else np.ones(value.shape)
            out.tensors[name] = fresh.astype(np.float32)
    return out


def tables_norms_and(
    *projections: str, layers: Sequence[int] | None = None
) -> Callable[[str], bool]:
    """Say which names are kept: tables, norms and some projections, of all layers or of some."""

    def kept(name: str) -> bool:
        if "embed_tokens" in name or "lm_head" in name or "norm" in name:
            return True
        place = name.split(".")
        at = layers is None or (place[1] == "layers" and int(place[2]) in layers)
        return at and any(f".{projection}_proj." in name for projection in projections)

    return kept
