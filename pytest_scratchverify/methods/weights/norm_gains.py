"""Norm-gain similarity with its permutation null: what a raw cosine of 0.99 is worth.

Norm gains are some millionths of a model. All of them start at one, so what two models share
in them was learnt, and a relation as close as descendants' is called derived; but the verdict
on a decoder never rests on gains (level E2): the weights must confirm it. Their difference
clears nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    Control,
    Coverage,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.confirmation import sustained
from pytest_scratchverify.methods.weights.controls import known_gains
from pytest_scratchverify.methods.weights.details import gains_table
from pytest_scratchverify.methods.weights.figure_data import gains_figures
from pytest_scratchverify.methods.weights.measure import gains_of
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity, gain_similarity
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.inventory import is_residual_gain
from pytest_scratchverify.tensors.plan import Block, in_order
from pytest_scratchverify.tensors.side_by_side import side_by_side

VECTORS = 24
FIRES_AT = 0.30  # centred cosine, with p <= 0.001 (docs/adr/0006)
DRAWS = 999

HEADLINES = {
    True: "norm gains follow {reference}'s: centred cosine {centred}, p {p} (raw cosine {raw},"
    " {null} for renumbered channels)",
    False: "norm gains say nothing against {reference}: raw cosine {raw}, and {null} for renumbered"
    " channels; centred cosine {centred}, p {p}",
}


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # bytes may be anything
def norm_control(
    pair: Pair,
    ours: ArtifactStore,
    theirs: ArtifactStore,
    calibration: Mapping[str, Any],
    *,
    declared: bool = False,
) -> Finding:
    """Compare the norm gains of two text decoders, raw and centred, each with its null.

    `declared` says that the developer names the reference as the origin.

    Not applicable where no gains of one size vary in both: folded away, never trained, or of
    another kind of norm, they say nothing, and the matrices are judged without them.

    Raises `Unavailable` where the weights of either cannot be read.
    """
    checkpoints = side_by_side(ours, theirs)
    decoders = ComponentPair(checkpoints, Component.TEXT_DECODER)
    hypothesis = Hypothesis(
        method="weights.layernorm",
        component=Component.TEXT_DECODER,
        model=pair.model.name,
        reference=pair.reference.name,
        statement=Text("the norm gains are no more alike than renumbered ones"),
        dependence_group="norm gains",
    )
    found = _measure(decoders)
    if found is None:
        nothing = Text(
            "{model} and {reference} have no norm gains of one size that vary: gains that were"
            " folded away or never trained say nothing, and the matrices are judged without them",
            model=pair.model.name,
            reference=pair.reference.name,
        )
        return hypothesis.finding(Outcome.NOT_APPLICABLE, nothing, artifacts=checkpoints.records)
    thresholds = WeightsThresholds.from_json(calibration)
    controls = known_gains(thresholds)
    outcome = norms_outcome(found.effect, found.pvalue, controls, thresholds, declared=declared)
    fires = outcome is not Outcome.CONSISTENT
    finding = hypothesis.finding(
        outcome,
        _headline(pair, found, fires=fires),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if fires else Direction.NONE,
        statistic=Statistic(name="centred_cosine", value=found.effect, n=found.vectors),
        effect=Statistic(name="centred_cosine", value=found.effect, n=found.vectors),
        pvalue=found.pvalue,
        null=Null(
            kind="permutation",
            description=Text("joint renumbering of the channels of all layers"),
            draws=found.draws,
        ),
        coverage=Coverage(
            tensors=found.vectors, parameters=found.elements / decoders.parameters[0]
        ),
        controls=controls,
        relation=RELATIONS.get(outcome),
        artifacts=checkpoints.records,
        remedy=Text("Gains alone decide nothing: see the matrices of the same run.")
        if outcome is Outcome.INDETERMINATE
        else None,
        figures=gains_figures(found),
        details={"norm_gains": gains_table(found)},
    )
    return sustained(finding, checkpoints)


RELATIONS = {Outcome.DERIVED: Relation.DERIVED, Outcome.DECLARED: Relation.DERIVED}


def norms_outcome(
    effect: float,
    pvalue: float | None,
    controls: tuple[Control, ...],
    thresholds: WeightsThresholds,
    *,
    declared: bool,
) -> Outcome:
    """Judge a centred cosine of norm gains, measured here or published by others.

    From `gains_learned` on, above every twin from one seed, it is derived; from `FIRES_AT`
    on a lead; both only with a p-value, and the first only beside controls that passed.
    """
    significant = pvalue is None or pvalue <= thresholds.gains_pvalue
    if effect < FIRES_AT or not significant:
        return Outcome.CONSISTENT
    sound = pvalue is not None and all(control.passed is True for control in controls)
    if effect < thresholds.gains_learned or not sound:
        return Outcome.INDETERMINATE
    return Outcome.DECLARED if declared else Outcome.DERIVED


def _measure(pair: ComponentPair) -> GainSimilarity | None:
    norms = [m for s, m in pair.matrices.items() if is_residual_gain(s) and m.rows == 1]
    blocks = [Block(matrix, 0, 1) for matrix in in_order(norms)[:VECTORS]]
    read = [pair for batch in pair.checkpoints.batches(blocks) for pair in gains_of(batch)]
    gains = [(a, b) for a, b in read if not (is_degenerate(a) or is_degenerate(b))]
    return gain_similarity(gains, np.random.default_rng(2026), DRAWS)


def _headline(pair: Pair, found: GainSimilarity, *, fires: bool) -> Text:
    return Text(
        HEADLINES[fires],
        reference=pair.reference.name,
        raw=found.raw,
        null=found.raw_null,
        centred=found.effect,
        p=found.pvalue,
    )
