"""Tensor identity: which tensors are the same numbers, however they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.centring import is_degenerate

Array = NDArray[np.float32]
Key = TypeVar("Key")

TRAINED_IN = (np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16))
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


def is_rounding_of(coarse: Array, fine: Array) -> bool:
    """Whether one matrix is the other, stored in fewer bits: rounded to BF16 or F16.

    Parameters
    ----------
    coarse, fine
        Two matrices of one shape as float32. Equal ones are no rounding of each other, and a
        matrix of fewer than 1,024 elements is not judged.

    Notes
    -----
    Rounding is to nearest even, as IEEE 754 and every framework do; F16 flushes or rounds what
    BF16 can store below 6e-5. Equality of thousands of rounded weights has no chance to speak of.
    """
    if fine.size < SMALLEST or fine.shape != coarse.shape:
        return False
    with np.errstate(over="ignore"):  # one row first: of strangers it is all that is looked at
        likely = [t for t in TRAINED_IN if _rounded_equal(fine[:1], coarse[:1], t)]
        return any(_rounded_equal(fine, coarse, t) for t in likely) and not np.array_equal(
            fine, coarse
        )


def _rounded_equal(fine: Array, coarse: Array, dtype: np.dtype[np.generic]) -> bool:
    return bool(np.array_equal(fine.astype(dtype).astype(np.float32), coarse))


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
