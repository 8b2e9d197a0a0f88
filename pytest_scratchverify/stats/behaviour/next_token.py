"""Likeness of next-token distributions of several models at the same prompts.

A distribution is known by its most probable tokens and their probabilities, or by the most
probable token alone. Either way it is a short list of tokens with weights, and the likeness of two
models at a prompt is the weight that falls on equal tokens: the Bhattacharyya coefficient of the
known tokens, or whether the two tokens are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
NONE = -1  # the code of no token


@dataclass(frozen=True, slots=True)
class NextTokens:
    """Tokens of m models at n prompts, k a prompt.

    `codes` has shape (m, n, k): one number per distinct token text, `NONE` where there is none.
    `weights` has the same shape, 0 where there is none, of unit length over each known prompt.
    """

    codes: NDArray[np.int64]
    weights: Float

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Where a model said anything, shape (m, n)."""
        said: NDArray[np.bool_] = (self.codes != NONE).any(-1)
        return said

    def at(self, prompts: NDArray[np.bool_]) -> NextTokens:
        """Return the tokens at some of the prompts."""
        return NextTokens(self.codes[:, prompts], self.weights[:, prompts])

    def taken_over(self, prompts: NDArray[np.bool_]) -> NextTokens:
        """Return the tokens, had model 0 what model 1 has at some of the prompts."""
        where = prompts[:, None]
        codes, weights = self.codes.copy(), self.weights.copy()
        codes[0] = np.where(where, codes[1], codes[0])
        weights[0] = np.where(where, weights[1], weights[0])
        return NextTokens(codes, weights)


def from_top(rows: Sequence[Sequence[Mapping[str, float] | None]], k: int) -> NextTokens:
    """Take the k most probable tokens of m models at n prompts.

    `rows` gives probabilities by token, None where there are none. Weights are square roots of
    probabilities, scaled to unit length, so that a truncated distribution is wholly like itself.
    """
    shape = (len(rows), len(rows[0]) if rows else 0, k)
    codes, weights = np.full(shape, NONE, np.int64), np.zeros(shape)
    numbers: dict[str, int] = {}
    for i, row in enumerate(rows):
        for j, top in enumerate(row):
            best = sorted((top or {}).items(), key=lambda item: (-item[1], item[0]))[:k]
            size = float(sum(p for _, p in best))
            if size <= 0:
                continue
            for place, (token, p) in enumerate(best):
                codes[i, j, place] = numbers.setdefault(token, len(numbers))
                weights[i, j, place] = np.sqrt(p / size)
    return NextTokens(codes, weights)


def from_tokens(rows: Sequence[Sequence[str | None]]) -> NextTokens:
    """Take one token of m models at n prompts; None where there is none."""
    return from_top([[None if t is None else {t: 1.0} for t in row] for row in rows], 1)


def affinity(tokens: NextTokens) -> Float:
    """Return the likeness of every two models at every prompt, shape (m, m, n).

    NaN where one of the two said nothing.
    """
    m, n, _ = tokens.codes.shape
    usable = tokens.usable
    out = np.full((m, m, n), np.nan)
    for i in range(m):
        out[i, i] = np.where(usable[i], 1.0, np.nan)
        for j in range(i + 1, m):
            equal = tokens.codes[i][:, :, None] == tokens.codes[j][:, None, :]
            both = tokens.weights[i][:, :, None] * tokens.weights[j][:, None, :]
            found = np.where(usable[i] & usable[j], (equal * both).sum((1, 2)), np.nan)
            out[i, j] = out[j, i] = found
    return out


def telling_prompts(each: Float, most: float) -> NDArray[np.bool_]:
    """Return the prompts at which models differ at all, shape (n,).

    A prompt whose next token is the same for everybody carries nothing: one with a mean likeness
    above `most` over all pairs of different models is left out. All pairs count, the tested one
    too: under the null models are exchangeable, and a choice that treats them alike keeps it.
    """
    m, _, n = each.shape
    pairs = np.array([each[i, j] for i, j in combinations(range(m), 2)]).reshape(-1, n)
    known = np.isfinite(pairs)
    mean = np.where(known, pairs, 0.0).sum(0) / np.maximum(1, known.sum(0))
    found: NDArray[np.bool_] = known.any(0) & (mean <= most)
    return found


def mean_affinity(each: Float) -> Float:
    """Return the mean likeness of every two models over prompts, shape (m, m).

    NaN where two models have no prompt in common.
    """
    known = np.isfinite(each)
    with np.errstate(invalid="ignore"):
        found: Float = np.where(known, each, 0.0).sum(-1) / np.where(
            known.any(-1), known.sum(-1), np.nan
        )
    return found


def affinity_by_manner(tokens: NextTokens) -> Float:
    """Return the mean likeness of every two models, had they been asked different prompts.

    What is alike although the prompts are not is manner: a language's commonest tokens, a
    template's first one. Shape (m, m); NaN below two prompts in common.
    """
    m = len(tokens.codes)
    usable = tokens.usable
    size = int(tokens.codes.max(initial=0)) + 1
    out = np.ones((m, m))
    for i, j in combinations(range(m), 2):
        both = usable[i] & usable[j]
        count = int(both.sum())
        sums = [_summed(tokens, one, both, size) for one in (i, j)]
        equal = tokens.codes[i][:, :, None] == tokens.codes[j][:, None, :]
        own = (equal * tokens.weights[i][:, :, None] * tokens.weights[j][:, None, :])[both].sum()
        different = float(sums[0] @ sums[1] - own)
        out[i, j] = out[j, i] = different / (count * (count - 1)) if count > 1 else np.nan
    return out


def _summed(tokens: NextTokens, model: int, prompts: NDArray[np.bool_], size: int) -> Float:
    """The weights of a model's tokens, summed over prompts, shape (size,)."""
    codes, weights = tokens.codes[model][prompts], tokens.weights[model][prompts]
    there = codes != NONE
    sums: Float = np.bincount(codes[there], weights[there], minlength=size).astype(np.float64)
    return sums
