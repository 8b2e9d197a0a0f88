"""A whole run: what was planned, what was found, what is said of each model.

`run.json` holds no clock, no host and no order of arrival: a serial run and one under
pytest-xdist write the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import ArtifactRecord, Finding, Intent, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import ModelSpec, same_name
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.fold import Plan, fold, unique_findings
from pytest_scratchverify.verdict.nearest import nearest_references
from pytest_scratchverify.verdict.notices import notices_not_kept
from pytest_scratchverify.verdict.policy import NOT_ASKED, JudgedModel, Policy
from pytest_scratchverify.verdict.predecessor import Judged, lineage, with_earlier
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict, Result

SCHEMA = "scratchverify/run/3"
# The record of a repository's listing: on a hub its digests cost nothing, in a folder every file
# is hashed for them. Neither is content that a method looked at.
LISTING = "*"
CALIBRATION = "calibration"  # the entry of a run's environment that digests all thresholds
# Their headers and index come as a record of their own, slices as ranges behind the headers.
WEIGHT_FILES = (
    ".safetensors",
    ".safetensors.index.json",
    ".bin",
    ".bin.index.json",
    ".gguf",
    ".pt",
    ".pth",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that the renderers need and that `run.json` holds."""

    models: tuple[ModelVerdict, ...]
    findings: tuple[Finding, ...]
    partial: bool
    partial_because: tuple[Text, ...] = ()
    planned: int = 0
    arrived: int = 0
    missing: tuple[str, ...] = ()
    reproduce: str = ""
    matrix: str = ""
    matrix_digest: str = ""
    version: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)

    def findings_of(self, model: str) -> list[Finding]:
        """Return the findings on one model, in the order of their ids."""
        return [finding for finding in self.findings if finding.model == model]

    @property
    def versions(self) -> dict[str, str]:
        """Return what judged the run, as a line of a report shows it: digests shortened."""
        return {
            name: text[:12] if name == CALIBRATION else text
            for name, text in self.environment.items()
        }

    @property
    def refuted(self) -> bool:
        """Whether the claim is contradicted by a policy that the user chose: exit code 1.

        A single test that failed is not enough: its p-value is its own, and the policies judge
        verdicts, which are adjusted for all hypotheses of the run.
        """
        return Result.FAIL in self._results

    def fails(self, finding: Finding) -> bool:
        """Whether a rejected hypothesis is among what a chosen policy fails the model for.

        Others are reported: leads, and components that no chosen policy asks about. A policy
        whose reasons name no component, in whatever sentences, is taken to mean all of them.
        """
        if not finding.derived:
            return False
        for model in self.models:
            for name in self.judged_by if model.model == finding.model else ():
                judged = model.policies.get(name)
                if judged is not None and judged.result is Result.FAIL:
                    reasons = [text for text in judged.because if text.template != NOT_ASKED]
                    named = {
                        name for text in reasons for name in named_components(dict(text.params))
                    }
                    if not named or finding.component.value in named:
                        return True
        return False

    @property
    def undetermined(self) -> bool:
        """Whether anything that was asked is left open: the run exits with 10, not 0."""
        return self.partial or Result.UNDETERMINED in self._results or not self._results

    @property
    def _results(self) -> list[Result]:
        return [
            result.result
            for model in self.models
            for name, result in model.policies.items()
            if name in self.judged_by
        ]

    @property
    def judged_by(self) -> list[str]:
        """Return the policies that the user chose to be judged by."""
        chosen = self.options.get("policy")
        return [str(name) for name in chosen] if isinstance(chosen, list) else []


def named_components(value: Json | Mapping[str, Json]) -> Iterator[str]:
    """Yield the components that the parameters of a sentence name, or of sentences in it."""
    if isinstance(value, list):
        for item in value:
            yield from named_components(item)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("component", "components"):
                yield from map(str, inner if isinstance(inner, list) else [inner])
            elif isinstance(inner, (list, Mapping)):
                yield from named_components(inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One tested model with its components.

    `asked` are the components that the user asked about, empty for all: the others are not
    shown, and still stand between the model and a policy's PASS. `known` is False where nothing
    showed which components there are. `own` are the references that are earlier models of the same
    developer, by name.
    """

    spec: ModelSpec
    components: tuple[Component, ...]
    asked: frozenset[Component] = frozenset()
    known: bool = True
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What the controller gathered: the plan, the arrivals, and why less was run than planned.

    `partial_because` concerns every model; a hypothesis that did not report concerns its own.

    `calibrated` are the areas whose p-values are corrected together; see `fold.Plan`. `earlier` are
    models that stored runs judged, by `same_name`.
    """

    intents: tuple[Intent, ...]
    findings: tuple[Finding, ...]
    partial_because: tuple[Text, ...] = ()
    calibrated: frozenset[str] = frozenset()
    earlier: Mapping[str, Judged] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folded:
    """A subject, what was planned and found of it, and its components as the fold judges them."""

    subject: Subject
    mine: tuple[Intent, ...]
    found: list[Finding]
    lost: list[Intent]
    partial: bool
    plan: Plan
    components: Mapping[Component, ComponentVerdict]


def fold_models(
    subjects: Iterable[Subject],
    collected: Collected,
    chosen: Iterable[Policy],
    others: Iterable[Policy] = (),
) -> tuple[ModelVerdict, ...]:
    """Return the verdict on every subject, in the order given.

    `chosen` are the policies that the user chose; `others` are shown beside them for the models
    of which they say so themselves.
    """
    collected = replace(collected, findings=tuple(unique_findings(collected.findings)))
    asked, beside = list(chosen), list(others)
    folded = [_fold_components(subject, collected) for subject in subjects]
    judged = {**collected.earlier} | {
        same_name(one.subject.spec.name): Judged(components=one.components) for one in folded
    }  # what this run judges itself stands before what a stored one says
    return tuple(_model_verdict(one, judged, asked, beside) for one in folded)


def missing_intents(intents: Iterable[Intent], findings: Iterable[Finding]) -> list[Intent]:
    """Return the planned hypotheses on which nothing arrived."""
    arrived = [(f.model, f.method, f.component, f.reference) for f in findings]
    exact, loose = set(arrived), {key[:3] for key in arrived}
    return [
        intent
        for intent in intents
        if (intent.model, intent.method, intent.component, intent.reference) not in exact
        and (
            intent.reference is not None
            or (intent.model, intent.method, intent.component) not in loose
        )
    ]


def _fold_components(subject: Subject, collected: Collected) -> _Folded:
    name = subject.spec.name
    mine = tuple(intent for intent in collected.intents if intent.model == name)
    found = [finding for finding in collected.findings if finding.model == name]
    lost = missing_intents(mine, found)
    broken = [f for f in found if f.outcome in (Outcome.MISSING, Outcome.HARNESS_ERROR)]
    partial = bool(collected.partial_because) or bool(lost) or bool(broken)
    plan = Plan(
        model=name,
        intents=mine,
        components=subject.components,
        complete=not partial,
        calibrated=collected.calibrated,
        own=subject.own,
    )
    return _Folded(
        subject=subject,
        plan=plan,
        mine=mine,
        found=found,
        lost=lost,
        partial=partial,
        components=fold(plan, found),
    )


def _model_verdict(
    one: _Folded, known: Mapping[str, Judged], chosen: list[Policy], others: list[Policy]
) -> ModelVerdict:
    subject, found = one.subject, one.found
    name, declared = subject.spec.name, subject.spec.predecessor
    components = with_earlier(one.components, known, _revisions_read(found))
    judged = JudgedModel(
        model=name,
        components=components,
        partial=one.partial,
        known=subject.known,
        states={part: declared.state for part, declared in subject.spec.declares.items()},
        predecessor=declared.origin if declared else None,
        findings=tuple(found),
    )
    beside = (policy for policy in others if policy.stands_beside(name))
    judges = {policy.name: policy for policy in [*beside, *chosen]}  # chosen ones win
    order = dict.fromkeys([*(policy.name for policy in chosen), *judges])
    shown = {c: v for c, v in components.items() if not subject.asked or c in subject.asked}
    return ModelVerdict(
        model=name,
        revision=_revision(subject.spec, found),
        components=shown,
        policies={policy: judges[policy].judge(judged) for policy in order},
        bytes_read=_bytes_of(found, weights=True),
        bytes_total=_bytes_total(found),
        other_bytes=_bytes_of(found, weights=False),
        sources=tuple(sorted({record.source.value for record in records_of(found)})),
        planned=len(one.mine),
        arrived=len(one.mine) - len(one.lost),
        partial=one.partial,
        outcomes=_counts(found),
        lineage=(*lineage(shown, _sizes(found)), *notices_not_kept(shown, found)),
        nearest=nearest_references(one.plan, found),
    )


def _revisions_read(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the commits at which references were read, by `same_name`."""
    records = [(f.reference, r) for f in findings if f.reference for r in f.artifacts]
    return {
        same_name(name): record.revision
        for name, record in records
        if record.revision and same_name(record.repo) == same_name(name)
    }


def _sizes(findings: Iterable[Finding]) -> dict[Component, int]:
    """Return how many parameters the components have, as far as it is known."""
    return {f.component: f.coverage.size for f in findings if f.coverage and f.coverage.size}


def records_of(findings: Iterable[Finding]) -> list[ArtifactRecord]:
    """Return the distinct reads of the tested model's own files, sorted."""
    seen = {
        (record.file, record.revision or "", record.source.value, record.ranges): record
        for finding in findings
        for record in finding.artifacts
        if record.repo != finding.reference
    }
    return [seen[key] for key in sorted(seen)]


def _bytes_of(findings: Iterable[Finding], *, weights: bool) -> int:
    """Count the bytes that were looked at, once however many findings looked at them."""
    whole: dict[str, int] = {}
    parts: dict[str, list[tuple[int, int]]] = {}
    sizes: dict[str, int] = {}
    for record in records_of(findings):
        if record.file == LISTING or record.file.endswith(WEIGHT_FILES) is not weights:
            continue
        if record.bytes_total is not None:
            sizes[record.file] = record.bytes_total
        if record.ranges:
            parts.setdefault(record.file, []).extend(record.ranges)
        else:
            whole[record.file] = max(whole.get(record.file, 0), record.bytes_read)
    counted = {file: whole.get(file, 0) + _covered(parts.get(file, ())) for file in whole | parts}
    # A file of which header and parts were read, and then all of it, was read once.
    return sum(min(n, sizes.get(file, n)) for file, n in counted.items())


def _covered(ranges: Iterable[tuple[int, int]]) -> int:
    total = reached = 0
    for start, stop in sorted(ranges):
        total += max(0, stop - max(start, reached))
        reached = max(reached, stop)
    return total


def _revision(spec: ModelSpec, findings: Iterable[Finding]) -> str | None:
    known = sorted({record.revision for record in records_of(findings) if record.revision})
    return known[0] if known else spec.revision


def _bytes_total(findings: Iterable[Finding]) -> int | None:
    return max((f.weight_bytes for f in findings if f.weight_bytes is not None), default=None)


def _counts(findings: Iterable[Finding]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.outcome.value] = counts.get(finding.outcome.value, 0) + 1
    return dict(sorted(counts.items()))
