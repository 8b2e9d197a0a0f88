"""Hypotheses about a training record, and what each result of a test means for its finding.

A test decides first, by a member of an enum; `Decision` and the table of headlines then say what
that member stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    Direction,
    Finding,
    Level,
    Outcome,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis, Measured

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog


@dataclass(frozen=True, slots=True)
class Decision:
    """What one result of a test means: outcome, relation, direction and kind of its finding."""

    outcome: Outcome
    relation: Relation | None = None
    direction: Direction = Direction.NONE
    kind: str | None = None

    def finding(self, tested: Hypothesis, headline: Text, **measured: Unpack[Measured]) -> Finding:
        """Return the finding; what is `measured` stands before the decision's own fields."""
        parts: Measured = {
            "relation": self.relation,
            "direction": self.direction,
            "kinds": (self.kind,) if self.kind else (),
            **measured,
        }
        return tested.finding(self.outcome, headline, **parts)


HOLDS = Decision(Outcome.CONSISTENT)
CONTRADICTED = Decision(Outcome.INDETERMINATE, Relation.CONTRADICTED)
INCOMPLETE = Decision(Outcome.INDETERMINATE, Relation.INCOMPLETE)
NOT_ASKED = Decision(Outcome.NOT_APPLICABLE)


def about_log(  # noqa: PLR0913 - what identifies a finding
    test: str,
    model: str,
    log: TrainingLog | None,
    statement: Text,
    *,
    reference: str | None = None,
    level: Level = Level.E1,
) -> Hypothesis:
    """Return a hypothesis about a training record: declared evidence (E1), one dependence group."""
    return Hypothesis(
        method=f"training_log.{test}",
        component=Component.TRAINING_RECORD,
        model=model,
        reference=reference,
        statement=statement,
        level=level,
        dependence_group="training_log",
        details={} if log is None else _file_details(log),
    )


def _file_details(log: TrainingLog) -> dict[str, Any]:
    return {
        "file": log.name,
        "format": log.format,
        "rows": len(log),
        "columns": dict(log.columns),
        "notes": [str(note) for note in log.notes],
    }


def number(name: str, value: float | None, n: int | None = None) -> Statistic:
    """Return a named number for a finding."""
    return Statistic(name=name, value=None if value is None else float(value), n=n)
