"""Untouched embedding rows (zero gradient), and the shares of a merge that they still tell.

Training moves weights along what its parents differ in, so that shares fitted to all weights say
nothing once a merge was trained on. But a token that the later text never has gives its row of
the embedding table no gradient: the row is what the merge made it, times what weight decay left.
Which rows these are is read off the model: only they still lie among the parents' rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.merge_shares import Products

Array = NDArray[np.float32]
Numbers = NDArray[np.float64]
Rows = NDArray[np.intp]

ROUNDING = 2.0**-8  # BF16 keeps eight bits; relative residuals below it are storage, not training
FEWEST = 3  # rows
MARGIN = 0.1  # shares that are known no better are not given
CHUNK = 256  # rows that are fitted at once
FAR = 0.1  # entries in which no parent differs from the base by a tenth say little
WEIGHTS = np.exp(np.arange(np.log(0.1), np.log(4), 0.005))  # of a parent's change, as looked for
MOST = 32  # rows that weights are fitted to
ENTRIES = 2048  # of them
MIXED_PARENTS = 5  # every choice among their changes is tried for every entry
GAIN = 12  # entries that a parent's weight must explain
MADE_UP = 0.9  # of all entries, by all of them


@dataclass(frozen=True, slots=True)
class UntouchedRows:
    """Shares of the parents in `rows` rows, and `margins` on either side.

    `scale` is what weight decay left of these rows. `entrywise` says that entries, not rows,
    were mixed, as TIES and DARE do: the shares then are the weights of what each parent changed.
    """

    shares: tuple[float, ...]
    margins: tuple[float, ...]
    rows: int
    scale: float
    entrywise: bool

    @property
    def statistic(self) -> float:
        """The number of rows."""
        return float(self.rows)

    @property
    def effect(self) -> float:
        """The second largest share."""
        return sorted(self.shares)[-2]


def untouched_rows(model: Array, parents: Sequence[Array], drift: float) -> UntouchedRows | None:
    """Estimate shares from rows of an embedding table that later training did not touch.

    Parameters
    ----------
    model : (v, d) array
        Rows of the suspect's table.
    parents : sequence of (v, d) arrays
        The same rows of at least two candidates.
    drift : float
        How far training goes along the parents' difference at most, as a part of how far it
        goes across it. It multiplies the residual into a margin, so that rows which were
        touched very lightly do not pass for untouched ones.

    Returns
    -------
    UntouchedRows or None
        None where no rows were left alone, or too few that differ between the parents.

    Notes
    -----
    A row that was trained has d coordinates to leave the span of a few parents by, and leaves
    it; a residual of the size of BF16's rounding is no accident. All such rows share one set of
    coefficients c, fitted by least squares without a constraint on their sum, because weight
    decay takes the same part of each; shares are c / sum c. Where entries were dropped at random
    or trimmed (Yu et al. 2023; Yadav et al. 2023) rows leave the span. There, many entries of a
    row are the base's own, times one scale; in the others ``(S / s - B) / (R_k - B)`` takes one
    value, the parent's weight, wherever only that parent's change was kept.

    It finds nothing where the table is tied to the head, since the softmax then moves all rows,
    where the vocabulary was replaced, and where later training meets every token.
    """
    found = [_whole_rows(model, parents, drift)]
    if not _is_precise(found[0]) and len(parents) <= MIXED_PARENTS:
        found = [_over_base(model, parents, base) for base in range(len(parents))]
    return min(filter(_is_precise, found), key=_widest, default=None)


def _widest(found: UntouchedRows | None) -> float:
    return max(found.margins) if found is not None else np.inf


def _is_precise(found: UntouchedRows | None) -> bool:
    return _widest(found) <= MARGIN


def _whole_rows(model: Array, parents: Sequence[Array], drift: float) -> UntouchedRows | None:
    kept = np.flatnonzero(_residuals(model, parents) <= ROUNDING)
    for _ in range(5):
        if len(kept) < FEWEST:
            return None
        products = Products(len(parents))
        for rows in _chunks(kept):
            products.add(model[rows], [parent[rows] for parent in parents])
        found = _non_negative(products.gram, products.cross)
        if found.sum() <= 0:
            return None
        rest, size = _unexplained(model, parents, kept, found)
        fits = rest <= 2 * ROUNDING * size
        if fits.all():
            break
        kept = kept[fits]
    else:
        return None
    shares = found / found.sum()
    turned = (np.eye(len(parents)) - shares[:, None]) / found.sum()
    sizes, axes = np.linalg.eigh(products.gram)  # equal tables: a size of zero, anything goes
    spread = turned @ (axes / np.maximum(sizes, 1e-12 * sizes[-1])) @ (turned @ axes).T
    # Rows that are equal to the byte fit without a residual, and know no more than rounding lets.
    unknown = max(float(np.linalg.norm(rest)), ROUNDING / 4 * products.own**0.5)
    residual = unknown * (drift + 2 / products.n**0.5)
    margins = residual * np.sqrt(np.maximum(np.diag(spread), 0))
    return UntouchedRows(_floats(shares), _floats(margins), len(kept), float(found.sum()), False)


def _chunks(rows: Rows) -> Iterator[Rows]:
    for start in range(0, len(rows), CHUNK):
        yield rows[start : start + CHUNK]


def _unexplained(
    model: Array, parents: Sequence[Array], kept: Rows, weights: Numbers
) -> tuple[Numbers, Numbers]:
    """Return the length of what a mixture leaves of each row, and of the row."""
    rest, size = np.zeros(len(kept)), np.zeros(len(kept))
    for start in range(0, len(kept), CHUNK):
        rows = kept[start : start + CHUNK]
        own = model[rows].astype(np.float64)
        made = sum(w * p[rows] for w, p in zip(weights, parents, strict=True))
        rest[start : start + CHUNK] = np.linalg.norm(own - made, axis=1)
        size[start : start + CHUNK] = np.linalg.norm(own, axis=1)
    return rest, size


def _residuals(model: Array, parents: Sequence[Array]) -> Numbers:
    """Return how far each row lies outside of the span of the parents' rows, relative to it."""
    found = np.full(len(model), np.inf)
    for start in range(0, len(model), CHUNK):
        own = model[start : start + CHUNK].astype(np.float64)
        others = np.stack([p[start : start + CHUNK].astype(np.float64) for p in parents], -1)
        basis, sizes, _ = np.linalg.svd(others, full_matrices=False)
        # A direction as small as the parents' own rounding fits noise.
        basis *= (sizes > ROUNDING / 4 * sizes[:, :1])[:, None, :]
        inside = np.einsum("vdk,vk->vd", basis, np.einsum("vdk,vd->vk", basis, own))
        size = np.linalg.norm(own, axis=1)
        part = np.linalg.norm(own - inside, axis=1) / np.where(size > 0, size, 1)
        found[start : start + CHUNK] = np.where((size > 0) & (sizes[:, 0] > 0), part, np.inf)
    return found


def _non_negative(gram: Numbers, cross: Numbers) -> Numbers:
    """Solve ``min |y - X c|^2`` over ``c >= 0``, dropping the most negative one by one."""
    active = list(range(len(gram)))
    while True:
        part = gram[np.ix_(active, active)]
        found = np.linalg.lstsq(part, cross[active], rcond=1e-12)[0]
        if found.min() >= 0 or len(active) == 1:
            whole = np.zeros(len(gram))
            whole[active] = np.maximum(found, 0)
            return whole
        active.pop(int(np.argmin(found)))


@dataclass(frozen=True, slots=True)
class _Mixed:
    """Untouched rows over one base: what remains of them, and each other parent's change."""

    rest: Numbers  # (r, d)
    changes: Numbers  # (k, r, d)
    room: Numbers  # (r, d), what rounding leaves uncertain

    def made_up(self, weights: Numbers) -> int:
        """Count the entries that some choice of the parents' changes makes up."""
        nearest = np.full(self.rest.shape, np.inf)
        for kept in product((0.0, 1.0), repeat=len(weights)):
            made = np.tensordot(np.array(kept) * weights, self.changes, 1)
            nearest = np.minimum(nearest, np.abs(self.rest - made))
        return int(np.count_nonzero(nearest <= self.room))

    def profile(self, weights: Numbers, number: int) -> NDArray[np.intp]:
        """Return that count for every weight of one parent that is looked for."""
        tried = weights.copy()
        counts = []
        for tried[number] in WEIGHTS:
            counts.append(self.made_up(tried))
        return np.array(counts)

    def fitted(self) -> tuple[Numbers, Numbers] | None:
        """Return the weights that make up most entries, and margins; None if one is unknown."""
        weights, margins = np.zeros((2, len(self.changes)))
        for _ in range(3):
            for number in range(len(weights)):
                counts = self.profile(weights, number)
                best = counts >= counts.max()
                weights[number] = float(np.exp(np.log(WEIGHTS[best]).mean()))
                without = weights.copy()
                without[number] = 0
                gain = int(counts.max()) - self.made_up(without)
                half = WEIGHTS[counts >= counts.max() - gain / 2]
                margins[number] = (half[-1] - half[0]) / 2 if gain >= GAIN else np.inf
        if not np.isfinite(margins).all() or self.made_up(weights) < MADE_UP * self.rest.size:
            return None
        return weights, margins


def _over_base(model: Array, parents: Sequence[Array], base: int) -> UntouchedRows | None:
    root = parents[base]
    others = [number for number in range(len(parents)) if number != base]
    usable = np.abs(root) > 1e-3 * float(np.abs(root).max())
    widest = np.max([np.abs(parents[number] - root) for number in others], axis=0)
    far = usable & (widest > FAR * np.abs(root))
    kept, scale = _rows_of_base(np.where(far, model / np.where(usable, root, 1), np.nan))
    if len(kept) < FEWEST:
        return None
    chosen = kept[np.argsort(-far[kept].sum(1), kind="stable")[:MOST]]
    step = -(-len(chosen) * root.shape[1] // ENTRIES)
    mine, own = (m[chosen, ::step].astype(np.float64) for m in (model / scale, root))
    changes = np.stack([parents[number][chosen, ::step] - own for number in others])
    room = ROUNDING * np.maximum(np.abs(mine), np.abs(own))
    found = _Mixed(mine - own, changes, room).fitted()
    if found is None:
        return None
    shares, margins = np.zeros((2, len(parents)))
    shares[others], margins[others] = found
    total = float(shares.sum())
    return UntouchedRows(
        _floats(shares / total), _floats(margins / total), len(kept), float(scale), True
    )


def _rows_of_base(ratio: Numbers | Array) -> tuple[Rows, float]:
    """Return rows in which many entries are one and the same multiple of the base's, and it."""
    width = 2 * ROUNDING
    centres, counts = [], []
    for row in ratio:
        values = np.sort(row[np.isfinite(row)])
        many = np.searchsorted(values, values + width, "right") - np.arange(len(values))
        best = int(np.argmax(many)) if len(many) else 0
        enough = len(many) >= 16 and many[best] >= max(8, 0.12 * len(values))
        centres.append(float(np.median(values[best : best + many[best]])) if enough else np.nan)
        counts.append(int(many[best]) if enough else 0)
    found = np.array(centres)
    rows = np.flatnonzero(np.isfinite(found) & (found > 0.5) & (found < 1.5))
    if not len(rows):
        return rows, 1.0
    near = np.abs(found[rows][:, None] - found[rows]) < width
    scale = float(found[rows[int(np.argmax(near @ np.array(counts)[rows]))]])
    kept = rows[np.abs(found[rows] - scale) < width]
    return kept, float(np.median(found[kept]))


def _floats(values: Numbers) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
