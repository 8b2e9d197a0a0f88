"""Merge coefficients by constrained least squares: of which parents a model is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Numbers = NDArray[np.float64]


@dataclass(slots=True)
class Products:
    """Inner products of a model and its candidate parents, added up at constant memory.

    `own` is ``|S|^2``, `cross` are S.R_i, `gram` are R_i.R_j, over all that was added.
    """

    parents: int
    own: float = 0.0
    cross: Numbers = field(init=False)
    gram: Numbers = field(init=False)
    n: int = 0

    def __post_init__(self) -> None:
        self.cross = np.zeros(self.parents)
        self.gram = np.zeros((self.parents, self.parents))

    def add(self, model: Array, parents: Sequence[Array]) -> None:
        """Add one slice of the model and the same slice of every candidate."""
        mine = model.ravel().astype(np.float64)
        others = np.stack([p.ravel().astype(np.float64) for p in parents])
        self.own += float(mine @ mine)
        self.cross += others @ mine
        self.gram += others @ others.T
        self.n += mine.size

    def cosines(self) -> Numbers:
        """Return the cosine of the model with every candidate."""
        sizes = np.sqrt(np.maximum(np.diag(self.gram) * self.own, 1e-300))
        found: Numbers = self.cross / sizes
        return found

    def distances(self) -> Numbers:
        """Return ``|S - R_i|^2`` for every candidate."""
        found: Numbers = np.maximum(self.own - 2 * self.cross + np.diag(self.gram), 0.0)
        return found

    def of(self, chosen: Sequence[int]) -> Products:
        """Return the products of some candidates only."""
        index = np.array(chosen, np.intp)
        part = Products(len(chosen), self.own, n=self.n)
        part.cross, part.gram = self.cross[index], self.gram[np.ix_(index, index)]
        return part


@dataclass(frozen=True, slots=True)
class MergeShares:
    """Shares that add up to one, and what they explain.

    `explained` is the part of the squared distance to the nearest parent that the mixture
    takes away: near 1 for a merge, near 0 for a descendant of one parent that was only trained
    on. `errors` are standard errors under noise that is alike in all weights.
    """

    shares: tuple[float, ...]
    errors: tuple[float, ...]
    explained: float
    n: int = 1

    def margins(self, drift: float) -> tuple[float, ...]:
        """Return how far each share may be off if training went on after the merge.

        Its path is what the residual is, and goes along the parents' differences by at most
        `drift` times as far as across them. Two standard errors are added.
        """
        return tuple(error * (drift * self.n**0.5 + 2) for error in self.errors)

    @property
    def statistic(self) -> float:
        """The part of the distance that is explained."""
        return self.explained

    @property
    def effect(self) -> float:
        """The second largest share."""
        return sorted(self.shares)[-2] if len(self.shares) > 1 else 0.0


def merge_shares(products: Products) -> MergeShares:
    """Solve ``min |S - sum a_i R_i|^2`` over ``a >= 0, sum a = 1``.

    Parameters
    ----------
    products : Products
        Of at least two candidates. What a merge did not mix (norms that are equal in all
        parents, say) adds nothing either way.

    Returns
    -------
    MergeShares

    Notes
    -----
    Parents that are alike (children of one base) are told apart by their differences alone; the
    standard errors say how well: s^2 (D D')^-1 of the differences to the largest parent. A
    linear merge is recovered exactly; SLERP, TIES and DARE are linear up to what they rescale,
    trim and drop, so that shares among the parents are right and explained falls below 1
    (Wortsman et al. 2022; Yadav et al. 2023; Yu et al. 2023). It names a kind and is no
    evidence of descent, which it presupposes: no p-value. It misleads where the merge was
    trained on, since training moves weights along what its parents differ in, and where S was
    trained on the second parent's data: `margins` says how far.
    """
    shares = _on_simplex(products)
    fitted = products.own - 2 * shares @ products.cross + shares @ products.gram @ shares
    nearest = float(products.distances().min())
    explained = 1 - max(float(fitted), 0.0) / nearest if nearest > 0 else 0.0
    return MergeShares(
        tuple(float(share) for share in shares),
        _errors(products, int(np.argmax(shares)), max(float(fitted), 0.0)),
        min(1.0, max(0.0, explained)),
        products.n,
    )


def _on_simplex(products: Products) -> Numbers:
    """Solve by active sets: drop the most negative share until none is negative."""
    active = list(range(products.parents))
    while True:
        part = products.of(active)
        size = len(active)
        system = np.block([[part.gram, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
        scale = max(float(np.trace(part.gram)) / size, 1e-300)
        system[:size, :size] /= scale
        right = np.concatenate([part.cross / scale, [1.0]])
        found = np.linalg.lstsq(system, right, rcond=None)[0][:size]
        if size == 1 or found.min() >= -1e-12:
            shares = np.zeros(products.parents)
            shares[active] = np.maximum(found, 0)
            normed: Numbers = shares / shares.sum()
            return normed
        active.pop(int(np.argmin(found)))


def _errors(products: Products, largest: int, residual: float) -> tuple[float, ...]:
    others = [i for i in range(products.parents) if i != largest]
    gram = products.gram
    between = np.array(
        [
            [
                gram[i, j] - gram[i, largest] - gram[largest, j] + gram[largest, largest]
                for j in others
            ]
            for i in others
        ]
    )
    variance = residual / max(1, products.n - len(others))
    spread = variance * np.linalg.pinv(between)
    errors = np.zeros(products.parents)
    errors[others] = np.sqrt(np.maximum(np.diag(spread), 0))
    errors[largest] = float(np.sqrt(max(float(spread.sum()), 0.0)))
    return tuple(float(error) for error in errors)


def by_layer(found: Mapping[int, Products], chosen: Sequence[int]) -> dict[int, MergeShares]:
    """Return the shares of the chosen candidates layer by layer."""
    return {layer: merge_shares(found[layer].of(chosen)) for layer in sorted(found)}
