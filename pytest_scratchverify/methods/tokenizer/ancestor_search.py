"""Nearest-neighbour search for a vocabulary's ancestor among shipped sketches, offline."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.tokenizer import headlines as words
from pytest_scratchverify.methods.tokenizer.rank_order import (
    controls,
    decide,
    level_of,
    order_details,
)

if TYPE_CHECKING:
    from pytest_scratchverify.core.json_values import Json
    from pytest_scratchverify.methods.tokenizer.relation import Judgement
    from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
    from pytest_scratchverify.tokenizer.compare import Comparison, Vocabulary
    from pytest_scratchverify.tokenizer.sketch import Sketch

SHOWN = 5


class AncestorSearch(StrEnum):
    """What a search says of catalogued vocabularies, none of which is an ancestor for certain."""

    ALL_RULED_OUT = "none is an ancestor"
    SOME_LEFT = "some can be neither named nor ruled out"


HEADLINES: Mapping[AncestorSearch, str] = {
    AncestorSearch.ALL_RULED_OUT: "None of {count} catalogued vocabularies is an ancestor of this"
    " one; the most overlapping is {nearest}. An independent tokenizer says nothing about the"
    " weights.",
    AncestorSearch.SOME_LEFT: "Of {count} catalogued vocabularies, {grey} can neither be named an"
    " ancestor of this one nor be ruled out. Either way it says nothing about the weights.",
}


class Neighbour(NamedTuple):
    """A shipped vocabulary, and what the suspect is to it."""

    sketch: Sketch
    pair: Comparison
    verdict: Judgement


def search(
    suspect: Vocabulary,
    thresholds: TokenizerThresholds,
    *,
    own: Collection[str] = (),
    sketches: Sequence[Sketch] | None = None,
) -> list[Neighbour]:
    """Compare a suspect with every sketch, nearest first.

    `own` are names, aliases or repositories of the suspect itself, of its developer's own
    earlier models and of models known to be younger; their sketches are left out.
    """
    from pytest_scratchverify.tokenizer.sketch import load_sketches  # noqa: PLC0415

    known = load_sketches() if sketches is None else sketches
    mine = {suspect.name, *own}
    others = [s for s in known if mine.isdisjoint({s.name, *s.aliases, *s.repos})]
    found = [Neighbour(sketch, *decide(suspect, sketch, thresholds)) for sketch in others]
    return sorted(found, key=_nearness)


_ORDER = ("same", "extends", "derived", "shared_ancestry", "inconclusive", "independent")


def _nearness(one: Neighbour) -> tuple[float, float, str]:
    rank = float(_ORDER.index(one.verdict.relation.value))
    if one.verdict.relation.inherits and one.verdict.way.value == "reference_holds_suspect":
        # It holds the suspect and more: rather a descendant than an ancestor.
        rank = _ORDER.index("derived") + 0.5
    # Between two ancestors that are held whole, the larger one is the nearer one.
    return rank, -one.pair.jaccard, one.sketch.name


def nearest_ancestor(
    suspect: Vocabulary,
    thresholds: TokenizerThresholds,
    *,
    declared: Collection[str] = (),
    own: Collection[str] = (),
    sketches: Sequence[Sketch] | None = None,
) -> Finding:
    """Search the catalogue for the vocabulary that this one was made from.

    Derived if the nearest sketch is the same vocabulary, is held whole or nearly so, in its
    order. `declared` are names or repositories that the model's card states as origin.
    """
    from pytest_scratchverify.methods.tokenizer.relation import replications  # noqa: PLC0415 - numpy

    neighbours = search(suspect, thresholds, own=own, sketches=sketches)
    tested = Hypothesis(
        method="tokenizer.nearest_ancestor",
        component=Component.TOKENIZER,
        model=suspect.name,
        reference=_origin(neighbours[0]) if neighbours else None,
        statement=Text("The vocabulary was learnt from other text than every catalogued one."),
        dependence_group="tokenizer.vocabulary" if neighbours else None,
    )
    if not neighbours:
        return tested.finding(
            Outcome.NOT_APPLICABLE,
            Text("The catalogue holds no other vocabulary to compare this one with."),
        )
    nearest = neighbours[0]
    names = {nearest.sketch.name, *nearest.sketch.aliases, *nearest.sketch.repos}
    checks = controls(thresholds)
    sound = all(control.passed for control in checks)
    found = _outcome(neighbours, declared=not names.isdisjoint(declared))
    found = found if sound else Outcome.INDETERMINATE
    return tested.finding(
        found,
        _headline(found, neighbours),
        level=level_of(found, nearest.pair, sound=sound),
        direction=words.direction(found, nearest.verdict),
        relation=nearest.verdict.relation,
        kinds=("vocabulary order",),
        statistic=words.concordance(nearest.pair),
        effect=words.inherited(nearest.pair),
        pvalue=_family_wise(neighbours),
        null=words.null(thresholds.chance),
        controls=checks,
        replications=replications(nearest.pair.order, thresholds),
        details={
            "nearest": nearest.sketch.name,
            "nearest_repositories": list(nearest.sketch.repos),
            "compared": len(neighbours),
            "ranking": [_row(neighbour) for neighbour in neighbours[:SHOWN]],
            **order_details(nearest.pair, nearest.verdict, thresholds),
        },
    )


def _origin(nearest: Neighbour) -> str | None:
    """Name the ancestor as a vocabulary, not as one of the models that ship it."""
    return nearest.sketch.name if nearest.verdict.relation.inherits else None


def _outcome(neighbours: Sequence[Neighbour], *, declared: bool) -> Outcome:
    """The nearest decides; a grey neighbour further down keeps a suspect from being clean."""
    nearest = neighbours[0].verdict
    if nearest.relation.inherits:
        return words.outcome(nearest, declared=declared)
    outcomes = {words.outcome(n.verdict, declared=False) for n in neighbours}
    return Outcome.INDETERMINATE if Outcome.INDETERMINATE in outcomes else Outcome.CONSISTENT


def _headline(found: Outcome, neighbours: Sequence[Neighbour]) -> Text:
    nearest = neighbours[0]
    if nearest.verdict.relation.inherits:
        return words.headline(nearest.pair, nearest.verdict)
    grey = [
        n.sketch.name
        for n in neighbours
        if words.outcome(n.verdict, declared=False) is Outcome.INDETERMINATE
    ]
    ruled_out = found is Outcome.CONSISTENT
    return Text.filled(
        HEADLINES[AncestorSearch.ALL_RULED_OUT if ruled_out else AncestorSearch.SOME_LEFT],
        {"count": len(neighbours), "nearest": nearest.sketch.name, "grey": grey[:SHOWN]},
    )


def _family_wise(neighbours: Sequence[Neighbour]) -> float | None:
    """The smallest p-value times the number of sketches (Bonferroni): the search is many tests."""
    pvalues = [n.verdict.pvalue for n in neighbours if n.verdict.pvalue is not None]
    return words.floor(min(1.0, min(pvalues) * len(pvalues))) if pvalues else None


def _row(neighbour: Neighbour) -> dict[str, Json]:
    pair, verdict = neighbour.pair, neighbour.verdict
    return {
        "name": neighbour.sketch.name,
        "relation": verdict.relation.value,
        "via": verdict.via,
        "inherited": verdict.inherited,
        "kendall": pair.order.kendall,
        "containment_a": round(pair.containment_a, 4),
        "containment_b": round(pair.containment_b, 4),
    }
