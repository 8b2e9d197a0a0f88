"""Small checkpoints of random numbers that have the tensor names and the shapes of a family.

A list of names (`tools.facts.newest_names`) gives an example, a shape and a number for each
pattern. Here every size is divided by one number, layers and experts are few, and numbers are
drawn: what is tested is where a reader takes a tensor to be, not what a model has learnt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tools.zoo.disguises import Array, Model

LAYERS, EXPERTS = 4, 4
SMALL = 16  # sizes up to here stay as they are
FEWEST = 8
_LAYER = re.compile(r"((?:layers?|blocks?|h)\.)(\d+)(\.)")
_EXPERT = re.compile(r"(experts\.)(\d+)(\.)")


@dataclass(frozen=True, slots=True)
class Scale:
    """How sizes shrink: by `by`, experts to `EXPERTS`."""

    by: int
    experts: int = 0

    def size(self, full: int) -> int:
        if full == self.experts > EXPERTS:
            return EXPERTS
        return full if full <= SMALL else max(FEWEST, full // self.by)


def shapes(patterns: Sequence[Sequence[Any]], width: int = 64) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a small model with the patterns of a large one.

    Parameters
    ----------
    patterns
        Name, shape and number of tensors of each pattern.
    width
        Of the small model's residual stream, about.
    """
    table = max((s for _, s, _ in patterns if len(s) == 2), key=lambda s: s[0])  # of tokens
    experts = max((s[0] for n, s, _ in patterns if re.search(r"experts\.\w+$|_linear\.weight$", n)
                   and len(s) == 3), default=_counted(patterns))  # fmt: skip
    scale = Scale(max(1, min(table) // width), experts)
    found: dict[str, tuple[int, ...]] = {}
    for name, shape, count in patterns:
        small = tuple(scale.size(size) for size in shape)
        for layer in _layers(name, count, patterns):
            at = _LAYER.sub(rf"\g<1>{layer}\g<3>", name, count=1)
            for expert in range(EXPERTS if _EXPERT.search(name) else 1):
                found[_EXPERT.sub(rf"\g<1>{expert}\g<3>", at)] = small
    return found


def _counted(patterns: Sequence[Sequence[Any]]) -> int:
    """Return the number of experts that a router has rows for."""
    routers = [s[0] for n, s, _ in patterns
               if re.search(r"(?:gate|router|classifier)\.weight$", n) and len(s) == 2]  # fmt: skip
    return max(routers, default=0)


def _layers(name: str, count: int, patterns: Sequence[Sequence[Any]]) -> Iterator[int]:
    """Yield the layers of the small model that have a tensor: of two kinds, the rarer in one."""
    found = _LAYER.search(name)
    if found is None:
        yield 0
        return
    prefix = name[: found.start(2)]
    total = max(c for n, _, c in patterns if n.startswith(prefix) and not _EXPERT.search(n))
    everywhere = count >= total or _EXPERT.search(name) is not None
    if everywhere or int(found[2]) == 0:
        yield from range(LAYERS if everywhere else LAYERS - 1)
    else:
        yield LAYERS - 1


def drawn(patterns: Sequence[Sequence[Any]], seed: int, width: int = 64) -> Model:
    """Draw a model; vectors are gains about one, constants of state spaces a formula's."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for name, shape in shapes(patterns, width).items():
        values = rng.standard_normal(shape) * (2 / max(1, sum(shape))) ** 0.5
        if prod(shape) == max(shape, default=1):
            values = 1 + 0.1 * rng.standard_normal(shape)
        if name.endswith("A_log"):
            values = np.log(1.0 + np.arange(prod(shape))).reshape(shape)
        tensors[name] = np.asarray(values, np.float32)
    return Model(tensors, {})


def trained_on(model: Model, cosine: float, seed: int = 3) -> Model:
    """Move every matrix in a direction of its own, so far that `cosine` is left."""
    rng = np.random.default_rng(seed)
    share = (1 / cosine**2 - 1) ** 0.5
    tensors = {
        k: (v + share * v.std() * rng.standard_normal(v.shape)).astype(np.float32)
        if v.ndim > 1
        else v
        for k, v in model.tensors.items()
    }
    return Model(tensors, model.config)
