"""Write docs/models and docs/ko/models: what is published of nine Korean models, and what of it holds.

    python -m tools.site.build_model_pages          # or: make model-pages
    python -m tools.site.build_model_pages --check  # 1 if a page is stale

Every number comes from the shipped catalogue and claims or from one run of the suites without a hub.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_scratchverify.catalog.claims import Claim, shipped_claims
from pytest_scratchverify.catalog.entries import DATA, Entry, shipped_catalogue
from pytest_scratchverify.checkpoint.design import Tower
from pytest_scratchverify.core.evidence import Finding, Outcome
from pytest_scratchverify.core.matrix_file import read_matrix
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.parameters import amount
from pytest_scratchverify.report.language import translate
from pytest_scratchverify.report.markdown import escaped, table
from pytest_scratchverify.report.wording import (
    COMPONENT_NAMES,
    MEANING,
    OUTCOME_WORDS,
    RESULT_MEANING,
    would_decide,
)
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.serialization import run_from_json
from pytest_scratchverify.verdict.verdict import ModelVerdict
from tools import ROOT
from tools.running import run_suites
from tools.site.generated_files import GeneratedFiles
from tools.site.model_page_words import ENGLISH, KOREAN

PAGES = {
    "upstage/Solar-Open-100B": "solar-open-100b",
    "naver-hyperclovax/HyperCLOVAX-SEED-Think-32B": "hyperclovax-seed-think-32b",
    "skt/A.X-K1": "ax-k1",
    "NC-AI-consortium-VAETKI/VAETKI": "vaetki",
    "LGAI-EXAONE/K-EXAONE-236B-A23B": "k-exaone-236b-a23b",
    # the second phase of the Korean programme, August 2026
    "upstage/Solar-Open2-250B": "solar-open2-250b",
    "skt/A.X-K2": "ax-k2",
    "LGAI-EXAONE/K-EXAONE-2.0-750B-A37B": "k-exaone-2-750b-a37b",
    "Motif-Technologies/Motif-3": "motif-3",
}
SECOND_PHASE = tuple(PAGES)[5:]
FOLDERS = {"en": ROOT / "docs" / "models", "ko": ROOT / "docs" / "ko" / "models"}
FILES = GeneratedFiles(ROOT / "docs", "make model-pages")
CLAIM = "architecture.claim."


@dataclass(frozen=True)
class Page:
    """What one page is made of."""

    spec: ModelSpec
    entry: Entry
    claims: tuple[Claim, ...]
    figures: Mapping[str, Any]
    vocabulary: list[Mapping[str, Any]]
    verdict: ModelVerdict
    findings: list[Finding]
    language: str

    def say(self, english: str) -> str:
        """Return one of the page's own sentences in its language."""
        return ENGLISH.get(english, english) if self.language == "en" else KOREAN[english]

    def text(self, text: Text) -> str:
        """Return a sentence of the run in the page's language, as Markdown."""
        return plain(translate(text, self.language))


def plain(text: str) -> str:
    """Keep a text in its table cell, and keep it from being markup or a formula."""
    return " ".join(escaped(text).replace("$", "\\$").split())


def lines(page: Page) -> Iterator[str]:
    """Yield one page."""
    say = page.say
    yield "% Written by tools/site/build_model_pages.py from the shipped facts; do not edit."
    yield ""
    yield f"# {page.entry.repo.split('/')[1]}"
    yield ""
    yield say("{developer}, released {released}. Repository `{repo}`.").format(
        developer=page.spec.developer, released=page.spec.released, repo=page.entry.repo
    )
    yield ""
    name = PAGES[page.entry.repo]
    yield (
        f"[한국어](../ko/models/{name}.md)"
        if page.language == "en"
        else f"[English](../../models/{name}.md)"
    )
    yield ""
    yield say(
        "No weight of this model was read for this page, so nothing here says whose weights it has."
    )
    yield ""
    yield from judged(page)
    yield from claimed(page)
    yield from undecided(page)
    yield from declared(page)
    if page.entry.repo in SECOND_PHASE:
        yield from started(page)
    yield from published(page)
    yield from measured(page)
    yield f"## {say('How to reproduce')}"
    yield ""
    yield f"    pytest suites/ --model {page.entry.repo} --report-lang {page.language}"


def started(page: Page) -> Iterator[str]:
    """Yield how the model was made, as its makers say, and what was not measured of that."""
    facts: Any = page.entry.facts["training"]
    yield f"## {page.say('How it was made, as published')}"
    yield ""
    yield f"{page.say(facts['claim'])}."
    yield ""
    licence = page.say("Licence: {licence}.")
    yield licence.format(licence=plain(facts["licence"]))
    yield ""
    yield page.say(
        "This was read second-hand and was not measured here: no hub was in reach. Where the start is an earlier model of the same developer, [policies](../policies.md) say whether that is accepted; a run with the hub in reach compares the weights with that model and with strangers."
    )
    yield ""


def published(page: Page) -> Iterator[str]:
    """Yield the published figures, each with its source and status."""
    say = page.say
    yield f"## {say('Published figures')}"
    yield ""
    heads = (say("Figure"), say("Value"), say("Status"), say("Source"))
    yield from table(heads, figure_rows(page))
    yield say("The config, as far as published, in canonical names (status: {status}):").format(
        status=say(page.entry.status)
    )
    yield ""
    yield from table((say("Tower"), say("Fields")), design_rows(page))
    yield say("Sources of the config:")
    yield ""
    yield from (f"- {plain(source)}" for source in page.entry.sources)
    yield ""
    if page.entry.verification:
        yield f"{say('Verification')}: {plain(page.entry.verification)}."
        yield ""
    if page.vocabulary:
        yield from vocabulary(page)


def figure_rows(page: Page) -> Iterator[tuple[str, ...]]:
    """Yield the published quantities of size and training."""
    for name, figure in page.figures.items():
        if isinstance(figure, dict):
            value = (
                page.say("not published") if figure["value"] is None else number(figure["value"])
            )
            yield page.say(name), value, page.say(figure["status"]), plain(figure["source"])


def number(value: float) -> str:
    """Write 102.6B, 19.7T, 1,843,200 and 2.55e+24 as sources write them."""
    if value >= 1e18:
        return f"{value:.3g}"
    if value >= 1e12:
        return f"{value / 1e12:g}T"
    return amount(value) if value >= 1e8 else f"{value:,g}" if value < 1e5 else f"{value:,.0f}"


def design_rows(page: Page) -> Iterator[tuple[str, ...]]:
    """Yield one row a tower with all fields that its design states."""
    for tower, design in page.entry.designs.items():
        stated = (
            f"`{name}` {plain(str(value))}"
            for name, value in design.fields.items()
            if value != "absent"
        )
        yield page.say(Tower(tower).value), ", ".join(stated)


def vocabulary(page: Page) -> Iterator[str]:
    """Yield what was published about the tokenizer."""
    say = page.say
    yield say("Published of the tokenizer (the model's own tokenizer file was not read):")
    yield ""
    for row in page.vocabulary:
        figures = ", ".join(
            f"`{name}` {plain(', '.join(map(str, value)) if isinstance(value, list) else str(value))}"
            for name, value in row.items()
            if name != "source"
        )
        yield f"- {figures} ({plain(row['source'])})"
    yield ""


def claimed(page: Page) -> Iterator[str]:
    """Yield every published claim with what the run says of it; contradicted ones first."""
    say = page.say
    yield f"## {say('What is contradicted')}"
    yield ""
    by_claim = {finding.method.removeprefix(CLAIM): finding for finding in page.findings}
    judged = [(claim, by_claim[claim.id]) for claim in page.claims]
    bad = [row for row in judged if row[1].relation == "contradicted"]
    others = [f for f in page.findings if f.relation == "contradicted" and CLAIM not in f.method]
    if not bad and not others:
        yield say("Nothing that could be checked without the hub.")
        yield ""
    else:
        yield say(
            "A contradicted claim speaks of the claim, not of the weights. Most of these are statements of third parties about the model, as the source shows."
        )
        yield ""
        yield from claim_table(page, bad)
        yield from (f"- {page.text(finding.headline)}" for finding in others)
        yield ""
    held = [row for row in judged if row[1].outcome is Outcome.CONSISTENT]
    if held:
        yield f"## {say('What agrees with what was published')}"
        yield ""
        yield from claim_table(page, held)


def claim_table(page: Page, rows: list[tuple[Claim, Finding]]) -> Iterator[str]:
    """Yield claims, what a run says of them, and who published them."""
    if rows:
        heads = (page.say("Claim"), page.say("What the run says"), page.say("Source"))
        yield from table(
            heads,
            (
                (f"`{claim.id}`", page.text(found.headline), plain(claim.source))
                for claim, found in rows
            ),
        )


def declared(page: Page) -> Iterator[str]:
    """Yield what is declared and disputed, with sources."""
    say = page.say
    if not page.spec.declares and not page.spec.disputed:
        return
    yield f"## {say('What is declared')}"
    yield ""
    for component, stated in page.spec.declares.items():
        yield say("- {component}: from `{origin}`, says {by}; state: {state} ({source})").format(
            component=page.text(COMPONENT_NAMES[component]),
            origin=stated.origin,
            by=say(stated.by) if stated.by.startswith("the ") else stated.by,
            state=say(stated.state),
            source=plain(stated.source),
        )
    for component, why in page.spec.disputed.items():
        yield f"- {page.text(COMPONENT_NAMES[component])}: {say('sources disagree')} ({plain(why)})"
    yield ""


def judged(page: Page) -> Iterator[str]:
    """Yield what a reader came for: the verdict without a hub, by every policy and component."""
    say = page.say
    yield f"## {say('What a run says without a hub')}"
    yield ""
    for name, result in page.verdict.policies.items():
        meaning = page.text(result.judgement or RESULT_MEANING[result.result])
        because = "; ".join(page.text(reason) for reason in result.because)
        yield f"- **{name}: {result.result}** - {meaning} ({because})"
    yield ""
    heads = (say("Component"), say("Verdict"), say("Reference"))
    yield from table(
        heads,
        (
            (
                page.text(COMPONENT_NAMES[component]),
                f"`{verdict.verdict}` ({page.text(MEANING[verdict.verdict])})",
                f"`{verdict.reference}`" if verdict.reference else "-",
            )
            for component, verdict in page.verdict.components.items()
        ),
    )


def measured(page: Page) -> Iterator[str]:
    """Yield what a run could measure."""
    say = page.say
    yield f"## {say('The tests behind it')}"
    yield ""
    heads = (say("Test"), say("Outcome"), say("Finding"))
    yield from table(heads, finding_rows(page))


def finding_rows(page: Page) -> Iterator[tuple[str, ...]]:
    """Yield what was measured, claims apart; what was not to be had is under `undecided`."""
    silent = {Outcome.UNAVAILABLE, Outcome.NOT_APPLICABLE, Outcome.MISSING}
    for finding in page.findings:
        if finding.outcome not in silent and not finding.method.startswith(CLAIM):
            yield (
                f"`{finding.method}`",
                page.text(OUTCOME_WORDS[finding.outcome]),
                page.text(finding.headline),
            )


def undecided(page: Page) -> Iterator[str]:
    """Yield what is open, and what would decide it."""
    say = page.say
    yield f"## {say('What is open')}"
    yield ""
    claims = {claim.id: claim for claim in page.claims}
    for finding in page.findings:
        known = claims.get(finding.method.removeprefix(CLAIM))
        if known is not None and finding.outcome is Outcome.UNAVAILABLE:
            yield f"- `{known.id}`: {page.text(finding.headline)} ({plain(known.source)})"
    missing = [
        say(name) for name, f in page.figures.items() if isinstance(f, dict) and f["value"] is None
    ]
    if missing:
        yield f"- {say('Not published')}: {', '.join(missing)}"
    for text in would_decide(page.verdict):
        yield f"- {say('Would decide')}: {page.text(text)}"
    yield ""


def size(entry: Entry) -> dict[str, Any]:
    """Return the catalogue's number of parameters, for models that have no other source."""
    stated: Any = entry.facts["declared_parameters"]
    status = "unverified" if stated["status"] == "u" else "published"
    source = "catalogue entry"
    return {"total_parameters": {"value": stated["total"], "status": status, "source": source}}


def run_without_hub() -> Run:
    """Run the suites on these models with nothing but what is shipped."""
    with tempfile.TemporaryDirectory() as home:
        ran = run_suites(*(word for name in PAGES for word in ("--model", name)), home=Path(home))
    if ran.json_bytes is None:
        raise SystemExit(f"the run left no run.json:\n{ran.output}")
    return run_from_json(ran.json_bytes.decode())


def pages(run: Run) -> dict[Path, str]:
    """Return the text of every page by its path."""
    matrix = read_matrix(ROOT / "suites" / "matrix.toml")
    compute = json.loads((DATA / "compute.json").read_text("utf-8"))["models"]
    vocabularies = json.loads((DATA.parent / "tokenizers" / "published.json").read_text("utf-8"))
    written = {}
    for verdict in run.models:
        for language, folder in FOLDERS.items():
            page = Page(
                spec=matrix.spec(verdict.model),
                entry=shipped_catalogue()[verdict.model],
                claims=shipped_claims().get(verdict.model, ()),
                figures=size(shipped_catalogue()[verdict.model]) | compute[verdict.model],
                vocabulary=vocabularies["models"].get(verdict.model, []),
                verdict=verdict,
                findings=sorted(
                    run.findings_of(verdict.model), key=lambda f: (f.method, f.reference or "")
                ),
                language=language,
            )
            written[folder / f"{PAGES[verdict.model]}.md"] = "\n".join(lines(page)) + "\n"
    return written


def main() -> int:
    """Write the pages, or say which are stale."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    made = pages(run_without_hub())
    if given.check:
        return FILES.check(made)
    FILES.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
