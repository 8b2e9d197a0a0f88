"""Equal numbers of one component of two models, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pytest_scratchverify.methods.weights.neurons import Batch
from pytest_scratchverify.stats.weights.tensor_identity import (
    TensorIdentity,
    is_rounding_of,
    tensor_identity,
)


@dataclass(slots=True)
class EqualNumbers:
    """Accumulates which matrices are number for number the other model's, or a rounding of them."""

    _found: list[TensorIdentity] = field(default_factory=list)
    _rounded: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, matrices: Batch) -> None:
        """Take in the matrices of one batch."""
        ours = {piece: pair[0] for piece, pair in matrices.items()}
        theirs = {piece: pair[1] for piece, pair in matrices.items()}
        self._found.append(tensor_identity(ours, theirs))
        for left, right in matrices.values():
            self._rounded[0] += is_rounding_of(left, right)
            self._rounded[1] += is_rounding_of(right, left)

    def join(self, other: EqualNumbers) -> None:
        """Take in batches that were looked at elsewhere, after these."""
        self._found += other._found
        self._rounded = [a + b for a, b in zip(self._rounded, other._rounded, strict=True)]

    @property
    def rounded(self) -> tuple[int, int]:
        """How many matrices are the other model's in fewer bits: ours of theirs, theirs of ours."""
        return self._rounded[0], self._rounded[1]

    @property
    def identity(self) -> TensorIdentity:
        """What was equal over all batches."""
        found = self._found
        count = sum(item.n for item in found)
        hits = sum(item.statistic for item in found)
        weights = [item.n for item in found]
        effect = float(np.average([i.effect for i in found], weights=weights)) if count else 0.0
        return TensorIdentity(
            statistic=hits,
            n=count,
            effect=effect,
            names=tuple(name for item in found for name in item.names),
            pvalue=2.0**-256 if hits else 1.0,
            minimum_detectable_effect=1 / count if count else 1.0,
        )
