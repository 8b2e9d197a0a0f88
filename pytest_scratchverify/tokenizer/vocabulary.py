"""The canonical form of a tokenizer: what it learnt, in the order in which it learnt it.

Exporters write one and the same byte-pair encoding differently: Llama-3's tokenizer.json
lists 280,147 merges, because it lists every way to split a token, and its tiktoken file
holds ranks only. What they share is the sequence of distinct results as bytes. Base
alphabet, added and special tokens and padding rows are kept apart from it. Nothing here
encodes text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.tokenizer.keys import Keys, keys_of

MONOTONE = 0.99  # share of ascending neighbours from which ids are the order of learning


class Kind(StrEnum):
    """How the vocabulary was learnt, which says what its order means."""

    BPE = "bpe"  # order of merges
    UNIGRAM = "unigram"  # order of probability
    WORDPIECE = "wordpiece"  # order of ids


class Token(NamedTuple):
    """One ordinary token: its bytes, its id, and whether it is a single symbol."""

    content: bytes
    id: int
    single: bool


@dataclass(frozen=True, slots=True)
class Traits:
    """What a tokenizer does around its vocabulary, as far as the file says it.

    Long texts are kept as the first 16 digits of their SHA-256, which is all that comparing
    needs. None means that the format does not say (a tiktoken file holds ranks and nothing
    else), which is no difference to anything.
    """

    pre_tokenizer: str | None = None
    normalizer: str | None = None
    byte_fallback: bool | None = None
    chat_template: str | None = None


def mark(*texts: str) -> str:
    """The mark of a list of texts; the empty list has one too."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The three things called vocabulary size, by their names.

    `ranks` counts ordinary tokens (alphabet and learnt), `with_specials` adds special,
    added and placeholder tokens, `rows` is one more than the highest id, which is the least
    number of embedding rows.
    """

    ranks: int
    with_specials: int
    rows: int
    padding: int = 0  # tokens that stand for nothing: <unused0>, [PAD151935]


@dataclass(frozen=True)
class Tokenizer:
    """A vocabulary in canonical form. `learned` are bytes in the order of learning."""

    name: str
    kind: Kind
    source: str  # the format it was read from
    learned: Sequence[bytes]
    learned_ids: NDArray[np.int32]
    unranked: Sequence[Token]  # learnt tokens whose place in the order is unknown
    alphabet: Sequence[Token]
    added: Mapping[str, int]
    special: frozenset[str]
    padding: int = 0
    rows: int = 0  # at least: placeholders have rows too
    merges_listed: int | None = None
    traits: Traits = field(default_factory=Traits)

    @cached_property
    def sizes(self) -> Sizes:
        """The three sizes of this file alone; a config may ask for more rows."""
        ranks = len(self.learned) + len(self.unranked) + len(self.alphabet)
        ids = [*self.added.values(), *(t.id for t in self.unranked), *(t.id for t in self.alphabet)]
        highest = max(max(ids, default=-1), int(self.learned_ids.max(initial=-1)))
        rows = max(highest + 1, self.rows)
        return Sizes(ranks, ranks + len(self.added) + self.padding, rows, self.padding)

    @cached_property
    def keys(self) -> Keys:
        """Learnt tokens as 48-bit keys with ranks and ids: all that comparing needs."""
        contents = [*self.learned, *(token.content for token in self.unranked)]
        ranks = np.concatenate(
            [np.arange(len(self.learned)), np.full(len(self.unranked), -1)]
        ).astype(np.int32)
        ids = np.concatenate([self.learned_ids, [t.id for t in self.unranked]]).astype(np.int32)
        return keys_of(contents, ranks, ids)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the learnt tokens in order: equal for every exporter of one vocabulary."""
        return hashlib.sha256(b"\0".join(self.learned)).hexdigest()


@dataclass(slots=True)
class Draft:
    """What a reader collects before the canonical order is known."""

    name: str
    kind: Kind
    source: str
    tokens: dict[bytes, Token]
    order: Sequence[bytes] = ()  # results in the order of merges or scores; may be partial
    added: dict[str, int] = field(default_factory=dict)
    special: set[str] = field(default_factory=set)
    padding: int = 0
    rows: int = 0
    merges_listed: int | None = None
    traits: Traits = field(default_factory=Traits)

    def canonical(self) -> Tokenizer:
        """Put the tokens into the order in which they were learnt."""
        learned = [token for token in self.tokens.values() if not token.single]
        ranked, unranked = canonical_order(learned, self.order)
        return Tokenizer(
            name=self.name,
            kind=self.kind,
            source=self.source,
            learned=[token.content for token in ranked],
            learned_ids=np.array([token.id for token in ranked], dtype=np.int32),
            unranked=unranked,
            alphabet=sorted((t for t in self.tokens.values() if t.single), key=lambda t: t.id),
            added=self.added,
            special=frozenset(self.special),
            padding=self.padding,
            rows=self.rows,
            merges_listed=self.merges_listed,
            traits=self.traits,
        )


def canonical_order(
    learned: Sequence[Token], order: Sequence[bytes]
) -> tuple[list[Token], list[Token]]:
    """Sort tokens by rank; return those with a rank and those without.

    Ids are the order of learning in every trainer we know, and they cover tokens that an
    exporter listed no merge for. They are believed as long as the merges confirm them:
    where ids were dealt out anew, the merges alone count, and tokens without one have no
    rank. Without merges (tiktoken) ids are ranks by definition.
    """
    by_id = sorted(learned, key=lambda token: token.id)
    place = {content: rank for rank, content in enumerate(dict.fromkeys(order))}
    if _ids_agree(by_id, place):
        return by_id, []
    ranked = [token for token in by_id if token.content in place]
    ranked.sort(key=lambda token: place[token.content])
    return ranked, [token for token in by_id if token.content not in place]


def _ids_agree(by_id: Sequence[Token], place: Mapping[bytes, int]) -> bool:
    ranks = np.array([place[t.content] for t in by_id if t.content in place], dtype=np.int64)
    if len(ranks) < 2:
        return True
    return float(np.mean(np.diff(ranks) > 0)) >= MONOTONE
