"""Figures of a training log: the curve with its law, the noise along it, two logs compared."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.figure_data import (
    NoiseByBlock,
    OrderResiduals,
    TrainingCurve,
)
from pytest_scratchverify.report.figures.drawing import Drawing, Say, legend_above
from pytest_scratchverify.report.figures.style import FIRST, GOOD, INK, LINE, SECOND, SOFT


def _draw_curve(figure: Any, data: TrainingCurve, say: Say) -> None:
    axes = figure.subplots()
    steps = [max(1.0, float(step)) for step in data.steps]
    axes.fill_between(steps, data.low, data.high, color=FIRST, alpha=0.25, linewidth=0)
    axes.plot(steps, data.middle, color=FIRST, label=say("loss (median of rows)"))
    fit = data.fit
    if fit:
        late = [step for step in steps if step >= fit.start]
        law = [fit.a + fit.b * step**-fit.c for step in late]
        axes.plot(late, law, color=SECOND, linestyle=(0, (5, 2)), label=say("fitted power law"))
    chance = data.chance
    if chance:
        axes.axhline(
            chance,
            color=INK,
            linestyle=(0, (1, 1.5)),
            linewidth=1.2,
            label=say("a guess at random, ln V"),
        )
    top = max(*data.high, chance or 0.0)
    bottom = min(data.low)
    axes.set_ylim(bottom - 0.06 * (top - bottom), top + 0.1 * (top - bottom))
    axes.set_xscale("log")
    _choose_ticks(axes.xaxis, max(steps) / min(steps))
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.set_xlabel(say("step (logarithmic; step 0 is drawn at 1)"))
    axes.set_ylabel(say("loss, nats"))
    legend_above(axes, 2)


def _choose_ticks(axis: Any, span: float) -> None:
    """Let a logarithmic axis that spans less than two decades have more than one tick."""
    from matplotlib.ticker import LogLocator, MaxNLocator  # noqa: PLC0415 - an extra

    if span < 10:
        axis.set_major_locator(MaxNLocator(5))
    elif span < 100:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def _curve_caption(data: TrainingCurve) -> Text:
    if data.chance:
        return Text(
            "A training from a random start begins at the dotted line and falls from"
            " there. The band holds nine rows in ten. The figure shows what the author"
            " of the log wrote, not that the run took place."
        )
    return Text(
        "The size of the vocabulary is not known, so there is no line at which a random"
        " start would begin. The band holds nine rows in ten. The figure shows what the"
        " author of the log wrote, not that the run took place."
    )


def _curve_alt(data: TrainingCurve) -> Text:
    chance = data.chance
    words = {
        "first": round(data.middle[0], 2),
        "last": round(data.middle[-1], 2),
        "from_step": int(data.steps[0]),
        "to_step": int(data.steps[-1]),
    }
    if chance:
        return Text(
            "Loss by step: {first} at step {from_step}, {last} at step {to_step}; a guess"
            " at random would be {chance}.",
            chance=round(chance, 2),
            **words,
        )
    return Text("Loss by step: {first} at step {from_step}, {last} at step {to_step}.", **words)


def _draw_noise(figure: Any, data: NoiseByBlock, say: Say) -> None:
    axes = figure.subplots()
    steps = data.steps
    axes.vlines(steps, data.low, data.high, color=FIRST, alpha=0.35, linewidth=2)
    axes.plot(
        steps,
        data.middle,
        "o",
        color=FIRST,
        markersize=3.2,
        label=say("noise of {n} rows", n=data.width),
    )
    worst = data.worst
    if worst:
        label = say("differs most: {ratio} times its neighbours", ratio=round(worst.ratio, 2))
        colour, alpha = (SECOND, 0.3) if worst.judged else (LINE, 0.8)
        axes.axvspan(worst.first, worst.last, color=colour, alpha=alpha, label=label)
    axes.set_ylim(0, 1.05 * max(data.high))
    axes.set_xlabel(say("step"))
    axes.set_ylabel(say("noise of the loss, nats"))
    legend_above(axes, 1)


def _noise_caption(data: NoiseByBlock) -> Text:
    del data
    return Text(
        "Real batches make a loss shake, and neighbouring stretches alike. A stretch"
        " far calmer or noisier than its neighbours was averaged, joined from another"
        " run, or written by hand. White noise of the right size cannot be told from"
        " batches."
    )


def _noise_alt(data: NoiseByBlock) -> Text:
    return Text(
        "Noise of the loss along the run, {n} points between {low} and {high} nats.",
        n=len(data.steps),
        low=round(min(data.low), 4),
        high=round(max(data.high), 4),
    )


def _draw_residuals(figure: Any, data: OrderResiduals, say: Say) -> None:
    left, right = figure.subplots(2, 1, height_ratios=(1, 1.3))
    steps, mine, theirs = data.steps, data.mine, data.theirs
    left.plot(steps, theirs, color=SECOND, linewidth=2.2, alpha=0.75, label=say("the reference"))
    left.plot(steps, mine, color=FIRST, linewidth=1.0, label=say("this log"))
    left.set_xlabel(say("step"))
    left.set_ylabel(say("residual, standard deviations"))
    low, high = min(*mine, *theirs), max(*mine, *theirs)
    left.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    legend_above(left, 2)
    right.plot(data.scatter_theirs, data.scatter_mine, "o", color=GOOD, markersize=2.6, alpha=0.6)
    right.axhline(0, color=SOFT, linewidth=0.8)
    right.axvline(0, color=SOFT, linewidth=0.8)
    right.set_xlabel(say("the reference"))
    right.set_ylabel(say("this log"))
    right.set_title(say("r = {r}, {n} steps", r=round(data.r, 3), n=data.n))


def _residuals_caption(data: OrderResiduals) -> Text:
    del data
    return Text(
        "What is left of two losses once their trends are taken out. Runs that saw the"
        " same batches in the same order shake together (points on a diagonal), whatever"
        " their size; unrelated ones do not (a round cloud). Shaking together means one"
        " data order or a copied record; it shows no descent of weights."
    )


def _residuals_alt(data: OrderResiduals) -> Text:
    turns = sum(1 for a, b in pairwise(data.mine) if (a > 0) != (b > 0))
    return Text(
        "Residuals of two logs over {n} common steps: correlation {r}; {turns} changes of"
        " sign in the part drawn.",
        n=data.n,
        r=round(data.r, 3),
        turns=turns,
    )


TRAINING_CURVE = Drawing(
    TrainingCurve, Text("Training curve"), _draw_curve, _curve_caption, _curve_alt
)
NOISE_BY_BLOCK = Drawing(
    NoiseByBlock, Text("Noise along the run"), _draw_noise, _noise_caption, _noise_alt, (5.2, 3.0)
)
ORDER_RESIDUALS = Drawing(
    OrderResiduals,
    Text("Two logs compared"),
    _draw_residuals,
    _residuals_caption,
    _residuals_alt,
    (5.2, 4.8),
)
