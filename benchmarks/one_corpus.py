"""How alike are vocabularies that were learnt apart from one corpus? Nobody copied anything.

    python -m benchmarks.one_corpus [WORDS ...]

Two laboratories sample one distribution of words (the words of Python's standard library, by their
frequency) as often as WORDS says, each for itself, and learn a byte-pair encoding each, of one size
and of two. The last rows are two trainings on one and the same text. The table shows what the
method makes of each pair: none may be called derived.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.methods.tokenizer.rank_order import rank_order
from pytest_scratchverify.methods.tokenizer.thresholds import TokenizerThresholds
from pytest_scratchverify.tokenizer.vocabulary import Kind, Tokenizer

Pair = tuple[int, int]
_WORD = re.compile(rb" ?[A-Za-z]+| ?[^\sA-Za-z]{1,8}")
SIZES = (8000, 8000), (14_000, 8000)
WORD_TYPES = 45_000
FILES = 1500
CALIBRATION = Path(__file__).parents[1] / "suites" / "calibration" / "tokenizer.json"


class Row(NamedTuple):
    """One pair and what the method says of it."""

    words: float
    sizes: tuple[int, int]
    concordance: float
    inherited: float
    pvalue: float
    containment: float
    relation: str


def main(words: Sequence[float]) -> int:
    """Print the table; return 1 if any pair is called derived."""
    types, frequencies = standard_library()
    print("| words | sizes | in order | inherited | p | held | said |")
    print("|---|---|---|---|---|---|---|")
    accused = 0
    for row in rows(types, frequencies, words):
        accused += row.relation in ("derived", "extends")
        sizes = " / ".join(f"{size:,}" for size in row.sizes)
        shown = f"{row.words:.0e}" if row.words else "one text"
        print(
            f"| {shown} | {sizes} | {row.concordance:.3f} | {row.inherited:.2f} |"
            f" {row.pvalue:.0e} | {row.containment:.3f} | {row.relation} |",
            flush=True,
        )
    return int(accused > 0)


def rows(
    types: Sequence[bytes],
    frequencies: NDArray[np.float64],
    words: Sequence[float],
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> Iterator[Row]:
    """Yield what is said of pairs of every number of words, and of one text learnt twice."""
    largest = max(max(pair) for pair in sizes)
    for number, count in enumerate(words):
        one, two = (
            learn(types, np.random.default_rng([number, who]).multinomial(int(count), frequencies),
                  largest)
            for who in (0, 1)
        )  # fmt: skip
        for pair in sizes:
            yield judged(count, one[: pair[0]], two[: pair[1]])
    same = learn(types, np.round(frequencies * 1e9).astype(np.int64), largest)
    for pair in sizes:
        if pair[0] != pair[1]:  # of one size the two are equal, and are called so
            yield judged(0.0, same[: pair[0]], same[: pair[1]])


def judged(words: float, one: Sequence[bytes], two: Sequence[bytes]) -> Row:
    """Return what the method says of two lists of learnt tokens."""
    finding = rank_order(
        vocabulary("one", one), vocabulary("two", two), TokenizerThresholds.load(CALIBRATION)
    )
    held = finding.details["containment_a"], finding.details["containment_b"]
    assert finding.statistic is not None
    assert finding.effect is not None
    return Row(
        words,
        (len(one), len(two)),
        finding.statistic.value or 0.0,
        finding.effect.value or 0.0,
        finding.pvalue or 0.0,
        max(float(str(share)) for share in held),
        str(finding.relation),
    )


def standard_library() -> tuple[list[bytes], NDArray[np.float64]]:
    """Return the commonest words of Python's standard library and their frequencies."""
    counts: Counter[bytes] = Counter()
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.glob("**/*.py"))[:FILES]:
        if "site-packages" not in path.parts:
            counts.update(_WORD.findall(path.read_bytes()))
    common = counts.most_common(WORD_TYPES)
    weights = np.array([count for _, count in common], np.float64)
    return [word for word, _ in common], weights / weights.sum()


def learn(types: Sequence[bytes], counts: NDArray[np.int64], merges: int) -> list[bytes]:
    """Learn a byte-pair encoding of counted words (Sennrich et al. 2016); return its tokens.

    Ties are broken by the pair's numbers, which is the order of learning.
    """
    text = _Text(types, counts)
    tokens = [bytes([byte]) for byte in range(256)]
    heap = [(-count, pair) for pair, count in text.total.items()]
    heapify(heap)
    while heap and len(tokens) < 256 + merges:
        count, pair = heappop(heap)
        if not count or text.total.get(pair, 0) != -count:
            continue
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        for touched in sorted(text.merge(pair, len(tokens) - 1)):
            heappush(heap, (-text.total[touched], touched))
    return list(dict.fromkeys(tokens[256:]))


class _Text:
    """Counted words as lists of tokens, with the count and the places of every pair."""

    def __init__(self, types: Sequence[bytes], counts: NDArray[np.int64]) -> None:
        self.words = [list(word) for word, count in zip(types, counts, strict=True) if count]
        self.weight = [int(count) for count in counts if count]
        self.total: Counter[Pair] = Counter()
        self.where: dict[Pair, set[int]] = {}
        for number, word in enumerate(self.words):
            for pair in pairwise(word):
                self.total[pair] += self.weight[number]
                self.where.setdefault(pair, set()).add(number)

    def merge(self, pair: Pair, new: int) -> set[Pair]:
        """Replace a pair by its token in every word; return the pairs whose counts changed."""
        changed: set[Pair] = set()
        for number in self.where.pop(pair):
            old, joined = self.words[number], _joined(self.words[number], pair, new)
            if len(old) == len(joined):
                continue
            for gone in pairwise(old):
                self.total[gone] -= self.weight[number]
                changed.add(gone)
            for come in pairwise(joined):
                self.total[come] += self.weight[number]
                self.where.setdefault(come, set()).add(number)
                changed.add(come)
            self.words[number] = joined
        changed.discard(pair)
        del self.total[pair]
        return changed


def _joined(word: list[int], pair: Pair, new: int) -> list[int]:
    out: list[int] = []
    at = 0
    while at < len(word):
        if word[at : at + 2] == [*pair]:
            out.append(new)
            at += 2
        else:
            out.append(word[at])
            at += 1
    return out


def vocabulary(
    name: str, learned: Sequence[bytes], added: Mapping[str, int] | None = None
) -> Tokenizer:
    """Return learnt tokens as a tokenizer in canonical form."""
    return Tokenizer(
        name=name,
        kind=Kind.BPE,
        source="made",
        learned=learned,
        learned_ids=np.arange(256, 256 + len(learned), dtype=np.int32),
        unranked=(),
        alphabet=(),
        added=added or {},
        special=frozenset(),
    )


if __name__ == "__main__":
    sys.exit(main([float(text) for text in sys.argv[1:]] or [1e7, 1e8, 1e9, 1e10, 1e11, 1e12]))
