"""Findings, intents and runs as JSON text and back: the only form in which they travel.

`dumps` is stable: sorted keys, no NaN.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from pytest_scratchverify.core.evidence import Finding, Intent
from pytest_scratchverify.core.json_values import Json, to_builtin
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.run import SCHEMA, Run
from pytest_scratchverify.verdict.verdict import ModelVerdict


def to_json(value: object) -> Json:
    """Turn dataclasses of the model into JSON builtins; a Text keeps template and parameters."""
    if isinstance(value, Text):
        return {"text": str(value), "template": value.template, "params": to_builtin(value.params)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return to_builtin(value)
    if isinstance(value, Mapping):
        return {str(to_builtin(key)): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return to_builtin(value)


def dumps(value: object) -> str:
    """Return compact JSON of a model value, stable across processes.

    In ASCII: a name that is not UTF-8 has characters that no pipe between processes takes.
    """
    return json.dumps(to_json(value), sort_keys=True, allow_nan=False)


@cache
def _converter() -> Any:
    from cattrs import Converter  # noqa: PLC0415 - 90 ms that collection need not pay

    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Text, lambda raw, _: _text(raw))
    return converter


def _text(raw: Mapping[str, Any]) -> Text:
    """Build a text and say it once, so that a damaged one is refused where it is read."""
    text = Text(raw["template"], **raw["params"])
    str(text)
    return text


def finding_from_json(text: str) -> Finding:
    """Read a finding that `dumps` wrote. Raises cattrs' error group on anything else."""
    finding: Finding = _converter().structure(json.loads(text), Finding)
    return finding


def intent_from_json(text: str) -> Intent:
    """Read an intent that `dumps` wrote."""
    return Intent(**{**json.loads(text), "component": _component(json.loads(text)["component"])})


def _component(name: str) -> Any:
    from pytest_scratchverify.core.component import Component  # noqa: PLC0415

    return Component(name)


def run_to_json(run: Run) -> dict[str, Json]:
    """Return the document of ``--verdict-json`` (schema in report/run.schema.json)."""
    return {
        "schema": SCHEMA,
        "version": run.version,
        "partial": run.partial,
        "partial_because": to_json(run.partial_because),
        "plan": {"planned": run.planned, "arrived": run.arrived, "missing": [*run.missing]},
        "reproduce": run.reproduce,
        "matrix": {"path": run.matrix, "digest": run.matrix_digest},
        "options": dict(run.options),
        "environment": dict(run.environment),
        "models": [_model(model) for model in run.models],
        "findings": [{"id": f.id, **_object(f)} for f in run.findings],
    }


def _object(value: object) -> dict[str, Json]:
    plain = to_json(value)
    assert isinstance(plain, dict)  # noqa: S101 - dataclasses become objects
    return plain


def _model(model: ModelVerdict) -> dict[str, Json]:
    return _object(model)


def run_from_json(text: str) -> Run:
    """Read a run that `run_to_json` described, so that reports can be made later.

    Raises ValueError for a document of another schema, and cattrs' error group for a damaged one.
    """
    raw = json.loads(text)
    if raw.get("schema") != SCHEMA:
        raise ValueError(_other_schema(raw))
    findings = [{k: v for k, v in finding.items() if k != "id"} for finding in raw["findings"]]
    return _converter().structure(  # type: ignore[no-any-return]
        {
            "models": raw["models"],
            "findings": findings,
            "partial": raw["partial"],
            "partial_because": raw["partial_because"],
            **raw["plan"],
            "reproduce": raw["reproduce"],
            "matrix": raw["matrix"]["path"],
            "matrix_digest": raw["matrix"]["digest"],
            "version": raw["version"],
            "environment": raw["environment"],
            "options": raw["options"],
        },
        Run,
    )


def _other_schema(raw: Mapping[str, Any]) -> str:
    schema = str(raw.get("schema"))
    if not schema.startswith(SCHEMA.rpartition("/")[0]):
        return f"not a {SCHEMA} document: schema is {schema!r:.80}"
    by = f"pytest-scratchverify {raw.get('version') or 'of unknown version'}"
    return f"written as {schema:.80} by {by:.80}; this version reads {SCHEMA}: run the tests again"
