"""Headlines of judged pairs of vocabularies, and how a relation becomes an outcome.

Each headline ends with what it does not mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Direction, Null, Outcome, Statistic
from pytest_scratchverify.core.text import Text

if TYPE_CHECKING:
    from pytest_scratchverify.methods.tokenizer.relation import Judgement
    from pytest_scratchverify.tokenizer.compare import Comparison

HYPOTHESIS = Text("The vocabulary was learnt from other text than the reference's.")
TINY = 1e-300  # below it a float is 0, and no test has a p-value of 0


class PairRelation(StrEnum):
    """What a headline says of a pair: its relation, by how much and through whom."""

    SAME = "same"
    NEARLY_SAME = "same, but for a few tokens"
    SUSPECT_EXTENDS = "extends, the suspect holds the reference"
    REFERENCE_EXTENDS = "extends, the reference holds the suspect"
    DERIVED = "derived"
    ONE_TEXT = "shared ancestry, one text or a copy"
    UNKNOWN_ANCESTRY = "shared ancestry, nothing known explains it"
    KNOWN_ANCESTRY = "shared ancestry, through a catalogued vocabulary"
    INDEPENDENT = "independent"
    INCONCLUSIVE = "inconclusive"


HEADLINES: Mapping[PairRelation, str] = {
    PairRelation.SAME: "The vocabulary is the one of {reference}, token for token and in its order:"
    " a copy, or the same training on the same text. A shared tokenizer says nothing about the"
    " weights.",
    PairRelation.NEARLY_SAME: "The vocabulary is the one of {reference}, in its order, but for"
    " {own} tokens of its own and {others} of the reference's. A shared tokenizer says nothing"
    " about the weights.",
    PairRelation.SUSPECT_EXTENDS: "The vocabulary holds all of {reference} in its order and"
    " adds {own} tokens. A shared tokenizer says nothing about the weights.",
    PairRelation.REFERENCE_EXTENDS: "{reference} holds all of this vocabulary in its order and"
    " adds {others} tokens; the release dates say which came first."
    " A shared tokenizer says nothing about the weights.",
    PairRelation.DERIVED: "{percent} % of the smaller vocabulary is shared with {reference} in a"
    " common order, so one was made from the other or both from a third; the release dates say"
    " which came first. A shared tokenizer says nothing about the weights.",
    PairRelation.ONE_TEXT: "{percent} % of the smaller vocabulary is shared with {reference} in a"
    " common order: both were learnt from the same text, or one is a copy of the other, which is"
    " not told apart. A shared tokenizer says nothing about the weights.",
    PairRelation.UNKNOWN_ANCESTRY: "{percent} % of the smaller vocabulary is shared with"
    " {reference}, partly in a common order, and no catalogued ancestor explains it."
    " A shared tokenizer says nothing about the weights.",
    PairRelation.KNOWN_ANCESTRY: "What is shared with {reference} in a common order is the"
    " vocabulary of {ancestor}, and nothing beyond it."
    " A shared tokenizer says nothing about the weights.",
    PairRelation.INDEPENDENT: "Shared tokens ({percent} % of the smaller vocabulary) stand in an"
    " order of their own: no inheritance from {reference} was found. An independent tokenizer says"
    " nothing about the weights.",
    PairRelation.INCONCLUSIVE: "The order of {n} tokens shared with {reference} does not decide"
    " whether the vocabularies have a common origin. Either way it says nothing about the weights.",
}


def pair_relation(pair: Comparison, verdict: Judgement) -> PairRelation:
    """Return which headline a judged pair gets."""
    match verdict.relation.value:
        case "same":
            return PairRelation.SAME if pair.identical else PairRelation.NEARLY_SAME
        case "extends":
            held = verdict.way.value == "reference_holds_suspect"
            return PairRelation.REFERENCE_EXTENDS if held else PairRelation.SUSPECT_EXTENDS
        case "shared_ancestry":
            if verdict.via is not None:
                return PairRelation.KNOWN_ANCESTRY
            held = verdict.way.value != "neither_holds_the_other"
            return PairRelation.ONE_TEXT if held else PairRelation.UNKNOWN_ANCESTRY
        case simple:
            return PairRelation(simple)


def headline(pair: Comparison, verdict: Judgement) -> Text:
    """Say the relation of one pair."""
    return Text.filled(
        HEADLINES[pair_relation(pair, verdict)],
        {
            "reference": pair.b,
            "ancestor": verdict.via,
            "percent": round(100 * pair.containment, 1),
            "own": max(0, round(pair.size_a - pair.shared)),
            "others": max(0, round(pair.size_b - pair.shared)),
            "n": pair.order.n,
        },
    )


def outcome(
    verdict: Judgement, *, declared: bool, reference_is_older: bool | None = None
) -> Outcome:
    """Turn a relation into what the verdict is folded from.

    A reference that holds the whole suspect and more may be the suspect's own descendant:
    without dates that accuses nobody, and a younger reference is nobody's ancestor. A part
    shared through a known ancestor is no inheritance from *this* reference: the ancestor
    itself is accused by the comparison with it, and by the nearest-ancestor search.
    """
    if verdict.relation.inherits:
        if declared:
            return Outcome.DECLARED
        if reference_is_older is False:
            return Outcome.CONSISTENT
        held = verdict.way.value == "reference_holds_suspect"
        undated = held and reference_is_older is None
        return Outcome.INDETERMINATE if undated else Outcome.DERIVED
    if verdict.relation.value == "independent" or verdict.via is not None:
        return Outcome.CONSISTENT
    return Outcome.INDETERMINATE


def direction(found: Outcome, verdict: Judgement) -> Direction:
    """Which way a pair points; a grey pair and a shared ancestor point nowhere."""
    if found in (Outcome.DERIVED, Outcome.DECLARED):
        return Direction.TOWARD_REUSE
    independent = verdict.relation.value == "independent"
    return Direction.TOWARD_INDEPENDENCE if independent else Direction.NONE


def null(chance: float) -> Null:
    """The null of `concordance_pvalue` in words."""
    return Null(
        kind="exact",
        description=Text(
            "Neighbouring tokens of vocabularies learnt from different text stand in the same"
            " order with a chance of at most {chance}, the highest of all pairs known to be"
            " independent (binomial test on disjoint pairs, conservative). It does not exclude"
            " two trainings on one text, nor says who copied whom",
            chance=chance,
        ),
    )


def concordance(pair: Comparison) -> Statistic | None:
    """The neighbours' concordance as a statistic with its interval."""
    order = pair.order.neighbours
    if order is None:
        return None
    return Statistic(
        name="neighbour_concordance",
        value=order.concordance,
        n=order.n,
        low=order.low,
        high=order.high,
    )


def inherited(pair: Comparison) -> Statistic | None:
    """The share of shared tokens whose order is common, as the effect."""
    order = pair.order.neighbours
    if order is None:
        return None
    low, high = (max(0.0, 2 * bound - 1) for bound in (order.low, order.high))
    return Statistic(
        name="inherited_order_share", value=order.inherited, n=order.n, low=low, high=high
    )


def floor(pvalue: float | None) -> float | None:
    """Keep a p-value off zero, which no finite sample can give."""
    return None if pvalue is None else max(pvalue, TINY)
