"""A run as CycloneDX 1.7 ML-BOM: models, parts, files, ancestors, and what is declared of them.

cyclonedx-python-lib builds and writes what it models: components with purl, hashes and pedigree,
and the policies as standards. It models neither model cards nor declarations yet: these join its
JSON, by the bom-refs of its components (`cyclonedx_declarations`).

``pedigree.ancestors`` states descent as a fact, so only reuse that was shown or is declared fills
it, on the part that it was found in; on the model itself only where trained weights are meant. An
architecture is no weight: a design in common is no descent, and stays among the declarations.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import split_quantisation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible, visible_json
from pytest_scratchverify.report.cyclonedx_declarations import (
    Refs,
    declarations,
    shown,
    standards,
)
from pytest_scratchverify.report.headline import in_order
from pytest_scratchverify.report.language import joined, translate
from pytest_scratchverify.report.package_url import HUB, PackageUrls
from pytest_scratchverify.report.run_json import run_sha256
from pytest_scratchverify.report.wording import verdict_sentence
from pytest_scratchverify.verdict.files_read import FilesRead, ReadFile, files_read
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict

LONGEST_VERSION = 1000  # characters: the format allows 1024
NAMESPACE = "scratchverify"  # of property names
LACKS = (
    "CycloneDX needs cyclonedx-python-lib 11.4 or later: pip install 'pytest-scratchverify[bom]'"
)


def render_cyclonedx(run: Run, language: str) -> str:
    """Return the ML-BOM of a run; the same run gives the same bytes.

    Raises `ScratchError` without cyclonedx-python-lib. ``metadata.timestamp`` is there only where
    SOURCE_DATE_EPOCH names it: a run holds no clock.
    """
    try:
        import cyclonedx.model.definition  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise ScratchError(LACKS) from error
    refs = Refs(PackageUrls(run))
    document = json.loads(_written(run, refs, language))
    when = _named_time()
    document["metadata"] |= {"timestamp": when} if when else {}
    if not when:
        document["metadata"].pop("timestamp", None)
    cards = {refs.model(model): _model_card(model, run, language) for model in run.models}
    for component in document["components"]:
        if card := cards.get(component["bom-ref"]):
            component["modelCard"] = card
    document["declarations"] = declarations(run, refs, language)
    text = json.dumps(shown(document), indent=1, ensure_ascii=False, sort_keys=True)
    return visible_json(text) + "\n"


def _named_time() -> str | None:
    named = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(named), UTC).isoformat() if named.isdigit() else None
    except (ValueError, OverflowError, OSError):
        return None


def _written(run: Run, refs: Refs, language: str) -> str:
    """Return what the library writes of components, tool and standards."""
    from cyclonedx.model import Property  # noqa: PLC0415 - an extra
    from cyclonedx.model.bom import Bom, BomMetaData  # noqa: PLC0415
    from cyclonedx.model.component import Component as Item  # noqa: PLC0415
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415
    from cyclonedx.model.definition import Definitions  # noqa: PLC0415
    from cyclonedx.model.tool import ToolRepository  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot7  # noqa: PLC0415

    tool = Item(
        name="pytest-scratchverify", type=ComponentType.APPLICATION, version=_version(run.version)
    )
    digest = run_sha256(run)
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"urn:{NAMESPACE}:run:{digest}:{language}"),
        metadata=BomMetaData(
            tools=ToolRepository(components=[tool]),
            properties=[Property(name=n, value=v) for n, v in _of_run(run)],
        ),
        components=[_model(run, model, refs, digest, language) for model in run.models],
        definitions=Definitions(standards=standards(run, language)),
    )
    return str(JsonV1Dot7(bom).output_as_string())


def _of_run(run: Run) -> Iterator[tuple[str, str]]:
    yield f"{NAMESPACE}:run:reproduce", run.reproduce
    yield f"{NAMESPACE}:run:partial", str(run.partial).lower()
    yield f"{NAMESPACE}:run:hypotheses", f"{run.arrived} of {run.planned}"
    yield f"{NAMESPACE}:run:matrixDigest", run.matrix_digest
    yield f"{NAMESPACE}:run:depth", str(run.options.get("depth", ""))
    for name, version in sorted(run.environment.items()):
        yield f"{NAMESPACE}:environment:{name}", version


def _model(run: Run, model: ModelVerdict, refs: Refs, digest: str, language: str) -> Any:
    from cyclonedx.model import Property  # noqa: PLC0415 - an extra
    from cyclonedx.model.component import Component as Item  # noqa: PLC0415
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415

    purl = refs.urls.of(model.model)
    read = files_read(run, model.model)
    weights = [v for c, v in in_order(model) if c.is_trained and v.states_descent]
    parts = [_part(refs, model, v, language) for c, v in in_order(model) if c.is_part]
    files = [_file(refs, model, file) for file in read.files]
    return Item(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=refs.model(model),
        **_named(model.model, purl),
        version=_version(model.revision),
        pedigree=_pedigree(refs, model, weights, language),
        external_references=_references(digest, purl, model),
        components=[*parts, *files],
        properties=[Property(name=n, value=v) for n, v in _of_model(model, read)],
    )


def _named(name: str, purl: str | None) -> dict[str, Any]:
    """Return name, group and purl of a model: those of the hub, or the folder's path alone."""
    if purl is None:
        return {"name": name}
    from packageurl import PackageURL  # noqa: PLC0415 - comes with cyclonedx-python-lib

    group, _, own = name.partition("/")
    return {"name": own, "group": group, "purl": PackageURL.from_string(purl)}


def _version(stated: str | None) -> str | None:
    return visible(stated, LONGEST_VERSION) if stated else None


def _part(refs: Refs, model: ModelVerdict, verdict: ComponentVerdict, language: str) -> Any:
    from cyclonedx.model import Property  # noqa: PLC0415 - an extra
    from cyclonedx.model.component import Component as Item  # noqa: PLC0415
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415

    trained = verdict.component.is_trained
    return Item(
        type=ComponentType.MACHINE_LEARNING_MODEL if trained else ComponentType.DATA,
        bom_ref=refs.part(model, verdict.component),
        name=verdict.component.value,
        pedigree=_pedigree(refs, model, [verdict] if verdict.states_descent else [], language),
        properties=[Property(name=f"{NAMESPACE}:verdict", value=verdict.verdict.value)],
    )


def _pedigree(refs: Refs, model: ModelVerdict, found: list[ComponentVerdict], language: str) -> Any:
    """Return the ancestors of a model or part, each once; None without any."""
    from cyclonedx.model import Property  # noqa: PLC0415 - an extra
    from cyclonedx.model.component import Component as Item  # noqa: PLC0415
    from cyclonedx.model.component import ComponentType, Pedigree  # noqa: PLC0415

    if not found:
        return None
    ancestors = []
    for name in dict.fromkeys(str(verdict.reference) for verdict in found):
        purl = refs.urls.of(name)
        parts = [verdict for verdict in found if verdict.reference == name]
        ancestors.append(
            Item(
                type=ComponentType.MACHINE_LEARNING_MODEL,
                **_named(name, purl),
                version=_version(purl.partition("@")[2] if purl else None),
                properties=[
                    Property(name=f"{NAMESPACE}:verdict:{v.component.value}", value=v.verdict.value)
                    for v in parts
                ],
            )
        )
    notes = joined([verdict_sentence(model, verdict) for verdict in found], language)
    return Pedigree(ancestors=ancestors, notes=notes)


def _references(digest: str, purl: str | None, model: ModelVerdict) -> list[Any]:
    from cyclonedx.model import (  # noqa: PLC0415 - an extra
        ExternalReference,
        ExternalReferenceType,
        HashAlgorithm,
        HashType,
        XsUri,
    )

    kept = ExternalReference(
        type=ExternalReferenceType.EVIDENCE,
        url=XsUri("run.json"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        comment="the run, as --verdict-json writes it, by its digest whatever the file's name",
    )
    if purl is None:
        return [kept]
    at = f"/tree/{model.revision}" if model.revision else ""
    address = f"{HUB}/{split_quantisation(model.model)[0]}"
    return [
        kept,
        ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(f"{address}{at}")),
        ExternalReference(type=ExternalReferenceType.MODEL_CARD, url=XsUri(address)),
    ]


def _file(refs: Refs, model: ModelVerdict, file: ReadFile) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType, Property  # noqa: PLC0415 - an extra
    from cyclonedx.model.component import Component as Item  # noqa: PLC0415
    from cyclonedx.model.component import ComponentType  # noqa: PLC0415

    digests = [HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)] if file.sha256 else []
    kept = [("source", file.source.value)]
    kept += [("size", str(file.size))] if file.size is not None else []
    kept += [("digestFrom", "listing" if file.listed else "content")] if file.sha256 else []
    return Item(
        type=ComponentType.FILE,
        bom_ref=refs.file(model, file),
        name=file.path,
        version=_version(file.revision),
        hashes=digests,
        properties=[Property(name=f"{NAMESPACE}:file:{n}", value=v) for n, v in kept],
    )


def _of_model(model: ModelVerdict, read: FilesRead) -> Iterator[tuple[str, str]]:
    for component, verdict in in_order(model):
        yield f"{NAMESPACE}:verdict:{component.value}", verdict.verdict.value
    for name, result in model.policies.items():
        yield f"{NAMESPACE}:policy:{name}", result.result.value
    yield f"{NAMESPACE}:weights:bytesRead", str(model.bytes_read)
    if model.bytes_total is not None:
        yield f"{NAMESPACE}:weights:bytesTotal", str(model.bytes_total)
    if read.weights_sha256 is not None:
        yield f"{NAMESPACE}:weights:sha256sums", read.weights_sha256


def _model_card(model: ModelVerdict, run: Run, language: str) -> dict[str, Json]:
    """Return what was measured of the model's parts beside references, as metrics of a card."""
    by_id: Mapping[str, Finding] = {finding.id: finding for finding in run.findings_of(model.model)}
    metrics: list[Json] = []
    for component, verdict in in_order(model):
        for name in verdict.findings:
            found = by_id.get(name)
            if found is None or found.effect is None or found.effect.value is None:
                continue
            if found.pvalue is None:  # a number without a test is no metric of it
                continue
            beside = Text("{component}", component=component.value)
            if found.reference:
                beside = Text(
                    "{component} beside {reference}",
                    component=component.value,
                    reference=found.reference,
                )
            metric: dict[str, Json] = {
                "type": f"{found.effect.name} ({found.method})",
                "value": f"{found.effect.value:.6g}",
                "slice": translate(beside, language),
            }
            low, high = found.effect.low, found.effect.high
            if low is not None and high is not None:
                bounds = {"lowerBound": f"{low:.6g}", "upperBound": f"{high:.6g}"}
                metric["confidenceInterval"] = {**bounds}
            metrics.append(metric)
    return {"quantitativeAnalysis": {"performanceMetrics": metrics}} if metrics else {}
