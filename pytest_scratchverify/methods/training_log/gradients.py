"""Gradient norms beside losses: what they must be, and how they move, which is only shown."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.decision import (
    CONTRADICTED,
    HOLDS,
    NOT_ASKED,
    Decision,
    about_log,
    number,
)
from pytest_scratchverify.methods.training_log.integrity import REPEAT_NULL
from pytest_scratchverify.methods.training_log.thresholds import ALPHA

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog

ENOUGH = 80  # rows with a norm
HYPOTHESIS = Text("the gradient norms are positive, vary, and no stretch of them was copied")


class Norms(Enum):
    """What a column of gradient norms is: the first of these that holds."""

    NEGATIVE = auto()
    COPIED = auto()
    CLIPPED = auto()
    SOUND = auto()


NORMS: Mapping[Norms, Decision] = {
    Norms.NEGATIVE: CONTRADICTED,
    Norms.COPIED: CONTRADICTED,
    Norms.CLIPPED: NOT_ASKED,
    Norms.SOUND: HOLDS,
}

HEADLINES: Mapping[Norms, str] = {
    Norms.NEGATIVE: "{n} gradient norms are negative: not norms, or another column",
    Norms.COPIED: "{n} gradient norms in a row, from row {a}, occur again digit for digit from row"
    " {b}: a copied segment, or an export that joined overlapping files.",
    Norms.CLIPPED: "most gradient norms are the largest one: they were noted after clipping",
    Norms.SOUND: "gradient norms are positive and no stretch occurs twice; with the losses they"
    " move by r {r}, which is shown and not judged",
}


def gradient_norms(model: str, log: TrainingLog) -> Finding:
    """Gradient norms are positive, never the same twice in a row for long, and not copied.

    How much they move with the losses is measured and not judged: in the logs of this
    repository's zoo, which are genuine, r after detrending lies between -.07 and .42, and a
    quarter of them have p > .05: a test that asked for the relation would accuse those.
    """
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.training_log.repeated_stretch import repeated_stretch  # noqa: PLC0415
    from pytest_scratchverify.stats.training_log.trend_residuals import (  # noqa: PLC0415
        LAST,
        residual_correlation,
    )

    tested = about_log("gradient_norms", model, log, HYPOTHESIS)
    norms = None if log.grad_norm is None else log.grad_norm[-LAST:].astype(np.float64)
    known = np.isfinite(norms) if norms is not None else np.zeros(0, bool)
    if norms is None or np.count_nonzero(known) < ENOUGH:
        return NOT_ASKED.finding(tested, Text("the log has no gradient norms, or too few"))
    given, loss = norms[known], log.loss[-LAST:][known]
    negative = int(np.count_nonzero(given < 0))
    rising = np.concatenate([[True], np.diff(log.steps[-LAST:][known]) > 0])
    copy = repeated_stretch(given[rising], k=4)
    positive = given > 0
    found = residual_correlation(loss[positive], np.log(given[positive]), 15)
    values: dict[str, Any] = {}
    if negative:
        kind, values = Norms.NEGATIVE, {"n": negative}
    elif copy is not None and copy.pvalue < ALPHA:
        kind, values = Norms.COPIED, {"n": copy.length, "a": copy.first, "b": copy.second}
    elif np.mean(given == given.max()) > 0.5:
        kind = Norms.CLIPPED
    else:
        kind, values = Norms.SOUND, {"r": round(found.statistic, 3) if found else None}
    return NORMS[kind].finding(
        tested,
        Text(HEADLINES[kind], **values),
        statistic=number("longest_repeat", copy.length if copy else 0, len(given)),
        effect=number("residual_correlation_with_loss", found.statistic if found else None),
        pvalue=copy.pvalue if copy else 1.0,
        null=REPEAT_NULL,
        details={
            "agreement": [found.statistic, found.pvalue] if found else None,
            "distinct": len(np.unique(given)) / len(given),
        },
    )
