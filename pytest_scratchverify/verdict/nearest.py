"""References in the order of their nearness, for whoever suspects nobody in particular.

The order is by what the fold would sustain against each reference alone, then by effect among
those that are related, and by the adjusted p-value among those that are not: their order is
chance.
"""

from __future__ import annotations

from collections.abc import Iterable

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Level, Outcome
from pytest_scratchverify.verdict.fold import Plan, adjusted_pvalues, standing
from pytest_scratchverify.verdict.verdict import NearReference, Verdict

ORDER = (
    Verdict.REUSED_VERBATIM,
    Verdict.DERIVED,
    Verdict.DECLARED_REUSE,
    Verdict.SHARED_ANCESTRY,
    Verdict.SUSPECTED,
    Verdict.NO_EVIDENCE_OF_REUSE,
    Verdict.INSUFFICIENT_EVIDENCE,
)
RELATED = frozenset(ORDER[:5])
_WEIGHTS = (Level.E3, Level.E4)


def nearest_references(plan: Plan, findings: Iterable[Finding]) -> tuple[NearReference, ...]:
    """Return every reference of a model's plan, the nearest first.

    Parameters
    ----------
    plan, findings
        As `fold` takes them: the findings on the plan's model, one an id.
    """
    mine = [finding for finding in findings if finding.model == plan.model]
    adjusted = adjusted_pvalues(mine, plan)
    asked = {i.reference for i in plan.intents if i.component.is_trained and i.reference}
    of: dict[str, list[Finding]] = {name: [] for name in sorted(asked)}
    for finding in mine:
        if finding.component.is_trained and finding.reference in of:
            of[finding.reference].append(finding)
    beside: dict[Component, list[Finding]] = {}
    for finding in mine:
        beside.setdefault(finding.component, []).append(finding)
    found = []
    for name, about in of.items():
        rows = [(standing(f, beside[f.component], adjusted), f) for f in about if _is_of_weights(f)]
        best = min((ORDER.index(verdict) for verdict, _ in rows), default=len(ORDER) - 1)
        chosen = [f for verdict, f in rows if verdict is ORDER[best]]
        found.append(_near(name, ORDER[best], chosen, about, adjusted))
    return tuple(sorted(found, key=_nearness))


def _is_of_weights(finding: Finding) -> bool:
    calibrated = finding.level in _WEIGHTS and finding.outcome is not Outcome.NOT_APPLICABLE
    return calibrated or finding.outcome is Outcome.DECLARED


def _near(
    name: str,
    verdict: Verdict,
    chosen: list[Finding],
    about: list[Finding],
    adjusted: dict[str, float],
) -> NearReference:
    def size(finding: Finding) -> float:
        value = finding.effect.value if finding.effect else None
        return abs(value) if value is not None else 0.0

    def strength(finding: Finding) -> tuple[float, float, str]:
        p = adjusted.get(finding.id, 1.0)
        return (-size(finding), p, finding.id) if verdict in RELATED else (p, 0.0, finding.id)

    strongest = min(chosen, key=strength, default=None)
    compared = verdict is not Verdict.INSUFFICIENT_EVIDENCE
    open_ones = [f for f in about if f.outcome.blocks] or about
    return NearReference(
        reference=name,
        verdict=verdict,
        components=tuple(sorted({f.component for f in chosen}, key=str)) if compared else (),
        effect=strongest.effect.value if strongest and strongest.effect else None,
        p_adjusted=adjusted.get(strongest.id) if strongest else None,
        why=None if compared or not open_ones else min(open_ones, key=lambda f: f.id).headline,
    )


def _nearness(near: NearReference) -> tuple[int, float, float, str]:
    size = -abs(near.effect or 0.0)
    p = 1.0 if near.p_adjusted is None else near.p_adjusted
    first, second = (size, p) if near.verdict in RELATED else (p, size)
    return ORDER.index(near.verdict), first, second, near.reference
