"""What was published of two models' norm gains, judged as it should have been.

For the pairs of the LayerNorm episode only. Figures that others measured are a lead at most.
"""

from __future__ import annotations

from pytest_scratchverify.catalog.layernorm import Series, published_series
from pytest_scratchverify.methods.weights_layernorm import FIRES_AT
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.model.evidence import Direction, Finding, Level, Outcome, Statistic
from pytest_scratchverify.model.spec import Pair
from pytest_scratchverify.model.text import Text
from pytest_scratchverify.stats.norm_gains import series_mean

METHOD = "weights.layernorm_published"
WIDTH = 4096  # of all models of the episode
FEWEST_LAYERS = 10


def published_norms(pair: Pair) -> Finding:
    """Judge the published centred cosines of a pair's norms, layers not counted one by one."""
    series = _published(pair)
    if series is None:
        return _finding(pair, Outcome.NOT_APPLICABLE, Text("nobody published its norm gains"))
    layers = list(series.by_layer().values())
    mean = sum(series.values.values()) / len(series.values)
    related = mean >= FIRES_AT
    pvalue = series_mean(layers, WIDTH).pvalue if len(layers) >= FEWEST_LAYERS else None
    return _finding(
        pair,
        Outcome.INDETERMINATE if related else Outcome.CONSISTENT,
        Text(
            "published norm gains, centred: cosine {effect} with {reference} (p {p}), by {source}",
            effect=mean,
            reference=pair.reference.name,
            p=pvalue,
            source=series.source,
        ),
        Statistic(name="centred_cosine", value=mean, n=len(series.values)),
    )


def _published(pair: Pair) -> Series | None:
    """Return the longest series on the input norms of a pair, in either order."""
    specs = (pair.model, pair.reference)
    names = [spec.name.rpartition("/")[2].removesuffix("-instruct") for spec in specs]
    found = [
        series
        for series in published_series()
        if {*series.pair} == {*names}
        and (series.tensor, series.metric) == ("input_layernorm", "pearson")
        and not series.suspect
    ]
    return max(found, key=lambda series: len(series.values), default=None)


def _finding(
    pair: Pair,
    outcome: Outcome,
    headline: Text,
    statistic: Statistic | None = None,
) -> Finding:
    related = outcome is Outcome.INDETERMINATE
    return Finding(
        method=METHOD,
        component=Component.TEXT_DECODER,
        model=pair.model.name,
        reference=pair.reference.name,
        outcome=outcome,
        headline=headline,
        hypothesis=Text("the norm gains are no more alike than renumbered ones"),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if related else Direction.NONE,
        statistic=statistic,
        effect=statistic,
        dependence_group="norm gains",
    )
