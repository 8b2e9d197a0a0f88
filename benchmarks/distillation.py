"""What weights, logits and answers tell of students that share no weight with their teacher.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.adversaries --into .artifacts/adversaries
    /tmp/venv-zoo/bin/python -m tools.zoo.train.answers .artifacts/adversaries NAME...
    python -m benchmarks.distillation .artifacts/adversaries [--names]

`--names` prints the names to ask. Students of a teacher's probabilities, of its likeliest tokens,
and of its hidden states, from a random start; students of another teacher and models trained on
the same text without one are the controls. Three questions are put: to the weights, to logits
(whole distributions, likeliest tokens, and likeliest tokens where teacher and text disagree), and
to greedy continuations as `behaviour.output_agreement` does. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.adversary_bench import PARTS, Bank, options, table
from benchmarks.lineage_scores import SCORES, auroc
from pytest_scratchverify.stats.behaviour.round_robin import excess

TEACHER, OTHER = "s0", "s1"
STRANGERS = tuple(f"x{k}" for k in range(8))
GROUPS = {
    "students of probabilities": tuple(f"{TEACHER}-answers-{k}" for k in range(3)),
    "students of likeliest tokens": tuple(f"{TEACHER}-labels-{k}" for k in range(3)),
    "students of hidden states": tuple(f"{TEACHER}-states-{k}" for k in range(3)),
    "students of another teacher": tuple(f"{OTHER}-answers-{k}" for k in range(3)),
    "fine-tunes": tuple(f"{TEACHER}-finetune-{k}" for k in range(3)),
    "fine-tunes on other text": tuple(f"{TEACHER}-newtext-{k}" for k in range(3)),
    "strangers": STRANGERS,
}
NAMES = (TEACHER, OTHER, *(name for group in GROUPS.values() for name in group))
CONTROLS = 5  # strangers beside a pair: as docs/methods/behaviour.md advises
ALPHA, LEAST = 1e-3, 0.1  # of the shipped calibration of behaviour.output_agreement

Floats = NDArray[np.float64]
Likeness = Callable[[str, str], float]


@dataclass(frozen=True)
class Answered:
    """What every model answered, as `tools.zoo.train.answers` wrote it."""

    arrays: dict[str, NDArray[np.generic]]

    @classmethod
    def load(cls, folder: Path) -> Answered:
        """Read the file."""
        with np.load(folder / "answers.npz") as known:
            return cls({name: known[name] for name in known.files})

    def continued(self, one: str, two: str) -> float:
        """Return the share of prompts from which both go on with the same three tokens."""
        ours, theirs = (self.arrays[f"{name}/continuations"] for name in (one, two))
        return float((ours == theirs).all(axis=1).mean())

    def best(self, one: str, two: str) -> float:
        """Return the share of places at which both think the same token likeliest."""
        return float((self.arrays[f"{one}/best"] == self.arrays[f"{two}/best"]).mean())

    def errors(self, one: str, two: str) -> float:
        """Return the same share where both are wrong: what a common text does not explain."""
        ours, theirs = self.arrays[f"{one}/best"], self.arrays[f"{two}/best"]
        wrong = (ours != self.arrays["next"]) & (theirs != self.arrays["next"])
        return float((ours == theirs)[wrong].mean())

    def distributions(self, one: str, two: str) -> float:
        """Return one less the mean Jensen-Shannon divergence (bits) of the next token."""
        p, q = (
            self.arrays[f"{name}/probabilities"].astype(np.float64) + 1e-9 for name in (one, two)
        )
        mean = (p + q) / 2
        apart = (p * np.log2(p / mean) + q * np.log2(q / mean)).sum(axis=1) / 2
        return 1.0 - float(apart.mean())


def likenesses(answered: Answered) -> dict[str, Likeness]:
    """Return what may be compared without a weight, by the names that the tables give them."""
    return {
        "distributions": answered.distributions,
        "likeliest token": answered.best,
        "likeliest token, both wrong": answered.errors,
        "continuations (behaviour.output_agreement)": answered.continued,
    }


def beside_strangers(
    likeness: Likeness, name: str, reference: str, controls: Sequence[str]
) -> object:
    """Test one pair against unrelated models by the round robin of the behaviour methods."""
    names = (name, reference, *controls)
    similarity = np.eye(len(names))
    for i, j in combinations(range(len(names)), 2):
        similarity[i, j] = similarity[j, i] = likeness(names[i], names[j])
    return excess(similarity, 0, 1)


Groups = Mapping[str, Sequence[str]]


def weights(bank: Bank, groups: Groups) -> Iterator[tuple[object, ...]]:
    """Say of each group what the product says of its weights, and the published scores."""
    teacher = bank.model(TEACHER).tensors
    every = [name for names in groups.values() for name in names]
    scores = {
        method: {n: score(teacher, bank.model(n).tensors) for n in every}
        for method, score in SCORES.items()
    }
    for group, names in groups.items():
        said = [bank.findings(name, TEACHER, "robust", PARTS) for name in names]
        cells = []
        for found in zip(*said, strict=True):
            derived = sum(f.derived for f in found)
            leads = sum(f.relation is not None and not f.derived for f in found)
            least = min(f.pvalue for f in found if f.pvalue is not None)
            cells.append(f"{derived} derived, {leads} leads, least p {least:.0e}")
        areas = [_area(found, names) for found in scores.values()]
        yield group, len(names), *cells, *areas


def behaviour(answered: Answered, groups: Groups) -> Iterator[tuple[object, ...]]:
    """Say of each group how alike it answers, and how often the round robin calls it special."""
    for what, likeness in likenesses(answered).items():
        alike = {n: likeness(TEACHER, n) for names in groups.values() for n in names}
        for group, names in groups.items():
            found = [
                beside_strangers(likeness, n, TEACHER, [s for s in STRANGERS if s != n][:CONTROLS])
                for n in names
            ]
            special = sum(f.pvalue < ALPHA for f in found)
            leads = sum(f.pvalue < ALPHA and f.effect >= LEAST for f in found)
            mean = np.mean([alike[n] for n in names])
            expected = np.mean([f.expected for f in found])
            yield (
                what, group, f"{mean:.3f}", f"{expected:.3f}", _area(alike, names),
                f"{special} of {len(names)}", f"{leads} of {len(names)}",
            )  # fmt: skip


def _area(scores: dict[str, float], names: Sequence[str]) -> str:
    if names == STRANGERS:
        return "-"
    return f"{auroc([scores[n] for n in names], [scores[n] for n in STRANGERS]):.2f}"


def main() -> None:
    """Print the tables."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--names", action="store_true", help="print whom to ask, and nothing else")
    given: argparse.Namespace = parser.parse_args()
    if given.names:
        print(*NAMES)
        return
    bank = Bank(given.folder, given.folder)
    missing = [name for name in NAMES if name not in bank.manifest]
    if missing:
        print(f"Not trained in {given.folder}, and left out: {', '.join(missing)}.\n")
    groups = {
        group: tuple(name for name in names if name not in missing)
        for group, names in GROUPS.items()
    }
    print(f"Weights, against {TEACHER} (robust); AUROC against strangers:\n")
    head = ("group", "models", "decoder", "embeddings", "head", *SCORES)
    table(head, weights(bank, groups))
    print(f"\nAnswers, against {TEACHER}, {CONTROLS} strangers as controls:\n")
    head = ("compared", "group", "alike", "expected", "AUROC", f"p < {ALPHA:g}", "leads")
    table(head, behaviour(Answered.load(given.folder), groups))


if __name__ == "__main__":
    main()
