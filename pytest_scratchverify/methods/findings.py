"""Findings on one hypothesis: about this component of this model, or of this pair.

What all findings of a test share is stated once; each outcome then adds what it measured.

>>> from pytest_scratchverify.core.component import Component
>>> from pytest_scratchverify.core.evidence import Outcome
>>> tested = Hypothesis(
...     method="tokenizer.rank_order",
...     component=Component.TOKENIZER,
...     model="org/model",
...     reference="org/reference",
...     statement=Text("the vocabularies were learnt apart"),
...     dependence_group="tokenizer",
... )
>>> tested.finding(Outcome.CONSISTENT, Text("an order of its own"), pvalue=0.4).id
'tokenizer.rank_order:tokenizer:org/model:org/reference'
>>> tested.undecided(Text("too few tokens")).level
<Level.E0: 'E0'>
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    ArtifactRecord,
    Control,
    Coverage,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Power,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.figure import Figure
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text


class Measured(TypedDict, total=False):
    """What one finding adds to its hypothesis, outcome and headline: fields of `Finding`."""

    level: Level
    direction: Direction
    relation: Relation | None
    kinds: tuple[str, ...]
    statistic: Statistic | None
    effect: Statistic | None
    pvalue: float | None
    null: Null | None
    power: Power | None
    controls: tuple[Control, ...]
    coverage: Coverage | None
    replications: int
    artifacts: tuple[ArtifactRecord, ...]
    remedy: Text | None
    components: tuple[Component, ...]
    weight_bytes: int | None
    figures: tuple[Figure, ...]
    details: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One null hypothesis about a component of a model, and what all its findings share.

    `level` and `artifacts` hold where a finding states none of its own; `details` are added to
    each finding's.
    """

    method: str
    component: Component
    model: str
    statement: Text
    reference: str | None = None
    level: Level = Level.E0
    dependence_group: str | None = None
    artifacts: tuple[ArtifactRecord, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)

    def finding(self, outcome: Outcome, headline: Text, **measured: Unpack[Measured]) -> Finding:
        """Return a finding on this hypothesis with what was measured."""
        parts: Measured = {"level": self.level, "artifacts": self.artifacts, **measured}
        parts["details"] = {**measured.get("details", {}), **self.details}
        return Finding(
            method=self.method,
            component=self.component,
            model=self.model,
            reference=self.reference,
            outcome=outcome,
            headline=headline,
            hypothesis=self.statement,
            dependence_group=self.dependence_group,
            **parts,
        )

    def undecided(self, why: Text, **measured: Unpack[Measured]) -> Finding:
        """Return the finding of a test that could not be made: indeterminate, evidence of none."""
        parts: Measured = {"level": Level.E0, **measured}
        return self.finding(Outcome.INDETERMINATE, why, **parts)


def statistic(
    name: str,
    value: float | None,
    n: int | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
) -> Statistic:
    """Return a named number for a finding, as a float, with its interval where there is one."""
    return Statistic(
        name=name, value=None if value is None else float(value), n=n, low=low, high=high
    )
