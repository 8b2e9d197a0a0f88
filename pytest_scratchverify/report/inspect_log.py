"""A run as a log of Inspect (inspect_ai), which ``inspect view`` opens.

Format: inspect_ai's EvalLog, version 2, as JSON. A hypothesis is a sample: its input is what was
asked, its score the outcome, its explanation what was found. Scores of the whole count models by
policy and components by verdict; there is no accuracy and no average, for a run has none.
inspect_ai is not needed: the format is JSON, and its reader is in the tests. The viewer lists files
whose names begin with a time, as ``2026-11-26T00-00-00_scratchverify.json`` does.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.visible import visible_json, visible_values
from pytest_scratchverify.report.headline import in_order
from pytest_scratchverify.report.html import today
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.run_json import run_sha256
from pytest_scratchverify.verdict.run import Run

TASK = "scratchverify"
SCORER = "outcome"


def render_inspect_log(run: Run, language: str) -> str:
    """Return the log of a run; the same run gives the same bytes on the same day.

    A partial run is ``cancelled``: less was measured than was planned.
    """
    digest = run_sha256(run)
    document = {
        "version": 2,
        "status": "cancelled" if run.partial else "success",
        "eval": _spec(run, digest, language),
        "plan": {"name": "plan", "steps": [], "config": {}},
        "results": _results(run),
        "stats": {"started_at": "", "completed_at": "", "model_usage": {}},
        "samples": [_sample(finding, language) for finding in run.findings],
    }
    text = json.dumps(visible_values(document), indent=1, sort_keys=True, ensure_ascii=False)
    return visible_json(text) + "\n"


def _spec(run: Run, digest: str, language: str) -> dict[str, Any]:
    return {
        "created": f"{today()}T00:00:00+00:00",
        "eval_id": digest[:22],
        "run_id": digest[:22],
        "task_id": digest[22:44],
        "task": TASK,
        "task_version": 0,
        "task_args": {},
        "model": ", ".join(model.model for model in run.models) or "none",
        "model_args": {},
        "dataset": {
            "name": "hypotheses",
            "samples": run.planned,
            "sample_ids": [finding.id for finding in run.findings],
            "shuffled": False,
        },
        "config": {},
        "packages": {"pytest-scratchverify": run.version, **run.environment},
        "scorers": [{"name": SCORER, "metrics": [], "metadata": {}}],
        "tags": ["partial"] if run.partial else [],
        "metadata": {
            "reproduce": run.reproduce,
            "run_sha256": digest,
            "partial_because": [translate(text, language) for text in run.partial_because],
            "models": {model.model: _said(model, language) for model in run.models},
        },
    }


def _said(model: Any, language: str) -> dict[str, Any]:
    """Return a model's verdicts and what the policies make of them, with their reasons."""
    return {
        "revision": model.revision,
        "components": {
            component.value: {
                "verdict": verdict.verdict.value,
                "reference": verdict.reference,
                "because": [translate(text, language) for text in verdict.because],
            }
            for component, verdict in in_order(model)
        },
        "policies": {
            name: {
                "result": judged.result.value,
                "because": [translate(text, language) for text in judged.because],
            }
            for name, judged in model.policies.items()
        },
        "lineage": [translate(text, language) for text in model.lineage],
    }


def _results(run: Run) -> dict[str, Any]:
    scores = [
        _counts(f"policy {name}", (m.policies[name].result for m in run.models))
        for name in run.judged_by
        if all(name in model.policies for model in run.models)
    ]
    components: dict[str, list[str]] = {}
    for model in run.models:
        for component, verdict in in_order(model):
            components.setdefault(component.value, []).append(verdict.verdict)
    scores += [_counts(f"verdict {name}", found) for name, found in components.items()]
    scores.append(_counts(SCORER, (finding.outcome for finding in run.findings)))
    return {"total_samples": run.planned, "completed_samples": len(run.findings), "scores": scores}


def _counts(name: str, values: Iterable[str]) -> dict[str, Any]:
    """Return how often each value was found, as a score with a metric for each."""
    counted = Counter(str(value) for value in values)
    return {
        "name": name,
        "scorer": SCORER,
        "params": {},
        "metrics": {
            value: {"name": value, "value": counted[value], "params": {}}
            for value in sorted(counted)
        },
    }


def _sample(finding: Finding, language: str) -> dict[str, Any]:
    return {
        "id": finding.id,
        "epoch": 1,
        "input": translate(finding.hypothesis, language),
        "target": "",
        "messages": [],
        "scores": {
            SCORER: {
                "value": finding.outcome.value,
                "answer": finding.relation.value if finding.relation else None,
                "explanation": translate(finding.headline, language),
                "metadata": _measured(finding, language),
            }
        },
        "metadata": {
            "model": finding.model,
            "reference": finding.reference,
            "component": finding.component.value,
            "method": finding.method,
        },
    }


def _measured(finding: Finding, language: str) -> dict[str, Any]:
    """Return what makes an outcome evidence: effect, p, its null, the controls, level, remedy."""
    found: dict[str, Any] = {"level": finding.level.value, "p": finding.pvalue}
    for name, statistic in (("statistic", finding.statistic), ("effect", finding.effect)):
        if statistic is not None:
            found[name] = {"name": statistic.name, "value": statistic.value, "n": statistic.n}
    if finding.null is not None:
        found["null"] = translate(finding.null.description, language)
    if finding.controls:
        found["controls"] = [
            {"kind": c.kind, "pair": [*c.shown_pair], "passed": c.passed, "value": c.value}
            for c in finding.controls
        ]
    if finding.remedy is not None:
        found["remedy"] = translate(finding.remedy, language)
    return found
