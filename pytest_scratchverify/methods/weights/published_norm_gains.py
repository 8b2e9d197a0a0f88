"""Published norm-gain correlations of two models, judged by the null that they lacked.

For the pairs of the LayerNorm episode only. Figures that others measured are level E2: the
verdict on a decoder never rests on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_scratchverify.catalog.layernorm import Series, published_series
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Statistic
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.weights.controls import known_gains
from pytest_scratchverify.methods.weights.figure_data import series_figures
from pytest_scratchverify.methods.weights.norm_gains import RELATIONS, norms_outcome
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.norm_gains import one_layer_pvalue, series_mean

METHOD = "weights.layernorm_published"
WIDTH = 4096  # of all models of the episode
FEWEST_LAYERS = 10
METRICS = {"raw": "cosine", "shuffled": "cosine_shuffled", "centred": "pearson"}


def published_norms(
    pair: Pair, calibration: Mapping[str, Any], *, declared: bool = False
) -> Finding:
    """Judge the published centred cosines of a pair's norms, layers not counted one by one."""
    series = _published(pair)
    if series is None:
        return _finding(pair, Outcome.NOT_APPLICABLE, Text("nobody published its norm gains"))
    layers = list(series.by_layer().values())
    mean = sum(series.values.values()) / len(series.values)
    pvalue = (
        series_mean(layers, WIDTH).pvalue
        if len(layers) >= FEWEST_LAYERS
        else one_layer_pvalue(mean, WIDTH)
    )
    thresholds = WeightsThresholds.from_json(calibration)
    controls = known_gains(thresholds)
    outcome = norms_outcome(mean, pvalue, controls, thresholds, declared=declared)
    finding = _finding(
        pair,
        outcome,
        Text(
            "published norm gains, centred: cosine {effect} with {reference} (p {p}), by {source}",
            effect=mean,
            reference=pair.reference.name,
            p=pvalue,
            source=series.source,
        ),
        Statistic(name="centred_cosine", value=mean, n=len(series.values)),
    )
    published = _by_layer(pair)
    return replace(
        finding,
        pvalue=pvalue,
        controls=controls,
        figures=series_figures(*published),
        details=_details(*published),
    )


def _published(pair: Pair, metric: str = "pearson") -> Series | None:
    """Return the longest series on the input norms of a pair, in either order."""
    specs = (pair.model, pair.reference)
    names = [spec.name.rpartition("/")[2].removesuffix("-instruct") for spec in specs]
    found = [
        series
        for series in published_series()
        if {*series.pair} == {*names}
        and (series.tensor, series.metric) == ("input_layernorm", metric)
        and not series.suspect
    ]
    return max(found, key=lambda series: len(series.values), default=None)


def _by_layer(pair: Pair) -> tuple[list[int], dict[str, list[float]]]:
    """Return layers and their published cosines, raw, shuffled and centred, where all three are."""
    found = {name: _published(pair, metric) for name, metric in METRICS.items()}
    by_layer = {name: series.by_layer() for name, series in found.items() if series is not None}
    if by_layer.keys() != METRICS.keys():
        return [], {}
    layers = sorted(set.intersection(*map(set, by_layer.values())))
    if len(layers) < FEWEST_LAYERS:
        return [], {}
    named = {name: [values[layer] for layer in layers] for name, values in by_layer.items()}
    return layers, named


def _details(layers: list[int], by_name: dict[str, list[float]]) -> dict[str, Json]:
    rows: dict[str, Json] = {name: [*values] for name, values in by_name.items()}
    return {"published": {"layers": [*layers], **rows}} if layers else {}


def _finding(
    pair: Pair,
    outcome: Outcome,
    headline: Text,
    statistic: Statistic | None = None,
) -> Finding:
    related = outcome in (Outcome.INDETERMINATE, *RELATIONS)
    return Hypothesis(
        method=METHOD,
        component=Component.TEXT_DECODER,
        model=pair.model.name,
        reference=pair.reference.name,
        statement=Text("the norm gains are no more alike than renumbered ones"),
        dependence_group="norm gains",
    ).finding(
        outcome,
        headline,
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if related else Direction.NONE,
        statistic=statistic,
        effect=statistic,
        relation=RELATIONS.get(outcome),
    )
