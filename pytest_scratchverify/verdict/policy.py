"""Judge component verdicts by a policy: data in, PASS, FAIL or UNDETERMINED out."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pytest_scratchverify.core.component import TEXT_ONLY, TRAINED, Component
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.verdict import ComponentVerdict, PolicyResult, Result, Verdict

KOREA_2026 = "korea-2026"
POLICY_NAMES = ("strict", "text-only", "msit-2026", KOREA_2026)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a policy demands of which components."""

    name: str
    requires: Literal["trained", "text"]
    satisfied_by: frozenset[Verdict]
    failed_by: frozenset[Verdict]
    accepts_states: frozenset[str] = frozenset()

    def required(self, components: Mapping[Component, ComponentVerdict]) -> list[Component]:
        """Return the model's components that this policy judges, in their fixed order."""
        scope = TRAINED if self.requires == "trained" else TEXT_ONLY
        return [component for component in Component if component in scope & components.keys()]


@cache
def shipped_policies() -> Mapping[str, Policy]:
    """Return the policies of policies.toml by name."""
    text = (Path(__file__).parent / "policies.toml").read_text("utf-8")
    return {
        name: Policy(
            name=name,
            requires=table["requires"],
            satisfied_by=frozenset(map(Verdict, table["satisfied_by"])),
            failed_by=frozenset(map(Verdict, table["failed_by"])),
            accepts_states=frozenset(table.get("accepts_states", ())),
        )
        for name, table in tomllib.loads(text).items()
    }


def judge(
    policy: Policy,
    components: Mapping[Component, ComponentVerdict],
    *,
    partial: bool,
    known: bool = True,
    states: Mapping[Component, str] | None = None,
) -> PolicyResult:
    """Apply `policy` to a model's component verdicts.

    `known` is False where nothing showed which components the model has; `states` says in which
    state a declared component was reused. A failing component decides;
    otherwise anything not satisfied, or a partial run, leaves the result UNDETERMINED. A model
    none of whose trained components is known is UNDETERMINED too: nothing was tested.
    """
    required = [components[component] for component in policy.required(components)]
    failed = [
        v for v in required if v.verdict in policy.failed_by and not _excused(policy, v, states)
    ]
    if failed:
        return PolicyResult(result=Result.FAIL, because=tuple(map(_reason, failed)))
    open_ones = [v for v in required if v.verdict not in policy.satisfied_by]
    reasons = [_reason(verdict) for verdict in open_ones]
    if partial:
        reasons.append(Text("the run is partial"))
    if not known:
        reasons.append(Text("which components the model has is not known: no config was read"))
    if not required:
        reasons.append(Text("no trained component of the model is known"))
    if reasons:
        return PolicyResult(result=Result.UNDETERMINED, because=tuple(reasons))
    return PolicyResult(
        result=Result.PASS,
        because=(Text("nothing found contradicts the claim, at the power stated per component"),),
    )


def _excused(
    policy: Policy, verdict: ComponentVerdict, states: Mapping[Component, str] | None
) -> bool:
    state = (states or {}).get(verdict.component)
    return verdict.verdict is Verdict.DECLARED_REUSE and state in policy.accepts_states


def _reason(verdict: ComponentVerdict) -> Text:
    if verdict.reference:
        return Text(
            "{component}: {verdict} ({reference})",
            component=verdict.component,
            verdict=verdict.verdict,
            reference=verdict.reference,
        )
    return Text("{component}: {verdict}", component=verdict.component, verdict=verdict.verdict)
