"""The list of references with the nearest first: what answers "whose is it?"."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.wording import COMPONENT_NAMES, MEANING
from pytest_scratchverify.verdict.clearance import some_of
from pytest_scratchverify.verdict.nearest import RELATED
from pytest_scratchverify.verdict.verdict import ModelVerdict, NearReference, Verdict

FEW = 5  # references that need no list of their own: the verdicts name them


def listed(model: ModelVerdict) -> Sequence[NearReference]:
    """Return the references of a model that a report lists; none where there are few."""
    return model.nearest if len(model.nearest) > FEW else ()


def title(model: ModelVerdict) -> Text:
    """Return what stands above the list."""
    return Text("Nearest of {n} references, by their weights", n=len(model.nearest))


def said_of(near: NearReference, language: str) -> str:
    """Say what the weights say of one reference."""
    return translate(_said(near, language), language)


def _said(near: NearReference, language: str) -> Text:
    if near.verdict is Verdict.INSUFFICIENT_EVIDENCE:
        return near.why or MEANING[near.verdict]
    parts = [translate(COMPONENT_NAMES[c], language) for c in near.components]
    if near.verdict in RELATED and near.effect is not None:
        return Text(
            "{components}; effect {effect}, adjusted p {p}",
            components=parts,
            effect=near.effect,
            p=near.p_adjusted,
        )
    return Text("{components}; adjusted p {p}", components=parts, p=near.p_adjusted)


def not_compared(model: ModelVerdict) -> Text | None:
    """Name the references that could not be compared, the first few of them."""
    names = [n.reference for n in model.nearest if n.verdict is Verdict.INSUFFICIENT_EVIDENCE]
    return Text("not compared: {references}", references=some_of(names)) if names else None


def counted(model: ModelVerdict) -> Text:
    """Say how many of the references are related, are not, and could not be compared."""
    related = sum(near.verdict in RELATED for near in model.nearest)
    silent = sum(near.verdict is Verdict.NO_EVIDENCE_OF_REUSE for near in model.nearest)
    return Text(
        "{related} related, {silent} without a relation that was found (their order is chance),"
        " {rest} not compared",
        related=related,
        silent=silent,
        rest=len(model.nearest) - related - silent,
    )
