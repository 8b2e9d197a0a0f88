"""The columns of the Checkpoint Laundering Benchmark, for gated decoders: function-preserving.

After Thakur and Khoury, "Training Leaves Traces" (arXiv 2608.14929). Theirs are networks of one
residual block kind, whose hidden units are renumbered (P) and rescaled by positive factors, drawn
log-uniformly from [.5, 2] (mild) or [.1, 10] (strong). Here the units of gated blocks and of
attention alike: neurons, heads, values against what reads them, keys against queries within a
rotary plane. `R` turns the residual stream, which their own attack script does; `all` is every
disguise of `tools/zoo/disguises.py` at once. PDFT is PD and then training, which is not arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tools.zoo.disguises import (
    FFN,
    Model,
    every_disguise,
    permute_heads,
    permute_neurons,
    rotate_residual,
)

Factors = NDArray[np.float32]
MILD, STRONG = (0.5, 2.0), (0.1, 10.0)


def permute_units(model: Model, rng: np.random.Generator) -> Model:
    """Renumber the neurons and the heads of every layer."""
    return permute_heads(permute_neurons(model, rng), rng)


def rescale_units(model: Model, rng: np.random.Generator, between: tuple[float, float]) -> Model:
    """Scale every unit by a positive factor, and what reads it by the inverse.

    Gates keep their size (SiLU is not linear); a pair of rotary channels has one factor.
    """
    out = model.copy()
    w = out.tensors
    queries, keys, size = model.heads
    share = queries // keys
    for layer in model.layers:
        for root in model.ffns(layer):
            factor = log_uniform(rng, between, len(w[f"{root}up_proj.weight"]))
            _scale(w, f"{root}{FFN[1]}.weight", factor, rows=True)
            _scale(w, f"{root}{FFN[2]}.weight", 1 / factor, rows=False)
        root = f"model.layers.{layer}.self_attn."
        values = log_uniform(rng, between, keys * size).reshape(keys, size)
        planes = np.tile(log_uniform(rng, between, keys * size // 2).reshape(keys, -1), (1, 2))
        _scale(w, f"{root}v_proj.weight", values.ravel(), rows=True)
        _scale(w, f"{root}o_proj.weight", 1 / np.repeat(values, share, 0).ravel(), rows=False)
        _scale(w, f"{root}k_proj.weight", planes.ravel(), rows=True)
        _scale(w, f"{root}q_proj.weight", 1 / np.repeat(planes, share, 0).ravel(), rows=True)
    return out


def log_uniform(rng: np.random.Generator, between: tuple[float, float], size: int) -> Factors:
    """Draw positive factors whose logarithm is uniform."""
    return np.exp(rng.uniform(*np.log(between), size)).astype(np.float32)


def _scale(w: dict[str, NDArray[np.float32]], name: str, factor: Factors, *, rows: bool) -> None:
    w[name] = w[name] * (factor[:, None] if rows else factor)


def permute_and_rescale(model: Model, rng: np.random.Generator) -> Model:
    """Renumber all units and rescale them strongly, as the published PD does."""
    return rescale_units(permute_units(model, rng), rng, STRONG)


LAUNDERINGS: dict[str, Callable[[Model, np.random.Generator], Model]] = {
    "none": lambda model, _: model,
    "P": permute_units,
    "D-mild": lambda model, rng: rescale_units(model, rng, MILD),
    "D-strong": lambda model, rng: rescale_units(model, rng, STRONG),
    "PD": permute_and_rescale,
    "R": rotate_residual,
    "all": every_disguise,
}
