"""Find the tensors that are the same numbers, however they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.centring import is_degenerate

Array = NDArray[np.float32]
Key = TypeVar("Key")

SMALLEST = 1024  # elements; smaller tensors may agree by construction


@dataclass(frozen=True, slots=True)
class TensorIdentity:
    """Matrices that are equal number by number.

    `statistic` counts them, `effect` is their share of the compared elements. A coincidence
    has no chance to speak of: the p-value is that of a hash collision.
    """

    statistic: int
    n: int
    effect: float
    names: tuple[str, ...]
    pvalue: float
    minimum_detectable_effect: float
    null: str = "equal sha256 of different tensors: chance 2^-256 (exact)"


def tensor_digest(values: Array) -> str:
    """Return the sha256 of the numbers as float32, so that BF16 and F32 copies are equal."""
    return hashlib.sha256(np.ascontiguousarray(values + np.float32(0)).tobytes()).hexdigest()


def tensor_identity(ours: Mapping[Key, Array], theirs: Mapping[Key, Array]) -> TensorIdentity:
    """Compare matrices of the same keys by digest; degenerate and small ones do not count.

    Notes
    -----
    Equal constants are no evidence: masks, frequencies, zeroed or unit tensors, fixed bases
    computed by formula. Those that are degenerate are left out here; a fixed basis that is
    not must be kept out by its role, and a caller must not rest a verdict on one tensor of
    many.
    """
    same: list[str] = []
    equal = total = count = 0
    for key in sorted(ours.keys() & theirs.keys(), key=str):
        left, right = ours[key], theirs[key]
        if left.size < SMALLEST or left.shape != right.shape or is_degenerate(left):
            continue
        count += 1
        total += left.size
        if left.ravel()[0] == right.ravel()[0] and tensor_digest(left) == tensor_digest(right):
            same.append(str(key))
            equal += left.size
    return TensorIdentity(
        statistic=len(same),
        n=count,
        effect=equal / total if total else 0.0,
        names=tuple(same),
        pvalue=2.0**-256 if same else 1.0,
        minimum_detectable_effect=1 / count if count else 1.0,
    )
