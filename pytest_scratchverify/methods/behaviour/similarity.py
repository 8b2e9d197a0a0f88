"""One pair against unrelated models: the test that agreement, style and phrasing share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Control, Null, Power
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.stats.behaviour.round_robin import Excess, Float

Planted = Callable[[], "Float"]  # the likenesses, had the model taken half its answers over
NEEDED = 3  # unrelated models
NULL = Text(
    "Round robin: what is left of a pair's likeness after both models' general likeness, against"
    " the same of the pairs of unrelated models (t)"
)


@dataclass(frozen=True)
class Tournament:
    """Likenesses of m models, the tested one first and its reference second.

    `planted` gives the likenesses had the model taken half of its answers from the reference;
    `perfect` is the likeness of equal answers; `least` the excess below which nothing is called
    special; `family` the number of references that the model is tested against.
    """

    names: Sequence[str]
    likeness: Float
    planted: Planted
    perfect: float
    least: float
    family: int


@dataclass(frozen=True)
class Judged:
    """A pair's excess likeness with its controls and its power. p is adjusted for the family."""

    excess: Excess
    pvalue: float
    controls: tuple[Control, ...]
    power: Power
    detectable: float | None

    @property
    def sound(self) -> bool:
        """Whether the controls of known truth came out as they must."""
        return all(control.passed for control in self.controls)


def judge_pair(cup: Tournament, limits: BehaviourThresholds) -> Judged | None:
    """Test models 0 and 1 against the rest.

    None where there are fewer than three unrelated models, or a pair without a likeness.
    """
    from pytest_scratchverify.stats.behaviour.round_robin import excess  # noqa: PLC0415

    found = excess(cup.likeness, 0, 1)
    if found is None:
        return None
    alpha = limits.alpha

    def is_special(one: Excess | None, chances: int) -> bool:
        return one is not None and one.pvalue * chances < alpha and one.effect >= cup.least

    with_half = excess(cup.planted(), 0, 1)
    positive = Control(
        kind="positive",
        pair=(f"{cup.names[0]} + 50 % {cup.names[1]}", cup.names[1]),
        passed=is_special(with_half, cup.family),
        value=with_half.effect if with_half else None,
    )
    detectable = _detectable(cup, alpha / cup.family)
    return Judged(
        excess=found,
        pvalue=min(1.0, found.pvalue * cup.family),
        controls=(positive, _strangers(cup, is_special)),
        power=Power(
            minimum_detectable_effect=detectable,
            power=0.9 if detectable is not None else None,
            description=Text("The share of answers taken over that is found nine times in ten"),
        ),
        detectable=detectable,
    )


def _strangers(cup: Tournament, is_special: Callable[[Excess | None, int], bool]) -> Control:
    """Test every pair without the reference as if it were the suspect: none may be special."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.behaviour.round_robin import excess  # noqa: PLC0415

    names = cup.names
    kept = np.array([0, *range(2, len(names))])
    rest = cup.likeness[np.ix_(kept, kept)]
    pairs = list(combinations(range(len(kept)), 2))
    found = [(excess(rest, i, j, fewest=4), i, j) for i, j in pairs]
    worst, i, j = min(found, key=lambda row: row[0].pvalue if row[0] else 1.0)
    return Control(
        kind="negative",
        pair=(names[kept[i]], names[kept[j]]),
        passed=None if worst is None else not is_special(worst, len(pairs)),
        value=worst.effect if worst else None,
    )


def _detectable(cup: Tournament, alpha: float) -> float | None:
    """The smallest of ten shares of answers taken over that is found nine times in ten."""
    from scipy import stats  # noqa: PLC0415 - 1 s that a plain collection need not pay

    from pytest_scratchverify.stats.behaviour.round_robin import diluted, excess  # noqa: PLC0415

    for tenth in range(1, 11):
        found = excess(diluted(cup.likeness, 0, 1, tenth / 10, cup.perfect), 0, 1)
        if found is None:
            return None
        noise = float(stats.norm.ppf(0.9))
        if found.statistic > stats.t.isf(alpha, found.df) + noise and found.effect >= cup.least:
            return tenth / 10
    return None


def null(models: int) -> Null:
    """Return the null with the number of pairs it was estimated from."""
    return Null(kind="reference_population", description=NULL, draws=models * (models - 1) // 2 - 1)


def numbers(judged: Judged) -> dict[str, object]:
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
