"""From numbers to one of six words, by thresholds that come from a frozen file.

The file is built by ``python -m tools.calibrate.tokenizer`` from real pairs of known truth
(suites/calibration/tokenizer.json). No threshold is written here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Relation
from pytest_scratchverify.stats.tokenizer.rank_order import concordance_pvalue, detectable_share
from pytest_scratchverify.tokenizer.compare import Comparison, Order, Residual

SCHEMA = "scratchverify/tokenizer-calibration/1"


class Way(StrEnum):
    """Which of two related vocabularies holds the other. It does not say which is older."""

    A_HOLDS_B = "suspect_holds_reference"
    B_HOLDS_A = "reference_holds_suspect"
    BOTH = "each_holds_the_other"
    NEITHER = "neither_holds_the_other"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every number that a decision rests on; meanings in docs/methods/tokenizer.md."""

    chance: float  # concordance allowed to neighbours of independent vocabularies
    alpha: float  # p-value below which independence is given up
    inherited: float  # inherited share from which the order is called common
    kendall_independent: float  # tau up to which unrelated frequency orders reach
    detectable: float  # the test must be able to see an inherited share of this size
    same_containment: float  # both ways, for one vocabulary
    same_inherited: float
    extends_containment: float
    derived_containment: float
    ordered_share_related: float  # published figures only: no neighbours are published
    ordered_share_independent: float
    kendall_related: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds, and the populations of known pairs that they were taken from."""

    thresholds: Thresholds
    independent: Sequence[Mapping[str, Any]]
    related: Sequence[Mapping[str, Any]]
    error_rates: Mapping[str, Any]
    built_from: Mapping[str, Any]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Calibration:
        """Take thresholds and pairs from a parsed file. Raises `ScratchError`."""
        try:
            if data["schema"] != SCHEMA:
                raise ScratchError(f"The calibration has schema {data['schema']!r}, not {SCHEMA}.")
            names = [field.name for field in fields(Thresholds)]
            limits = Thresholds(**{name: float(data["thresholds"][name]) for name in names})
            pairs = [dict(zip(data["columns"], row, strict=True)) for row in data["pairs"]]
            return cls(
                thresholds=limits,
                independent=[p for p in pairs if p["truth"] == "independent"],
                related=[p for p in pairs if p["truth"] == "related"],
                error_rates=data["error_rates"],
                built_from=data["built_from"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ScratchError(
                f"This is no tokenizer calibration ({error!r}); "
                "build one with tools/calibrate/tokenizer.py."
            ) from error

    def containment_share(self, ratio: float, containment: float) -> tuple[int, int]:
        """Of the independent pairs of a like size ratio, how many overlap as much.

        `ratio` is the larger size over the smaller; pairs within a factor of 1.5 count.
        """
        alike = [p for p in self.independent if 1 / 1.5 <= p["ratio"] / ratio <= 1.5]
        return sum(p["containment"] >= containment for p in alike), len(alike)


@dataclass(frozen=True, slots=True)
class Judgement:
    """One pair's relation and what it rests on.

    `pvalue` is that of *learnt apart* (binomial test of neighbours); `detectable` the
    inherited share that would have been found nine times in ten; `via` a known ancestor
    that explains all common order.
    """

    relation: Relation
    way: Way
    pvalue: float | None
    inherited: float | None
    detectable: float | None
    via: str | None = None


def load_calibration(path: Path) -> Calibration:
    """Read a calibration file. Raises `ScratchError` for one that is not ours."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ScratchError(f"The calibration {path} cannot be read ({error}).") from error
    return Calibration.from_json(data)


def judge(
    pair: Comparison, calibration: Calibration, residuals: Sequence[Residual] = ()
) -> Judgement:
    """Decide what two vocabularies are to each other.

    `residuals` are what they share beyond ancestors that the catalogue knows to be in both.
    """
    limits = calibration.thresholds
    pvalue, inherited, detectable = _evidence(pair.order, limits)
    if pair.identical and pair.size_a:
        return Judgement(Relation.SAME, Way.BOTH, pvalue, 1.0, detectable)
    relation = _related(pair, limits) if _common_order(pair.order, limits) else None
    if relation is None:
        relation = _unrelated(pair.order, limits)
        return Judgement(relation, Way.NEITHER, pvalue, inherited, detectable)
    via = _explained(residuals, limits) if relation is not Relation.SAME else None
    if via is not None:
        relation = Relation.SHARED_ANCESTRY
    return Judgement(relation, _way(pair, limits), pvalue, inherited, detectable, via)


def replications(order: Order, calibration: Calibration) -> int:
    """Count the disjoint halves of the shared tokens that show the common order by themselves.

    At least 1: the finding on all tokens is there in any case.
    """
    limits = calibration.thresholds
    found = [concordance_pvalue(half, limits.chance) < limits.alpha for half in order.halves]
    return max(1, sum(found))


def is_independent(order: Order, limits: Thresholds) -> bool:
    """Whether an order shows no inheritance although the test could have seen one."""
    return _unrelated(order, limits) is Relation.INDEPENDENT and not _common_order(order, limits)


def _evidence(order: Order, limits: Thresholds) -> tuple[float | None, float | None, float | None]:
    if order.neighbours is None:
        return None, None, None
    return (
        concordance_pvalue(order.neighbours, limits.chance),
        order.neighbours.inherited,
        detectable_share(order.neighbours.n, limits.chance, limits.alpha),
    )


def _common_order(order: Order, limits: Thresholds) -> bool:
    """Both a p-value and an effect: the order cannot be chance, and much of it is common."""
    pvalue, inherited, _ = _evidence(order, limits)
    if pvalue is None or inherited is None:
        return False
    return pvalue < limits.alpha and inherited >= limits.inherited


def _unrelated(order: Order, limits: Thresholds) -> Relation:
    pvalue, _, detectable = _evidence(order, limits)
    if pvalue is None or detectable is None or detectable > limits.detectable:
        return Relation.INCONCLUSIVE  # too few shared tokens to see anything
    if pvalue < limits.alpha or (order.kendall or 0.0) > limits.kendall_independent:
        return Relation.INCONCLUSIVE  # more alike than any pair known to be independent
    return Relation.INDEPENDENT


def _related(pair: Comparison, limits: Thresholds) -> Relation:
    inherited = pair.order.neighbours.inherited if pair.order.neighbours else 0.0
    smaller = min(pair.containment_a, pair.containment_b)
    if inherited < limits.same_inherited and smaller >= limits.derived_containment:
        # Nearly the same tokens, but neighbours were put in order anew: learnt again from
        # (almost) the same text. That is a common origin, not a copy.
        return Relation.SHARED_ANCESTRY
    if smaller >= limits.same_containment:
        return Relation.SAME
    if pair.containment >= limits.extends_containment and pair.size_a != pair.size_b:
        return Relation.EXTENDS
    if pair.containment >= limits.derived_containment:
        return Relation.DERIVED
    return Relation.SHARED_ANCESTRY


def _explained(residuals: Sequence[Residual], limits: Thresholds) -> str | None:
    """The first ancestor without which nothing of the common order is left."""
    return next((r.ancestor for r in residuals if is_independent(r.order, limits)), None)


def _way(pair: Comparison, limits: Thresholds) -> Way:
    a_held = pair.containment_a >= limits.derived_containment
    b_held = pair.containment_b >= limits.derived_containment
    if a_held and b_held and min(pair.containment_a, pair.containment_b) < limits.same_containment:
        # Each holds nearly all of the other: the one with the surplus holds the other.
        a_held, b_held = pair.size_a <= pair.size_b, pair.size_a >= pair.size_b
    if a_held and b_held:
        return Way.BOTH
    if b_held:
        return Way.A_HOLDS_B
    return Way.B_HOLDS_A if a_held else Way.NEITHER


@dataclass(frozen=True, slots=True)
class Figures:
    """What somebody published about a pair: tau, LIS share, and the size of the sample."""

    kendall: float | None = None
    ordered_share: float | None = None
    shared: int | None = None


def relation_of_figures(figures: Figures, calibration: Calibration) -> Relation:
    """What published order statistics support; overlap and sizes alone support nothing.

    Without the files neighbours cannot be tested, so two coarser numbers must agree: tau
    and the longest ordered share, against the population of known pairs. `ordered_share`
    is one of a whole vocabulary.
    """
    limits = calibration.thresholds
    tau, share = figures.kendall, figures.ordered_share
    if tau is None:
        return Relation.INCONCLUSIVE
    if tau >= limits.kendall_related and share is not None:
        related = share >= limits.ordered_share_related
        return Relation.DERIVED if related else Relation.INCONCLUSIVE
    margin = 0.0
    if figures.shared is not None and figures.shared > 4:
        # Fieller, Hartley and Pearson 1957: standard error of Fisher's z of Kendall's tau.
        margin = 1.96 * (0.437 / (figures.shared - 4)) ** 0.5
    apart = tau + margin <= limits.kendall_independent
    if apart and (share is None or share <= limits.ordered_share_independent):
        return Relation.INDEPENDENT
    return Relation.INCONCLUSIVE
