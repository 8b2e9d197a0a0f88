"""The sentences that reports use for verdicts, outcomes and components.

Each is a template; `tests/report` lints them: none may say "proves", "100 %", "unique" or
"from scratch" of a model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Level, Outcome, Source
from pytest_scratchverify.core.text import Text, as_text
from pytest_scratchverify.verdict.clearance import SHOWN
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict, Result, Verdict

MEANING: Mapping[Verdict, Text] = {
    Verdict.REUSED_VERBATIM: Text(
        "identical to the reference's: byte for byte, or token for token"
    ),
    Verdict.DERIVED: Text("statistically inseparable from what descends from the reference"),
    Verdict.SHARED_ANCESTRY: Text("shares an origin with the reference; which came first is open"),
    Verdict.DECLARED_REUSE: Text("the reuse is openly declared"),
    Verdict.SUSPECTED: Text("a lead, not a finding"),
    Verdict.NO_EVIDENCE_OF_REUSE: Text("no relation to the named references was found"),
    Verdict.INDEPENDENCE_AUDITED: Text("an auditor re-executed part of the training"),
    Verdict.CONFLICTING: Text("sources disagree"),
    Verdict.NOT_TESTABLE: Text("what would have to be read is not published"),
    Verdict.INSUFFICIENT_EVIDENCE: Text("not enough was measured to say anything"),
}

RESULT_MEANING: Mapping[Result, Text] = {
    Result.PASS: Text("nothing found contradicts the claim, at the power stated"),
    Result.FAIL: Text("the claim is contradicted"),
    Result.UNDETERMINED: Text("the evidence does not decide the claim"),
}

OUTCOME_WORDS: Mapping[Outcome, Text] = {
    Outcome.CONSISTENT: Text("consistent"),
    Outcome.DERIVED: Text("derived"),
    Outcome.DECLARED: Text("declared"),
    Outcome.INDETERMINATE: Text("indeterminate"),
    Outcome.UNAVAILABLE: Text("unavailable"),
    Outcome.NOT_APPLICABLE: Text("not applicable"),
    Outcome.MISSING: Text("missing"),
    Outcome.HARNESS_ERROR: Text("harness error"),
}

COMPONENT_NAMES: Mapping[Component, Text] = {
    Component.TOKENIZER: Text("tokenizer"),
    Component.EMBEDDINGS: Text("embeddings"),
    Component.TEXT_DECODER: Text("text decoder"),
    Component.LM_HEAD: Text("output head"),
    Component.ROUTER_EXPERTS: Text("router and experts"),
    Component.VISION_ENCODER: Text("vision encoder"),
    Component.AUDIO_ENCODER: Text("audio encoder"),
    Component.PROJECTOR: Text("projector"),
    Component.ARCHITECTURE: Text("architecture"),
    Component.BEHAVIOUR: Text("behaviour"),
    Component.TRAINING_RECORD: Text("training record"),
    Component.DISCLOSURE: Text("disclosure"),
}

SOURCE_WORDS: Mapping[str, Text] = {
    Source.HUB.value: Text("hub"),
    Source.FOLDER.value: Text("local folder"),
    Source.CACHE.value: Text("local cache (hub not reached)"),
    Source.FINGERPRINT.value: Text("saved fingerprint"),
    Source.CATALOGUE.value: Text("shipped catalogue (hub not reached)"),
    Source.ENDPOINT.value: Text("a running server"),
}


def source_text(source: str) -> Text:
    """Say where something was read; a word of a foreign run stays as it is."""
    return SOURCE_WORDS.get(source) or Text("{kind}", kind=source)


_OUTCOME_RANK = (
    Outcome.DERIVED,
    Outcome.HARNESS_ERROR,
    Outcome.INDETERMINATE,
    Outcome.DECLARED,
    Outcome.CONSISTENT,
    Outcome.MISSING,
    Outcome.UNAVAILABLE,
    Outcome.NOT_APPLICABLE,
)
_LEVELS = (Level.E4, Level.E3, Level.E2, Level.E1, Level.E0)


UNMEASURED = (Outcome.UNAVAILABLE, Outcome.NOT_APPLICABLE, Outcome.MISSING, Outcome.HARNESS_ERROR)


def strongest(findings: list[Finding], limit: int) -> list[Finding]:
    """Return the findings that a reader should see first: measured ones, strongest first."""
    measured = [
        finding
        for finding in findings
        if finding.outcome not in UNMEASURED
        and (finding.outcome is not Outcome.CONSISTENT or finding.level in (Level.E3, Level.E4))
    ]
    return _one_per_headline(sorted(measured, key=gravity))[:limit]


def gravity(finding: Finding) -> tuple[bool | int | str, ...]:
    """Return what findings are sorted by: rejected first, then by level of evidence."""
    return (
        finding.outcome is not Outcome.DERIVED,
        _LEVELS.index(finding.level),
        ".claim." in finding.method,  # what was said of a model comes after what it is
        not finding.method.endswith("_design"),
        _OUTCOME_RANK.index(finding.outcome),
        finding.id,
    )


def _one_per_headline(findings: list[Finding]) -> list[Finding]:
    seen: dict[str, Finding] = {}
    for finding in findings:
        seen.setdefault(str(finding.headline), finding)
    return list(seen.values())


def verdict_sentence(model: ModelVerdict, verdict: ComponentVerdict) -> Text:
    """Say a component's verdict in a sentence, with its meaning."""
    said = {
        "component": verdict.component.value,
        "model": model.model,
        "verdict": verdict.verdict.value,
        "meaning": MEANING[verdict.verdict],
    }
    if verdict.reference:
        return Text(
            "{component} of {model}: {verdict} ({reference}): {meaning}",
            **said,
            reference=verdict.reference,
        )
    return Text("{component} of {model}: {verdict}: {meaning}", **said)


def reasons(verdict: ComponentVerdict) -> list[Text]:
    """Return why a component has its verdict; for an open one, what is missing."""
    return [*verdict.because, *_distinct(verdict.missing)]


def _distinct(texts: tuple[Text, ...]) -> list[Text]:
    """Return every sentence once, and of one template the first few and how many more there are.

    A thousand references that are out of reach are one thing to say; the JSON verdict holds all.
    """
    found: list[Text] = []
    templates: Counter[str] = Counter()
    for text in {str(text): text for text in texts}.values():
        template = _template(text)
        templates[template] += 1
        if templates[template] <= SHOWN:
            found.append(text)
    more = sum(count - SHOWN for count in templates.values() if count > SHOWN)
    return [*found, Text("{n} more sentences of these kinds", n=more)] if more else found


def _template(text: Text) -> str:
    """Return what makes two sentences of one kind: the templates of the sentences in them."""
    inner = [nested for value in text.params.values() if (nested := as_text(value))]
    return " ".join([text.template, *map(_template, inner)])


def bytes_read(model: ModelVerdict) -> Text:
    """Say how much was read, of how much, and from where."""
    if model.bytes_total:
        return Text(
            "{read} of {total} of weights ({share}), {other} of other files",
            read=size(model.bytes_read),
            total=size(model.bytes_total),
            share=_percent(model.bytes_read / model.bytes_total),
            other=size(model.other_bytes),
        )
    return Text(
        "{read} of weights, whose size is not known, {other} of other files",
        read=size(model.bytes_read),
        other=size(model.other_bytes),
    )


def _percent(share: float) -> str:
    percent = min(100.0, 100 * share)
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"


def size(number: int) -> str:
    """Return a byte count as a reader writes it: 19.8 MB, 1.04 TB."""
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def would_decide(model: ModelVerdict, run: Run | None = None) -> list[Text]:
    """Return what evidence would change the verdict, one line per kind.

    Of a `run` in which tests were left out, these come first: what they read may be all there is.
    """
    open_ones = [
        component
        for component, verdict in model.components.items()
        if component.is_trained and not verdict.verdict.is_clean and not verdict.verdict.is_reuse
    ]
    lines = []
    if open_ones and run is not None and run.partial:
        counts = {"arrived": run.arrived, "planned": run.planned}
        lines.append(
            Text("the whole run: {arrived} of {planned} planned tests reported", **counts)
            if run.arrived != run.planned or not run.partial_because
            else Text("the whole run: {reasons}", reasons=[*run.partial_because])
        )
    unread = Source.CATALOGUE.value in model.sources or not model.sources
    if not model.sources:
        lines.append(
            Text("the model's own files: none was read; complete its folder, or reach the hub")
        )
    elif unread:
        lines.append(Text("the model's own files: reach the hub (HF_TOKEN where gated)"))
    if open_ones and not (run is not None and run.partial):
        names = [COMPONENT_NAMES[component] for component in open_ones]
        if unread:  # nothing can be compared before it is read
            lines.append(
                Text("then their weights, by ranges, beside the references': {parts}", parts=names)
            )
        else:
            lines.append(
                Text(
                    "weights of {components} compared with the references, by ranges",
                    components=names,
                )
            )
    found = (Verdict.REUSED_VERBATIM, Verdict.DERIVED)
    if any(c.is_trained and v.verdict in found for c, v in model.components.items()):
        lines.append(
            Text(
                "for what was found to be reused: proof that the named reference is another model"
                " than the one read here, or younger; check its commit and its release"
            )
        )
    return lines
