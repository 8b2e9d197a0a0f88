"""Random initialisation of the first checkpoint: its spectrum against that of random matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

import numpy as np

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    Control,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Relation,
)
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.checkpoint_reading import CheckpointSeries, Slices
from pytest_scratchverify.methods.training_log.decision import Decision, about_log, number
from pytest_scratchverify.methods.training_log.thresholds import ALPHA
from pytest_scratchverify.stats.training_log.checkpoint_trajectory import RandomEdge, random_edge

START = "random_initialisation"
STATEMENT = Text("the first checkpoint is freshly drawn, as that of a training from the start is")


class Initialisation(Enum):
    """What the first checkpoint's spectrum says of how the run began."""

    CONTROL_FAILED = auto()
    POWERLESS = auto()
    RANDOM = auto()
    TRUNCATED = auto()
    WARM_START = auto()


INITIALISATIONS: Mapping[Initialisation, Decision] = {
    Initialisation.CONTROL_FAILED: Decision(
        Outcome.INDETERMINATE, Relation.INCOMPLETE, kind="unclear"
    ),
    Initialisation.POWERLESS: Decision(Outcome.INDETERMINATE, Relation.INCOMPLETE, kind="unclear"),
    Initialisation.RANDOM: Decision(Outcome.CONSISTENT, kind="random start"),
    Initialisation.TRUNCATED: Decision(
        Outcome.INDETERMINATE, Relation.INCOMPLETE, kind="truncated"
    ),
    Initialisation.WARM_START: Decision(
        Outcome.INDETERMINATE, Relation.CONTRADICTED, Direction.TOWARD_REUSE, "warm start"
    ),
}

INITIALISATION_HEADLINES: Mapping[Initialisation, str] = {
    Initialisation.CONTROL_FAILED: "a control of known truth failed",
    Initialisation.POWERLESS: "{name} looks freshly drawn, and so does the last checkpoint: the"
    " slices are too small, or hardly trained, to tell",
    Initialisation.RANDOM: "{name} looks freshly drawn: its largest singular value is {ratio} times"
    " the edge of chance. Whoever chooses what to publish can draw one too.",
    Initialisation.TRUNCATED: "the first checkpoint is of step {step} and has been trained: how the"
    " run began it does not show",
    Initialisation.WARM_START: "{name} is called step 0 and has been trained: a singular value is"
    " {ratio} times the edge of chance. A warm start looks like this; so do steps counted anew"
    " after a resume, a wrong label, and an initialisation that is not of independent entries (from"
    " a smaller model, of low rank, of unequal variances).",
}


def random_initialisation(model: str, series: CheckpointSeries) -> Finding:
    """The first checkpoint of a training from the start has the spectrum of a random matrix.

    Every slice's largest singular value against Tracy and Widom's law. Controls: the last
    checkpoint must not look fresh (else the test sees nothing here), and matrices of the same
    shapes drawn in this process must.
    """
    first, last = edges(series.slices[0]), edges(series.slices[-1])
    drawn = np.random.default_rng(2026)
    blank = edges(
        {s: drawn.standard_normal(w.shape, np.float32) for s, w in series.slices[0].items()}
    )
    p, worst = worst_edge(first)
    trained, fresh = worst_edge(last), worst_edge(blank)
    controls = (
        Control(
            kind="positive",
            pair=(model, series.names[-1]),
            passed=trained[0] < ALPHA,
            value=trained[1].statistic,
        ),
        Control(
            kind="negative",
            pair=(model, "drawn at random"),
            passed=fresh[0] >= ALPHA,
            value=fresh[1].statistic,
        ),
    )
    begun = _initialisation(p, controls, series.steps[0])
    name, step = series.names[0], series.steps[0]
    values = {"name": name, "step": step, "ratio": round(worst.ratio, 3)}
    if begun is Initialisation.CONTROL_FAILED:
        values = {}
    return INITIALISATIONS[begun].finding(
        about_log(START, model, None, STATEMENT, level=Level.E2),
        Text(INITIALISATION_HEADLINES[begun], **values),
        statistic=number("largest_singular_value_standardised", worst.statistic, len(first)),
        effect=number("over_marchenko_pastur_edge", worst.ratio),
        pvalue=p,
        null=Null(
            kind="exact",
            description=Text(
                "Largest singular value of matrices with independent entries (Tracy and Widom), the"
                " worst of all slices by Bonferroni"
            ),
        ),
        controls=controls,
        artifacts=series.records,
        details=series_details(series),
    )


def _initialisation(p: float, controls: tuple[Control, Control], step: int) -> Initialisation:
    trained_looks_trained, drawn_looks_drawn = (control.passed for control in controls)
    if not drawn_looks_drawn:
        return Initialisation.CONTROL_FAILED
    if p >= ALPHA:
        return Initialisation.RANDOM if trained_looks_trained else Initialisation.POWERLESS
    return Initialisation.TRUNCATED if step > 0 else Initialisation.WARM_START


def edges(slices: Slices) -> list[RandomEdge]:
    """Return the largest singular value of every slice that is large enough to have one."""
    found = (random_edge(slices[slot]) for slot in sorted(slices))
    return [edge for edge in found if edge is not None]


def worst_edge(edges: Sequence[RandomEdge]) -> tuple[float, RandomEdge]:
    """Return the smallest p, adjusted for the number of slices, and its slice."""
    if not edges:
        return 1.0, RandomEdge(0.0, 0.0, 1.0)
    worst = min(edges, key=lambda edge: (edge.pvalue, -edge.statistic))
    return min(1.0, max(worst.pvalue, 1e-300) * len(edges)), worst


def series_details(series: CheckpointSeries) -> dict[str, Any]:
    """Return what the findings on a series state of what was read."""
    return {
        "checkpoints": [*series.names],
        "found": series.found,
        "not_read": [str(text) for text in series.unread],
        "other_series": dict(series.others),
        "slices": [str(slot) for slot in sorted(series.slices[0])],
        "edges": {
            name: [round(edge.statistic, 2) for edge in edges(part)]
            for name, part in zip(series.names, series.slices, strict=True)
        },
        "component_read": Component.TEXT_DECODER.value,
    }
