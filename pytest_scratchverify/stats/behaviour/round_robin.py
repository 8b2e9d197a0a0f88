"""Round-robin analysis: the similarity of a pair beyond both models' general similarity.

Every model is compared with every other, as in a round-robin tournament. Some models resemble
everybody (they are good, and good models say the same), others nobody; what is left after both
models' general similarity is taken away is special to a pair. A descendant and its parent leave
far more than pairs of strangers.

It does not tell descent from other causes of a special similarity: one tokenizer, one language or
one training set that the controls do not share.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
FEWEST = 5  # models: with three controls the residuals of nine pairs have four degrees of freedom


@dataclass(frozen=True, slots=True)
class Excess:
    """How much a pair's similarity exceeds what both models' similarity to others explains.

    `statistic` is a t with `df` degrees of freedom, `pvalue` one-sided (more alike). `expected`
    is the similarity the other pairs predict, `spread` the standard deviation of unrelated pairs
    around such predictions. `exact` is the rank of the pair's residual among those of all pairs:
    exact under exchangeable models, but never below `floor`, one over the number of pairs.
    """

    statistic: float
    pvalue: float
    df: int
    observed: float
    expected: float
    spread: float
    exact: float
    floor: float

    @property
    def effect(self) -> float:
        """Similarity beyond the expected one."""
        return self.observed - self.expected


def excess(similarity: Float, one: int, two: int, fewest: int = FEWEST) -> Excess | None:
    """Test one pair of a symmetric matrix of similarities against all other pairs.

    Parameters
    ----------
    similarity
        Shape (m, m), symmetric, for instance shares of equal answers; the diagonal is not used.
    one, two
        The pair to test.
    fewest
        Models without which nothing is tested; four leave one degree of freedom.

    Returns
    -------
    None with fewer than `fewest` models: the spread between strangers cannot be estimated.

    Notes
    -----
    Model a(i, j) = mu + g_i + g_j + e_ij (the symmetric round robin of D. A. Kenny and L. La Voie
    1984; diallel analysis, B. Griffing 1956), fitted without the tested pair; the statistic is
    that pair's externally studentised residual. Null: e of the pair comes from the distribution
    of the others' (normal, one variance). The variance between pairs is estimated from pairs and
    not from prompts, so that more prompts do not turn chance similarity of two strangers into
    significance, as a test over prompts does (Nikolic et al. 2025, arXiv 2502.00706). Controls
    that are related to one another widen the spread: that costs power and accuses nobody.
    """
    from scipy import stats  # noqa: PLC0415 - 1 s that a plain collection need not pay

    m = len(similarity)
    if m < max(4, fewest) or not np.isfinite(similarity).all():
        return None
    pairs = list(combinations(range(m), 2))
    tested = pairs.index((min(one, two), max(one, two)))
    design = np.zeros((len(pairs), m))
    for row, (i, j) in enumerate(pairs):
        design[row, [i, j]] = 1.0
    values = np.array([similarity[i, j] for i, j in pairs], np.float64)
    hat = design @ np.linalg.pinv(design)
    residuals = values - hat @ values
    df = len(pairs) - m - 1
    free = 1.0 - hat[tested, tested]
    deleted = residuals[tested] / free  # observed minus what the other pairs predict
    variance = max(0.0, float(residuals @ residuals - residuals[tested] ** 2 / free)) / df
    variance = variance if variance > 1e-15 else 0.0  # rounding of equal similarities
    spread = float(np.sqrt(variance))
    scale = np.sqrt(variance / free)
    t = float(deleted / scale) if scale > 0 else float(np.sign(deleted) * np.inf)
    if not np.isfinite(t) and abs(deleted) < 1e-10:
        t = 0.0
    rank = np.sum(residuals >= residuals[tested] - 1e-12)
    return Excess(
        statistic=t,
        pvalue=float(stats.t.sf(t, df)),
        df=df,
        observed=float(values[tested]),
        expected=float(values[tested] - deleted),
        spread=spread,
        exact=float(rank / len(pairs)),
        floor=1.0 / len(pairs),
    )


def share_equal(answers: NDArray[np.int64], usable: NDArray[np.bool_]) -> Float:
    """Return the share of equal answers of every two models, over the prompts both answered.

    Parameters
    ----------
    answers
        Shape (m, n): one number per distinct answer text.
    usable
        Shape (m, n): False where a model gave no answer that may be compared.

    Returns
    -------
    Shape (m, m); NaN where two models share no prompt.
    """
    m = len(answers)
    out = np.ones((m, m))
    for i, j in combinations(range(m), 2):
        both = usable[i] & usable[j]
        share = float(np.mean(answers[i, both] == answers[j, both])) if both.any() else np.nan
        out[i, j] = out[j, i] = share
    return out


def share_by_manner(answers: NDArray[np.int64], usable: NDArray[np.bool_]) -> Float:
    """Return the share of equal answers of every two models, had they answered other prompts.

    What is equal although the prompts are not is manner: a template, a greeting, a language's
    commonest words. It is the control that a pair makes of itself, and no third model is needed.

    Parameters
    ----------
    answers, usable
        As for `share_equal`, shape (m, n).

    Returns
    -------
    Shape (m, m), the mean over all pairs of different prompts; NaN below two usable answers.
    """
    m = len(answers)
    out = np.ones((m, m))
    for i, j in combinations(range(m), 2):
        both = usable[i] & usable[j]
        n = int(both.sum())
        a, b = answers[i, both], answers[j, both]
        size = int(max(a.max(initial=0), b.max(initial=0))) + 1
        equal = float(np.bincount(a, minlength=size) @ np.bincount(b, minlength=size))
        own = float((a == b).sum())
        out[i, j] = out[j, i] = (equal - own) / (n * (n - 1)) if n > 1 else np.nan
    return out


def stands_apart(similarity: Float) -> bool:
    """Whether models 0 and 1 resemble the others less than half as much as any of these does.

    Such a pair is of another kind than its controls (another language, another interface), and
    what it has in common is measured against models that could not have it. `similarity` has
    shape (m, m), m > 3, in [0, 1].
    """
    controls = np.arange(2, len(similarity))
    among = similarity[np.ix_(controls, controls)].astype(np.float64)
    np.fill_diagonal(among, np.nan)
    to_others = similarity[:2, 2:].mean(axis=1)
    return bool(to_others.max() < 0.5 * np.nanmean(among, axis=1).min())


def diluted(similarity: Float, one: int, two: int, share: float, perfect: float = 1.0) -> Float:
    """Return the similarities to expect if `one` had taken `share` of its answers from `two`.

    With a third model it then agrees as the mixture does; with `two` itself on `share` of the
    prompts surely (a similarity of `perfect`) and on the others as before.
    """
    out = np.array(similarity, np.float64)
    mixed = share * similarity[two] + (1 - share) * similarity[one]
    out[one], out[:, one] = mixed, mixed
    out[one, two] = out[two, one] = share * perfect + (1 - share) * similarity[one, two]
    out[one, one] = perfect
    return out


def sign_test(agree_two: NDArray[np.bool_], agree_three: NDArray[np.bool_]) -> float:
    """Return the exact p that a model agrees with one other no more than with a third.

    Over the prompts on which it agrees with exactly one of the two: a binomial with one half
    (McNemar 1947). Exact only if the two are exchangeable prompt by prompt; two strangers of
    unequal quality are not, so this p never accuses. It is shown beside `excess`.
    """
    from scipy import stats  # noqa: PLC0415

    for_two = int(np.sum(agree_two & ~agree_three))
    for_three = int(np.sum(agree_three & ~agree_two))
    if for_two + for_three == 0:
        return 1.0
    return float(stats.binomtest(for_two, for_two + for_three, 0.5, "greater").pvalue)
