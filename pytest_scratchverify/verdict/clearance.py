"""Which references a clearance holds for, and what keeps a component from one.

A clearance is made against each reference by itself. A reference that is out of reach, or that
has nothing in common to compare, takes nothing from what was measured against the others: the
verdict names both lists. What nobody can assign to a reference withholds all of it: a test that
never reported, an error of ours, an open question on the model itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Intent, Level, Outcome, Relation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.verdict import OpenReference

MINIMUM_COVERAGE = 1e-3  # share of a component's parameters without which nothing clears it
SHOWN = 5  # references that a sentence names; the verdict's own lists hold all
JUDGED = "judged"  # the detail of a finding that says which part of a model it speaks of
PARTIAL = Text("the run is partial: it was stopped, narrowed or lost a worker")
_OURS = (Outcome.MISSING, Outcome.HARNESS_ERROR)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What arrived on one component that nothing accuses.

    `absent` was planned and never reported; `lost_leads` are leads that did not outlive the
    adjustment for the number of hypotheses.
    """

    component: Component
    findings: tuple[Finding, ...]
    absent: tuple[Intent, ...]
    lost_leads: tuple[Finding, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """For which references a component is cleared, which are open, and what is missing.

    `holds` is False where nothing is cleared; `missing` then says why.
    """

    holds: bool
    reasons: tuple[Text, ...] = ()
    references: tuple[str, ...] = ()
    open: tuple[OpenReference, ...] = ()
    missing: tuple[Text, ...] = ()
    audit: Finding | None = None


def clearance(evidence: Evidence) -> Clearance:
    """Judge the evidence reference by reference."""
    everywhere = list(_everywhere(evidence))
    by_reference = _open_references(evidence)
    missing = _all_missing(evidence)
    audits = [
        f for f in evidence.findings if f.relation is Relation.AUDITED and f.level is Level.E4
    ]
    if audits and not missing:
        return Clearance(holds=True, audit=audits[0])
    consistent = [f for f in evidence.findings if f.outcome is Outcome.CONSISTENT]
    clearing = [f for f in consistent if clears(f) and f.reference not in by_reference]
    if clearing and not everywhere:
        cleared = {f.reference for f in clearing if f.reference}
        weak = _compared_in_vain(consistent, {f.method for f in clearing}, cleared)
        return _granted(clearing, by_reference | weak)
    if not any(clears(f) for f in consistent):
        missing.insert(0, _nothing_measured(evidence.component))
    return Clearance(holds=False, missing=tuple(missing))


def _granted(clearing: list[Finding], open_ones: dict[str, Text]) -> Clearance:
    references = sorted({f.reference for f in clearing if f.reference})
    reasons = [
        Text(
            "no relation to {references} was found; {power}",
            references=some_of(references),
            power=clearing[0].power.description if clearing[0].power else "-",
        )
    ]
    scopes = dict.fromkeys(f.remedy for f in clearing if f.remedy and JUDGED in f.details)
    for scope in [*scopes][:SHOWN]:
        reasons[0] = Text("{scope} Of these: {said}", scope=scope, said=reasons[0])
    alike: dict[Text, list[str]] = {}
    for name in sorted(open_ones):
        alike.setdefault(open_ones[name], []).append(name)
    groups = [*alike.items()]
    for why, names in groups[:SHOWN]:
        reasons.append(
            Text(
                "this does not hold for {references}, which could not be compared: {why}",
                references=some_of(names),
                why=why,
            )
        )
    further = [name for _, names in groups[SHOWN:] for name in names]
    if further:
        reasons.append(
            Text(
                "nor does it hold for {references}, which could not be compared either, each for"
                " a reason of its own",
                references=some_of(further),
            )
        )
    return Clearance(
        holds=True,
        reasons=tuple(reasons),
        references=tuple(references),
        open=tuple(
            OpenReference(reference=name, why=open_ones[name]) for name in sorted(open_ones)
        ),
    )


def some_of(names: list[str]) -> list[str] | Text:
    """Return names for a sentence: the first few, and how many more there are."""
    if len(names) <= SHOWN:
        return names
    return Text("{names} and {n} more", names=names[:SHOWN], n=len(names) - SHOWN)


def clears(finding: Finding) -> bool:
    """Whether a negative counts: calibrated, powered, its controls passed, enough covered."""
    covered = finding.coverage.parameters if finding.coverage else None
    return (
        finding.level in (Level.E3, Level.E4)
        and finding.power is not None
        and finding.power.power is not None
        and controls_passed(finding)
        and covered is not None
        and covered >= MINIMUM_COVERAGE
    )


def controls_passed(finding: Finding) -> bool:
    """Whether both kinds of control ran with the finding and none failed or stayed silent."""
    kinds = {control.kind for control in finding.controls}
    return {"positive", "negative"} <= kinds and all(c.passed is True for c in finding.controls)


def _everywhere(evidence: Evidence) -> Iterable[Text]:
    """Say what withholds a clearance against every reference."""
    if not evidence.complete:
        yield PARTIAL
    for finding in evidence.findings:
        if finding.outcome.blocks and (finding.reference is None or finding.outcome in _OURS):
            yield _what_is_open(finding)
    for finding in evidence.lost_leads:
        if finding.derived and finding.reference is None:
            yield _lost(finding)
    for intent in evidence.absent:
        yield Text("planned and never reported: {method}", method=intent.method)


def _open_references(evidence: Evidence) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for finding in evidence.lost_leads:
        if finding.reference is not None:
            found.setdefault(finding.reference, _lost(finding))
    for finding in evidence.findings:
        if finding.outcome.blocks and finding.reference is not None:
            found.setdefault(finding.reference, _what_is_open(finding))
    return found


def _all_missing(evidence: Evidence) -> list[Text]:
    """Say everything that is missing, in the order of the findings."""
    missing = [] if evidence.complete else [PARTIAL]
    missing += [_what_is_open(f) for f in evidence.findings if f.outcome.blocks]
    missing += [_lost(f) for f in evidence.lost_leads if f.derived]
    return missing + [
        Text("planned and never reported: {method}", method=i.method) for i in evidence.absent
    ]


def _compared_in_vain(
    consistent: list[Finding], methods: set[str], cleared: set[str]
) -> dict[str, Text]:
    """Return references that a clearing method compared without power, controls or coverage."""
    return {
        f.reference: f.headline
        for f in consistent
        if f.reference and f.method in methods and f.reference not in cleared and not clears(f)
    }


def _what_is_open(finding: Finding) -> Text:
    """Say what is open and, after it, what to do: a remedy alone has nothing to speak of."""
    if finding.remedy is None:
        return finding.headline
    if str(finding.headline).endswith("."):
        return Text("{what} {remedy}", what=finding.headline, remedy=finding.remedy)
    return Text("{what}: {remedy}", what=finding.headline, remedy=finding.remedy)


def _lost(finding: Finding) -> Text:
    return Text(
        "a lead that is no more than the number of hypotheses makes probable ({method})",
        method=finding.method,
    )


def _nothing_measured(component: Component) -> Text:
    if component.is_trained:
        return Text("no weight of this component was compared with any reference")
    return Text("no calibrated evidence was gathered on this component")
