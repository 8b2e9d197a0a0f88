"""Gradient norms beside losses: what they must be, and how they move, which is only shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Finding, Null, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.thresholds import ALPHA, finding, number

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog

ENOUGH = 80  # rows with a norm
HYPOTHESIS = Text("the gradient norms are positive, vary, and no stretch of them was copied")


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

    norms = None if log.grad_norm is None else log.grad_norm[-LAST:].astype(np.float64)
    known = np.isfinite(norms) if norms is not None else np.zeros(0, bool)
    if norms is None or np.count_nonzero(known) < ENOUGH:
        return finding("gradient_norms", model, log, Outcome.NOT_APPLICABLE,
                       Text("the log has no gradient norms, or too few"), HYPOTHESIS)  # fmt: skip
    given, loss = norms[known], log.loss[-LAST:][known]
    distinct = len(np.unique(given)) / len(given)
    negative = int(np.count_nonzero(given < 0))
    clipped = bool(np.mean(given == given.max()) > 0.5)
    rising = np.concatenate([[True], np.diff(log.steps[-LAST:][known]) > 0])
    copy = repeated_stretch(given[rising], k=4)
    copied = copy is not None and copy.pvalue < ALPHA
    positive = given > 0
    found = residual_correlation(loss[positive], np.log(given[positive]), 15)
    outcome = Outcome.INDETERMINATE
    if negative:
        said = Text("{n} gradient norms are negative: not norms, or another column", n=negative)
    elif copied and copy is not None:
        said = Text("{n} gradient norms in a row, from row {a}, occur again digit for digit from"
                    " row {b}: a copied segment, or an export that joined overlapping files.",
                    n=copy.length, a=copy.first, b=copy.second)  # fmt: skip
    elif clipped:
        outcome = Outcome.NOT_APPLICABLE
        said = Text("most gradient norms are the largest one: they were noted after clipping")
    else:
        outcome = Outcome.CONSISTENT
        said = Text("gradient norms are positive and no stretch occurs twice; with the losses they"
                    " move by r {r}, which is shown and not judged",
                    r=round(found.statistic, 3) if found else None)  # fmt: skip
    return finding(
        "gradient_norms", model, log, outcome, said, HYPOTHESIS,
        statistic=number("longest_repeat", copy.length if copy else 0, len(given)),
        effect=number("residual_correlation_with_loss", found.statistic if found else None),
        pvalue=copy.pvalue if copy else 1.0,
        null=Null(kind="exact", description=Text(
            "Union bound over all pairs of places, with the chance that two values are equal"
            " taken from neighbours")),
        details={"agreement": [found.statistic, found.pvalue] if found else None,
                 "distinct": distinct},
    )  # fmt: skip
