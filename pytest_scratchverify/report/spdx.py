"""A run as SPDX 3.0.1 with the AI profile, in JSON-LD: models, their parts, files, descent.

``descendantOf`` states descent as a fact, so only reuse that was shown or is declared makes one,
from the part that it was found in to the reference. Whatever else was found is an ``Annotation``.
Its ``completeness`` says whether that is all the part comes from: ``complete`` where all of it was
read and is equal, else ``noAssertion``, for nobody compared it with every model.

Licences: declared is what the model card states, concluded is nothing, for no test concludes one.

The profile also asks for a release time, and of a folder for supplier and address. A run does not
know them: they are left out, and the document says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_scratchverify.core.evidence import Finding, Relation
from pytest_scratchverify.core.spec import split_quantisation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible_json, visible_values
from pytest_scratchverify.report.headline import in_order
from pytest_scratchverify.report.html import today
from pytest_scratchverify.report.language import joined, translate
from pytest_scratchverify.report.package_url import HUB, PackageUrls
from pytest_scratchverify.report.run_json import run_sha256
from pytest_scratchverify.report.wording import verdict_sentence
from pytest_scratchverify.verdict.files_read import ReadFile, files_read
from pytest_scratchverify.verdict.fold import ALPHA
from pytest_scratchverify.verdict.notices import LICENCE
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict, Result, Verdict

SPEC = "3.0.1"
CONTEXT = f"https://spdx.org/rdf/{SPEC}/spdx-context.jsonld"
NO_LICENCE_KNOWN = "expandedlicensing_NoAssertionLicense"
NOT_KNOWN = Text(
    "A run knows no release time, and of a folder no supplier, address or version: where the AI"
    " profile asks for them, they are left out."
)
# How the hub writes a licence, where that is one of SPDX's: other names become a LicenseRef.
LICENCES = {
    licence.lower(): licence
    for licence in (
        *("AFL-3.0", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
        *("CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-NC-2.0", "CC-BY-NC-3.0", "CC-BY-NC-4.0"),
        *("CC-BY-NC-ND-3.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-2.0", "CC-BY-NC-SA-3.0"),
        *("CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "CC0-1.0"),
        *("ECL-2.0", "EPL-1.0", "EPL-2.0", "EUPL-1.1", "EUPL-1.2", "ISC", "LPPL-1.3c", "MIT"),
        *("MPL-2.0", "MS-PL", "NCSA", "OFL-1.1", "OSL-3.0", "PostgreSQL", "Unlicense", "WTFPL"),
        "Zlib",
    )
}
_NOT_IN_A_REF = re.compile(r"[^A-Za-z0-9.-]+")


def render_spdx(run: Run, language: str) -> str:
    """Return the SPDX document of a run; the same run gives the same bytes on the same day."""
    document = {"@context": CONTEXT, "@graph": _Document(run, language, PackageUrls(run)).graph()}
    text = json.dumps(visible_values(document), indent=1, sort_keys=True, ensure_ascii=False)
    return visible_json(text) + "\n"


@dataclass(slots=True)
class _Document:
    """The elements of a document as they are made, in their order."""

    run: Run
    language: str
    urls: PackageUrls
    elements: list[dict[str, Any]] = field(default_factory=list)
    namespace: str = ""
    known: dict[str, str] = field(default_factory=dict)  # references and suppliers, by name

    def graph(self) -> list[dict[str, Any]]:
        """Return all elements, the document and its creation first."""
        digest = run_sha256(self.run)
        self.namespace = f"https://spdx.org/spdxdocs/scratchverify-{digest}-{self.language}#"
        tool = {"name": f"pytest-scratchverify {self.run.version}".strip()}
        agent = self._add("SoftwareAgent", "agent", **tool)
        self._add("Tool", "tool", **tool)
        models = [self._model(model, number) for number, model in enumerate(self.run.models, 1)]
        creation = {
            "type": "CreationInfo",
            "@id": "_:creation",
            "specVersion": SPEC,
            "created": f"{today()}T00:00:00Z",
            "createdBy": [agent],
            "createdUsing": [f"{self.namespace}tool"],
        }
        whole = {
            "type": "SpdxDocument",
            "spdxId": f"{self.namespace}document",
            "creationInfo": "_:creation",
            "name": "pytest-scratchverify",
            "comment": joined([NOT_KNOWN, *self.run.partial_because], self.language),
            "profileConformance": ["core", "software", "simpleLicensing", "ai"],
            "rootElement": models,
            "element": [element["spdxId"] for element in self.elements],
        }
        return [creation, whole, *self.elements]

    def _add(self, kind: str, local: str, **properties: Any) -> str:
        """Add an element; return its id. Properties that are None or empty are left out."""
        name = f"{self.namespace}{local}"
        kept = {key: value for key, value in properties.items() if value not in (None, "", [])}
        self.elements.append({"type": kind, "spdxId": name, "creationInfo": "_:creation", **kept})
        return name

    def _relate(self, kind: str, subject: str, objects: list[str], **properties: Any) -> None:
        if objects:
            self._add(
                "Relationship",
                f"relationship-{len(self.elements)}",
                relationshipType=kind,
                **{"from": subject},
                to=objects,
                **properties,
            )

    def _model(self, model: ModelVerdict, number: int) -> str:
        at = f"model-{number}"
        name = self._package(
            "ai_AIPackage",
            at,
            model.model,
            software_packageVersion=model.revision,
            ai_informationAboutTraining=joined(self._policies(model), self.language),
            ai_limitation=joined(self.run.partial_because, self.language),
            ai_standardCompliance=[
                f"pytest-scratchverify policy {policy}"
                for policy in self.run.judged_by
                if policy in model.policies and model.policies[policy].result is Result.PASS
            ],
        )
        self._licences(name, self._declared(model, at))
        for text in self._policies(model):
            self._annotate(name, text)
        parts = [self._part(model, verdict, at) for c, verdict in in_order(model) if c.is_part]
        files = [
            self._file(file, f"{at}-file-{place}")
            for place, file in enumerate(files_read(self.run, model.model).files, 1)
        ]
        self._relate("contains", name, [*parts, *files], completeness="noAssertion")
        for component, verdict in in_order(model):
            if not component.is_part:  # a design, a record, answers: nothing that files hold
                self._annotate(name, verdict_sentence(model, verdict), *verdict.because)
        return name

    def _policies(self, model: ModelVerdict) -> list[Text]:
        return [
            Text("{policy}: {result}: {reasons}", policy=n, result=r.result, reasons=[*r.because])
            for n, r in model.policies.items()
        ]

    def _package(self, kind: str, at: str, named: str, **properties: Any) -> str:
        """Add a package of a model that is named so; what the hub makes known of it comes along."""
        purl = self.urls.of(named)
        properties.setdefault("software_primaryPurpose", "model")
        if purl is not None:
            repo, revision = split_quantisation(named)[0], purl.partition("@")[2]
            properties |= {
                "software_packageUrl": purl,
                "software_downloadLocation": f"{HUB}/{repo}"
                + (f"/tree/{revision}" if revision else ""),
                "suppliedBy": self._supplier(repo.partition("/")[0]),
            }
            properties["software_packageVersion"] = (
                properties.get("software_packageVersion") or revision
            )
        return self._add(kind, at, name=named, **properties)

    def _supplier(self, owner: str) -> str:
        key = f"supplier {owner}"
        if key not in self.known:
            number = sum(one.startswith("supplier ") for one in self.known) + 1
            self.known[key] = self._add("Organization", f"supplier-{number}", name=owner)
        return self.known[key]

    def _part(self, model: ModelVerdict, verdict: ComponentVerdict, at: str) -> str:
        component = verdict.component
        kind = "ai_AIPackage" if component.is_trained else "software_Package"
        measured: dict[str, Any] = {}
        if component.is_trained:
            measured["ai_metric"] = list(self._metrics(model, verdict))
            measured["ai_limitation"] = joined(
                [*_compared(verdict), *verdict.missing], self.language
            )
            if verdict.p_adjusted is not None:
                measured["ai_metricDecisionThreshold"] = [_entry("adjusted p", f"<= {ALPHA:g}")]
        name = self._add(
            kind,
            f"{at}-{component.value}",
            name=f"{model.model} {component.value}",
            software_primaryPurpose="model" if component.is_trained else "data",
            software_packageVersion=model.revision,
            **measured,
        )
        if component.is_trained:
            self._licences(name, NO_LICENCE_KNOWN)
        said = verdict_sentence(model, verdict)
        self._annotate(name, said, *verdict.because, *_compared(verdict))
        if verdict.states_descent:
            whole = self._is_whole(model, verdict)
            self._relate(
                "descendantOf",
                name,
                [self._reference(str(verdict.reference))],
                completeness="complete" if whole else "noAssertion",
                comment=joined([said, *verdict.because], self.language),
            )
        return name

    def _reference(self, named: str) -> str:
        key = f"reference {named}"
        if key not in self.known:
            number = sum(one.startswith("reference ") for one in self.known) + 1
            self.known[key] = self._package("ai_AIPackage", f"reference-{number}", named)
            self._licences(self.known[key], NO_LICENCE_KNOWN)
        return self.known[key]

    def _is_whole(self, model: ModelVerdict, verdict: ComponentVerdict) -> bool:
        """Whether all weights of a part were read and are the reference's, number for number.

        Of a vocabulary nobody can say so: the same text trains the same one.
        """
        if verdict.verdict is not Verdict.REUSED_VERBATIM:
            return False
        return any(
            found.reference == verdict.reference and _covers_all(found)
            for found in self._findings(model, verdict)
        )

    def _findings(self, model: ModelVerdict, verdict: ComponentVerdict) -> list[Finding]:
        names = set(verdict.findings)
        return [f for f in self.run.findings_of(model.model) if f.id in names]

    def _metrics(self, model: ModelVerdict, verdict: ComponentVerdict) -> Iterator[dict[str, Any]]:
        if verdict.p_adjusted is not None:
            yield _entry("adjusted p", f"{verdict.p_adjusted:.6g}")
        for found in self._findings(model, verdict):
            if found.pvalue is None or found.effect is None or found.effect.value is None:
                continue  # a number without a test is no metric of it
            beside = f" beside {found.reference}" if found.reference else ""
            name = f"{found.effect.name} ({found.method}){beside}"
            yield _entry(name, f"{found.effect.value:.6g}")

    def _file(self, file: ReadFile, at: str) -> str:
        digest = {"type": "Hash", "algorithm": "sha256", "hashValue": file.sha256}
        listed = translate(Text("The digest is the hub's word."), self.language)
        return self._add(
            "software_File",
            at,
            name=file.path,
            verifiedUsing=[digest] if file.sha256 else None,
            comment=listed if file.listed else None,
        )

    def _annotate(self, subject: str, *texts: Text) -> None:
        self._add(
            "Annotation",
            f"annotation-{len(self.elements)}",
            annotationType="review",
            subject=subject,
            statement=joined(texts, self.language),
        )

    def _licences(self, package: str, declared: str) -> None:
        self._relate("hasDeclaredLicense", package, [declared])
        self._relate("hasConcludedLicense", package, [NO_LICENCE_KNOWN])

    def _declared(self, model: ModelVerdict, at: str) -> str:
        """Return the licence that the model card states, as an element; NOASSERTION without one."""
        found = [f for f in self.run.findings_of(model.model) if f.method == LICENCE]
        details = found[0].details if found else {}
        stated = details.get("license_name") or details.get("license")
        if not isinstance(stated, str) or not (own := _NOT_IN_A_REF.sub("-", stated).strip("-")):
            return NO_LICENCE_KNOWN
        return self._add(
            "simplelicensing_LicenseExpression",
            f"{at}-licence",
            simplelicensing_licenseExpression=LICENCES.get(stated.lower(), f"LicenseRef-{own}"),
            comment=translate(
                Text("the model card states the licence {licence}", licence=stated), self.language
            ),
        )


def _compared(verdict: ComponentVerdict) -> list[Text]:
    """Say which references a clearance holds for, and which it does not."""
    said = []
    if verdict.verdict.is_clean and verdict.cleared:
        said.append(Text("It holds for: {references}", references=[*verdict.cleared]))
    if verdict.not_compared:
        names = [entry.reference for entry in verdict.not_compared]
        said.append(Text("It does not hold for: {references}", references=names))
    return said


def _covers_all(finding: Finding) -> bool:
    covered = finding.coverage
    return (
        finding.relation is Relation.VERBATIM
        and covered is not None
        and covered.parameters == 1.0
        and covered.size is not None
        and covered.inherited == covered.size
    )


def _entry(key: str, value: str) -> dict[str, str]:
    return {"type": "DictionaryEntry", "key": key, "value": value}
