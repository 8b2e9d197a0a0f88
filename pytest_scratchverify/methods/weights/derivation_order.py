"""Direction of derivation: which of two related models is the later one, and how sure that is.

Rounding and pruning lose what nobody can put back, and training goes on in one direction:
weights and the spread of norm gains grow. Kurtosis, which was proposed for this, points either
way on the zoo and is not used. Most fine-tunes move too little to tell. Dates of publication are
stated beside it and decide nothing: what was published later may have been made earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from pytest_scratchverify.checkpoint.dtypes import is_quantised
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity, are_apart

MODEL, REFERENCE, UNKNOWN = "model", "reference", "unknown"

HEADLINES = {
    "before": "The model was published on {model}, {days} days before the reference"
    " ({reference}): ask which of the two took from the other. Dates of"
    " publication are not dates of training.",
    "after": "The model was published on {model}, {days} days after the reference"
    " ({reference}). Dates of publication are not dates of training.",
}


@dataclass(frozen=True, slots=True)
class DerivationOrder:
    """Which of the two is the later one; `certain` where it could not be the other way round."""

    later: str
    because: str
    certain: bool = False


def _published(pair: Pair) -> tuple[date, date] | None:
    """Read the matrix's dates of both, YYYY-MM-DD; None if either is not known to the day."""
    try:
        ours, theirs = pair.model.released or "", pair.reference.released or ""
        return date.fromisoformat(ours), date.fromisoformat(theirs)
    except ValueError:
        return None


def dates_of(pair: Pair, *, related: bool) -> dict[str, Json]:
    """Return who published when, for the details of a finding that found a relation."""
    dates = _published(pair)
    if dates is None or not related:
        return {}
    model, reference = dates
    both = {"model": model.isoformat(), "reference": reference.isoformat()}
    return {"published": {**both, "days_after_reference": (model - reference).days}}


def published_first(pair: Pair) -> Text | None:
    """State which of the two was published first; it decides nothing."""
    dates = _published(pair)
    if dates is None:
        return None
    days = (dates[0] - dates[1]).days
    given = {"model": str(dates[0]), "reference": str(dates[1]), "days": abs(days)}
    return Text(HEADLINES["before" if days < 0 else "after"], **given)


def derivation_order(
    measured: Measured,
    stored: tuple[Sequence[str], Sequence[str]],
    thresholds: WeightsThresholds,
    gains: GainSimilarity | None = None,
) -> DerivationOrder:
    """Tell the later of two related models.

    Parameters
    ----------
    stored : (ours, theirs)
        The dtypes in which either stores the weights that were compared.
    gains
        How alike the norm gains are. Gains that did not grow out of one another have grown apart,
        and which has grown more says nothing of who was first. Nor do layers that are strangers'.

    Notes
    -----
    In the zoo every continued pretraining has larger weights in all layers and more spread gains
    than what it started from (1.08 to 1.34 and 1.16 to 1.57 times, seven of seven), and no
    fine-tune reaches 1.01. A strong weight decay can turn this round, and so can whoever trains a
    file towards another's weights: hence `certain` is False.
    """
    packed = [any(map(is_quantised, side)) for side in stored]
    rounding = (measured.similarity or 0.0) >= thresholds.fine_tune  # it takes off less than that
    if packed[0] != packed[1] and rounding:
        # Not certain: what is published in few bits can be unpacked and trained on.
        return DerivationOrder(MODEL if packed[0] else REFERENCE, "rounded to fewer bits")
    if measured.cast:  # not certain: who adds less than the rounding looks like an original
        later = MODEL if measured.rounded[0] else REFERENCE
        return DerivationOrder(later, "rounded to fewer bits")
    zeros = measured.zeros[0] - measured.zeros[1]
    if abs(zeros) >= thresholds.pruned_zeros:
        return DerivationOrder(MODEL if zeros > 0 else REFERENCE, "pruned", certain=True)
    weights, spreads = _growth_of_weights(measured), _growth_of_gains(measured)
    bar = thresholds.growth
    strange = thresholds.shared_from(measured.component)
    if any(value < strange for layer, value in measured.by_layer().items() if layer >= 0):
        return DerivationOrder(UNKNOWN, "some of the layers are strangers'")
    if gains is not None and are_apart(gains):
        return DerivationOrder(UNKNOWN, "the norm gains did not grow out of one another")
    if len(weights) and len(spreads):
        if min(weights) >= bar and spreads.mean() >= bar:
            return DerivationOrder(MODEL, "weights and gains have grown in every layer")
        if max(weights) <= 1 / bar and spreads.mean() <= 1 / bar:
            return DerivationOrder(REFERENCE, "weights and gains have grown in every layer")
    return DerivationOrder(UNKNOWN, "too little has changed to tell")


def _growth_of_weights(measured: Measured) -> np.ndarray:
    """Return the mean ratio of spreads of every layer that was read."""
    found: dict[int, list[float]] = {}
    for item in measured.similar:
        if min(item.spreads) > 0:
            found.setdefault(item.slot.layer, []).append(item.spreads[0] / item.spreads[1])
    return np.array([np.mean(ratios) for ratios in found.values()])


def _growth_of_gains(measured: Measured) -> np.ndarray:
    return np.array([a.std() / b.std() for a, b in measured.gains if min(a.std(), b.std()) > 0])
