"""Answers of a model and a reference beside those of unrelated models, and findings on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Level
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis

if TYPE_CHECKING:  # collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answers

CAVEAT = Text(
    "A lead, no finding on weights: post-training changes answers, and shared data or a shared"
    " tokenizer make strangers alike."
)


@dataclass(frozen=True)
class PairedAnswers:
    """The answers of a pair, and those of unrelated models.

    `family` is how many references the model is tested against: the size of the family of tests
    that p-values are adjusted for.
    """

    mine: Answers
    theirs: Answers
    others: tuple[Answers, ...]
    family: int = 1


def hypothesis(
    name: str, statement: Text, *answers: Answers, reference: str | None = None
) -> Hypothesis:
    """Return the hypothesis of the test `name` about the model of the first answers.

    Circumstantial evidence (E2) at most, one dependence group; `answers` are all that the test
    rests on.
    """
    return Hypothesis(
        method=f"behaviour.{name}",
        component=Component.BEHAVIOUR,
        model=answers[0].model,
        reference=reference,
        statement=statement,
        level=Level.E2,
        dependence_group="behaviour",
        details={"answers": {a.model: {"source": a.source, "digest": a.digest} for a in answers}},
    )
