"""Overlap and order statistics of a pair of vocabularies.

Orders are compared on the `SAMPLE` shared tokens of smallest key. That is a random sample,
it is the same sample whether a file or a shipped sketch is compared, and it makes statistics
that shrink with size (the longest ordered share) comparable between pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from pytest_scratchverify.stats.tokenizer.rank_order import (
    NeighbourOrder,
    Offset,
    id_offset,
    longest_ordered_share,
    neighbour_order,
    rank_correlation,
)
from pytest_scratchverify.tokenizer.keys import Common, Keys, common
from pytest_scratchverify.tokenizer.vocabulary import Kind, Sizes, Traits

SAMPLE = 4096


class Vocabulary(Protocol):
    """What comparing needs of a tokenizer file or of a shipped sketch."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def kind(self) -> Kind:
        """How it was learnt."""
        ...

    @property
    def keys(self) -> Keys:
        """Learnt tokens with their ranks."""
        ...

    @property
    def sizes(self) -> Sizes:
        """Its sizes by name."""
        ...

    @property
    def added(self) -> Mapping[str, int]:
        """Added and special tokens with their ids."""
        ...

    @property
    def traits(self) -> Traits:
        """Settings around the vocabulary: pre-tokenizer, normaliser, template."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the learnt tokens in order."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """How alike two orders are, on `n` shared tokens."""

    n: int
    kendall: float | None
    spearman: float | None
    ordered_share: float | None
    neighbours: NeighbourOrder | None
    halves: tuple[NeighbourOrder, ...] = ()  # the same on disjoint halves of the tokens


@dataclass(frozen=True, slots=True)
class Residual:
    """What two vocabularies still share without the tokens of a known ancestor."""

    ancestor: str
    shared: float
    order: Order


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every number of one pair; `a` is the suspect. Shares are of learnt tokens.

    `shared` is exact for files and an estimate for sketches (`rate` below 1).
    """

    a: str
    b: str
    size_a: int
    size_b: int
    shared: float
    rate: float
    order: Order
    offset: Offset | None
    identical: bool

    @property
    def containment_a(self) -> float:
        """The share of the suspect's learnt tokens that the reference holds too."""
        return min(1.0, self.shared / self.size_a) if self.size_a else 0.0

    @property
    def containment_b(self) -> float:
        """The share of the reference's learnt tokens that the suspect holds too."""
        return min(1.0, self.shared / self.size_b) if self.size_b else 0.0

    @property
    def containment(self) -> float:
        """Containment of the smaller vocabulary, the one that size inflates."""
        return max(self.containment_a, self.containment_b)

    @property
    def jaccard(self) -> float:
        """Shared learnt tokens over all learnt tokens of both."""
        union = self.size_a + self.size_b - self.shared
        return min(1.0, self.shared / union) if union > 0 else 0.0


def compare(a: Vocabulary, b: Vocabulary, sample: int | None = SAMPLE) -> Comparison:
    """Compare the suspect `a` with the reference `b`.

    `sample` shared tokens are used for the order; None uses all of them, which is for
    display: calibrated thresholds are valid at the default only.
    """
    shared = common(a.keys, b.keys)
    return Comparison(
        a=a.name,
        b=b.name,
        size_a=a.keys.size,
        size_b=b.keys.size,
        shared=min(shared.estimate, a.keys.size, b.keys.size),
        rate=shared.rate,
        order=order_of(shared, sample),
        offset=id_offset(shared.ids_a, shared.ids_b),
        identical=a.digest == b.digest,
    )


def order_of(shared: Common, sample: int | None = SAMPLE) -> Order:
    """Compare the orders of shared tokens that both vocabularies rank."""
    ranked = shared.ranked if sample is None else shared.ranked.first(sample)
    first, second = ranked.ranks_a, ranked.ranks_b
    correlation = rank_correlation(first, second)
    halves = (neighbour_order(first[part::2], second[part::2]) for part in (0, 1))
    return Order(
        n=len(first),
        kendall=correlation.kendall,
        spearman=correlation.spearman,
        ordered_share=longest_ordered_share(first, second),
        neighbours=neighbour_order(first, second),
        halves=tuple(half for half in halves if half is not None),
    )


def residual(a: Vocabulary, b: Vocabulary, ancestor: Vocabulary) -> Residual:
    """Compare what `a` and `b` share beyond the learnt tokens of `ancestor`."""
    beyond = common(a.keys, b.keys).without(ancestor.keys)
    return Residual(ancestor.name, beyond.estimate, order_of(beyond))


def shared_names(a: Collection[str], b: Collection[str]) -> tuple[list[str], float]:
    """Special and added tokens that both declare, and their Jaccard index."""
    both = sorted(set(a) & set(b))
    union = len(set(a) | set(b))
    return both, len(both) / union if union else 0.0


def same_trait(a: str | bool | None, b: str | bool | None) -> bool | None:  # noqa: FBT001 - a value
    """Whether two traits agree; None if either file does not say."""
    return None if a is None or b is None else a == b
