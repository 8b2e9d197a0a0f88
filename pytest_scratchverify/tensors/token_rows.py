"""Row alignment of two token tables: which rows of two vocabularies are the same tokens.

Row 17 of two embedding tables is the same token only under one tokenizer. Where tokens have
other numbers, rows are brought together by what the tokens say, on a sample of the shared
ones that is the same for every pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tokenizer.keys import common
from pytest_scratchverify.tokenizer.open import open_tokenizer

TOKENS = 512
SAME = 0.99


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Rows (n,) of two tables that stand for the same tokens, out of `shared` such tokens.

    `same_numbers` says that tokens have one numbering, so that whole blocks can be read;
    None that the tokenizers could not be read, so that nobody knows.
    """

    ours: NDArray[np.intp]
    theirs: NDArray[np.intp]
    shared: int
    same_numbers: bool | None


def aligned_token_rows(ours: ArtifactStore, theirs: ArtifactStore) -> TokenRows:
    """Align the vocabularies of two models by their shared tokens."""
    nothing = np.empty(0, np.intp)
    try:
        mine, other = open_tokenizer(ours)[0], open_tokenizer(theirs)[0]
    except Unavailable:
        return TokenRows(nothing, nothing, 0, None)
    shared = common(mine.keys, other.keys)
    sample = shared.first(TOKENS)
    left, right = sample.ids_a.astype(np.intp), sample.ids_b.astype(np.intp)
    known = (left >= 0) & (right >= 0)
    left, right = left[known], right[known]
    same = bool(len(left)) and float(np.mean(left == right)) >= SAME
    return TokenRows(left, right, len(shared.keys), same)
