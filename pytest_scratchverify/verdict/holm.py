"""Adjust p-values for the number of chances that a false accusation had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def holm(pvalues: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: the family-wise error stays below alpha.

    Parameters
    ----------
    pvalues
        p-values of one family, each in [0, 1].

    Returns
    -------
    Adjusted p-values in the order given. For ``[0.01, 0.04, 0.03]`` they are
    ``[0.03, 0.06, 0.06]``.

    Notes
    -----
    S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70. Valid under any dependence.

    """
    order = sorted(range(len(pvalues)), key=lambda index: pvalues[index])
    adjusted = [0.0] * len(pvalues)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(pvalues) - rank) * pvalues[index]))
        adjusted[index] = running
    return adjusted


def holm_by_id(pvalues: Mapping[str, float]) -> dict[str, float]:
    """Apply `holm` to a family keyed by finding id."""
    ids = sorted(pvalues)
    return dict(zip(ids, holm([pvalues[key] for key in ids]), strict=True))
