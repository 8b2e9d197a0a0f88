"""The nearest known vocabulary: one suspect against every shipped sketch, offline."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.tokenizer import headlines as words
from pytest_scratchverify.methods.tokenizer.rank_order import (
    controls,
    decide,
    level_of,
    order_details,
)

if TYPE_CHECKING:
    from pytest_scratchverify.core.json_values import Json
    from pytest_scratchverify.methods.tokenizer.relation import Calibration, Judgement
    from pytest_scratchverify.tokenizer.compare import Comparison, Vocabulary
    from pytest_scratchverify.tokenizer.sketch import Sketch

METHOD = "tokenizer.nearest_ancestor"
SHOWN = 5


class Neighbour(NamedTuple):
    """A shipped vocabulary, and what the suspect is to it."""

    sketch: Sketch
    pair: Comparison
    verdict: Judgement


def search(
    suspect: Vocabulary,
    calibration: Calibration,
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
    found = [Neighbour(sketch, *decide(suspect, sketch, calibration)) for sketch in others]
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
    calibration: Calibration,
    *,
    declared: Collection[str] = (),
    own: Collection[str] = (),
    sketches: Sequence[Sketch] | None = None,
) -> Finding:
    """No known vocabulary is the ancestor of this one.

    Derived if the nearest sketch is the same vocabulary, is held whole or nearly so, in its
    order. `declared` are names or repositories that the model's card states as origin.
    """
    from pytest_scratchverify.methods.tokenizer.relation import replications  # noqa: PLC0415 - numpy

    neighbours = search(suspect, calibration, own=own, sketches=sketches)
    if not neighbours:
        return _nothing_to_compare(suspect)
    nearest = neighbours[0]
    names = {nearest.sketch.name, *nearest.sketch.aliases, *nearest.sketch.repos}
    checks = controls(calibration)
    sound = all(control.passed for control in checks)
    found = _outcome(neighbours, declared=not names.isdisjoint(declared))
    found = found if sound else Outcome.INDETERMINATE
    return Finding(
        method=METHOD,
        component=Component.TOKENIZER,
        model=suspect.name,
        reference=_origin(nearest),
        outcome=found,
        headline=_headline(found, neighbours),
        hypothesis=Text("The vocabulary was learnt apart from every catalogued one."),
        level=level_of(found, nearest.pair, sound=sound),
        direction=words.direction(found, nearest.verdict),
        relation=nearest.verdict.relation,
        kind="vocabulary order",
        statistic=words.concordance(nearest.pair),
        effect=words.inherited(nearest.pair),
        pvalue=_family_wise(neighbours),
        null=words.null(calibration.thresholds.chance),
        controls=checks,
        dependence_group="tokenizer.vocabulary",
        replications=replications(nearest.pair.order, calibration),
        details={
            "nearest": nearest.sketch.name,
            "nearest_repositories": list(nearest.sketch.repos),
            "compared": len(neighbours),
            "ranking": [_row(neighbour) for neighbour in neighbours[:SHOWN]],
            **order_details(nearest.pair, nearest.verdict, calibration),
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
    nearest, count = neighbours[0], len(neighbours)
    if nearest.verdict.relation.inherits:
        return words.headline(nearest.pair, nearest.verdict)
    if found is Outcome.CONSISTENT:
        return Text(
            "None of {count} catalogued vocabularies is an ancestor of this one; the most"
            " overlapping is {nearest}. An independent tokenizer says nothing about the weights.",
            count=count, nearest=nearest.sketch.name,
        )  # fmt: skip
    grey = [n.sketch.name for n in neighbours
            if words.outcome(n.verdict, declared=False) is Outcome.INDETERMINATE]  # fmt: skip
    return Text(
        "Of {count} catalogued vocabularies, {grey} can neither be named an ancestor of this one"
        " nor be ruled out. Either way it says nothing about the weights.",
        count=count, grey=grey[:SHOWN],
    )  # fmt: skip


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


def _nothing_to_compare(suspect: Vocabulary) -> Finding:
    return Finding(
        method=METHOD,
        component=Component.TOKENIZER,
        model=suspect.name,
        outcome=Outcome.NOT_APPLICABLE,
        headline=Text("The catalogue holds no other vocabulary to compare this one with."),
        hypothesis=Text("The vocabulary was learnt apart from every catalogued one."),
        direction=Direction.NONE,
    )
