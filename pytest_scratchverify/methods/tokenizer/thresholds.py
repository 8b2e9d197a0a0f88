"""Decision thresholds of the tokenizer method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_scratchverify.methods.thresholds import Thresholds


@dataclass(frozen=True, kw_only=True)
class TokenizerThresholds(Thresholds):
    """Read from suites/calibration/tokenizer.json, which tools/calibrate/tokenizer.py writes.

    `independent` and `related` are the pairs of known truth that the thresholds were taken from,
    one mapping a pair; what each number means stands in docs/methods/tokenizer.md.
    """

    method: ClassVar[str] = "tokenizer"

    chance: float  # concordance allowed to neighbours of independent vocabularies
    alpha: float  # p-value below which independence is given up
    inherited: float  # inherited share from which the order is called common
    kendall_independent: float  # tau up to which unrelated frequency orders reach
    detectable: float  # the test must be able to see an inherited share of this size
    same_containment: float  # both ways, for one vocabulary
    same_inherited: float
    extends_containment: float
    derived_containment: float
    held_inherited: float  # below it, what one vocabulary holds of the other was learnt again
    ordered_share_related: float  # published figures only: no neighbours are published
    ordered_share_independent: float
    kendall_related: float
    independent: Sequence[Mapping[str, Any]]
    related: Sequence[Mapping[str, Any]]
    error_rates: Mapping[str, Any]

    @classmethod
    def fields_of(cls, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the file's thresholds, with the known pairs by truth and the error rates."""
        pairs = [dict(zip(data["columns"], row, strict=True)) for row in data["pairs"]]
        return {
            **data["thresholds"],
            "independent": [pair for pair in pairs if pair["truth"] == "independent"],
            "related": [pair for pair in pairs if pair["truth"] == "related"],
            "error_rates": data["error_rates"],
        }

    def containment_share(self, ratio: float, containment: float) -> tuple[int, int]:
        """Of the independent pairs of a like size ratio, how many overlap as much.

        `ratio` is the larger size over the smaller; pairs within a factor of 1.5 count.
        """
        alike = [p for p in self.independent if 1 / 1.5 <= p["ratio"] / ratio <= 1.5]
        return sum(p["containment"] >= containment for p in alike), len(alike)
