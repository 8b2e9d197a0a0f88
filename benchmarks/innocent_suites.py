"""A hundred innocent pairs through the whole suites: what a user would be told of each.

    python -m benchmarks.innocent_suites [--kind NAME]

A run for each of the 25 kinds of `tools/zoo/innocents.py`: a trained stranger against four
references that underwent the same. Prints Markdown, as docs/methods/weights-nulls.md shows it:
of the pairs of each kind, in how many the weights of a component were accused, was called shared
without direction, was a lead, or showed nothing; then the verdicts, and the policy `strict`.
The tokenizers are left out: those of s0 and s1 are one.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from pytest_scratchverify import verify
from pytest_scratchverify.core.evidence import Direction, Finding, Outcome, Relation
from pytest_scratchverify.verdict.run import Run
from tools.zoo.innocents import KINDS, sides

WEIGHTS = ("weights.", "layernorm.")
SHARED = {Relation.SHARED_ANCESTRY, Relation.SHARED_INITIALISATION}


def words(run: Run) -> Counter[str]:
    """Count the pairs of a run by the gravest thing that was found in their weights."""
    by_reference: dict[str, list[Finding]] = defaultdict(list)
    for finding in run.findings:
        if finding.method.startswith(WEIGHTS) and finding.reference is not None:
            by_reference[finding.reference].append(finding)
    return Counter(word(found) for found in by_reference.values())


def word(findings: Iterable[Finding]) -> str:
    """Return the gravest word: accused, shared (without saying who took), lead or nothing."""
    found = list(findings)
    derived = [f for f in found if f.outcome is Outcome.DERIVED]
    if any(f.relation not in SHARED for f in derived):
        return "accused"
    if derived:
        return "shared"
    return "lead" if any(f.direction is Direction.TOWARD_REUSE for f in found) else "nothing"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=[*KINDS], default=None)
    given = parser.parse_args()
    total: Counter[str] = Counter()
    print("| kind | pairs | accused | shared | leads | nothing | verdicts | strict |")
    print("|---|---|---|---|---|---|---|---|")
    for number, name in enumerate(KINDS):
        if given.kind not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as root:
            suspect, *references = sides(number, Path(root))
            run = verify(suspect, against=references, offline=True, quiet=True)
        said = words(run)
        total += said
        print(_row(name, said, run), flush=True)
    print(f"| all | {_counts(total)} | | |")


def _row(name: str, said: Counter[str], run: Run) -> str:
    (model,) = run.models
    verdicts = Counter(
        str(verdict.verdict)
        for component, verdict in model.components.items()
        if str(component) != "tokenizer"
    )
    listed = ", ".join(f"{count} {word}" for word, count in verdicts.most_common())
    strict = model.policies["strict"].result
    return f"| {name} | {_counts(said)} | {listed} | {strict} |"


def _counts(said: Counter[str]) -> str:
    return f"{said.total()} | " + " | ".join(
        str(said[word]) for word in ("accused", "shared", "lead", "nothing")
    )


if __name__ == "__main__":
    main()
