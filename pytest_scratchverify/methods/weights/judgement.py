"""What the weights method says of one component of one pair."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_scratchverify.core.evidence import Relation
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.step import Step

ACCUSING = frozenset(
    {
        Relation.VERBATIM,
        Relation.DERIVED,
        Relation.SHARED_ANCESTRY,  # related, and the reference is the later one
        Relation.SHARED_INITIALISATION,
    }
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the measurement says of one component of one pair.

    `relation` is None where there is no relation; `kinds` name it further where they can be
    told; `layers` are those that were inherited, and `roles`, where only some were. `explained`
    says that something innocent explains as much (a teacher in common), `third_party` that both
    may have it from elsewhere.
    """

    relation: Relation | None
    step: Step
    pvalue: float
    effect: float
    kinds: tuple[Kind, ...] = ()
    layers: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    explained: bool = False
    third_party: bool = False

    @property
    def accuses(self) -> bool:
        """Whether the relation is one that refutes independence, and nothing else explains it."""
        return self.relation in ACCUSING and not self.explained
