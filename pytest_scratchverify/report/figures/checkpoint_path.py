"""The figure of a run's checkpoints: away from the start, each related to the next."""

from __future__ import annotations

from typing import Any

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.figure_data import CheckpointPath
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.style import FIRST, INK, SECOND

NO_RELATION = 3.09  # z at p = .001


def _draw(figure: Any, data: CheckpointPath, say: Say) -> None:
    left, middle, right = figure.subplots(3, 1)
    at = list(range(len(data.steps)))
    names = [_short(step) for step in data.steps]
    left.plot(at[: len(data.from_start)], data.from_start, "o-", color=FIRST, markersize=4)
    left.set_title(say("distance from the first"))
    left.set_ylim(bottom=0)
    middle.plot(at, data.edge, "o-", color=FIRST, markersize=4)
    middle.axhline(1, color=INK, linestyle=(0, (1, 1.5)), label=say("edge of chance"))
    middle.set_title(say("largest singular value"))
    middle.legend(loc="best")
    links = data.z
    places = [i + 0.5 for i in range(len(links))]
    colours = [SECOND if z < NO_RELATION else FIRST for z in links]
    right.vlines(places, 0, links, color=colours, linewidth=2.5)
    right.scatter(places, links, c=colours, s=18, zorder=3)
    right.axhline(NO_RELATION, color=INK, linestyle=(0, (1, 1.5)), label=say("no relation below"))
    right.set_title(say("relation to the next, z"))
    right.set_ylim(min(0.0, *links) - 2, 1.25 * max(NO_RELATION, *links))
    right.legend(loc="upper right")
    end = [*names, say("published")] if data.to_published else names
    for axes, labels in ((left, names), (middle, names), (right, end)):
        shown = range(0, len(labels), max(1, -(-len(labels) // 6)))
        axes.set_xticks(list(shown), [labels[i] for i in shown])
        axes.set_xlabel(say("step"))


def _short(step: int) -> str:
    return f"{step // 1000}k" if step >= 10_000 and step % 1000 == 0 else str(step)


def _caption(data: CheckpointPath) -> Text:
    del data
    return Text(
        "On top, a training moves away from its start. Middle, a fresh matrix has no"
        " singular value beyond the edge; training adds some. Below, neighbours of one"
        " run are related channel by channel; a checkpoint of another run is not. The"
        " publisher chose what to show, and nothing here dates it."
    )


def _alt(data: CheckpointPath) -> Text:
    return Text(
        "{n} checkpoints from step {first} to {last}: at the start the largest singular"
        " value is {edge} times the edge of chance; the weakest relation between"
        " neighbours is z = {z}.",
        n=len(data.steps),
        first=data.steps[0],
        last=data.steps[-1],
        edge=data.edge[0],
        z=min(data.z),
    )


CHECKPOINT_PATH = Drawing(
    CheckpointPath, Text("Checkpoints on the way"), _draw, _caption, _alt, (5.2, 6.6)
)
