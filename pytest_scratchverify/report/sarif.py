"""The findings as SARIF 2.1.0, for code-scanning views and other tools.

``result.kind`` holds the outcome (pass, fail, review, open, notApplicable, informational);
only a rejected hypothesis has a level above none: error where a chosen policy fails the model for
it, else note.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.visible import visible, visible_json, visible_values
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.verdict.run import Run

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
KINDS: Mapping[Outcome, str] = {
    Outcome.CONSISTENT: "pass",
    Outcome.DERIVED: "fail",
    Outcome.DECLARED: "informational",
    Outcome.INDETERMINATE: "review",
    Outcome.UNAVAILABLE: "open",
    Outcome.NOT_APPLICABLE: "notApplicable",
    Outcome.MISSING: "open",
    Outcome.HARNESS_ERROR: "open",
}


def render_sarif(run: Run, language: str) -> str:
    """Return the SARIF log of a run."""
    rules: dict[str, Finding] = {}
    for finding in run.findings:
        rules.setdefault(finding.method, finding)
    places = {method: number for number, method in enumerate(sorted(rules))}
    driver: dict[str, Any] = {
        "name": "pytest-scratchverify",
        "version": run.version or "0",
        "rules": [_rule(method, rules[method], language) for method in sorted(rules)],
    }
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "language": language,
                "results": [_result(run, f, places[f.method], language) for f in run.findings],
                "properties": {
                    "reproduce": run.reproduce,
                    "partial": run.partial,
                    "policies": {
                        model.model: {n: r.result.value for n, r in model.policies.items()}
                        for model in run.models
                    },
                    "lineage": {
                        model.model: [translate(text, language) for text in model.lineage]
                        for model in run.models
                        if model.lineage
                    },
                },
            }
        ],
    }
    text = json.dumps(visible_values(document), indent=1, sort_keys=True, ensure_ascii=False)
    return visible_json(text) + "\n"


def _rule(method: str, example: Finding, language: str) -> dict[str, Any]:
    return {"id": method, "shortDescription": {"text": translate(example.hypothesis, language)}}


def _result(run: Run, finding: Finding, rule: int, language: str) -> dict[str, Any]:
    kind = KINDS[finding.outcome]
    own = [record.file for record in finding.artifacts if record.repo != finding.reference]
    names = [name for name in own if name != "*"] or ["config.json"]
    result: dict[str, Any] = {
        "ruleId": finding.method,
        "ruleIndex": rule,
        "kind": kind,
        "level": _level(run, finding),
        "message": {"text": translate(finding.headline, language)},
        "partialFingerprints": {"finding/v1": finding.id},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _uri(names[0])}},
                "logicalLocations": [
                    {
                        "name": finding.component.value,
                        "kind": "component",
                        "fullyQualifiedName": f"{finding.model}:{finding.component.value}",
                    }
                ],
            }
        ],
        "properties": {
            "model": finding.model,
            "reference": finding.reference,
            "outcome": finding.outcome.value,
            "evidenceLevel": finding.level.value,
            "p": finding.pvalue,
        },
    }
    return result


def _level(run: Run, finding: Finding) -> str:
    if not finding.derived:
        return "none"
    return "error" if run.fails(finding) else "note"


def _uri(name: str) -> str:
    """Return a file's address; a name that is not UTF-8 keeps its bytes."""
    try:
        return quote(name, errors="surrogateescape")
    except UnicodeEncodeError:  # half a character, which no file system has
        return quote(visible(name))
