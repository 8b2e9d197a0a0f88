"""Rank correlation and overlap of two vocabularies, as findings.

The order of neighbouring tokens decides; the overlap never does, because independent
vocabularies of different size overlap by up to 97.9 %.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    Control,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Power,
    Statistic,
)
from pytest_scratchverify.core.figure import Figure
from pytest_scratchverify.core.known_pairs import known_pairs
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.tokenizer import headlines as words
from pytest_scratchverify.methods.tokenizer.figure_data import RankScatter

# numpy comes with the tokenizer package: import it when a test runs, not when one is collected.
if TYPE_CHECKING:
    from pytest_scratchverify.core.json_values import Json
    from pytest_scratchverify.methods.tokenizer.relation import Judgement
    from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
    from pytest_scratchverify.tokenizer.compare import Comparison, Residual, Vocabulary

METHOD = "tokenizer.rank_order"
ENOUGH_PAIRS = 10
SCATTER = 400  # points of a figure

# Two shipped sketches whose relation is known for certain, and two that were learnt apart.
POSITIVE = ("llama3", "cl100k")
NEGATIVE = ("deepseek-v3", "llama3")


def rank_order(
    suspect: Vocabulary,
    reference: Vocabulary,
    thresholds: TokenizerThresholds,
    *,
    declared: bool = False,
    reference_is_older: bool | None = None,
) -> Finding:
    """Test whether two vocabularies were learnt independently, by the order of shared tokens.

    Neighbours in the reference's order are looked up in the suspect's. Both vocabularies may
    be files or sketches. `declared` says that the model's card states this very reuse;
    `reference_is_older` says what the release dates say, since no order of tokens does.
    """
    from pytest_scratchverify.methods.tokenizer.relation import replications  # noqa: PLC0415 - numpy

    pair, verdict = decide(suspect, reference, thresholds, dated=reference_is_older is not None)
    checks = controls(thresholds)
    sound = all(control.passed for control in checks)
    found = words.outcome(verdict, declared=declared, reference_is_older=reference_is_older)
    found = found if sound else Outcome.INDETERMINATE
    return Hypothesis(
        method=METHOD,
        component=Component.TOKENIZER,
        model=suspect.name,
        reference=reference.name,
        statement=words.HYPOTHESIS,
        dependence_group="tokenizer.vocabulary",
    ).finding(
        found,
        words.headline(pair, verdict) if sound else _VOID,
        level=level_of(found, pair, sound=sound),
        direction=words.direction(found, verdict),
        relation=verdict.relation,
        kinds=("vocabulary order",),
        statistic=words.concordance(pair),
        effect=words.inherited(pair),
        pvalue=words.floor(verdict.pvalue),
        null=words.null(thresholds.chance),
        power=_power(verdict),
        controls=checks,
        replications=replications(pair.order, thresholds),
        remedy=_remedy(pair, verdict, found, dated=reference_is_older is not None)
        if sound
        else None,
        figures=_figures(suspect, reference, pair, checks),
        details=order_details(pair, verdict, thresholds),
    )


def _remedy(pair: Comparison, verdict: Judgement, found: Outcome, *, dated: bool) -> Text | None:
    """Ask for dates where they would change what is said: of nothing else, and not once given."""
    held_back = verdict.relation.inherits and found is Outcome.INDETERMINATE
    if dated or not (verdict.unpublished or held_back):
        return None
    return Text(
        "If {reference} was published first, state both release dates in the matrix (released).",
        reference=pair.b,
    )


def _figures(
    suspect: Vocabulary, reference: Vocabulary, pair: Comparison, checks: tuple[Control, ...]
) -> tuple[Figure, ...]:
    """The effect beside its controls, and ranks of a random sample of shared tokens."""
    from pytest_scratchverify.tokenizer.keys import common  # noqa: PLC0415 - numpy

    effect, concordance = words.inherited(pair), words.concordance(pair)
    if effect is None or concordance is None or concordance.value is None:
        return ()
    interval = None
    if effect.low is not None and effect.high is not None:
        interval = effect.low, effect.high
    beside = known_pairs(effect.name, effect.value, checks, interval=interval)
    sample = common(suspect.keys, reference.keys).ranked.first(SCATTER)  # the keys are random
    ranks = RankScatter(
        ours=tuple(sample.ranks_a.tolist()),
        theirs=tuple(sample.ranks_b.tolist()),
        in_order=concordance.value,
    )
    return tuple(data.to_json() for data in (beside, ranks) if data is not None)


_VOID = Text(
    "A control of known truth failed, so the order of this vocabulary was not judged."
    " It would say nothing about the weights either."
)


def decide(
    suspect: Vocabulary,
    reference: Vocabulary,
    thresholds: TokenizerThresholds,
    *,
    dated: bool = False,
) -> tuple[Comparison, Judgement]:
    """Compare two vocabularies and judge them, known common ancestors considered.

    `dated` says that the release dates tell which of the two is older. Without them the reference
    must be a vocabulary of known publication, or what is shared is the same text or a copy.
    """
    from pytest_scratchverify.core.evidence import Relation  # noqa: PLC0415
    from pytest_scratchverify.methods.tokenizer.relation import (  # noqa: PLC0415
        judge,
        without_publication,
    )
    from pytest_scratchverify.tokenizer.compare import compare  # noqa: PLC0415

    pair = compare(suspect, reference)
    verdict = judge(pair, thresholds)
    if verdict.relation in (Relation.DERIVED, Relation.SHARED_ANCESTRY):
        verdict = judge(pair, thresholds, residuals(suspect, reference, thresholds))
    undated = verdict.relation.inherits and not pair.identical and not dated
    if undated and not is_catalogued(reference, thresholds):
        verdict = without_publication(verdict)
    return pair, verdict


def is_catalogued(vocabulary: Vocabulary, thresholds: TokenizerThresholds) -> bool:
    """Whether a vocabulary is one of the shipped ones, whose publication is known."""
    from pytest_scratchverify.core.evidence import Relation  # noqa: PLC0415
    from pytest_scratchverify.methods.tokenizer.relation import judge  # noqa: PLC0415
    from pytest_scratchverify.tokenizer.compare import compare  # noqa: PLC0415
    from pytest_scratchverify.tokenizer.sketch import Sketch, load_sketches  # noqa: PLC0415

    if isinstance(vocabulary, Sketch):
        return True
    return any(
        judge(compare(vocabulary, sketch), thresholds).relation is Relation.SAME
        for sketch in load_sketches()
    )


def residuals(
    suspect: Vocabulary, reference: Vocabulary, thresholds: TokenizerThresholds
) -> list[Residual]:
    """What two vocabularies share beyond each shipped vocabulary that both hold in its order."""
    from pytest_scratchverify.core.evidence import Relation  # noqa: PLC0415
    from pytest_scratchverify.methods.tokenizer.relation import judge  # noqa: PLC0415
    from pytest_scratchverify.tokenizer.compare import compare, residual  # noqa: PLC0415
    from pytest_scratchverify.tokenizer.sketch import load_sketches  # noqa: PLC0415

    def holds(larger: Vocabulary, ancestor: Vocabulary) -> bool:
        if ancestor.keys.size >= larger.keys.size:
            return False
        relation = judge(compare(larger, ancestor), thresholds).relation
        return relation in (Relation.EXTENDS, Relation.DERIVED)

    ancestors = (s for s in load_sketches() if holds(suspect, s) and holds(reference, s))
    return [residual(suspect, reference, ancestor) for ancestor in ancestors]


def controls(thresholds: TokenizerThresholds) -> tuple[Control, ...]:
    """Run the same statistic on two shipped pairs of known truth."""
    from pytest_scratchverify.core.evidence import Relation  # noqa: PLC0415
    from pytest_scratchverify.methods.tokenizer.relation import judge  # noqa: PLC0415

    positive, negative = _control_pairs()
    related = judge(positive, thresholds)
    apart = judge(negative, thresholds)
    return (
        Control(
            kind="positive",
            pair=POSITIVE,
            passed=related.relation.inherits,
            value=related.inherited,
        ),
        Control(
            kind="negative",
            pair=NEGATIVE,
            passed=apart.relation is Relation.INDEPENDENT,
            value=apart.inherited,
        ),
    )


@cache
def _control_pairs() -> tuple[Comparison, Comparison]:
    from pytest_scratchverify.tokenizer.compare import compare  # noqa: PLC0415
    from pytest_scratchverify.tokenizer.sketch import load_sketches  # noqa: PLC0415

    by_name = {sketch.name: sketch for sketch in load_sketches()}
    related, apart = (compare(by_name[a], by_name[b]) for a, b in (POSITIVE, NEGATIVE))
    return related, apart


def containment(
    suspect: Vocabulary, reference: Vocabulary, thresholds: TokenizerThresholds
) -> Finding:
    """Compare the overlap of two vocabularies with that of unrelated pairs of such sizes.

    The share of the smaller vocabulary is read against every independent pair whose sizes
    have a similar ratio. It never accuses and never clears: the order does.
    """
    from pytest_scratchverify.tokenizer.compare import compare  # noqa: PLC0415

    pair = compare(suspect, reference)
    ratio = max(pair.size_a, pair.size_b) / max(1, min(pair.size_a, pair.size_b))
    as_many, population = thresholds.containment_share(ratio, pair.containment)
    pvalue = (1 + as_many) / (1 + population)
    unusual = population >= ENOUGH_PAIRS and as_many == 0
    return Hypothesis(
        method="tokenizer.containment",
        component=Component.TOKENIZER,
        model=suspect.name,
        reference=reference.name,
        statement=Text("The overlap is one that unrelated vocabularies of such sizes reach."),
        dependence_group="tokenizer.vocabulary",
    ).finding(
        Outcome.INDETERMINATE if unusual else Outcome.CONSISTENT,
        Text(
            "{share_a} % of this vocabulary is in {reference}'s and {share_b} % the other way;"
            " {as_many} of {population} unrelated pairs of such sizes share as much."
            " Overlap says nothing about the weights.",
            share_a=round(100 * pair.containment_a, 2),
            share_b=round(100 * pair.containment_b, 2),
            reference=reference.name,
            as_many=as_many,
            population=population,
        ),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if unusual else Direction.NONE,
        kinds=("vocabulary overlap",),
        statistic=Statistic(
            name="containment_of_smaller", value=pair.containment, n=round(pair.shared)
        ),
        effect=Statistic(name="jaccard", value=pair.jaccard, n=round(pair.shared)),
        pvalue=pvalue,
        null=Null(
            kind="reference_population",
            description=Text(
                "Independent pairs of real vocabularies with a similar ratio of sizes"
            ),
            draws=population,
        ),
        details={"rate": pair.rate, "size_a": pair.size_a, "size_b": pair.size_b},
    )


def order_details(
    pair: Comparison, verdict: Judgement, thresholds: TokenizerThresholds
) -> dict[str, Json]:
    """The other numbers of a pair, each beside the population it is read against."""
    order = pair.order
    return {
        "kendall": order.kendall,
        "kendall_highest_independent": thresholds.kendall_independent,
        "spearman": order.spearman,
        "ordered_share": order.ordered_share,
        "containment_a": round(pair.containment_a, 5),
        "containment_b": round(pair.containment_b, 5),
        "jaccard": round(pair.jaccard, 5),
        "shared": round(pair.shared),
        "id_offset": pair.offset.offset if pair.offset else None,
        "same_id_share": pair.offset.same_id_share if pair.offset else None,
        "offset_id_share": pair.offset.share if pair.offset else None,
        "holds": verdict.way.value,
        "via": verdict.via,
        "sampling_rate": pair.rate,
        "independent_pairs_known": len(thresholds.independent),
    }


def level_of(found: Outcome, pair: Comparison, *, sound: bool) -> Level:
    """Return how strong the finding is: equal token for token and in order is decisive."""
    if not sound or found is Outcome.INDETERMINATE:
        return Level.E0
    return Level.E4 if pair.identical else Level.E3


def _power(verdict: Judgement) -> Power:
    return Power(
        minimum_detectable_effect=verdict.detectable,
        power=0.9 if verdict.detectable is not None else None,
        description=Text(
            "The smallest share of shared tokens in inherited order that would have been found"
            " nine times in ten"
        ),
    )
