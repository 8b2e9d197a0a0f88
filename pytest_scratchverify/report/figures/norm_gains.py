"""Figures of the norm gains: why a cosine of 0.99 says nothing, and what is left once centred."""

from __future__ import annotations

from typing import Any

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.figure_data import NormGains, NormSeries
from pytest_scratchverify.report.figures.drawing import Drawing, Say, legend_above, number_above
from pytest_scratchverify.report.figures.style import FIRST, INK, PAPER, SECOND, SOFT


def _draw_gains(figure: Any, data: NormGains, say: Say) -> None:
    axes = figure.subplots()
    rows = ((1, data.raw_cosine, data.raw_null), (0, data.centred_cosine, 0.0))
    for at, observed, chance in rows:
        axes.hlines(at, min(observed, chance), max(observed, chance), color=SOFT, linewidth=2)
        axes.plot(
            [chance],
            [at],
            "o",
            markersize=11,
            markerfacecolor=PAPER,
            markeredgecolor=SECOND,
            markeredgewidth=2,
            label=say("channels renumbered: chance") if at else None,
        )
        axes.plot(
            [observed],
            [at],
            "o",
            color=FIRST,
            markersize=6,
            label=say("as they are") if at else None,
        )
        number_above(axes, observed, at, f"{observed:.4f}", INK)
    axes.set_yticks([0, 1], [say("centred"), say("raw")])
    axes.set_ylim(-0.5, 1.6)
    axes.set_xlim(min(-0.1, data.centred_cosine - 0.1), 1.1)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(say("cosine"))
    legend_above(axes, 2)


def _gains_caption(data: NormGains) -> Text:
    return Text(
        "Norm gains of any two models point the same way, so the raw cosine stays high"
        " when the channels are shuffled (ring) and is no evidence. Only what remains"
        " beyond the ring once the mean is taken out counts: p {p}. Gains are a"
        " very small part of a model and alone decide nothing.",
        p=data.p,
    )


def _gains_alt(data: NormGains) -> Text:
    return Text(
        "Raw cosine {raw}, {null} with renumbered channels; centred cosine {centred},"
        " 0 with renumbered channels.",
        raw=data.raw_cosine,
        null=data.raw_null,
        centred=data.centred_cosine,
    )


def _draw_series(figure: Any, data: NormSeries, say: Say) -> None:
    axes = figure.subplots()
    layers = data.layers
    axes.plot(
        layers,
        data.shuffled,
        color=SECOND,
        linewidth=4,
        alpha=0.45,
        label=say("raw, channels shuffled: chance"),
    )
    axes.plot(layers, data.raw, color=FIRST, linewidth=1.4, label=say("raw cosine"))
    axes.plot(
        layers, data.centred, "o-", color=INK, markersize=3, linewidth=0.8, label=say("centred")
    )
    axes.axhline(0, color=SOFT, linewidth=0.8)
    low, high = (edge(*data.raw, *data.shuffled, *data.centred, 0.0) for edge in (min, max))
    axes.set_ylim(low - 0.05, high + 0.05)
    axes.set_xlabel(say("layer"))
    axes.set_ylabel(say("cosine"))
    legend_above(axes, 2)


def _series_caption(data: NormSeries) -> Text:
    del data
    return Text(
        "The published figures of these two models. The raw cosine that was taken for"
        " evidence lies on the line that shuffled channels give; once centred, nothing is"
        " left. Others measured this, not this run, and norm gains say nothing about"
        " the other weights."
    )


def _series_alt(data: NormSeries) -> Text:
    return Text(
        "{n} layers: raw cosine up to {raw}, shuffled up to {shuffled}, centred up to {centred}.",
        n=len(data.layers),
        raw=max(data.raw),
        shuffled=max(data.shuffled),
        centred=max(data.centred),
    )


NORM_GAINS = Drawing(
    NormGains,
    Text("Norm gains, raw and centred"),
    _draw_gains,
    _gains_caption,
    _gains_alt,
    (5.2, 2.5),
)
NORM_SERIES = Drawing(
    NormSeries,
    Text("Published norm gains by layer"),
    _draw_series,
    _series_caption,
    _series_alt,
    (5.2, 3.2),
)
