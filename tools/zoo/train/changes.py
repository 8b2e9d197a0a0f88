"""Changes of a checkpoint without training: noise, pruning, rounding, packing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch  # noqa: TID251 - this tool makes weights; the package only reads them

from tools.zoo import packing

from .training import Weights

Change = Callable[[Weights, float], Weights]


def noise(parent: Weights, amount: float) -> Weights:
    """Add Gaussian noise of `amount` standard deviations to every matrix."""
    torch.manual_seed(5)
    return {
        k: v + amount * v.float().std().to(v.dtype) * torch.randn_like(v) if v.dim() > 1 else v
        for k, v in parent.items()
    }


def prune(parent: Weights, amount: float) -> Weights:
    """Set the smallest share of every matrix to zero."""
    return {
        k: torch.where(v.abs() >= v.float().abs().quantile(amount), v, 0) if v.dim() > 1 else v
        for k, v in parent.items()
    }


def rounded(bits: int, group: int) -> Callable[[Weights, float], Weights]:
    """Quantise matrices symmetrically in groups of inputs and store them dequantised."""

    def quantise(parent: Weights, _amount: float) -> Weights:
        top = 2 ** (bits - 1) - 1
        out = {}
        for name, value in parent.items():
            if value.dim() != 2:
                out[name] = value
                continue
            parts = value.float().unflatten(1, (-1, min(group, value.shape[1])))
            scale = parts.abs().amax(-1, keepdim=True) / top
            out[name] = ((parts / scale).round() * scale).flatten(1).to(value.dtype)
        return out

    return quantise


def packed_by(pack: Callable[[str, Any], Mapping[str, Any]]) -> Callable[[Weights, float], Weights]:
    """Store the layers' matrices as one of `tools.zoo.packing`'s formats does."""

    def packed(parent: Weights, _amount: float) -> Weights:
        out: Weights = {}
        for name, value in parent.items():
            if value.dim() != 2 or ".layers." not in name:
                out[name] = value
                continue
            made = pack(name.removesuffix(".weight"), value.float().numpy())
            out |= {key: torch.from_numpy(array) for key, array in made.items()}
        return out

    return packed


CHANGES: dict[str, Change] = {
    "noise": noise,
    "prune": prune,
    "int8": rounded(8, 10**6),
    "int8_packed": packed_by(packing.compressed_int8),
    "gptq_packed": packed_by(packing.gptq),  # four bits, groups of 16
    "int4": rounded(4, 16),
}
