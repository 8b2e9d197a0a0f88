"""Centred similarity of norm gains, and why a raw cosine of 0.99 says nothing.

Gains are positive and vary little, so the cosine of any two of them is near one: it measures
how little each varies. What two moments predict needs no common origin as its explanation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.stats.weights.centring import cosine, is_degenerate

Array = NDArray[np.float32]

RELATED = 0.3  # centred cosine of norm gains that is a lead by itself (docs/adr/0006)
SHOWN = 1e-3  # p down from which that is shown
ABSENT = 0.01  # p up from which nothing of it is seen


@dataclass(frozen=True, slots=True)
class GainSimilarity:
    """Raw and centred cosines of norm gains over layers, each beside its null.

    `statistic` and `effect` are the mean centred cosine. `raw` is the mean raw cosine,
    `raw_null` its mean under a joint renumbering of channels, `moment_null` what mean and
    standard deviation alone predict. `pvalue` is one-sided: less alike than chance is 1.
    """

    statistic: float
    pvalue: float
    raw: float
    raw_null: float
    raw_pvalue: float
    moment_null: float
    z: float
    vectors: int
    draws: int
    minimum_detectable_effect: float
    elements: int = 0
    null: str = "joint permutation of the channels over all layers"

    @property
    def effect(self) -> float:
        """The mean centred cosine (Pearson's correlation)."""
        return self.statistic

    @property
    def raw_is_empty(self) -> bool:
        """Whether the raw cosine is what permuted channels give as well."""
        return abs(self.raw - self.raw_null) < 0.01 or self.raw_pvalue > 0.001


def are_related(gains: GainSimilarity) -> bool:
    """Whether the gains of the one have something of the other's: likely, and not a little."""
    return gains.effect >= RELATED and gains.pvalue <= SHOWN


def are_apart(gains: GainSimilarity) -> bool:
    """Whether the gains are strangers', and kin's would have been seen."""
    return gains.pvalue > ABSENT and gains.minimum_detectable_effect < RELATED


def moment_null(ours: Array, theirs: Array) -> float:
    """Return the cosine that two unrelated vectors of these means and deviations have.

    mu_a mu_b / sqrt((mu_a^2 + s_a^2) (mu_b^2 + s_b^2))
    """
    a, b = float(ours.mean()), float(theirs.mean())
    size = (a * a + float(ours.var())) * (b * b + float(theirs.var()))
    return a * b / math.sqrt(size) if size > 0 else 0.0


def gain_similarity(
    pairs: Sequence[tuple[Array, Array]], rng: np.random.Generator, draws: int = 999
) -> GainSimilarity | None:
    """Compare norm gains of equal length, layer by layer, with one null for all layers.

    Parameters
    ----------
    pairs : sequence of (d,) array pairs
        Gains of the same norm of the same layer in two models; constant ones are left out.
        Of several lengths the commonest counts: the residual stream's.
    rng : numpy.random.Generator
        Draws the permutations.
    draws : int
        Number of permutations; the smallest p is 1 / (1 + draws).

    Returns
    -------
    GainSimilarity or None
        None if there is nothing to compare: all gains constant or folded away.

    Notes
    -----
    Every draw renumbers the channels of all layers at once, so that the dependence between
    layers (lag-one correlation .78 in published data) is in the null. Layers are never
    combined as if they were independent: that gave 5.5 standard deviations for nothing.
    It says nothing on the decoder: gains are some millionths of its parameters.
    """
    pairs = _of_one_length(pairs)
    if not pairs:
        return None
    left = np.stack([a - a.mean() for a, _ in pairs])
    right = np.stack([b - b.mean() for _, b in pairs])
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    raw = [cosine(a, b) for a, b in pairs]
    offsets = [moment_null(a, b) for a, b in pairs]
    slopes = [_slope(a, b) for a, b in pairs]
    by_layer = (left * right).sum(axis=1)
    observed = float(by_layer.mean())
    drawn = _renumbered(left, right, rng, draws)
    null = drawn.mean(axis=1)
    # A raw cosine is its moment null plus a multiple of the centred one, layer by layer.
    raw_null = np.mean(offsets) + (drawn * np.array(slopes)).mean(axis=1)
    deviation = float(null.std()) or math.inf
    return GainSimilarity(
        statistic=observed,
        pvalue=float((1 + np.count_nonzero(null >= observed)) / (1 + draws)),
        raw=float(np.mean(raw)),
        raw_null=float(raw_null.mean()),
        raw_pvalue=float((1 + np.count_nonzero(raw_null >= np.mean(raw))) / (1 + draws)),
        moment_null=float(np.mean(offsets)),
        z=(observed - float(null.mean())) / deviation,
        vectors=len(pairs),
        elements=left.size,
        draws=draws,
        minimum_detectable_effect=3.5 * deviation if math.isfinite(deviation) else math.inf,
    )


def _renumbered(
    left: Array, right: Array, rng: np.random.Generator, draws: int
) -> NDArray[np.float64]:
    """Return (draws, layers) products of rows after joint permutations of the left columns.

    Channels lie in rows here, which are taken several times faster than columns.
    """
    mine, other = np.ascontiguousarray(left.T), np.ascontiguousarray(right.T)
    ones, taken = np.ones(len(mine), mine.dtype), np.empty_like(mine)
    found = np.empty((draws, mine.shape[1]))
    for draw in range(draws):
        np.take(mine, rng.permutation(len(mine)), axis=0, out=taken, mode="clip")
        np.multiply(taken, other, out=taken)
        found[draw] = ones @ taken
    return found


def _of_one_length(pairs: Sequence[tuple[Array, Array]]) -> list[tuple[Array, Array]]:
    """Leave out gains that are constant (folded into the next matrix) and odd lengths."""
    pairs = [(a, b) for a, b in pairs if not (is_degenerate(a) or is_degenerate(b))]
    lengths = [len(a) for a, _ in pairs]
    usual = max(set(lengths), key=lambda size: (lengths.count(size), size), default=0)
    return [(a, b) for a, b in pairs if len(a) == usual]


def _slope(ours: Array, theirs: Array) -> float:
    size = float(np.linalg.norm(ours)) * float(np.linalg.norm(theirs))
    spread = math.sqrt(float(ours.var()) * float(theirs.var())) * len(ours)
    return spread / size if size else 0.0


@dataclass(frozen=True, slots=True)
class SeriesMean:
    """The mean of correlations over layers, with its dependence between layers respected.

    `statistic` is the standardised mean, `naive` what independent layers would have given,
    `effective` how many independent layers the series is worth.
    """

    mean: float
    statistic: float
    pvalue: float
    naive: float
    effective: float
    autocorrelation: float
    n: int
    null: str = "mean zero, variance inflated by the autocorrelation of the layers"

    @property
    def effect(self) -> float:
        """The mean correlation."""
        return self.mean


def series_mean(values: Sequence[float], width: int) -> SeriesMean:
    """Test whether correlations of successive layers have a mean above zero.

    Parameters
    ----------
    values : sequence of float
        One correlation per layer, in order of layers.
    width : int
        Length of the vectors behind each; under independence its variance is 1/(width - 1).

    Returns
    -------
    SeriesMean

    Notes
    -----
    The variance of a mean of n values with autocorrelations rho_k is s^2/n (1 + 2 sum
    (1 - k/n) rho_k). As the rho_k are estimated around the mean that is tested, they are
    fitted by an AR(1) whose coefficient is corrected for its small-sample bias,
    (n rho + 1)/(n - 3) (M. Kendall, 1954; G. Marriott and J. Pope, 1954), and s^2 is the
    larger of the theoretical and the observed variance. For published data without vectors;
    with vectors, `gain_similarity` needs no such model. p is from Student's t with the
    effective number of layers, hence careful.
    """
    data = np.asarray(values, dtype=np.float64)
    n = len(data)
    spread = data - data.mean()
    power = float((spread**2).sum())
    rho = float((spread[1:] * spread[:-1]).sum() / power) if power > 0 and n > 2 else 0.0
    corrected = min(0.99, max(0.0, (n * rho + 1) / (n - 3))) if n > 3 else 0.99
    inflation = 1 + 2 * math.fsum((1 - k / n) * corrected**k for k in range(1, n))
    variance = max(1 / (width - 1), power / max(1, n - 1))
    effective = max(1.0, n / inflation)
    statistic = float(data.mean()) / math.sqrt(variance / effective)
    return SeriesMean(
        mean=float(data.mean()),
        statistic=statistic,
        pvalue=_student_tail(statistic, max(1.0, effective - 1)),
        naive=float(data.mean()) * math.sqrt((width - 1) * n),
        effective=effective,
        autocorrelation=rho,
        n=n,
    )


def one_layer_pvalue(correlation: float, width: int) -> float:
    """Return the p-value of one correlation, or of the mean of layers that depend fully.

    Renumbered channels give r variance 1 / (width - 1); the mean of any number of layers has no
    more. p is the normal tail, and never below 1 / width: where one channel dominates both
    vectors, it falls on its partner that often.
    """
    tail = 0.5 * math.erfc(correlation * math.sqrt((width - 1) / 2))
    return max(tail, 1 / width)


def _student_tail(t: float, freedom: float) -> float:
    from scipy.special import stdtr  # noqa: PLC0415 - half a second to import

    return float(stdtr(freedom, -t))
