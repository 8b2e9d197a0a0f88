"""The null hypothesis of the weights method: a component does not come from the reference."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis

METHOD = "weights.origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHypothesis:
    """One hypothesis: this component of the model does not come from the reference.

    `declared` says that the developer names the reference as the origin; `limit` is the
    user's budget of bytes, where it is smaller than the depth's.
    """

    pair: Pair
    component: Component
    depth: str = "quick"
    limit: int | None = None
    declared: bool = False

    @property
    def claim(self) -> Text:
        """The innocent claim under test."""
        return Text(
            "the weights of {component} were not taken from the reference",
            component=self.component.value,
        )

    def unanswered(self, outcome: Outcome, headline: Text) -> Finding:
        """Return a finding that measured nothing."""
        return Hypothesis(
            method=METHOD,
            component=self.component,
            model=self.pair.model.name,
            reference=self.pair.reference.name,
            statement=self.claim,
            dependence_group="weights",
        ).finding(outcome, headline)
