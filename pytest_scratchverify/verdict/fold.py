"""Fold a plan and what arrived into one verdict per component.

Pure: no clock, no order of arrival, no averages. Three laws, tested as properties:

* order-free and idempotent: shuffled or repeated findings change nothing;
* adding a derived finding never improves a verdict;
* removing any finding never turns a verdict clean, nor a policy into PASS: what was
  planned and did not arrive is missing, and missing blocks (a killed worker acquits nobody).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    MOST,
    Direction,
    Finding,
    Intent,
    Level,
    Outcome,
    Relation,
)
from pytest_scratchverify.core.spec import same_name
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.clearance import Evidence, clearance, clears, controls_passed
from pytest_scratchverify.verdict.holm import holm_by_id
from pytest_scratchverify.verdict.verdict import ComponentVerdict, Inheritance, Verdict

ALPHA = 1e-3  # family-wise; an accusation needs the adjusted p below it, and more; so does a lead
DEMOTED = 0.05  # family-wise; up to it an accusation that misses `ALPHA` is a lead
IDENTITIES = frozenset({Relation.VERBATIM, Relation.SAME})
SHARED = frozenset({Relation.SHARED_ANCESTRY, Relation.SHARED_INITIALISATION})

_DUPLICATE_ORDER = (
    Outcome.DERIVED,
    Outcome.DECLARED,
    Outcome.CONSISTENT,
    Outcome.INDETERMINATE,
    Outcome.NOT_APPLICABLE,
    Outcome.UNAVAILABLE,
    Outcome.HARNESS_ERROR,
    Outcome.MISSING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that was to be tested of one model, whatever then happened to it.

    `calibrated` are the areas of methods (the first part of ``area.statistic``) whose hypotheses
    may give a p-value: the family of Holm's correction. `own` are the references that are earlier
    models of the same developer, by name.
    """

    model: str
    intents: tuple[Intent, ...]
    components: tuple[Component, ...] = ()
    complete: bool = True  # False: stopped, deselected or crashed; stamps the run partial
    calibrated: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Case:
    """One component's evidence, sorted."""

    component: Component
    findings: list[Finding] = field(default_factory=list)
    absent: list[Intent] = field(default_factory=list)
    adjusted: Mapping[str, float] = field(default_factory=dict)

    def having(self, *outcomes: Outcome) -> list[Finding]:
        return [finding for finding in self.findings if finding.outcome in outcomes]


def unique_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Keep one finding per id, sorted by id.

    A rerun may repeat an id. An accusation outlives its reruns; else the best-informed
    outcome stands, so that a network fault that a rerun overcame is forgotten.
    """
    kept: dict[str, Finding] = {}
    for finding in findings:
        rival = kept.get(finding.id)
        if rival is None or _precedence(finding) < _precedence(rival):
            kept[finding.id] = finding
    return [kept[key] for key in sorted(kept)]


def _precedence(finding: Finding) -> tuple[int, str]:
    return _DUPLICATE_ORDER.index(finding.outcome), repr(finding)


def fold(plan: Plan, findings: Iterable[Finding]) -> dict[Component, ComponentVerdict]:
    """Return a verdict for every planned component and every one that findings speak of."""
    mine = unique_findings(finding for finding in findings if finding.model == plan.model)
    adjusted = adjusted_pvalues(mine, plan)
    cases: dict[Component, _Case] = {
        component: _Case(component, adjusted=adjusted) for component in plan.components
    }
    arrived = {_asked(f) for f in mine}
    arrived |= {(f.method, f.component, None) for f in mine}
    for finding in mine:
        case = cases.setdefault(finding.component, _Case(finding.component, adjusted=adjusted))
        case.findings.append(finding)
    for intent in plan.intents:
        if _asked(intent) not in arrived:
            case = cases.setdefault(intent.component, _Case(intent.component, adjusted=adjusted))
            case.absent.append(intent)
    return {
        component: _with_inheritance(cases[component], plan)
        for component in Component
        if component in cases and _exists(cases[component], plan)
    }


def _exists(case: _Case, plan: Plan) -> bool:
    """Whether the model has the component: by its config, or because something was found of it.

    Suites plan every trained component of every pair, since collection cannot know which there
    are; that one of them could not be read does not show that it is there.
    """
    if case.component in plan.components:
        return True
    silent = {Outcome.NOT_APPLICABLE}
    if case.component.is_trained:
        silent.add(Outcome.UNAVAILABLE)
    elif case.absent:
        return True
    return any(finding.outcome not in silent for finding in case.findings)


def adjusted_pvalues(findings: list[Finding], plan: Plan) -> dict[str, float]:
    """Adjust p-values over all planned hypotheses that may give one, arrived or not.

    What did not arrive counts as p = 1, so that one accusation more never softens another. What
    was found not to apply had no chance to accuse anybody and counts for nothing: with a hundred
    references most planned tests ask of towers that no model of the run has.
    """
    pvalues = {f.id: f.pvalue for f in findings if f.pvalue is not None}
    silent = {_asked(f) for f in findings if f.outcome is Outcome.NOT_APPLICABLE}
    silent -= {_asked(f) for f in findings if f.outcome is not Outcome.NOT_APPLICABLE}
    planned = {
        f"planned:{i.nodeid}:{i.component}": 1.0
        for i in plan.intents
        if i.method.split(".")[0] in plan.calibrated and _asked(i) not in silent
    }
    padding = list(planned.items())[: max(0, len(planned) - len(pvalues))]
    return holm_by_id({**pvalues, **dict(padding)})


def _asked(of: Finding | Intent) -> tuple[str, Component, str | None]:
    return of.method, of.component, of.reference


def _with_inheritance(case: _Case, plan: Plan) -> ComponentVerdict:
    """Judge a component; of one that comes from an own earlier model say what it is without it.

    The verdict itself is the same whoever made the parent: a policy may make a difference.
    """
    found = _judge(case, complete=plan.complete)
    names = {same_name(name) for name in plan.own}

    def is_own(reference: str | None) -> bool:
        return reference is not None and same_name(reference) in names

    if not found.verdict.is_reuse or found.reference is None or not is_own(found.reference):
        return found
    others = _Case(
        case.component,
        [f for f in case.findings if not is_own(f.reference)],
        [i for i in case.absent if not is_own(i.reference)],
        case.adjusted,
    )
    name = same_name(found.reference)
    against = [f for f in case.findings if f.reference and same_name(f.reference) == name]
    measured = [f.coverage for f in against if f.coverage and f.coverage.inherited is not None]
    best = max(measured, key=lambda coverage: coverage.inherited or 0, default=None)
    share = (best.inherited or 0) / best.size if best is not None and best.size else None
    return replace(
        found,
        inherits=Inheritance(
            reference=found.reference,
            declared=found.verdict is Verdict.DECLARED_REUSE,
            others=_judge(others, complete=plan.complete).standing,
            share=share,
            roles=best.roles if best is not None else (),
        ),
    )


def _judge(case: _Case, *, complete: bool) -> ComponentVerdict:
    """Apply the rules in the order of their force; the first that holds decides."""
    for rule in (_accused, _declared, _shared, _conflicting, _not_testable, _suspected):
        verdict = rule(case)
        if verdict is not None:
            return verdict
    return _cleared(case, complete=complete)


def _verdict(
    case: _Case,
    verdict: Verdict,
    finding: Finding | None = None,
    *,
    because: Sequence[Text] = (),
    missing: Sequence[Text] = (),
) -> ComponentVerdict:
    reasons = list(because) or ([finding.headline] if finding else [])
    return ComponentVerdict(
        component=case.component,
        verdict=verdict,
        because=tuple(reasons),
        missing=tuple(missing),
        reference=finding.reference if finding else None,
        kinds=finding.kinds if finding else (),
        p_adjusted=case.adjusted.get(finding.id) if finding else None,
        effect=finding.effect.value if finding and finding.effect else None,
        findings=tuple(sorted(f.id for f in case.findings)),
    )


def _merge(case: _Case) -> Finding | None:
    """Return the finding that several parents were mixed: it says more than any one of them."""
    return next((f for f in case.findings if f.relation is Relation.MERGE), None)


def _accused(case: _Case) -> ComponentVerdict | None:
    """Pronounce REUSED_VERBATIM or DERIVED, if an accusation meets every demand made of one."""
    sustained = [f for f in case.having(Outcome.DERIVED) if is_sustained(f, case)]
    if not sustained:
        return None
    whole = [f for f in sustained if is_identity(f) and _is_most(f)]
    if whole:
        return _verdict(case, Verdict.REUSED_VERBATIM, min(whole, key=_strength(case)))
    strongest = min(sustained, key=_strength(case))
    if strongest.relation in SHARED:
        return None
    merge = _merge(case)
    verdict = _verdict(case, Verdict.DERIVED, strongest)
    if merge is None:
        return verdict
    return replace(verdict, because=(merge.headline, *verdict.because), kinds=merge.kinds)


def _strength(case: _Case) -> Callable[[Finding], tuple[bool, bool, float, float, str]]:
    def key(finding: Finding) -> tuple[bool, bool, float, float, str]:
        effect = finding.effect.value if finding.effect and finding.effect.value else 0.0
        return (
            finding.relation in SHARED,
            finding.level is not Level.E4,
            case.adjusted.get(finding.id, 0.0 if finding.level is Level.E4 else 1.0),
            -abs(effect),
            finding.id,
        )

    return key


def is_sustained(finding: Finding, case: _Case) -> bool:
    """Whether one accusation carries all that ADR 5 demands (docs/adr/)."""
    return _lacking(finding, case) is None


def _lacking(finding: Finding, case: _Case) -> Text | None:
    """Return what an accusation lacks, None if nothing.

    Identity (E4, of bytes or of a whole vocabulary) stands on its own. Everything else needs an
    adjusted p below `ALPHA`, an effect size, a positive and a negative control that passed, and
    either a second, independent kind of evidence against the same reference or a replication.
    """
    if is_identity(finding):
        return None
    adjusted = case.adjusted.get(finding.id)
    if finding.level not in (Level.E3, Level.E4):
        return Text("evidence of this kind is circumstantial")
    if adjusted is None:
        return Text("it has no p-value")
    if adjusted > ALPHA:
        return Text("its p-value is {p} after the adjustment for all hypotheses", p=adjusted)
    if finding.effect is None or finding.effect.value is None:
        return Text("it has no effect size")
    if not controls_passed(finding):
        return Text("not both kinds of control passed beside it")
    groups = {
        other.dependence_group or other.method
        for other in case.having(Outcome.DERIVED)
        if other.reference == finding.reference and other.level in (Level.E3, Level.E4)
    }
    if finding.replications >= 2 or len(groups) >= 2:
        return None
    return Text("no second kind of evidence and no replication stand beside it")


def _is_most(finding: Finding) -> bool:
    """Whether what is equal is most of a component; the share of a vocabulary is all of it."""
    share = finding.effect.value if finding.effect else None
    return finding.relation is not Relation.VERBATIM or share is None or share >= MOST


def is_identity(finding: Finding) -> bool:
    """Whether a finding states equality itself: of bytes, or of a vocabulary and its order."""
    return finding.level is Level.E4 and finding.relation in IDENTITIES


def _shared(case: _Case) -> ComponentVerdict | None:
    sustained = [f for f in case.having(Outcome.DERIVED) if is_sustained(f, case)]
    if not sustained:
        return None
    return _verdict(case, Verdict.SHARED_ANCESTRY, min(sustained, key=_strength(case)))


def _conflicting(case: _Case) -> ComponentVerdict | None:
    disputed = [f for f in case.findings if f.relation is Relation.CONFLICTING and not f.derived]
    return _verdict(case, Verdict.CONFLICTING, disputed[0]) if disputed else None


def _declared(case: _Case) -> ComponentVerdict | None:
    """Call it declared; what names the origin speaks before what names several or none."""
    declared = sorted(case.having(Outcome.DECLARED), key=lambda found: found.reference is None)
    return _verdict(case, Verdict.DECLARED_REUSE, declared[0]) if declared else None


def _not_testable(case: _Case) -> ComponentVerdict | None:
    withheld = [f for f in case.findings if f.relation is Relation.NOT_PUBLISHED and not f.derived]
    return _verdict(case, Verdict.NOT_TESTABLE, withheld[0]) if withheld else None


def _suspected(case: _Case) -> ComponentVerdict | None:
    """Call it a lead: an accusation that is not sustained, or circumstantial evidence."""
    leads = [finding for finding in _leads(case) if survives(finding, case.adjusted)]
    if not leads:
        return None
    lead = min(leads, key=_strength(case))
    lacking = _lacking(lead, case) if lead.derived else None
    why = [Text("a lead and no finding: {lacking}", lacking=lacking)] if lacking else []
    return _verdict(case, Verdict.SUSPECTED, lead, because=[lead.headline, *why])


def _leads(case: _Case) -> list[Finding]:
    return [
        *case.having(Outcome.DERIVED),
        *(f for f in case.having(Outcome.INDETERMINATE) if f.direction is Direction.TOWARD_REUSE),
    ]


def survives(finding: Finding, adjusted: Mapping[str, float]) -> bool:
    """Whether a lead outlives the adjustment: with many references some p-value is small.

    A lead needs the adjusted p that an accusation needs. A finding that its method calls derived
    has passed a stricter test and an effect size before, and stays a lead up to `DEMOTED`. What has
    no p-value is circumstance, which no number of hypotheses turns into chance.
    """
    p = adjusted.get(finding.id)
    return p is None or p <= (DEMOTED if finding.derived else ALPHA)


def standing(finding: Finding, beside: list[Finding], adjusted: Mapping[str, float]) -> Verdict:
    """Return what one finding supports, given all others on its component."""
    if finding.outcome is Outcome.DECLARED:
        return Verdict.DECLARED_REUSE
    if finding.derived and is_sustained(finding, _Case(finding.component, beside, [], adjusted)):
        if is_identity(finding):
            return Verdict.REUSED_VERBATIM
        return Verdict.SHARED_ANCESTRY if finding.relation in SHARED else Verdict.DERIVED
    leads = finding.outcome in (Outcome.DERIVED, Outcome.INDETERMINATE)
    if leads and finding.direction is Direction.TOWARD_REUSE and survives(finding, adjusted):
        return Verdict.SUSPECTED
    if finding.outcome is Outcome.CONSISTENT and clears(finding):
        return Verdict.NO_EVIDENCE_OF_REUSE
    return Verdict.INSUFFICIENT_EVIDENCE


def _cleared(case: _Case, *, complete: bool) -> ComponentVerdict:
    """Grant a clean verdict only where every demand on a clearance is met."""
    lost = tuple(f for f in _leads(case) if not survives(f, case.adjusted))
    found = clearance(
        Evidence(case.component, tuple(case.findings), tuple(case.absent), lost, complete=complete)
    )
    if not found.holds:
        return _verdict(case, Verdict.INSUFFICIENT_EVIDENCE, missing=found.missing)
    if found.audit is not None:
        return _verdict(case, Verdict.INDEPENDENCE_AUDITED, found.audit)
    return replace(
        _verdict(case, Verdict.NO_EVIDENCE_OF_REUSE, because=found.reasons),
        cleared=found.references,
        not_compared=found.open,
    )
