"""Measure what the tutorial quotes, and write its pages, figures and list of open questions.

    python -m tools.site.build_tutorial          # or: make tutorial
    python -m tools.site.build_tutorial --check  # 1 if a page, a number or a figure is stale
    python -m tools.site.build_tutorial --ask "Why ...?"   # or: make tutorial-question Q="Why ...?"

Nothing is written that has not changed, so that a second run is a no-op.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.report.figures.rendering import Rendered, figures_of
from pytest_scratchverify.verdict.run import Run
from pytest_scratchverify.verdict.serialization import run_from_json
from tools import ROOT
from tools.running import run_suites
from tools.site.generated_files import GeneratedFiles
from tools.site.tutorial.asking import ask
from tools.site.tutorial.pages import Drawn, Material, all_pages
from tools.site.tutorial.questions import (
    LANGUAGES,
    Known,
    Question,
    QuestionError,
    faults,
    read_questions,
    read_sections,
)
from tools.site.tutorial.runs import RUNS, Asked
from tools.site.tutorial.shipped import SHIPPED, published_tree

DOCS = ROOT / "docs"
HOME = DOCS / "tutorial"
MEASURED = HOME / "measured.json"
WORKERS = 2
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

Pictures = dict[PurePosixPath, str]


def run_all() -> dict[str, Run]:
    """Run the suites once for every entry of RUNS, without a hub."""

    def one(name: str, asked: Asked) -> Run:
        with tempfile.TemporaryDirectory() as home:
            ran = run_suites(*asked.arguments, home=Path(home))
        if ran.json_bytes is None:
            raise SystemExit(f"{name}: {asked.command} left no run.json:\n{ran.output[-3000:]}")
        return run_from_json(ran.json_bytes.decode())

    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(RUNS, pool.map(one, RUNS, RUNS.values()), strict=True))


def measure(runs: Mapping[str, Run]) -> dict[str, Any]:
    """Return every value with the name of what measured it, the commands, and the captions."""
    values = {}
    for by, asked in RUNS.items():
        values.update({n: {"shown": v, "by": by} for n, v in asked.read(runs[by]).items()})
    for by, (_, read) in SHIPPED.items():
        values.update({n: {"shown": v, "by": by} for n, v in read().items()})
    commands = {by: asked.command for by, asked in RUNS.items()}
    commands |= {by: command for by, (command, _) in SHIPPED.items()}
    return {"commands": commands, "values": dict(sorted(values.items()))}


def sources(runs: Mapping[str, Run]) -> Iterator[tuple[str, str, str, Finding]]:
    """Yield every figure: its name, what measured it, the kind of drawing, the finding."""
    for by, asked in RUNS.items():
        for name, (kind, method, model, reference) in asked.figures.items():
            yield name, by, kind, drawn_of(runs[by], kind, method, model, reference)
    yield "published-tree", "fingerprints", "tree", published_tree()


def drawn_of(run: Run, kind: str, method: str, model: str, reference: str | None) -> Finding:
    """Return the finding that a figure of the kind can be drawn of. Raises `LookupError`."""
    for finding in run.findings:
        wanted = (finding.method, finding.model, finding.reference) == (method, model, reference)
        if wanted and kind in {figure.kind for figure in finding.figures}:
            return finding
    raise LookupError(f"no {kind} of {method}, {model}")


def draw(runs: Mapping[str, Run]) -> tuple[Pictures, dict[str, dict[str, Any]]]:
    """Return the pictures by path below docs/, and the words around them."""
    pictures: Pictures = {}
    words: dict[str, dict[str, Any]] = {}
    for name, by, kind, finding in sources(runs):
        pair = filter(None, (finding.model, finding.reference))
        of = " - ".join(repo.removesuffix("/models").rpartition("/")[2] for repo in pair)
        words[name] = {"by": by, "of": of, "title": {}, "caption": {}}
        for language in LANGUAGES:
            figure = rendered(finding, language, kind)
            path = PurePosixPath("tutorial/figures") / f"{name}.{language}.svg"
            pictures[path] = standalone(figure.svg)
            words[name]["title"][language] = figure.title
            words[name]["caption"][language] = figure.caption
    return pictures, words


def rendered(finding: Finding, language: str, kind: str) -> Rendered:
    """Draw one figure of a finding. Raises `LookupError` where it cannot be drawn."""
    for figure in figures_of(finding, language):
        if isinstance(figure, Rendered) and figure.kind == kind:
            return figure
    raise LookupError(f"{finding.id} has no {kind} that can be drawn")


def standalone(svg: str) -> str:
    """Turn an element of a report into a file: white paper and a font, which the page gave it."""
    head, rest = svg.split(">", 1)
    head = re.sub(r' style="[^"]*"', "", head) + ' style="background:#fff;font-family:sans-serif"'
    return f"{head}>{rest.replace('font-family: inherit;', '')}\n"


def same_picture(old: str, new: str) -> bool:
    """Whether two drawings differ by rounding at most: another machine's last digit is no news."""
    if _NUMBER.sub("#", old) != _NUMBER.sub("#", new):
        return False
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=True)
    return all(abs(float(one) - float(two)) <= 0.05 for one, two in pairs)


def material(measured: Mapping[str, Any]) -> Material:
    """Return questions and measured values; exits where a question is not fit to be printed."""
    sections = read_sections(HOME / "sections.toml")
    questions = read_questions(HOME / "questions", sections)
    figures = {name: Drawn(**words) for name, words in measured["figures"].items()}
    known = Known(
        frozenset(measured["values"]),
        frozenset(figures),
        frozenset(question.number for question in questions if question.answered),
    )
    wrong = [fault for question in questions for fault in faults(question, known)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    return Material(
        sections, questions, measured["values"], measured["commands"], figures, headings(questions)
    )


def headings(questions: Sequence[Question]) -> dict[str, str]:
    """Return the headings of the pages that answers point to. Raises `QuestionError`."""
    found = {}
    for question in questions:
        for path in (page for pages in question.see for page in pages.split(" | ")):
            file = DOCS / path
            if not file.is_file():
                raise QuestionError(f"{question.slug}: see {path!r}: no such page below docs/")
            heading = re.search(r"^# (.+)$", file.read_text("utf-8"), re.MULTILINE)
            found[path] = heading[1] if heading else path
    return found


def generated() -> GeneratedFiles:
    """Return where the tutorial's files lie; a picture may differ by rounding."""
    return GeneratedFiles(DOCS, "make tutorial", _same)


def _same(path: PurePath, old: str, new: str) -> bool:
    return old == new or (path.suffix == ".svg" and same_picture(old, new))


def leftovers(made: Mapping[PurePosixPath, str]) -> list[PurePosixPath]:
    """Return figures that nothing makes any more."""
    figures = (HOME / "figures").glob("*.svg")
    there = {PurePosixPath("tutorial/figures") / file.name for file in figures}
    return sorted(there - {*made})


def remeasured() -> dict[PurePosixPath, str]:
    """Measure all anew and return every file of the tutorial by its path below docs/."""
    runs = run_all()
    pictures, words = draw(runs)
    measured = measure(runs) | {"figures": words}
    text = json.dumps(measured, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    return {
        **all_pages(material(measured)),
        **pictures,
        PurePosixPath("tutorial") / MEASURED.name: text,
    }


def main() -> int:
    """Do what the options say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--pages", action="store_true", help="from the numbers measured last")
    parser.add_argument("--ask", metavar="QUESTION")
    given = parser.parse_args()
    files = generated()
    try:
        if given.ask is not None:
            print(ask(given.ask, HOME))
        if given.ask is not None or given.pages:
            files.write(all_pages(material(json.loads(MEASURED.read_text("utf-8")))))
            return 0
        made = remeasured()
    except QuestionError as error:
        raise SystemExit(str(error)) from error
    gone = leftovers(made)
    if given.check:
        return files.check(made, gone)
    files.write(made)
    files.remove(gone)
    return 0


if __name__ == "__main__":
    sys.exit(main())
