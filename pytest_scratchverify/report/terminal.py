"""The verdict in the terminal: what fits a screen, per model."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.report.family import families_of
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.nearest import counted, listed, not_compared, said_of, title
from pytest_scratchverify.report.wording import (
    COMPONENT_NAMES,
    MEANING,
    RESULT_MEANING,
    bytes_read,
    reasons,
    source_text,
    strongest,
    would_decide,
)
from pytest_scratchverify.verdict.policy import NOT_ASKED
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import ModelVerdict, Result, Verdict

Line = tuple[str, dict[str, bool]]

FULL_MODELS = 2  # with more models, each gets one line and its reasons stay in the reports
EVIDENCE_LINES = 4
NOT_COMPARED_LINES = 4
NEAREST_LINES = 5
_RESULT_MARKUP = {
    Result.PASS: {"green": True, "bold": True},
    Result.FAIL: {"red": True, "bold": True},
    Result.UNDETERMINED: {"yellow": True, "bold": True},
}


def summary_lines(run: Run, language: str, width: int) -> Iterator[Line]:
    """Yield the lines of the terminal summary with pytest's markup; each of them is one line."""
    for line, markup in _lines(run, language, width):
        yield visible(line), markup


def _lines(run: Run, language: str, width: int) -> Iterator[Line]:
    def say(template: str, **params: object) -> str:
        return translate(Text(template, **params), language)

    if run.partial:
        because = "; ".join(translate(text, language) for text in run.partial_because)
        yield say("PARTIAL RUN: {because}", because=because), {"yellow": True, "bold": True}
    if len(run.models) > FULL_MODELS:
        yield from _matrix(run, language)
    else:
        for model in run.models:
            yield from _model(run, model, language, width)
    for family in families_of(run.findings):
        for sentence in family.sentences():
            yield from _wrapped(translate(sentence, language), width, "  ", lines=4)
        if family.newick is not None:
            yield from _wrapped(family.newick, width, "    ", lines=4)
    shown = say(
        "{arrived} of {planned} planned hypotheses reported",
        arrived=run.arrived,
        planned=run.planned,
    )
    yield f"{shown}; {say('reproduce')}: {run.reproduce}", {}


def _matrix(run: Run, language: str) -> Iterator[Line]:
    widest = max(len(model.model) for model in run.models)
    for model in run.models:
        policies = "  ".join(f"{name} {result.result}" for name, result in model.policies.items())
        verdicts = _grouped(model, language)
        line = f"{model.model:<{widest}}  {policies}"
        yield line, _RESULT_MARKUP[next(iter(model.policies.values())).result]
        for verdict, components in verdicts.items():
            yield f"{'':<{widest}}    {verdict}: {', '.join(components)}", {}


def _grouped(model: ModelVerdict, language: str) -> dict[Verdict, list[str]]:
    groups: dict[Verdict, list[str]] = {}
    for component, verdict in model.components.items():
        name = translate(COMPONENT_NAMES[component], language)
        shown = f"{name} ({verdict.reference})" if verdict.reference else name
        groups.setdefault(verdict.verdict, []).append(shown)
    return groups


def _model(run: Run, model: ModelVerdict, language: str, width: int) -> Iterator[Line]:
    def say(template: str, **params: object) -> str:
        return translate(Text(template, **params), language)

    yield f"{model.model}  {model.revision or ''}".rstrip(), {"bold": True}
    for name, result in model.policies.items():
        why = [result.judgement or RESULT_MEANING[result.result]]
        if result.result is Result.FAIL and result.judgement is None:
            why = list(result.because)
        shown = "; ".join(translate(text, language) for text in why[:3])
        more = say(" and {n} more", n=len(why) - 3) if len(why) > 3 else ""
        text = textwrap.shorten(f"{result.result} - {shown}{more}", width - 14, placeholder=" ...")
        yield f"  {name + ':':<11} {text}", _RESULT_MARKUP[result.result]
    yield from _not_asked(run, model, language, width)
    for verdict, components in _grouped(model, language).items():
        yield f"  {verdict} ({translate(MEANING[verdict], language)})", {}
        yield from _wrapped(", ".join(components), width, "      ")
    for sentence in model.lineage:
        yield from _wrapped(translate(sentence, language), width, "  ", lines=4)
    yield from _nearest(model, language, width)
    yield from _not_compared(model, language, width)
    yield from _why(model, language, width)
    shown_findings = strongest(run.findings_of(model.model), EVIDENCE_LINES)
    if shown_findings:
        yield f"  {say('Strongest evidence')}", {"bold": True}
    for finding in shown_findings:
        yield from _wrapped(f"- {translate(finding.headline, language)}", width, "    ", lines=2)
    sources = [translate(source_text(source), language) for source in model.sources]
    read = f"{translate(bytes_read(model), language)}; {', '.join(sources) or '-'}"
    yield f"  {say('Read')}: {read}", {}
    for missing in would_decide(model, run):
        yield from _wrapped(f"{say('Would decide')}: {translate(missing, language)}", width, "  ")


def _not_asked(run: Run, model: ModelVerdict, language: str, width: int) -> Iterator[Line]:
    """Join what was found to the policies that do not ask about it: it fails no test."""
    for name in run.judged_by:
        for text in model.policies[name].because if name in model.policies else ():
            if text.template == NOT_ASKED:
                yield from _wrapped(f"{name}: {translate(text, language)}", width, "  ")


def _nearest(model: ModelVerdict, language: str, width: int) -> Iterator[Line]:
    """List the references with the nearest first, where there are more than a few."""
    rows = listed(model)
    if not rows:
        return
    yield f"  {translate(title(model), language)}", {"bold": True}
    for place, near in enumerate(rows[:NEAREST_LINES], start=1):
        said = said_of(near, language)
        yield from _wrapped(f"{place}. {near.reference}: {near.verdict} ({said})", width, "    ")
    for text in (counted(model), not_compared(model)):
        if text is not None:
            yield from _wrapped(translate(text, language), width, "    ")


def _not_compared(model: ModelVerdict, language: str, width: int) -> Iterator[Line]:
    """Name the references that a clearance does not hold for."""
    open_ones: dict[tuple[str, Text], list[str]] = {}
    for component, verdict in model.components.items():
        for entry in verdict.not_compared:
            name = translate(COMPONENT_NAMES[component], language)
            open_ones.setdefault((entry.reference, entry.why), []).append(name)
    for (reference, why), names in [*open_ones.items()][:NOT_COMPARED_LINES]:
        said = Text(
            "Not compared with {reference} ({components}): {why}",
            reference=reference,
            components=names,
            why=why,
        )
        yield from _wrapped(translate(said, language), width, "  ")
    if len(open_ones) > NOT_COMPARED_LINES:
        more = Text("and {n} more", n=len(open_ones) - NOT_COMPARED_LINES)
        yield f"  {translate(more, language)}", {}


def _why(model: ModelVerdict, language: str, width: int) -> Iterator[Line]:
    """Say for the text decoder why its verdict is what it is: the question asked first."""
    for component, verdict in model.components.items():
        if component.value == "text_decoder":
            name = translate(COMPONENT_NAMES[component], language)
            texts = [translate(text, language) for text in reasons(verdict)[:2]]
            yield from _wrapped(f"{name}: {'; '.join(texts)}", width, "  ")


def _wrapped(text: str, width: int, indent: str, lines: int = 3) -> Iterator[Line]:
    """Wrap by columns: a Hangul syllable takes two, which textwrap does not know."""
    room = width - len(indent) - 2
    rows: list[str] = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and columns(longer) > room:
            rows.append(word)
        else:
            rows[-1] = longer
    if len(rows) > lines:
        rows = [*rows[: lines - 1], f"{rows[lines - 1]} ..."]
    for number, row in enumerate(rows):
        yield f"{indent}{'  ' if number else ''}{row}", {}


def columns(text: str) -> int:
    """Return the width of a text on a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
