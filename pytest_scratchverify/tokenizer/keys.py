"""Tokens as 48-bit keys: equal bytes, equal key, whatever the process or the year.

The keys are BLAKE2b digests, so they behave like random numbers. Keeping every key below a
threshold is therefore a random sample of a vocabulary, and the *same* sample in every
vocabulary (min-wise hashing, Broder 1997): what two samples share is a sample of what the
vocabularies share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# 48 bits: two vocabularies of 260,000 tokens have 0.0002 false matches on average, and a
# sketch is a third smaller than with 64.
KEY_BYTES = 6
WHOLE = float(1 << 8 * KEY_BYTES)


@dataclass(frozen=True, slots=True)
class Keys:
    """Learnt tokens sorted by key; rank -1 where the order does not name the token.

    `size` counts all learnt tokens, `rate` is the share of the key space that was kept:
    1 for a file, less for a sketch.
    """

    keys: NDArray[np.uint64]
    ranks: NDArray[np.int32]
    ids: NDArray[np.int32]
    size: int
    rate: float = 1.0

    def thin(self, rate: float) -> Keys:
        """Keep the tokens that a sketch of `rate` would have kept."""
        if rate >= self.rate:
            return self
        end = int(np.searchsorted(self.keys, np.uint64(rate * WHOLE)))
        return Keys(self.keys[:end], self.ranks[:end], self.ids[:end], self.size, rate)


class Common(NamedTuple):
    """The tokens of two vocabularies that are the same bytes, sorted by key."""

    keys: NDArray[np.uint64]
    ranks_a: NDArray[np.int32]
    ranks_b: NDArray[np.int32]
    ids_a: NDArray[np.int32]
    ids_b: NDArray[np.int32]
    rate: float

    @property
    def estimate(self) -> float:
        """How many tokens the whole vocabularies share: exact for files, else an estimate."""
        return len(self.keys) / self.rate

    def where(self, keep: NDArray[np.bool_]) -> Common:
        """The tokens for which `keep` holds."""
        return Common(
            self.keys[keep],
            self.ranks_a[keep],
            self.ranks_b[keep],
            self.ids_a[keep],
            self.ids_b[keep],
            self.rate,
        )

    def first(self, count: int) -> Common:
        """The `count` tokens of smallest key: a random sample, the same one for every pair."""
        return self.where(np.arange(len(self.keys)) < count)

    @property
    def ranked(self) -> Common:
        """The tokens that both vocabularies rank."""
        return self.where((self.ranks_a >= 0) & (self.ranks_b >= 0))

    def without(self, other: Keys) -> Common:
        """The tokens that `other` does not hold, at the coarser of the two samples."""
        rate = min(self.rate, other.rate)
        thinned = self.where(self.keys < np.uint64(rate * WHOLE)) if rate < self.rate else self
        known = np.isin(thinned.keys, other.thin(rate).keys, assume_unique=True)
        return thinned.where(~known)._replace(rate=rate)


def key_of(token: bytes) -> int:
    """The key of one token."""
    return int.from_bytes(blake2b(token, digest_size=KEY_BYTES).digest(), "big")


def keys_of(contents: Sequence[bytes], ranks: NDArray[np.int32], ids: NDArray[np.int32]) -> Keys:
    """Hash tokens and sort them by key."""
    digests = b"".join(blake2b(token, digest_size=KEY_BYTES).digest() for token in contents)
    padded = np.zeros((len(contents), 8), dtype=np.uint8)
    padded[:, 8 - KEY_BYTES :] = np.frombuffer(digests, np.uint8).reshape(-1, KEY_BYTES)
    keys, order = np.unique(padded.view(">u8").ravel().astype(np.uint64), return_index=True)
    return Keys(keys, ranks[order], ids[order], len(contents))


def common(a: Keys, b: Keys) -> Common:
    """Find the tokens that two vocabularies share, at the coarser of their samples."""
    rate = min(a.rate, b.rate)
    a, b = a.thin(rate), b.thin(rate)
    keys, at_a, at_b = np.intersect1d(a.keys, b.keys, assume_unique=True, return_indices=True)
    return Common(keys, a.ranks[at_a], b.ranks[at_b], a.ids[at_a], b.ids[at_b], rate)
