"""What a reader must know first of a model: verdicts grouped, kinds named, evidence both ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord, Direction, Finding, Outcome, Relation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.wording import (
    COMPONENT_NAMES,
    UNMEASURED,
    gravity,
    reasons,
    strongest,
)
from pytest_scratchverify.verdict.policy import NOT_ASKED
from pytest_scratchverify.verdict.run import LISTING, Run, records_of
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict, Result, Verdict

RESULT_WORDS: Mapping[Result, Text] = {
    Result.PASS: Text("The claim is not contradicted"),
    Result.FAIL: Text("The claim is contradicted"),
    Result.UNDETERMINED: Text("The claim is undecided"),
}

RESULT_SENTENCES: Mapping[Result, Text] = {
    Result.PASS: Text(
        "No component that this policy asks about shows a relation that it forbids, at the power"
        " stated."
    ),
    Result.FAIL: Text(
        "At least one component that this policy asks about is a reference's, cannot be told from"
        " what descends from it, or is declared as reused."
    ),
    Result.UNDETERMINED: Text(
        "Not enough was measured to contradict the claim or to support it. This is no suspicion."
    ),
}

KIND_WORDS: Mapping[str, Text] = {
    "merge, or trained on the second parent's data": Text(
        "merge, or trained on the second parent's data"
    ),
    "identical": Text("identical"),
    "partly identical": Text("partly identical"),
    "continued pretraining": Text("continued pretraining"),
    "fine-tune": Text("fine-tune"),
    "adapter": Text("adapter"),
    "quantised copy": Text("quantised copy"),
    "copy in another precision": Text("copy in another precision"),
    "pruned copy": Text("pruned copy"),
    "partial reuse": Text("partial reuse"),
    "rescaled": Text("rescaled"),
    "rotated": Text("rotated"),
    "rotated or renumbered channels": Text("rotated or renumbered channels"),
    "renumbered channels": Text("renumbered channels"),
    "renumbered neurons": Text("renumbered neurons"),
    "renumbered experts": Text("renumbered experts"),
    "renumbered or rotated heads": Text("renumbered or rotated heads"),
    "layers moved": Text("layers moved"),
    "layers repeated": Text("layers repeated"),
    "experts left out": Text("experts left out"),
    "experts added": Text("experts added"),
    "experts doubled": Text("experts doubled"),
    "the copies rotated": Text("the copies rotated"),
    "roles inherited, the rest drawn anew": Text("roles inherited, the rest drawn anew"),
    "width changed": Text("width changed"),
    "upcycled": Text("upcycled to experts"),
    "merge": Text("merge"),
    "vocabulary order": Text("vocabulary order"),
    "kind unknown": Text("kind unknown"),
}

_ORDER = (
    Verdict.REUSED_VERBATIM,
    Verdict.DERIVED,
    Verdict.SHARED_ANCESTRY,
    Verdict.DECLARED_REUSE,
    Verdict.SUSPECTED,
    Verdict.CONFLICTING,
    Verdict.INSUFFICIENT_EVIDENCE,
    Verdict.NOT_TESTABLE,
    Verdict.NO_EVIDENCE_OF_REUSE,
    Verdict.INDEPENDENCE_AUDITED,
)
_RESULT_ORDER = (Result.FAIL, Result.UNDETERMINED, Result.PASS)


@dataclass(frozen=True, slots=True)
class Group:
    """Components of one model with one verdict, one reference and the same kinds."""

    verdict: Verdict
    components: tuple[Text, ...]
    reference: str | None
    kinds: tuple[str, ...]
    why: Text | None
    whose: Text | None = None  # the component that `why` speaks of, where there are several


def kind_texts(kinds: Iterable[str]) -> list[Text]:
    """Return kinds as texts; one that is not known stays as it is."""
    return [KIND_WORDS.get(kind, Text("{kind}", kind=kind)) for kind in kinds]


def in_order(model: ModelVerdict) -> list[tuple[Component, ComponentVerdict]]:
    """Return the components in their fixed order, which a stored run does not keep."""
    place = list(Component).index
    return sorted(model.components.items(), key=lambda item: place(item[0]))


OVERVIEW: Mapping[str, Text] = {
    "related": Text("Related, or in doubt"),
    "clear": Text("No relation found"),
    "open": Text("Open"),
}
_OPEN = (Verdict.INSUFFICIENT_EVIDENCE, Verdict.NOT_TESTABLE)


def overview(model: ModelVerdict, part: str) -> list[Group]:
    """Return the verdicts on all components that stand in a column of the overview."""
    return [group for group in _grouped(in_order(model)) if _part(group.verdict) == part]


def overview_columns(run: Run) -> list[tuple[str, Text]]:
    """Return the columns of the overview in which something stands, with their titles."""
    return [
        (part, title)
        for part, title in OVERVIEW.items()
        if any(overview(model, part) for model in run.models)
    ]


def _part(verdict: Verdict) -> str:
    if verdict in _OPEN:
        return "open"
    return "clear" if verdict.is_clean else "related"


def overview_rank(groups: Sequence[Group]) -> str:
    """Return what a column of the overview is sorted by: the gravest first, then the most."""
    if not groups:
        return str(len(_ORDER))
    first = groups[0]
    return f"{_ORDER.index(first.verdict)} {99 - len(first.components)} {first.reference or ''}"


COUNTED_HEADLINES: Mapping[Result, str] = {
    Result.FAIL: "{n} contradicted",
    Result.UNDETERMINED: "{n} undecided",
    Result.PASS: "{n} not contradicted",
}


def counted(run: Run) -> Text:
    """Say in one sentence what was found of all models, by the policy that leads for each."""
    results = [m.policies[name].result for m in run.models if (name := judged_first(run, m))]
    parts = [
        Text(COUNTED_HEADLINES[result], n=results.count(result))
        for result in _RESULT_ORDER
        if result in results
    ]
    return Text("{n} models: {counts}", n=len(run.models), counts=parts)


def policy_rank(run: Run, model: ModelVerdict) -> str:
    """Return what the column of policies is sorted by: the result that leads, FAIL first."""
    first = judged_first(run, model)
    return str(_RESULT_ORDER.index(model.policies[first].result)) if first else "3"


def groups(model: ModelVerdict) -> list[Group]:
    """Return the model's trained components by verdict, the gravest first."""
    return _grouped((c, verdict) for c, verdict in in_order(model) if c.is_trained)


def _grouped(verdicts: Iterable[tuple[Component, ComponentVerdict]]) -> list[Group]:
    found: dict[tuple[Verdict, str, tuple[str, ...]], list[ComponentVerdict]] = {}
    for _, verdict in verdicts:
        key = (verdict.verdict, verdict.reference or "", verdict.kinds)
        found.setdefault(key, []).append(verdict)
    return [
        _group(*key, members)
        for key, members in sorted(found.items(), key=lambda item: _ORDER.index(item[0][0]))
    ]


def _group(
    verdict: Verdict, reference: str, kinds: tuple[str, ...], members: Sequence[ComponentVerdict]
) -> Group:
    # most of a model is its decoder: of several components, its reason stands for theirs
    first = sorted(members, key=lambda member: member.component is not Component.TEXT_DECODER)
    why = next(((v.component, text) for v in first for text in reasons(v)), None)
    return Group(
        verdict,
        tuple(COMPONENT_NAMES[member.component] for member in members),
        reference or None,
        kinds,
        why[1] if why else None,
        COMPONENT_NAMES[why[0]] if why and len(members) > 1 else None,
    )


def kinds_found(run: Run, model: ModelVerdict) -> list[tuple[str, ...]]:
    """Return how the model's weights were taken, as far as it can be told: each once."""
    kinds = [v.kinds for c, v in model.components.items() if c.is_trained and v.verdict.is_reuse]
    merges = [f.kinds for f in run.findings_of(model.model) if f.relation is Relation.MERGE]
    return list(dict.fromkeys(found for found in [*kinds, *merges] if is_derivation(found)))


def is_derivation(kinds: Sequence[str]) -> bool:
    """Whether kinds say how something was taken, rather than by what it was recognised."""
    return bool(kinds) and tuple(kinds) != ("vocabulary order",)


def not_asked(run: Run, model: ModelVerdict) -> list[Text]:
    """Return what is reported of a model and what the policy that leads does not ask about."""
    first = judged_first(run, model)
    because = model.policies[first].because if first else ()
    return [text for text in because if text.template == NOT_ASKED]


def evidence(
    findings: list[Finding], limit: int, beside: Iterable[Text] = ()
) -> tuple[list[Finding], ...]:
    """Return the strongest findings against the claim, for it, and others worth a look.

    Components that a sentence of `beside` names, which no policy asks about, are no part of the
    claim: what was found of them is worth a look.
    """
    against, supporting, other = [], [], []
    outside = {text.params.get("component") for text in beside}
    for finding in strongest(findings, len(findings)):
        if finding.component.value in outside:
            other.append(finding)
        elif finding.direction is Direction.TOWARD_REUSE:
            against.append(finding)
        elif finding.direction is Direction.TOWARD_INDEPENDENCE:
            supporting.append(finding)
        elif finding.outcome is not Outcome.CONSISTENT:
            other.append(finding)
    return against[:limit], supporting[:limit], other[:limit]


def measured(findings: Iterable[Finding], *, yes: bool) -> list[Finding]:
    """Return the findings that measured something, the most serious first; or the others."""
    chosen = [finding for finding in findings if (finding.outcome not in UNMEASURED) is yes]
    return sorted(chosen, key=gravity)


def designs(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that list the nearest designs of the catalogue."""
    return [finding for finding in findings if finding.details.get("catalogue_entries")]


def records(findings: Iterable[Finding]) -> list[ArtifactRecord]:
    """Return what was read of the model's own files, a file of several reads once for each."""
    return [record for record in records_of(findings) if record.file != LISTING]


def judged_first(run: Run, model: ModelVerdict) -> str | None:
    """Return the policy whose result leads: the first that the user chose, else the first."""
    names = [name for name in run.judged_by if name in model.policies]
    return next(iter([*names, *model.policies]), None)
