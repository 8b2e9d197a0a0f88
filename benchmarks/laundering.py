"""The Checkpoint Laundering Benchmark on gated decoders: published columns, and two of our own.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.adversaries --into .artifacts/adversaries
    python -m benchmarks.laundering .artifacts/adversaries --peer /tmp/peers/bin/modeldna

Thirty related and 22 unrelated pairs, as published (arXiv 2608.14929): for each of two public
models fifteen descendants (fine-tunes, other text, noise, pruning, INT8; three each), eight
networks of other seeds on the same text and three students. `--half` takes one public model,
15 : 11. The published table launders descendants only and lets unrelated models be; the second
table launders both, as a forger may. Ours is asked about the text decoder alone: embeddings and
head, which permuted and rescaled units leave alone, would decide every pair.
Prints Markdown; `--rows` keeps the scores of every pair.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from benchmarks.adversary_bench import DEPTHS, Bank, Said, options, table
from benchmarks.lineage_scores import SCORES, auroc, bar_of
from tools.zoo.laundering import LAUNDERINGS

PUBLIC = ("s0", "s1")
STRANGERS = 8
STUDENTS = 3
TRAINED = "PDFT"
BOTH_DEPTHS = ("none", "all")  # of laundered strangers, which cost most: else quick alone
COLUMNS = ("none", "P", "D-mild", "D-strong", "PD", TRAINED, "R", "all")
KINDS = (
    *(f"finetune-{k}" for k in range(3)),
    *(f"newtext-{k}" for k in range(3)),
    *("noise2", "noise5", "noise10", "prune30", "prune40", "prune50"),
    *("int8-rows", "int8-16", "int8-8"),
)
# AUROC on 16 residual blocks of 48 units and width 16: 52 pairs a cell.
PUBLISHED = {
    "raw Frobenius": ("1.000", "0.495", "1.000", "0.000", "0.000", "0.000", "-", "-"),
    "raw cosine": ("1.000", "0.856", "1.000", "1.000", "0.805", "0.805", "-", "-"),
    "centred residual signature": (*6 * ("1.000",), "broken", "-"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """What one method said of one pair in one column."""

    column: str
    method: str
    reference: str
    suspect: str
    related: bool
    laundered: bool
    score: float
    accused: bool
    word: str
    seconds: float


@dataclass(frozen=True)
class Bench:
    """Launders suspects and asks every method about every pair."""

    bank: Bank
    public: Sequence[str]
    known: dict[tuple[str, str], list[tuple[str, Said]]] = field(default_factory=dict)
    told: dict[tuple[str, str, str], list[Row]] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Ask all; bars of the published scores come from pairs of strangers."""
        bars = self.bars()
        for column in COLUMNS:
            for reference in self.public:
                for suspect in self.related(reference):
                    name = self.laundered(suspect, column)
                    yield from self._asked(column, name, reference, suspect, bars)
                for suspect in self.unrelated(reference):
                    name = self.laundered(suspect, "PD" if column == TRAINED else column)
                    yield from self._asked(column, name, reference, suspect, bars)

    def related(self, reference: str) -> list[str]:
        """Return the fifteen descendants of a public model."""
        return [f"{reference}-{kind}" for kind in KINDS]

    def unrelated(self, reference: str) -> list[str]:
        """Return eight strangers and the three students of a public model."""
        strangers = [f"x{k}" for k in range(STRANGERS)]
        return [*strangers, *(f"{reference}-answers-{k}" for k in range(STUDENTS))]

    def laundered(self, suspect: str, column: str) -> str:
        """Make a suspect's folder of a column, once; return its name."""
        if column == "none":
            return suspect
        name = f"{suspect}-{column}"
        if column != TRAINED and not self.bank.path(name).exists():
            rng = np.random.default_rng(zlib.crc32(name.encode()))
            changed = LAUNDERINGS[column](self.bank.model(suspect), rng)
            self.bank.write(name, changed, suspect)
        return name

    def bars(self) -> dict[str, float]:
        """Return the bar of each published score: three sigma above strangers among themselves."""
        strangers = [self.bank.model(f"x{k}").tensors for k in range(STRANGERS)]
        return {
            method: bar_of([score(one, two) for one, two in combinations(strangers, 2)])
            for method, score in SCORES.items()
        }

    def _asked(
        self, column: str, name: str, reference: str, suspect: str, bars: dict[str, float]
    ) -> Iterator[Row]:
        told = self.told.get((column, reference, suspect))
        if told:
            yield from told
            return
        related = suspect in self.related(reference)
        whole = related or name == suspect or name.removeprefix(f"{suspect}-") in BOTH_DEPTHS
        key = (name, reference)
        if key not in self.known:
            depths = DEPTHS if whole else DEPTHS[:1]
            self.known[key] = list(self._said(name, reference, bars, depths))
        for method, said in self.known[key]:
            given = (reference, suspect, related, column != "none")
            yield Row(column, method, *given, *asdict(said).values())

    def _said(
        self, name: str, reference: str, bars: dict[str, float], depths: Sequence[str]
    ) -> Iterator[tuple[str, Said]]:
        for depth in depths:
            yield f"this project, {depth}", self.bank.ask(name, reference, depth)
        one, two = self.bank.model(reference).tensors, self.bank.model(name).tensors
        for method, score in SCORES.items():
            value = score(one, two)
            accused = value >= bars[method]
            yield method, Said(value, accused, "descendant" if accused else "not")
        if self.bank.peer is not None:
            yield "modeldna 0.1.0", self.bank.ask_peer(name, reference)


def summary(rows: Sequence[Row]) -> None:
    """Print AUROC with clean strangers and with laundered ones, and the errors at each bar."""
    cells: dict[tuple[str, str, bool], list[Row]] = defaultdict(list)
    for row in rows:
        cells[row.method, row.column, row.related].append(row)
    methods = list(dict.fromkeys(row.method for row in rows))

    def area(method: str, column: str, strangers: str) -> str:
        of = cells[method, column, True], cells[method, strangers, False]
        if not all(of):
            return "-"
        return f"{auroc(*([row.score for row in part] for part in of)):.3f}"

    print("\nAUROC, unrelated models as they are (the published design):\n")
    found = [(m, *(area(m, c, "none") for c in COLUMNS)) for m in methods]
    published = [(f"{m}, published", *values) for m, values in PUBLISHED.items()]
    table(("method", *COLUMNS), sorted(found + published, key=_by_method(methods)))
    print("\nAUROC, unrelated models laundered too:\n")
    table(("method", *COLUMNS), ((m, *(area(m, c, c) for c in COLUMNS)) for m in methods))
    print("\nErrors at each method's own bar, descendants missed / unrelated models accused"
          " (laundered too):\n")  # fmt: skip

    def errors(method: str, column: str) -> str:
        missed = sum(not row.accused for row in cells[method, column, True])
        strangers = cells[method, column, False]
        accused = sum(row.accused for row in strangers) if strangers else "-"
        return f"{missed} / {accused}"

    table(("method", *COLUMNS), ((m, *(errors(m, c) for c in COLUMNS)) for m in methods))
    pairs = [len(cells[methods[0], "none", related]) for related in (True, False)]
    print(f"\n{pairs[0]} related and {pairs[1]} unrelated pairs a cell.")
    for method in methods:
        spent = [row.seconds for row in rows if row.method == method and row.seconds]
        if spent:
            print(f"{method}: {sum(spent) / len(spent):.2f} s a pair on average.")


def _by_method(methods: Sequence[str]) -> object:
    return lambda row: (methods.index(row[0].removesuffix(", published")), row[0])


def read_rows(path: Path | None) -> dict[tuple[str, str, str], list[Row]]:
    """Read what an earlier run was told, by column, reference and suspect."""
    told: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    if path is not None and path.exists():
        for line in path.read_text("utf-8").splitlines():
            row = Row(**json.loads(line))
            told[row.column, row.reference, row.suspect].append(row)
    return dict(told)


def kept(
    rows: Iterable[Row], path: Path | None, told: dict[tuple[str, str, str], list[Row]]
) -> Iterator[Row]:
    """Write what is new as it comes: an interrupted run goes on where it stopped."""
    for row in rows:
        if path is not None and (row.column, row.reference, row.suspect) not in told:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(row)) + "\n")
        yield row


def main() -> None:
    """Print the tables."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--half", action="store_true", help="one public model, 15 : 11 pairs")
    parser.add_argument(
        "--rows", type=Path, help="keep the scores of every pair here, one JSON a line; goes on"
    )
    given = parser.parse_args()
    told = read_rows(given.rows)
    with tempfile.TemporaryDirectory() as made:
        bank = Bank(given.folder, Path(made), given.peer)
        bench = Bench(bank, PUBLIC[:1] if given.half else PUBLIC, told=told)
        rows = list(kept(bench.rows(), given.rows, told))
    summary(rows)


if __name__ == "__main__":
    main()
