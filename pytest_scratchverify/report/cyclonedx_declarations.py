"""The declarations of an ML-BOM: what is claimed, what speaks for and against it, by what standard.

A policy is a standard; what it asks of a component is a requirement. An attestation maps each
requirement to the developer's claim, which is under test, and to the counter-claims that the
verdict makes. No number is made up: a conformance has a score where the policy says yes (1) or no
(0), and a confidence has none, for nothing that a run measures is one; its rationale says what is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.report.headline import in_order
from pytest_scratchverify.report.language import joined, translate
from pytest_scratchverify.report.package_url import PackageUrls
from pytest_scratchverify.report.wording import RESULT_MEANING, reasons, verdict_sentence
from pytest_scratchverify.verdict.files_read import ReadFile
from pytest_scratchverify.verdict.policy import PolicyTable, shipped_policies
from pytest_scratchverify.verdict.run import Run, named_components
from pytest_scratchverify.verdict.serialization import to_json
from pytest_scratchverify.verdict.verdict import (
    ComponentVerdict,
    ModelVerdict,
    PolicyResult,
    Result,
    Verdict,
)

ASSESSOR = "assessor:pytest-scratchverify"
OPEN = (Verdict.INSUFFICIENT_EVIDENCE, Verdict.NOT_TESTABLE)
NO_PROMISE = Text(
    "No verdict says that a model was trained from scratch: the best that tests can say "
    "is that no relation to the named references was found, at the power stated."
)
MEASURED = ("outcome", "level", "relation", "kinds", "statistic", "effect", "pvalue", "null",
            "power", "controls", "coverage", "replications")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refs:
    """How the parts of a document name each other."""

    urls: PackageUrls

    def model(self, model: ModelVerdict) -> str:
        """Return the bom-ref of a model: its purl, or its name."""
        return self.urls.of(model.model) or f"model:{model.model}"

    def part(self, model: ModelVerdict, component: Component) -> str:
        """Return the bom-ref of a component of a model."""
        return f"{self.model(model)}#{component.value}"

    def file(self, model: ModelVerdict, file: ReadFile) -> str:
        """Return the bom-ref of a file of a model."""
        return f"file:{self.model(model)}:{file.repo}/{file.path}"

    def target(self, model: ModelVerdict, component: Component) -> str:
        """Return what a claim about a component is about: the part, where there is one."""
        return self.part(model, component) if component.is_part else self.model(model)

    def claim(self, model: ModelVerdict, component: Component, *, counter: bool = False) -> str:
        """Return the bom-ref of the claim about a component, or of the one against it."""
        kind = "counter-claim" if counter else "claim"
        return f"{kind}:{self.part(model, component)}"

    def evidence(self, finding: Finding) -> str:
        """Return the bom-ref of a finding."""
        return f"evidence:{finding.id}"

    @staticmethod
    def requirement(policy: str, component: Component | None) -> str:
        """Return the bom-ref of what a policy asks of a component, or of the model as a whole."""
        return f"policy:{policy}/{component.value if component else '*'}"


def policies(run: Run) -> list[str]:
    """Return the policies of a run, those that the user chose first."""
    return [*dict.fromkeys([*run.judged_by, *(n for m in run.models for n in m.policies)])]


def asked(policy: str, model: ModelVerdict) -> list[Component | None]:
    """Return what a policy asks about: components, or the model as a whole if it is no table."""
    table = shipped_policies().get(policy)
    return [*table.required(model.components)] if table else [None]


def standards(run: Run, language: str) -> list[Any]:
    """Return the run's policies as standards of cyclonedx-python-lib, with their requirements."""
    from cyclonedx.model.definition import Requirement, Standard  # noqa: PLC0415 - an extra

    found = []
    for name in policies(run):
        table = shipped_policies().get(name)
        parts = {part: None for model in run.models for part in asked(name, model)}
        requirements = [
            Requirement(
                bom_ref=Refs.requirement(name, part),
                identifier=f"{name}/{part.value if part else '*'}",
                text=translate(_required(name, part, table), language),
            )
            for part in parts
        ]
        about = [Text("a policy of pytest-scratchverify"), NO_PROMISE]
        found.append(
            Standard(
                bom_ref=f"policy:{name}",
                name=name,
                version=visible(run.version, 1000) or None,
                description=joined(about, language),
                requirements=requirements,
            )
        )
    return found


def _required(name: str, part: Component | None, table: PolicyTable | None) -> Text:
    if part is None or table is None:
        return Text("{policy} judges the model as a whole, by rules of its own", policy=name)
    return Text(
        "{component}: satisfied by {satisfied}; failed by {failed}; left open by all else",
        component=part.value,
        satisfied=sorted(verdict.value for verdict in table.satisfied_by),
        failed=sorted(verdict.value for verdict in table.failed_by),
    )


def declarations(run: Run, refs: Refs, language: str) -> dict[str, Json]:
    """Return the document's ``declarations``: assessor, attestations, claims and evidence."""
    claims: list[Json] = []
    evidence: dict[str, Json] = {}
    for model in run.models:
        wanted = {part for name in model.policies for part in asked(name, model)}
        findings = {finding.id: finding for finding in run.findings_of(model.model)}
        for component, verdict in in_order(model):
            asked_about = component.is_trained or component in wanted
            if verdict.verdict in OPEN and not asked_about:
                continue
            based = [findings[name] for name in verdict.findings if name in findings]
            claims += _claims(refs, model, verdict, based, language)
            for finding in (*_for(based), *_against(based)):
                evidence[refs.evidence(finding)] = _evidence(refs, finding, language)
    made_by = f"pytest-scratchverify {run.version}".strip()
    return {
        "assessors": [{"bom-ref": ASSESSOR, "organization": {"name": made_by}}],
        "attestations": [
            _attestation(refs, model, name, model.policies[name], language)
            for model in run.models
            for name in policies(run)
            if name in model.policies
        ],
        "claims": claims,
        "evidence": [*evidence.values()],
    }


def _for(findings: Iterable[Finding]) -> list[Finding]:
    """Return what speaks for the claim: tests that could have found reuse, and did not."""
    return [
        finding
        for finding in findings
        if finding.outcome is Outcome.CONSISTENT
        and finding.direction is not Direction.TOWARD_REUSE
        and finding.power is not None
    ]


def _against(findings: Iterable[Finding]) -> list[Finding]:
    return [f for f in findings if f.outcome in (Outcome.DERIVED, Outcome.DECLARED)]


def _claims(
    refs: Refs,
    model: ModelVerdict,
    verdict: ComponentVerdict,
    findings: list[Finding],
    language: str,
) -> Iterator[Json]:
    """Yield the developer's claim about a component and the verdict's, where it is another."""
    component = verdict.component
    claim = Text(
        "the developer's claim, under test: the {component} of {model} comes from no other model",
        component=component.value,
        model=model.model,
    )
    supporting, against = _for(findings), _against(findings)
    yield {
        "bom-ref": refs.claim(model, component),
        "target": refs.target(model, component),
        "predicate": translate(claim, language),
        "reasoning": joined([verdict_sentence(model, verdict), *reasons(verdict)], language),
        **_refs_of("evidence", refs, supporting),
        **_refs_of("counterEvidence", refs, against),
    }
    if _has_counter(verdict):
        yield {
            "bom-ref": refs.claim(model, component, counter=True),
            "target": refs.target(model, component),
            "predicate": translate(verdict_sentence(model, verdict), language),
            "reasoning": joined(reasons(verdict), language),
            **_refs_of("evidence", refs, against),
            **_refs_of("counterEvidence", refs, supporting),
        }


def _has_counter(verdict: ComponentVerdict) -> bool:
    return not verdict.verdict.is_clean and verdict.verdict not in OPEN


def _refs_of(key: str, refs: Refs, findings: list[Finding]) -> dict[str, Json]:
    return {key: [refs.evidence(finding) for finding in findings]} if findings else {}


def _evidence(refs: Refs, finding: Finding, language: str) -> Json:
    whole = to_json(finding)
    measured = {key: whole[key] for key in MEASURED} if isinstance(whole, dict) else {}
    content = json.dumps(shown(measured), sort_keys=True, allow_nan=False)
    attachment: Json = {"contentType": "application/json", "content": content}
    return {
        "bom-ref": refs.evidence(finding),
        "propertyName": f"scratchverify:{finding.method}",
        "description": translate(finding.headline, language),
        "data": [{"name": finding.id, "contents": {"attachment": attachment}}],
    }


def _attestation(
    refs: Refs, model: ModelVerdict, name: str, judged: PolicyResult, language: str
) -> Json:
    summary = Text(
        "{model}, {policy}: {result}, {meaning}",
        model=model.model,
        policy=name,
        result=judged.result.value,
        meaning=RESULT_MEANING[judged.result],
    )
    return {
        "summary": joined([summary, NO_PROMISE], language),
        "assessor": ASSESSOR,
        "map": [_entry(refs, model, name, part, language) for part in asked(name, model)],
    }


def _entry(
    refs: Refs, model: ModelVerdict, name: str, part: Component | None, language: str
) -> Json:
    """Map one requirement to claim, counter-claim, conformance and confidence."""
    judged = model.policies[name]
    parts = [part] if part else [c for c in model.components if c.is_trained]
    verdicts = [model.components[component] for component in parts]
    counter = [refs.claim(model, v.component, counter=True) for v in verdicts if _has_counter(v)]
    result = _result(model, name, part)
    score = {Result.PASS: 1, Result.FAIL: 0}.get(result)
    why = [
        text
        for verdict in verdicts
        for text in (verdict_sentence(model, verdict), *reasons(verdict))
    ]
    confidence = _confidence(verdicts[0] if part else None)
    return {
        "requirement": refs.requirement(name, part),
        "claims": [refs.claim(model, component) for component in parts],
        **({"counterClaims": [*counter]} if counter else {}),
        "conformance": {
            **({"score": score} if score is not None else {}),
            "rationale": joined(
                [RESULT_MEANING[result], *(why if part else judged.because)], language
            ),
        },
        "confidence": {"rationale": translate(confidence, language)},
    }


def _result(model: ModelVerdict, name: str, part: Component | None) -> Result:
    """Return what a policy makes of one component, by its result and its reasons."""
    judged, table = model.policies[name], shipped_policies().get(name)
    if part is None or table is None or judged.result is Result.PASS:
        return judged.result
    verdict = model.components[part]
    named = {c for text in judged.because for c in named_components(text.params)}
    if judged.result is Result.FAIL and part.value in named:
        return Result.FAIL
    satisfied = verdict.verdict in table.satisfied_by and not verdict.not_compared
    if satisfied and part.value not in named and not model.partial:
        return Result.PASS
    return Result.UNDETERMINED


def _confidence(verdict: ComponentVerdict | None) -> Text:
    """Say why there is no score, and what was measured instead.

    Neither a p-value nor a power is a probability that a verdict is right, so no number of a run is
    a confidence in the sense of the format.
    """
    if verdict is None:
        return Text("no score: the policy judges by rules of its own")
    if verdict.verdict.is_clean:
        return Text(
            "no score: the power against the kinds of reuse that were tried is no probability that"
            " there is none; it stands with the conformance"
        )
    if not _has_counter(verdict):
        return Text("no score: nothing was decided")
    if verdict.p_adjusted is None:
        return Text("no score: no p-value, the verdict rests on other grounds")
    return Text(
        "no score: a p-value is no probability that a verdict is right; adjusted p {p}",
        p=verdict.p_adjusted,
    )


def shown(value: Any, key: str = "") -> Any:
    """Return a document whose texts are visible and bounded; a finding's JSON is both already."""
    if isinstance(value, dict):
        return {name: shown(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return visible(value) if isinstance(value, str) and key != "content" else value
