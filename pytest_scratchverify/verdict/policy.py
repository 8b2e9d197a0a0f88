"""Judge component verdicts by a policy: data in, PASS, FAIL or UNDETERMINED out.

A policy is anything with a name that judges a `JudgedModel`. Most are a table of policies.toml
(`PolicyTable`); korea_2026.py is one that is not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

from pytest_scratchverify.core.component import TEXT_ONLY, TRAINED, Component
from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.spec import same_name
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.clearance import some_of
from pytest_scratchverify.verdict.predecessor import NOT_JUDGED
from pytest_scratchverify.verdict.verdict import (
    ComponentVerdict,
    Inheritance,
    PolicyResult,
    Result,
    Standing,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedModel:
    """What a policy judges: one model's component verdicts, and what they rest on.

    `known` is False where nothing showed which components the model has; `states` says in which
    state a declared component was reused; `predecessor` is an earlier model of the developer's own
    that parts are declared to start from; `findings` are those on the model.
    """

    model: str
    components: Mapping[Component, ComponentVerdict]
    partial: bool = False
    known: bool = True
    states: Mapping[Component, str] = field(default_factory=dict)
    predecessor: str | None = None
    findings: tuple[Finding, ...] = ()


class Policy(Protocol):
    """A rule that turns component verdicts into PASS, FAIL or UNDETERMINED."""

    @property
    def name(self) -> str:
        """What ``--policy`` takes."""
        ...

    def judge(self, judged: JudgedModel) -> PolicyResult:
        """Return the judgement, with its reasons."""
        ...

    def stands_beside(self, model: str) -> bool:
        """Whether the judgement on this model is shown where another policy was chosen."""
        ...


def asks(policy: Policy, component: Component) -> bool:
    """Whether a policy's result can depend on a component's verdict.

    A policy may say so itself, by a method of this name that takes the component; one that does
    not is taken to ask about every trained component.
    """
    says = getattr(policy, "asks", None)
    return component.is_trained if says is None else bool(says(component))


PREDECESSORS = {"accepted": True, "refused": False}  # what `own_predecessor` may say


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTable:
    """A policy as a table: what it demands of which components.

    `accepts_predecessor` says whether a component may come from an earlier model of the same
    developer that is declared, and that itself satisfies the table in this component.

    Examples
    --------
    >>> policies = read_policies('''
    ... [lab-2027]
    ... requires = "text"
    ... satisfied_by = ["NO_EVIDENCE_OF_REUSE"]
    ... failed_by = ["DERIVED", "REUSED_VERBATIM"]
    ... ''')
    >>> policies["lab-2027"].requires
    'text'
    """

    name: str
    requires: Literal["trained", "text"] | frozenset[Component]
    satisfied_by: frozenset[Verdict]
    failed_by: frozenset[Verdict]
    accepts_states: frozenset[str] = frozenset()
    accepts_predecessor: bool = False

    def required(self, components: Mapping[Component, ComponentVerdict]) -> list[Component]:
        """Return the model's components that this policy judges, in their fixed order."""
        return [component for component in Component if component in self.scope & components.keys()]

    @property
    def scope(self) -> frozenset[Component]:
        """Return the components that the table asks about."""
        named = {"trained": TRAINED, "text": TEXT_ONLY}
        return named[self.requires] if isinstance(self.requires, str) else self.requires

    def asks(self, component: Component) -> bool:
        """Whether the table asks about a component."""
        return component in self.scope

    def judge(self, judged: JudgedModel) -> PolicyResult:
        """Apply the table; see the function `judge`. What it does not ask about is reported."""
        found = judge(
            self,
            judged.components,
            partial=judged.partial,
            known=judged.known,
            states=judged.states,
            predecessor=judged.predecessor,
        )
        return replace(found, because=(*found.because, *_reported(self, judged.components)))

    def stands_beside(self, model: str) -> bool:  # noqa: ARG002
        """Stand in a run only where it was chosen."""
        return False


@cache
def shipped_policies() -> Mapping[str, PolicyTable]:
    """Return the policies of policies.toml by name."""
    return read_policies((Path(__file__).parent / "policies.toml").read_text("utf-8"))


def read_policies(text: str) -> Mapping[str, PolicyTable]:
    """Read tables of policies by name from TOML, as policies.toml holds them.

    Raises
    ------
    ScratchError
        If it is no TOML, or a table lacks a key or holds a word that is no verdict.
    """
    try:
        return {name: _table(name, table) for name, table in tomllib.loads(text).items()}
    except (tomllib.TOMLDecodeError, KeyError, ValueError, TypeError) as error:
        raise ScratchError(f"a policy's table cannot be read: {error}") from error


def _table(name: str, table: Mapping[str, Any]) -> PolicyTable:
    return PolicyTable(
        name=name,
        requires=_requires(name, table["requires"]),
        satisfied_by=frozenset(map(Verdict, table["satisfied_by"])),
        failed_by=frozenset(map(Verdict, table["failed_by"])),
        accepts_states=frozenset(table.get("accepts_states", ())),
        accepts_predecessor=PREDECESSORS[table.get("own_predecessor", "refused")],
    )


def _requires(name: str, stated: Any) -> Literal["trained", "text"] | frozenset[Component]:
    if stated == "trained":
        return "trained"
    if stated == "text":
        return "text"
    if isinstance(stated, list) and stated:
        return frozenset(map(Component, stated))
    raise ValueError(f"{name}: requires is 'trained', 'text' or components, not {stated!r}")


def judge(  # noqa: PLR0913 - what a policy may know of a model, by name
    policy: PolicyTable,
    components: Mapping[Component, ComponentVerdict],
    *,
    partial: bool,
    known: bool = True,
    states: Mapping[Component, str] | None = None,
    predecessor: str | None = None,
) -> PolicyResult:
    """Apply `policy` to a model's component verdicts.

    `known` is False where nothing showed which components the model has; `states` says in which
    state a declared component was reused; `predecessor` is declared as a start of parts. A failing
    component decides;
    otherwise anything not satisfied, a named reference that a clearance does not hold for, or a
    partial run, leaves the result UNDETERMINED. A model
    none of whose trained components is known is UNDETERMINED too: nothing was tested.
    """
    required = [components[component] for component in policy.required(components)]
    open_ones, failed = [], []
    for verdict in required:
        result, why = _of_component(policy, verdict, (states or {}).get(verdict.component))
        if result is Result.FAIL:
            failed.append(why)
        elif result is Result.UNDETERMINED:
            open_ones.append(why)
    if failed:
        return PolicyResult(result=Result.FAIL, because=tuple(failed))
    reasons = [*open_ones, *_not_compared(v for v in required if v.verdict in policy.satisfied_by)]
    reasons += _predecessor_not_compared(required, predecessor)
    if partial:
        reasons.append(Text("the run is partial"))
    if not known:
        reasons.append(Text("which components the model has is not known: no config was read"))
    if not required:
        reasons.append(_nothing_required(policy))
    if reasons:
        return PolicyResult(result=Result.UNDETERMINED, because=tuple(reasons))
    return PolicyResult(
        result=Result.PASS,
        because=(Text("nothing found contradicts the claim, at the power stated per component"),),
    )


def _of_component(
    policy: PolicyTable, verdict: ComponentVerdict, state: str | None
) -> tuple[Result, Text]:
    """Judge one component that the policy asks about, with the reason where it is no PASS."""
    if verdict.verdict in policy.satisfied_by:
        return Result.PASS, _reason(verdict)
    if verdict.verdict is Verdict.DECLARED_REUSE and state in policy.accepts_states:
        return Result.UNDETERMINED, _reason(verdict)
    if verdict.verdict not in policy.failed_by:
        return Result.UNDETERMINED, _reason(verdict)
    if verdict.inherits is None:
        return Result.FAIL, _reason(verdict)
    if not policy.accepts_predecessor:
        return Result.FAIL, _own_reason(PREDECESSOR_HEADLINES["refused"], verdict)
    return _of_inheritance(policy, verdict, verdict.inherits)


def _of_inheritance(
    policy: PolicyTable, verdict: ComponentVerdict, inherits: Inheritance
) -> tuple[Result, Text]:
    """Judge what comes from an own earlier model: declared, and innocent all the way back.

    What nobody judged is accepted on nobody's strength.
    """
    if not inherits.declared:
        return Result.FAIL, _own_reason(PREDECESSOR_HEADLINES["undeclared"], verdict)
    open_one = None if inherits.earlier else _own_reason(PREDECESSOR_HEADLINES["unknown"], verdict)
    result, said = _of_standing(policy, inherits.others)
    if result is not Result.PASS:
        reason = _own_reason(PREDECESSOR_HEADLINES["others"], verdict, found=said)
        if result is Result.FAIL:
            return Result.FAIL, reason
        open_one = open_one or reason
    for before in inherits.earlier:
        result, said = Result.UNDETERMINED, before.why or NOT_JUDGED
        if before.standing is not None:
            result, said = _of_standing(policy, before.standing)
        if before.takes_from is not None and not before.declared:
            result = Result.FAIL
            said = Text("comes from {model}, which nobody declares", model=before.takes_from)
        if result is Result.PASS:
            continue
        kind = PREDECESSOR_HEADLINES["itself"]
        reason = _own_reason(kind, verdict, model=before.model, found=said)
        if result is Result.FAIL:
            return Result.FAIL, reason
        open_one = open_one or reason
    return (Result.UNDETERMINED, open_one) if open_one else (Result.PASS, _reason(verdict))


def _of_standing(policy: PolicyTable, standing: Standing) -> tuple[Result, Text]:
    said = Text("{verdict}", verdict=standing.verdict)
    if standing.reference:
        said = Text(
            "{verdict} ({reference})", verdict=standing.verdict, reference=standing.reference
        )
    if standing.verdict in policy.failed_by:
        return Result.FAIL, said
    if standing.verdict not in policy.satisfied_by:
        return Result.UNDETERMINED, said
    if standing.not_compared:
        names = [*standing.not_compared]
        return Result.UNDETERMINED, Text("not compared with {reference}", reference=names)
    return Result.PASS, said


PREDECESSOR_HEADLINES: Mapping[str, str] = {
    "refused": "{component}: {verdict} ({reference}, of the same developer); this policy does not"
    " accept a start from an own earlier model",
    "undeclared": "{component}: {verdict} ({reference}, of the same developer by name); nobody"
    " declares it, and a name is no proof of rights",
    "unknown": "{component}: inherits from {reference}, of which nothing is known",
    "others": "{component}: inherits from {reference}; apart from that: {found}",
    "itself": "{component}: inherits from {reference}; {model} itself: {found}",
}


def _own_reason(template: str, verdict: ComponentVerdict, **values: object) -> Text:
    known = {
        "component": verdict.component,
        "verdict": verdict.verdict,
        "reference": verdict.reference or "-",
    }
    return Text.filled(template, {**known, **values})


def _predecessor_not_compared(
    required: Iterable[ComponentVerdict], predecessor: str | None
) -> list[Text]:
    """Say for which clean components a declared predecessor was not compared with."""
    if predecessor is None:
        return []
    name = same_name(predecessor)
    parts = [
        verdict.component
        for verdict in required
        if verdict.verdict.is_clean and name not in _named(verdict)
    ]
    if not parts:
        return []
    return [
        Text(
            "{components}: not compared with {reference}, from which parts are declared to come",
            components=parts,
            reference=predecessor,
        )
    ]


def _named(verdict: ComponentVerdict) -> set[str]:
    """Return the references that a clearance speaks of, be it that it does not hold for them."""
    open_ones = (entry.reference for entry in verdict.not_compared)
    return {same_name(name) for name in (*verdict.cleared, *open_ones)}


def _nothing_required(policy: PolicyTable) -> Text:
    if policy.scope <= TRAINED:
        return Text("no trained component of the model is known")
    return Text("nothing is known of the components that this policy asks about")


REPORTED_HEADLINES: Mapping[bool, str] = {
    False: "{component}: {verdict} ({reference}) is reported; this policy does not ask about it"
}  # by whether the policy asks about it
NOT_ASKED = REPORTED_HEADLINES[False]  # by which reports know such a reason


def _reported(
    policy: PolicyTable, components: Mapping[Component, ComponentVerdict]
) -> Iterable[Text]:
    """Say what was found of components that the policy does not ask about: it fails nothing."""
    for component, verdict in components.items():
        found = verdict.verdict in (Verdict.REUSED_VERBATIM, Verdict.DERIVED)
        if found and not policy.asks(component):
            yield Text(
                REPORTED_HEADLINES[False],
                component=component,
                verdict=verdict.verdict,
                reference=verdict.reference or "-",
            )


def _not_compared(cleared: Iterable[ComponentVerdict]) -> list[Text]:
    """Say for which components a clearance does not hold, and of which references."""
    components: dict[str, list[Component]] = {}
    for verdict in cleared:
        for entry in verdict.not_compared:
            components.setdefault(entry.reference, []).append(verdict.component)
    alike: dict[tuple[Component, ...], list[str]] = {}
    for name, parts in sorted(components.items()):
        alike.setdefault(tuple(parts), []).append(name)
    return [
        Text("{components}: not compared with {reference}", components=p, reference=some_of(names))
        for p, names in alike.items()
    ]


def _reason(verdict: ComponentVerdict) -> Text:
    if verdict.reference:
        return Text(
            "{component}: {verdict} ({reference})",
            component=verdict.component,
            verdict=verdict.verdict,
            reference=verdict.reference,
        )
    return Text("{component}: {verdict}", component=verdict.component, verdict=verdict.verdict)
