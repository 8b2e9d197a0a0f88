"""Round-robin test of one pair's similarity against unrelated models.

Agreement, style and phrasing measure different similarities and share this test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Control, Null, Power
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.stats.behaviour.round_robin import Excess, Float

Planted = Callable[[], "Float"]  # the similarities, had the model taken half its answers over
NULL = Text(
    "Round robin: what is left of a pair's likeness after both models' general likeness, against"
    " the same of the pairs of unrelated models (t)"
)
TOO_FEW_SHARED = Text("the models have too few answered probes in common")


class PairSimilarity(StrEnum):
    """What a pair's similarity is beside that of unrelated models."""

    CONCENTRATED = "concentrated"  # two probes make most of it
    CONTROL_FAILED = "control failed"
    OTHER_KIND = "other kind"  # the unrelated models are of another kind than the pair
    MANNER = "manner"  # as much is equal where the probes are not
    SPECIAL = "special"  # significant, and as large as a descendant's
    ELEVATED = "elevated"  # significant, and smaller
    UNDERPOWERED = "underpowered"  # a descendant would not have been found
    EXPECTED = "expected"


@dataclass(frozen=True)
class RoundRobin:
    """Similarities of m models, the tested one first and its reference second.

    `similarity` has shape (m, m). `planted` gives it had the model taken half of its answers from
    the reference; `perfect` is the similarity of equal answers; `least` the excess below which
    nothing is called special; `family` the number of references that the model is tested against.
    """

    names: Sequence[str]
    similarity: Float
    planted: Planted
    perfect: float
    least: float
    family: int


@dataclass(frozen=True)
class Judged:
    """A pair's excess similarity with controls and power. p is adjusted for the family."""

    excess: Excess
    pvalue: float
    controls: tuple[Control, ...]
    power: Power
    detectable: float | None

    @property
    def failed(self) -> Control | None:
        """Return the first control of known truth that did not come out as it must."""
        return next((control for control in self.controls if not control.passed), None)


def judge_pair(robin: RoundRobin, alpha: float) -> Judged | None:
    """Test models 0 and 1 against the rest.

    None where there are fewer than three unrelated models, or a pair without a similarity.
    """
    from pytest_scratchverify.stats.behaviour.round_robin import excess  # noqa: PLC0415

    found = excess(robin.similarity, 0, 1)
    if found is None:
        return None

    def is_special(one: Excess | None, chances: int) -> bool:
        return one is not None and one.pvalue * chances < alpha and one.effect >= robin.least

    with_half = excess(robin.planted(), 0, 1)
    positive = Control(
        kind="positive",
        pair=(f"{robin.names[0]} + 50 % {robin.names[1]}", robin.names[1]),
        passed=is_special(with_half, robin.family),
        value=with_half.effect if with_half else None,
    )
    detectable = _detectable(robin, alpha / robin.family)
    return Judged(
        excess=found,
        pvalue=min(1.0, found.pvalue * robin.family),
        controls=(positive, _negative_control(robin, is_special)),
        power=Power(
            minimum_detectable_effect=detectable,
            power=0.9 if detectable is not None else None,
            description=Text("The share of answers taken over that is found nine times in ten"),
        ),
        detectable=detectable,
    )


def kind_of(
    judged: Judged, robin: RoundRobin, manner: Float, thresholds: BehaviourThresholds
) -> PairSimilarity:
    """Return what a judged pair's similarity is.

    `manner`, shape (m, m), is the similarity that the models have at different probes: what it or
    the controls' kind explains is no special one.
    """
    if judged.failed is not None:
        return PairSimilarity.CONTROL_FAILED
    if judged.pvalue < thresholds.alpha:
        large = judged.excess.effect >= robin.least
        found = PairSimilarity.SPECIAL if large else PairSimilarity.ELEVATED
        return _explained(found, robin, manner, thresholds.alpha)
    if judged.detectable is None or judged.detectable > thresholds.power_share:
        return PairSimilarity.UNDERPOWERED
    return PairSimilarity.EXPECTED


def _explained(
    found: PairSimilarity, robin: RoundRobin, manner: Float, alpha: float
) -> PairSimilarity:
    """Return what a large similarity is that the controls' kind or set phrases explain."""
    from pytest_scratchverify.stats.behaviour.round_robin import (  # noqa: PLC0415
        excess,
        stands_apart,
    )

    if stands_apart(robin.similarity):
        return PairSimilarity.OTHER_KIND
    beyond = excess(robin.similarity - manner, 0, 1)
    if beyond is None or beyond.pvalue * robin.family >= alpha:
        return PairSimilarity.MANNER
    if found is PairSimilarity.SPECIAL and beyond.effect < robin.least:
        return PairSimilarity.MANNER
    return found


def _negative_control(
    robin: RoundRobin, is_special: Callable[[Excess | None, int], bool]
) -> Control:
    """Test every pair without the reference as if it were the suspect: none may be special."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.behaviour.round_robin import excess  # noqa: PLC0415

    names = robin.names
    rows = np.array([0, *range(2, len(names))])
    rest = robin.similarity[np.ix_(rows, rows)]
    pairs = list(combinations(range(len(rows)), 2))
    found = [(excess(rest, i, j, fewest=4), i, j) for i, j in pairs]
    worst, i, j = min(found, key=lambda row: row[0].pvalue if row[0] else 1.0)
    return Control(
        kind="negative",
        pair=(names[rows[i]], names[rows[j]]),
        passed=None if worst is None else not is_special(worst, len(pairs)),
        value=worst.effect if worst else None,
    )


def _detectable(robin: RoundRobin, alpha: float) -> float | None:
    """The smallest of ten shares of answers taken over that is found nine times in ten."""
    from scipy import stats  # noqa: PLC0415 - 1 s that a plain collection need not pay

    from pytest_scratchverify.stats.behaviour.round_robin import diluted, excess  # noqa: PLC0415

    for tenth in range(1, 11):
        found = excess(diluted(robin.similarity, 0, 1, tenth / 10, robin.perfect), 0, 1)
        if found is None:
            return None
        noise = float(stats.norm.ppf(0.9))
        if found.statistic > stats.t.isf(alpha, found.df) + noise and found.effect >= robin.least:
            return tenth / 10
    return None


def null(models: int) -> Null:
    """Return the null with the number of pairs it was estimated from."""
    return Null(kind="reference_population", description=NULL, draws=models * (models - 1) // 2 - 1)


def details(judged: Judged) -> dict[str, Json]:
    """Return the details that every such finding shows."""
    found = judged.excess
    return {
        "expected": found.expected,
        "spread": found.spread,
        "t": found.statistic,
        "df": found.df,
        "p_unadjusted": found.pvalue,
        "exact_rank_p": found.exact,
        "exact_floor": found.floor,
    }
