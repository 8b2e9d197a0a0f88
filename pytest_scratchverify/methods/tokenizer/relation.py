"""Classification of a pair of vocabularies into six relations, by frozen thresholds.

Their file is built by ``python -m tools.calibrate.tokenizer`` from real pairs of known truth
(suites/calibration/tokenizer.json). No threshold is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pytest_scratchverify.core.evidence import Relation
from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
from pytest_scratchverify.stats.tokenizer.rank_order import concordance_pvalue, detectable_share
from pytest_scratchverify.tokenizer.compare import Comparison, Order, Residual


class Way(StrEnum):
    """Which of two related vocabularies holds the other. It does not say which is older."""

    A_HOLDS_B = "suspect_holds_reference"
    B_HOLDS_A = "reference_holds_suspect"
    BOTH = "each_holds_the_other"
    NEITHER = "neither_holds_the_other"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One pair's relation and what it rests on.

    `pvalue` is that of *learnt apart* (binomial test of neighbours); `detectable` the
    inherited share that would have been found nine times in ten; `via` a known ancestor
    that explains all common order; `unpublished` says that dates alone keep this from being an
    inheritance.
    """

    relation: Relation
    way: Way
    pvalue: float | None
    inherited: float | None
    detectable: float | None
    via: str | None = None
    unpublished: bool = False


def judge(
    pair: Comparison, thresholds: TokenizerThresholds, residuals: Sequence[Residual] = ()
) -> Judgement:
    """Decide what two vocabularies are to each other, by their order.

    Whether what one holds of the other was taken from it, or learnt again from the same text, no
    order says: see `without_publication`.

    `residuals` are what they share beyond ancestors that the catalogue knows to be in both.
    """
    pvalue, inherited, detectable = _evidence(pair.order, thresholds)
    if pair.identical and pair.size_a:
        return Judgement(Relation.SAME, Way.BOTH, pvalue, 1.0, detectable)
    relation = _related(pair, thresholds) if _common_order(pair.order, thresholds) else None
    if relation is None:
        relation = _unrelated(pair.order, thresholds)
        return Judgement(relation, Way.NEITHER, pvalue, inherited, detectable)
    via = _explained(residuals, thresholds) if relation is not Relation.SAME else None
    if via is not None:
        relation = Relation.SHARED_ANCESTRY
    return Judgement(relation, _way(pair, thresholds), pvalue, inherited, detectable, via)


def without_publication(found: Judgement) -> Judgement:
    """Return what may be said where neither vocabulary is known to be the older, published one.

    Two trainings on one public corpus give one order, and the larger vocabulary then holds the
    smaller as an extension does. So a common order is a common origin: the same text, or a copy.
    """
    if not found.relation.inherits:
        return found
    return replace(found, relation=Relation.SHARED_ANCESTRY, unpublished=True)


def replications(order: Order, thresholds: TokenizerThresholds) -> int:
    """Count the disjoint halves of the shared tokens that show the common order by themselves.

    At least 1: the finding on all tokens is there in any case.
    """
    found = [
        concordance_pvalue(half, thresholds.chance) < thresholds.alpha for half in order.halves
    ]
    return max(1, sum(found))


def is_independent(order: Order, thresholds: TokenizerThresholds) -> bool:
    """Whether an order shows no inheritance although the test could have seen one."""
    return _unrelated(order, thresholds) is Relation.INDEPENDENT and not _common_order(
        order, thresholds
    )


def _evidence(
    order: Order, thresholds: TokenizerThresholds
) -> tuple[float | None, float | None, float | None]:
    if order.neighbours is None:
        return None, None, None
    return (
        concordance_pvalue(order.neighbours, thresholds.chance),
        order.neighbours.inherited,
        detectable_share(order.neighbours.n, thresholds.chance, thresholds.alpha),
    )


def _common_order(order: Order, thresholds: TokenizerThresholds) -> bool:
    """Both a p-value and an effect: the order cannot be chance, and much of it is common."""
    pvalue, inherited, _ = _evidence(order, thresholds)
    if pvalue is None or inherited is None:
        return False
    return pvalue < thresholds.alpha and inherited >= thresholds.inherited


def _unrelated(order: Order, thresholds: TokenizerThresholds) -> Relation:
    pvalue, _, detectable = _evidence(order, thresholds)
    if pvalue is None or detectable is None or detectable > thresholds.detectable:
        return Relation.INCONCLUSIVE  # too few shared tokens to see anything
    if pvalue < thresholds.alpha or (order.kendall or 0.0) > thresholds.kendall_independent:
        return Relation.INCONCLUSIVE  # more alike than any pair known to be independent
    return Relation.INDEPENDENT


def _related(pair: Comparison, thresholds: TokenizerThresholds) -> Relation:
    inherited = pair.order.neighbours.inherited if pair.order.neighbours else 0.0
    smaller = min(pair.containment_a, pair.containment_b)
    if inherited < thresholds.same_inherited and smaller >= thresholds.derived_containment:
        # Nearly the same tokens, but neighbours were put in order anew: learnt again from
        # (almost) the same text. That is a common origin, not a copy.
        return Relation.SHARED_ANCESTRY
    if smaller >= thresholds.same_containment:
        return Relation.SAME
    if inherited < thresholds.held_inherited:
        return Relation.SHARED_ANCESTRY  # held, and in another order than a copy's
    if pair.containment >= thresholds.extends_containment and pair.size_a != pair.size_b:
        return Relation.EXTENDS
    if pair.containment >= thresholds.derived_containment:
        return Relation.DERIVED
    return Relation.SHARED_ANCESTRY


def _explained(residuals: Sequence[Residual], thresholds: TokenizerThresholds) -> str | None:
    """The first ancestor without which nothing of the common order is left."""
    return next((r.ancestor for r in residuals if is_independent(r.order, thresholds)), None)


def _way(pair: Comparison, thresholds: TokenizerThresholds) -> Way:
    a_held = pair.containment_a >= thresholds.derived_containment
    b_held = pair.containment_b >= thresholds.derived_containment
    if (
        a_held
        and b_held
        and min(pair.containment_a, pair.containment_b) < thresholds.same_containment
    ):
        # Each holds nearly all of the other: the one with the surplus holds the other.
        a_held, b_held = pair.size_a <= pair.size_b, pair.size_a >= pair.size_b
    if a_held and b_held:
        return Way.BOTH
    if b_held:
        return Way.A_HOLDS_B
    return Way.B_HOLDS_A if a_held else Way.NEITHER


@dataclass(frozen=True, slots=True)
class PublishedOrder:
    """Published order statistics of a pair: tau, LIS share, and the size of the sample."""

    kendall: float | None = None
    ordered_share: float | None = None
    shared: int | None = None


def relation_of_figures(figures: PublishedOrder, thresholds: TokenizerThresholds) -> Relation:
    """What published order statistics support; overlap and sizes alone support nothing.

    Without the files neighbours cannot be tested, so two coarser numbers must agree: tau
    and the longest ordered share, against the population of known pairs. `ordered_share`
    is one of a whole vocabulary.
    """
    tau, share = figures.kendall, figures.ordered_share
    if tau is None:
        return Relation.INCONCLUSIVE
    if tau >= thresholds.kendall_related and share is not None:
        related = share >= thresholds.ordered_share_related
        return Relation.DERIVED if related else Relation.INCONCLUSIVE
    margin = 0.0
    if figures.shared is not None and figures.shared > 4:
        # Fieller, Hartley and Pearson 1957: standard error of Fisher's z of Kendall's tau.
        margin = 1.96 * (0.437 / (figures.shared - 4)) ** 0.5
    apart = tau + margin <= thresholds.kendall_independent
    if apart and (share is None or share <= thresholds.ordered_share_independent):
        return Relation.INDEPENDENT
    return Relation.INCONCLUSIVE
