"""Figures of compared weights: by layer, against the null, beside known pairs, maps, merges."""

from __future__ import annotations

from math import exp, lgamma, log, sqrt
from typing import Any

from pytest_scratchverify.core.known_pairs import KnownPairs
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.figure_data import (
    MatchedLayers,
    NullAndObserved,
    SharesByLayer,
    SimilarityByLayer,
)
from pytest_scratchverify.report.figures.drawing import Drawing, Say, legend_above
from pytest_scratchverify.report.figures.style import FIRST, GOOD, INK, LINE, SECOND, SOFT
from pytest_scratchverify.report.terms import statistic_name

DOTTED = (0, (1, 1.5))
Z_999 = 3.29  # two-sided, one in a thousand


def _draw_layers(figure: Any, data: SimilarityByLayer, say: Say) -> None:
    axes = figure.subplots()
    layers, values = data.layers, data.values
    if data.per_layer:
        band = Z_999 / sqrt(data.per_layer)
        axes.axhspan(
            -band,
            band,
            color=SOFT,
            alpha=0.25,
            linewidth=0,
            label=say("unrelated weights, 999 layers in 1,000"),
        )
    known = []
    for value, colour, label in (
        (data.positive, SECOND, say("known descendant")),
        (data.negative, GOOD, say("known stranger")),
    ):
        if value is not None:
            known.append(value)
            axes.axhline(value, color=colour, linestyle=DOTTED, linewidth=2, label=label)
    axes.plot(layers, values, "o-", color=FIRST, markersize=4, label=say("this pair"))
    low, high = min(0.0, *values, *known), max(*values, *known, 0.1)
    axes.set_ylim(low - 0.08 * (high - low), high + 0.05 * (high - low))
    axes.set_xlabel(say("layer"))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(say("centred cosine"))
    legend_above(axes, 1 if data.per_layer else 2)


def _layers_caption(data: SimilarityByLayer) -> Text:
    del data
    return Text(
        "Each layer's weights against the same layer of the reference, without their mean."
        " Layers of strangers lie in the grey band; those of descendants near the dotted"
        " orange line. The figure compares weights in their places: a copy whose channels"
        " or layers were moved lies in the band too, and is not seen here but by other"
        " tests."
    )


def _layers_alt(data: SimilarityByLayer) -> Text:
    return Text(
        "Centred cosine of {n} layers: from {low} to {high}.",
        n=len(data.layers),
        low=min(data.values),
        high=max(data.values),
    )


def _farthest_bar(data: NullAndObserved) -> int:
    """Return the count beyond which chance has next to nothing to show."""
    return data.groups + 5 * int(sqrt(data.groups) + 1)


def _is_broken(data: NullAndObserved) -> bool:
    """Whether what was observed is so far from the bars that the axis between is left out."""
    return data.observed > 2 * _farthest_bar(data)


def _draw_null(figure: Any, data: NullAndObserved, say: Say) -> None:
    groups, observed, last = data.groups, data.observed, _farthest_bar(data)
    if _is_broken(data):
        axes, beyond = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
        _break(axes, beyond)
        beyond.set_xlim(observed - 1, observed + 1)
        beyond.set_xticks([observed], [f"{observed:,}"])
    else:
        axes = beyond = figure.subplots()
    counts = list(range(last + 1))
    chance = [exp(k * log(groups) - groups - lgamma(k + 1)) for k in counts]
    bars = axes.bar(counts, chance, color=SOFT, width=0.8, label=say("under the null hypothesis"))
    line = beyond.axvline(observed, color=FIRST, linewidth=2.4)
    line.set_label(say("observed: {n}", n=observed))
    axes.set_xlim(-0.7, max(last, 0 if _is_broken(data) else observed) + 0.7)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(0, 1.05 * max(chance))
    figure.supxlabel(say("neurons that keep their number, of {n}", n=data.n), fontsize=10)
    axes.set_ylabel(say("probability"))
    axes.legend(
        handles=[bars, line], loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.3
    )


def _break(left: Any, right: Any) -> None:
    """Mark with strokes that two axes are one, of which the middle is left out."""
    right.spines["left"].set_visible(False)
    right.tick_params(left=False)
    strokes: Any = {
        "marker": [(-0.6, -1), (0.6, 1)],
        "markersize": 10,
        "linestyle": "none",
        "color": INK,
        "clip_on": False,
    }
    left.plot([1], [0], transform=left.transAxes, **strokes)
    right.plot([0], [0], transform=right.transAxes, **strokes)


def _null_caption(data: NullAndObserved) -> Text:
    if _is_broken(data):
        return Text(
            "If the two were initialised apart, the best pairing of their neurons is a random"
            " one, and about as many neurons keep their number as there are groups of them:"
            " the grey bars. The line is what was counted; between the strokes the axis leaves"
            " out what lies between {last} and {observed}. A line among the bars would not"
            " exclude a copy whose neurons were renumbered.",
            last=_farthest_bar(data),
            observed=data.observed,
        )
    return Text(
        "If the two were initialised apart, the best pairing of their neurons is a random"
        " one, and about as many neurons keep their number as there are groups of them:"
        " the grey bars. The line is what was counted. A line among the bars does not"
        " exclude a copy whose neurons were renumbered."
    )


def _null_alt(data: NullAndObserved) -> Text:
    return Text(
        "{observed} of {n} neurons keep their number; about {groups} would by chance.",
        observed=data.observed,
        n=data.n,
        groups=data.groups,
    )


def _draw_known(figure: Any, data: KnownPairs, say: Say) -> None:
    axes = figure.subplots()
    rows = [
        (say("this pair"), (data.observed,), FIRST),
        (say("known descendant"), data.positive, SECOND),
        (say("known stranger"), data.negative, GOOD),
    ]
    if data.self_permuted:
        rows.append((say("this model, renumbered"), data.self_permuted, SOFT))
    rows.reverse()
    for at, (_, values, colour) in enumerate(rows):
        axes.hlines(at, 0, max(values, key=abs), color=colour, linewidth=2)
        axes.plot(values, [at] * len(values), "o", color=colour, markersize=7)
        axes.annotate(
            f"{values[0]:.3g}",
            (max(0.0, values[0]), at),
            xytext=(9, 0),
            va="center",
            textcoords="offset points",
        )
    if data.interval:
        axes.plot(data.interval, [len(rows) - 1] * 2, color=FIRST, linewidth=5, alpha=0.35)
    axes.axvline(0, color=INK, linewidth=0.8)
    every = [value for _, part, _ in rows for value in part]
    axes.set_xlim(min(-0.05, *every) - 0.03, max(0.1, *every) * 1.16)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(say(statistic_name(data.name).template, kind=data.name.replace("_", " ")))


def _known_caption(data: KnownPairs) -> Text:
    del data
    return Text(
        "The same number, by the same code, on pairs whose truth is known. What descends"
        " lies near the orange dot, what is unrelated near the green one. The position"
        " between them is no probability."
    )


def _known_alt(data: KnownPairs) -> Text:
    return Text(
        "This pair {observed}; a known descendant {kin}; a known stranger {stranger}.",
        observed=data.observed,
        kin=data.positive[0],
        stranger=data.negative[0],
    )


def _draw_map(figure: Any, data: MatchedLayers, say: Say) -> None:
    axes = figure.subplots()
    ours, theirs, share = data.ours, data.theirs, data.share
    top = max(*ours, *theirs)
    axes.plot([0, top], [0, top], color=LINE, linewidth=1.2, label=say("every layer in its place"))
    sizes = [8 + 60 * max(0.0, min(1.0, value)) for value in share]
    axes.scatter(
        theirs,
        ours,
        s=sizes,
        c=FIRST,
        alpha=0.8,
        marker="s",
        linewidths=0,
        label=say("best partner"),
    )
    axes.set_xlim(-0.7, top + 0.7)
    axes.set_ylim(top + 0.7, -0.7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.set_aspect("equal")
    axes.set_xlabel(say("layer of the reference"))
    axes.set_ylabel(say("layer of this model"))
    legend_above(axes, 2)


def _map_caption(data: MatchedLayers) -> Text:
    del data
    return Text(
        "Which layer of the reference each layer of the model is most like; a larger"
        " square means more neurons in common. Squares beside the line are layers that"
        " were moved, dropped or repeated. Small squares are no relation."
    )


def _map_alt(data: MatchedLayers) -> Text:
    moved = sum(a != b for a, b in zip(data.ours, data.theirs, strict=True))
    return Text(
        "{n} layers with a partner in the reference, {moved} of them in another place.",
        n=len(data.ours),
        moved=moved,
    )


def _draw_merge(figure: Any, data: SharesByLayer, say: Say) -> None:
    axes = figure.subplots()
    colours = (FIRST, SECOND, GOOD, SOFT)
    bottom = [0.0] * len(data.layers)
    for number, parent in enumerate(data.parents):
        part = [max(0.0, row[number]) for row in data.shares]
        if max(part) > 0.005:
            axes.bar(
                data.layers,
                part,
                bottom=bottom,
                width=0.8,
                label=parent,
                color=colours[number % 4],
                alpha=1.0 if number < 4 else 0.5,
            )
            bottom = [a + b for a, b in zip(bottom, part, strict=True)]
    axes.set_xlabel(say("layer"))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(say("share"))
    axes.set_ylim(0, 1.02 * max(1.0, *bottom))
    legend_above(axes, 1)


def _merge_caption(data: SharesByLayer) -> Text:
    if data.trained_on:
        return Text(
            "Which mixture of the named models is nearest to each layer's weights. It is"
            " not what was merged: training moved the layers since, and the shares of the"
            " finding come from rows of the embedding table that it left alone. Parents"
            " that were not among the references cannot appear."
        )
    return Text(
        "Which mixture of the named models is nearest to each layer's weights; together it"
        " explains {explained} % of the distance to the nearest one. Parents that were not"
        " among the references cannot appear.",
        explained=round(100 * data.explained, 1),
    )


def _merge_alt(data: SharesByLayer) -> Text:
    return Text("Shares of {parents} in {n} layers.", parents=data.parents, n=len(data.layers))


SIMILARITY_BY_LAYER = Drawing(
    SimilarityByLayer,
    Text("Similarity by layer"),
    _draw_layers,
    _layers_caption,
    _layers_alt,
    (5.2, 3.2),
)
NULL_AND_OBSERVED = Drawing(
    NullAndObserved,
    Text("What chance would give, and what was found"),
    _draw_null,
    _null_caption,
    _null_alt,
    (5.2, 2.7),
)
KNOWN_PAIRS = Drawing(
    KnownPairs,
    Text("Beside pairs of known truth"),
    _draw_known,
    _known_caption,
    _known_alt,
    (5.2, 2.3),
)
LAYER_MAP = Drawing(
    MatchedLayers, Text("Map of the layers"), _draw_map, _map_caption, _map_alt, (5.2, 3.6)
)
MERGE_SHARES = Drawing(
    SharesByLayer,
    Text("Shares of a merge by layer"),
    _draw_merge,
    _merge_caption,
    _merge_alt,
    (5.2, 3.2),
)
