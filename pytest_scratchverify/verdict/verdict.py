"""The verdict grammar: what may be said of a component, of a policy, of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.text import Text


class Verdict(StrEnum):
    """One component's verdict; none of them says "from scratch"."""

    REUSED_VERBATIM = "REUSED_VERBATIM"
    DERIVED = "DERIVED"
    SHARED_ANCESTRY = "SHARED_ANCESTRY"
    DECLARED_REUSE = "DECLARED_REUSE"
    SUSPECTED = "SUSPECTED"
    NO_EVIDENCE_OF_REUSE = "NO_EVIDENCE_OF_REUSE"
    INDEPENDENCE_AUDITED = "INDEPENDENCE_AUDITED"
    CONFLICTING = "CONFLICTING"
    NOT_TESTABLE = "NOT_TESTABLE"
    INSUFFICIENT_EVIDENCE = "INSUFFICIENT_EVIDENCE"

    @property
    def is_clean(self) -> bool:
        """Whether the verdict speaks for the developer's claim."""
        return self in (Verdict.NO_EVIDENCE_OF_REUSE, Verdict.INDEPENDENCE_AUDITED)

    @property
    def is_reuse(self) -> bool:
        """Whether the verdict states reuse as a fact, proven or declared."""
        return self in (Verdict.REUSED_VERBATIM, Verdict.DERIVED, Verdict.DECLARED_REUSE)


class Result(StrEnum):
    """What a policy makes of a model's component verdicts."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNDETERMINED = "UNDETERMINED"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenReference:
    """A reference that a clearance does not hold for, and what is missing of it."""

    reference: str
    why: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is said of a component apart from what it has of its developer's earlier models."""

    verdict: Verdict
    reference: str | None = None
    cleared: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """An earlier model of the same developer, and what was found of the component there.

    `standing` is None where the model was not judged, and `why` says so; `judged_in` names the
    stored run that judged it, or is empty for this run. Where the component comes from a model
    before it, `takes_from` names that one and `declared` says whether somebody declares it.
    """

    model: str
    standing: Standing | None = None
    why: Text | None = None
    judged_in: str = ""
    takes_from: str | None = None
    declared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """A component comes from an earlier model of the same developer, by name.

    `share` is how much of the component's parameters, None where that was not measured; `roles`
    are those that were taken where only some were. `others` is the verdict against everybody
    else; `earlier` are the earlier models, the nearest first.
    """

    reference: str
    declared: bool
    others: Standing
    share: float | None = None
    roles: tuple[str, ...] = ()
    earlier: tuple[Generation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentVerdict:
    """The verdict on one component and everything that it rests on.

    A clearance holds for the references of `cleared`; `not_compared` are those that it does not
    hold for, since they could not be compared or were left open. `inherits` is set where the
    reference is an earlier model of the same developer.
    """

    component: Component
    verdict: Verdict
    because: tuple[Text, ...] = ()
    missing: tuple[Text, ...] = ()
    reference: str | None = None
    kinds: tuple[str, ...] = ()
    p_adjusted: float | None = None
    effect: float | None = None
    findings: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    not_compared: tuple[OpenReference, ...] = ()
    inherits: Inheritance | None = None

    @property
    def states_descent(self) -> bool:
        """Whether it states as a fact what a part of the files comes from."""
        return self.verdict.is_reuse and self.component.is_part and bool(self.reference)

    @property
    def standing(self) -> Standing:
        """What is said of it apart from earlier models of the same developer."""
        if self.inherits is not None:
            return self.inherits.others
        return Standing(
            verdict=self.verdict,
            reference=self.reference,
            cleared=self.cleared,
            not_compared=tuple(entry.reference for entry in self.not_compared),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NearReference:
    """What the weights say of one reference by itself, for a list with the nearest first.

    `verdict` is the gravest that a finding against it supports, `components` are those that
    support it, and `effect` and `p_adjusted` are of the strongest of them. `why` says of a
    reference that was not compared what was missing.
    """

    reference: str
    verdict: Verdict
    components: tuple[Component, ...] = ()
    effect: float | None = None
    p_adjusted: float | None = None
    why: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """A policy's judgement with its reasons; `rows` holds method grades where it has any."""

    result: Result
    because: tuple[Text, ...] = ()
    judgement: Text | None = None
    rows: tuple[tuple[str, Text], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVerdict:
    """Everything that a run says of one model: a vector, never an average.

    `bytes_read` of `bytes_total` are weights, headers included; `other_bytes` were read of
    other files. `lineage` says what it has of earlier models of its developer, a
    sentence each, and what the licences of those it comes from ask and was not found.
    `nearest` are all references, by what their weights say.
    """

    model: str
    revision: str | None
    components: Mapping[Component, ComponentVerdict]
    policies: Mapping[str, PolicyResult]
    bytes_read: int = 0
    bytes_total: int | None = None
    other_bytes: int = 0
    sources: tuple[str, ...] = ()
    planned: int = 0
    arrived: int = 0
    partial: bool = False
    outcomes: Mapping[str, int] = field(default_factory=dict)
    lineage: tuple[Text, ...] = ()
    nearest: tuple[NearReference, ...] = ()
