"""What published figures about a tokenizer support, and what they do not.

Nothing is measured here. The figures are held against the calibration's populations and
against each other, and every one of them gets a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.tokenizer.config_sizes import Stated, contradiction_between

if TYPE_CHECKING:
    from pytest_scratchverify.core.evidence import Relation
    from pytest_scratchverify.methods.tokenizer.published_claims import PublishedFigures
    from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
    from pytest_scratchverify.tokenizer.sketch import Sketch

METHOD = "tokenizer.published_figures"
_HYPOTHESIS = Text("The vocabulary was learnt apart from the reference's.")
ROUNDING = 0.0001  # shares are published with two digits of per cent
ANY_EXTENSION = 0.03  # overlap this little above an ancestor's size is explained by it


class Support(StrEnum):
    """What published figures support."""

    NOT_THIS_MODELS = "nothing: they are another model's"
    INDEPENDENCE = "independence"
    NOTHING = "nothing"


HEADLINES: Mapping[Support, str] = {
    Support.NOT_THIS_MODELS: "The published figures are not this model's: {why}"
    " They say nothing about its tokenizer or its weights.",
    Support.INDEPENDENCE: "The published rank correlation with {reference} is one that unrelated"
    " vocabularies have; the other figures support nothing. This says nothing about the weights.",
    Support.NOTHING: "Only sizes or overlaps of the vocabulary are published, which decide nothing"
    " about the tokenizer and say nothing about the weights.",
}


def published_figures(
    model: str, figures: PublishedFigures, thresholds: TokenizerThresholds
) -> Finding:
    """Judge what published figures about a tokenizer support.

    Sizes support nothing, overlap supports nothing without an order, positional merge match
    is an artefact of exporters, and figures of another model's file are no figures of this
    one. A published Kendall tau supports independence if it is one that unrelated pairs have.
    """
    from pytest_scratchverify.core.evidence import Relation  # noqa: PLC0415

    void = misattribution(model, figures)
    relation = Relation.INCONCLUSIVE if void else _relation(figures, thresholds)
    apart = relation is Relation.INDEPENDENT
    support = Support.INDEPENDENCE if apart else Support.NOTHING
    supports = _supports(figures, relation)
    short = [] if void is None else [void]
    doubts = [*short, *_doubts(figures)]
    return Hypothesis(
        method=METHOD,
        component=Component.TOKENIZER,
        model=model,
        reference=figures.reference,
        statement=_HYPOTHESIS,
        dependence_group="tokenizer.published",
    ).finding(
        Outcome.CONSISTENT if apart else Outcome.INDETERMINATE,
        Text.filled(
            HEADLINES[support if void is None else Support.NOT_THIS_MODELS],
            {"why": str(void), "reference": figures.reference},
        ),
        level=Level.E2 if apart else Level.E0,
        direction=Direction.TOWARD_INDEPENDENCE if apart else Direction.NONE,
        relation=relation,
        kinds=("published figures",),
        statistic=None
        if figures.kendall is None
        else Statistic(name="published_kendall", value=figures.kendall, n=figures.kendall_tokens),
        remedy=Text("Fetch the model's own tokenizer file and run `tokenizer.rank_order`."),
        details={
            "source": figures.source,
            "supports": [str(line) for line in supports],
            "does_not_support": [str(line) for line in doubts],
            "denominators": [*denominators(figures)],
        },
    )


def published_findings(model: str, thresholds: TokenizerThresholds) -> tuple[Finding, ...]:
    """Judge every published comparison of a model; one "not applicable" where there is none."""
    from pytest_scratchverify.methods.tokenizer.published_claims import published_for  # noqa: PLC0415

    known = published_for(model)
    if known:
        return tuple(published_figures(model, figures, thresholds) for figures in known)
    return (
        Hypothesis(
            method=METHOD, component=Component.TOKENIZER, model=model, statement=_HYPOTHESIS
        ).finding(
            Outcome.NOT_APPLICABLE,
            Text("Nothing was published about this tokenizer that we know of."),
        ),
    )


def misattribution(model: str, figures: PublishedFigures) -> Text | None:
    """Why the figures cannot be about this model, if they cannot."""
    if figures.measured_on not in (None, model):
        return Text(
            "The tokenizer that was measured is that of {other}.", other=figures.measured_on
        )
    if figures.tokenizer_rows is None:
        return None
    stated = Stated(figures.config_rows, figures.highest_id_in_use, "published")
    return contradiction_between(figures.tokenizer_rows, stated)


def denominators(figures: PublishedFigures) -> list[str]:
    """Which denominators turn the published count into the published share."""
    shared, target, reference = figures.shared, figures.target_size, figures.reference_size
    if shared is None or target is None or reference is None or figures.stated_share is None:
        return []
    shares = {
        "target": shared / target,
        "reference": shared / reference,
        "union": shared / (target + reference - shared),
    }
    return [n for n, share in shares.items() if abs(share - figures.stated_share) < ROUNDING]


def _relation(figures: PublishedFigures, thresholds: TokenizerThresholds) -> Relation:
    from pytest_scratchverify.methods.tokenizer.relation import (  # noqa: PLC0415
        PublishedOrder,
        relation_of_figures,
    )

    order = PublishedOrder(kendall=figures.kendall, shared=figures.kendall_tokens)
    return relation_of_figures(order, thresholds)


def _supports(figures: PublishedFigures, relation: Relation) -> list[Text]:
    lines: list[Text] = []
    if relation.value == "independent":
        lines.append(
            Text(
                "Kendall's tau {tau} on {n} tokens is one that unrelated vocabularies have.",
                tau=figures.kendall,
                n=figures.kendall_tokens or "?",
            )
        )
    base = _explaining_base(figures)
    if base is not None:
        lines.append(
            Text(
                "{shared} shared tokens are what any extension of {base} shares with {reference}:"
                " a lead to {base}, to be tested on the file.",
                shared=figures.shared,
                base=base.name,
                reference=figures.reference,
            )
        )
    return lines


def _explaining_base(figures: PublishedFigures) -> Sketch | None:
    """A catalogued vocabulary inside the reference whose size nearly is the overlap."""
    from pytest_scratchverify.tokenizer.compare import compare  # noqa: PLC0415
    from pytest_scratchverify.tokenizer.sketch import load_sketches, sketch_for  # noqa: PLC0415

    reference = sketch_for(figures.reference) if figures.reference else None
    if reference is None or figures.shared is None:
        return None
    for base in load_sketches():
        if base.learned >= reference.learned:
            continue
        pair = compare(reference, base)
        inherited = pair.order.neighbours.inherited if pair.order.neighbours else 0.0
        # The overlap counts the alphabet too.
        inside = pair.shared + base.sizes.ranks - base.learned
        excess = figures.shared / inside - 1
        if inherited > 0.9 and pair.containment_b > 0.9 and 0 <= excess <= ANY_EXTENSION:
            return base
    return None


def _doubts(figures: PublishedFigures) -> list[Text]:
    lines: list[Text] = []
    sizes = {s for s in (figures.config_rows, figures.tokenizer_rows, *figures.other_sizes) if s}
    if len(sizes) > 1:
        lines.append(Text("Sources disagree on the vocabulary size: {sizes}.", sizes=sorted(sizes)))
    if sizes:
        lines.append(Text("A vocabulary size, equal or different, supports nothing."))
    if figures.stated_share is not None:
        lines.append(
            Text(
                "The published share is shared tokens over the {which} vocabulary; overlap without"
                " an order supports nothing.",
                which=denominators(figures) or ["?"],
            )
        )
    if figures.positional_merge_match is not None:
        lines.append(
            Text(
                "A positional merge match of {share} % depends on the exporter: derived pairs"
                " have from .0004 % to all.",
                share=round(100 * figures.positional_merge_match, 4),
            )
        )
    return lines
