"""A run as an in-toto statement: of which bytes it speaks, and what it says of them.

The subjects are the files of the tested models that were read and whose digest is known, the joint
digest of all weight files of a model, and the commits that models were read at. The predicate is
our own (docs/attestations.md describes its fields). in-toto-attestation validates the whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible_json
from pytest_scratchverify.report.headline import in_order
from pytest_scratchverify.report.package_url import PackageUrls
from pytest_scratchverify.report.run_json import run_sha256
from pytest_scratchverify.verdict.files_read import IS_NO_FILE, files_read
from pytest_scratchverify.verdict.run import CALIBRATION, LISTING, Run
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict

PREDICATE_TYPE = "urn:scratchverify:lineage-verdict:1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
LACKS = (
    "attestations need in-toto-attestation and securesystemslib:"
    " pip install 'pytest-scratchverify[attest]'"
)
CONTENT, LISTED, SUMS, COMMIT = "content", "listing", "sha256sums", "commit"


def statement_of(run: Run) -> bytes:
    """Return the statement of a run as JSON, the same bytes for the same run.

    Raises `ScratchError` without in-toto-attestation, and where the run knows no digest: an
    attestation is about bytes.
    """
    try:
        from in_toto_attestation.v1 import statement_pb2  # noqa: PLC0415 - an extra
        from in_toto_attestation.v1.statement import (  # noqa: PLC0415
            STATEMENT_TYPE_URI,
            Statement,
        )
    except ImportError as error:
        raise ScratchError(LACKS) from error
    from google.protobuf.json_format import Parse  # noqa: PLC0415 - comes with it

    subjects = [*_subjects(run)]
    if not subjects:
        raise ScratchError(
            "this run read no file whose digest it knows: there is nothing to attest; run it where"
            " the model's own files can be read"
        )
    document = {
        "_type": STATEMENT_TYPE_URI,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate_of(run),
    }
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, allow_nan=False)
    payload = visible_json(text).encode()
    Statement.copy_from_pb(Parse(payload, statement_pb2.Statement())).validate()
    return payload


def _subjects(run: Run) -> Iterator[dict[str, Any]]:
    """Yield what the statement is about: resource descriptors with a digest each."""
    urls = PackageUrls(run)
    for model in run.models:
        read, purl = files_read(run, model.model), urls.of(model.model)
        for file in read.files:
            if file.sha256 is None:
                continue
            own = file.repo in (read.repo, model.model)
            about = {
                "model": model.model,
                "path": file.path,
                "digestOf": LISTED if file.listed else CONTENT,
            }
            yield _descriptor(
                f"{model.model if own else file.repo}/{file.path}",
                {"sha256": file.sha256},
                about | ({} if own else {"repository": file.repo}),
            )
        if read.weights_sha256 is not None:
            yield _descriptor(
                f"{model.model}: sha256sum of its weight files",
                {"sha256": read.weights_sha256},
                {"model": model.model, "digestOf": SUMS},
            )
        if purl is not None and model.revision is not None:
            about = {"model": model.model, "digestOf": COMMIT}
            yield {**_descriptor(model.model, {"gitCommit": model.revision}, about), "uri": purl}


def _descriptor(
    name: str, digest: Mapping[str, str], annotations: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": name,
        "digest": dict(digest),
        "annotations": dict(annotations),
    }


def predicate_of(run: Run) -> dict[str, Json]:
    """Return what the statement says: verdicts, by which tool, thresholds and command."""
    urls = PackageUrls(run)
    said: dict[str, Json] = {
        "tool": {
            "name": "pytest-scratchverify",
            "version": run.version,
            "environment": {n: v for n, v in run.environment.items() if n != CALIBRATION},
        },
        "run": {
            "digest": {"sha256": run_sha256(run)},
            "reproduce": run.reproduce,
            "matrix": {"path": run.matrix, "digest": run.matrix_digest},
            "options": dict(run.options),
            "planned": run.planned,
            "arrived": run.arrived,
            "partial": run.partial,
            "partialBecause": _said(run.partial_because),
        },
        "policies": [*run.judged_by],
        "models": [_model(model, urls.of(model.model)) for model in run.models],
        "comparedWith": [*_references(run, urls)],
    }
    if CALIBRATION in run.environment:
        said["calibration"] = {"digest": {"sha256": run.environment[CALIBRATION]}}
    return said


def _model(model: ModelVerdict, purl: str | None) -> dict[str, Json]:
    return {
        "model": model.model,
        **({"purl": purl} if purl else {}),
        **({"revision": model.revision} if model.revision else {}),
        "policies": {
            name: {"result": judged.result.value, "because": _said(judged.because)}
            for name, judged in model.policies.items()
        },
        "components": {component.value: _component(v) for component, v in in_order(model)},
        "lineage": _said(model.lineage),
        "weights": {"bytesRead": model.bytes_read, "bytesTotal": model.bytes_total},
        "sources": [*model.sources],
    }


def _references(run: Run, urls: PackageUrls) -> Iterator[Json]:
    """Yield the models of which files were read beside: purl, joint digest of the weight files."""
    digests: dict[str, str | None] = {}
    for finding in run.findings:
        for record in finding.artifacts:
            if record.repo == finding.reference and record.source not in IS_NO_FILE:
                listed = record.digest if record.file == LISTING else None
                digests[record.repo] = listed or digests.get(record.repo)
    for name in sorted(digests):
        purl, digest = urls.of(name), digests.get(name)
        yield {
            "model": name,
            **({"purl": purl} if purl else {}),
            **({"digest": {"sha256": digest}} if digest else {}),
        }


def _component(verdict: ComponentVerdict) -> dict[str, Json]:
    return {
        "verdict": verdict.verdict.value,
        "reference": verdict.reference,
        "kinds": [*verdict.kinds],
        "pAdjusted": verdict.p_adjusted,
        "effect": verdict.effect,
        "because": _said(verdict.because),
        "clearedAgainst": [*verdict.cleared],
        "notComparedWith": [entry.reference for entry in verdict.not_compared],
    }


def _said(texts: tuple[Text, ...]) -> list[Json]:
    return [str(text) for text in texts]
