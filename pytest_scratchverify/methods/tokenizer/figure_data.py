"""What the tokenizer tests leave for figures: at which rank either vocabulary has a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pytest_scratchverify.core.figure import FigureData


@dataclass(frozen=True, slots=True)
class RankScatter(FigureData):
    """Ranks of a random sample of shared tokens in either vocabulary.

    `in_order` is the share of neighbours in the reference that stand in the same order here.
    """

    kind: ClassVar[str] = "rank_scatter"

    ours: tuple[int, ...]
    theirs: tuple[int, ...]
    in_order: float
