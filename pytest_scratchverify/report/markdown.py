"""The verdict as Markdown, for a step summary, a pull request, a wiki."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible, visible_document
from pytest_scratchverify.report.family import ModelFamily, families_of
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.nearest import counted, listed, said_of, title
from pytest_scratchverify.report.terms import named
from pytest_scratchverify.report.wording import (
    COMPONENT_NAMES,
    MEANING,
    OUTCOME_WORDS,
    RESULT_MEANING,
    bytes_read,
    reasons,
    source_text,
    would_decide,
)
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.verdict import ComponentVerdict, ModelVerdict, NearReference

_IN_CODE = str.maketrans("`|", "'/")  # what would end a code span, or its cell


def render_markdown(run: Run, language: str) -> str:
    """Return the whole report; file contents never reach it unescaped."""
    return visible_document("\n".join(_lines(run, language)) + "\n")


def _lines(run: Run, language: str) -> Iterator[str]:
    say = _speaker(language)
    yield f"# {say('Verdict')}"
    yield ""
    if run.partial:
        because = "; ".join(translate(text, language) for text in run.partial_because)
        yield f"> **{say('PARTIAL RUN: {because}', because=escaped(because))}**"
        yield ""
    for family in families_of(run.findings):
        yield from _family(family, language)
    for model in run.models:
        yield from _model(run, model, language)
    yield f"## {say('How to reproduce')}"
    yield ""
    yield f"    {visible(run.reproduce)}"
    yield ""
    versions = ", ".join(f"{name} {text}" for name, text in run.versions.items())
    made_by = f"pytest-scratchverify {run.version}; {versions}; {run.matrix}"
    yield escaped(f"{made_by} {visible(run.matrix_digest)[:12]}")
    yield ""
    yield escaped(
        say(
            "No verdict says that a model was trained from scratch: the best that tests can say "
            "is that no relation to the named references was found, at the power stated."
        )
    )


def _family(family: ModelFamily, language: str) -> Iterator[str]:
    """Say who came first, and list the steps of descent."""
    say = _speaker(language)
    yield f"## {say('Family of models')}"
    yield ""
    for sentence in family.sentences():
        yield f"{escaped(translate(sentence, language))}"
        yield ""
    if family.steps:
        heads = (say("Made from"), say("Model"), say("Share"))
        steps = ((escaped(s.parent), escaped(s.child), f"{s.share:.2g}") for s in family.steps)
        yield from table(heads, steps)
    if family.newick is not None:
        yield f"    {family.newick}"
        yield ""


def _model(run: Run, model: ModelVerdict, language: str) -> Iterator[str]:
    say = _speaker(language)
    yield f"## {escaped(model.model)}"
    yield ""
    yield from _policies(model, language)
    for text in model.lineage:
        yield f"{escaped(translate(text, language))}"
        yield ""
    heads = (say("Component"), say("Verdict"), say("Reference"), say("Why"))
    verdicts = model.components.values()
    yield from table(heads, (_component_row(verdict, language) for verdict in verdicts))
    if listed(model):
        yield f"### {translate(title(model), language)}"
        yield ""
        columns = (say("Reference"), say("Verdict"), say("Finding"))
        yield from table(columns, (_near_row(near, language) for near in listed(model)))
        yield escaped(translate(counted(model), language))
        yield ""
    sources = ", ".join(translate(source_text(source), language) for source in model.sources)
    yield f"{say('Read')}: {translate(bytes_read(model), language)}; {sources or '-'}"
    yield ""
    for text in would_decide(model, run):
        yield f"- {say('Would decide')}: {escaped(translate(text, language))}"
    yield ""
    heads = (say("Test"), say("Outcome"), say("Reference"), say("Finding"))
    findings = run.findings_of(model.model)
    yield from table(heads, (_finding_row(finding, language) for finding in findings))


def _policies(model: ModelVerdict, language: str) -> Iterator[str]:
    for name, result in model.policies.items():
        meaning = result.judgement or RESULT_MEANING[result.result]
        yield f"**{escaped(name)}: {result.result}** - {escaped(translate(meaning, language))}"
        for text in result.because:
            yield f"- {escaped(translate(text, language))}"
        for method, grade in result.rows:
            said = translate(named(method), language)
            yield f"- {escaped(said)}: {escaped(translate(grade, language))}"
        yield ""


def _component_row(verdict: ComponentVerdict, language: str) -> tuple[str, ...]:
    why = "; ".join(translate(text, language).rstrip(".") for text in reasons(verdict)[:3])
    meaning = translate(MEANING[verdict.verdict], language)
    return (
        translate(COMPONENT_NAMES[verdict.component], language),
        f"**{verdict.verdict}** ({meaning})",
        escaped(verdict.reference or "-"),
        escaped(why or "-"),
    )


def _near_row(near: NearReference, language: str) -> tuple[str, ...]:
    said = said_of(near, language)
    return escaped(near.reference), f"**{near.verdict}**", escaped(said)


def _finding_row(finding: Finding, language: str) -> tuple[str, ...]:
    headline = translate(finding.headline, language)
    if finding.remedy is not None:
        headline = f"{headline.rstrip('.')}. {translate(finding.remedy, language)}"
    return (
        f"`{visible(finding.method).translate(_IN_CODE)}`",
        translate(OUTCOME_WORDS[finding.outcome], language),
        escaped(finding.reference or "-"),
        escaped(headline),
    )


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a table and a blank one; cells are Markdown, an empty one is a dash."""
    names = [*heads]
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(cell or '-' for cell in row)} |"
    yield ""


def escaped(text: str) -> str:
    """Keep a text in its table cell and in its line, and keep it from being markup."""
    text = visible(text)
    for character in "\\`*_{}[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text


class _speaker:  # noqa: N801 - used like a function
    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, template: str, **params: object) -> str:
        return translate(Text(template, **params), self.language)
