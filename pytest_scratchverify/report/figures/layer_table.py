"""The figure of every layer of one model against every layer of the other."""

from __future__ import annotations

from typing import Any

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.figure_data import LayerTable
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.shaded_cells import SHADES, cells, draw_cells
from pytest_scratchverify.report.figures.style import LINE


def _draw(figure: Any, data: LayerTable, say: Say) -> None:
    axes = figure.subplots()
    rows = cells(data.rows)
    draw_cells(axes, rows, say)
    top = min(len(rows), len(rows[0])) - 1
    axes.plot([0, top], [0, top], color=LINE, linewidth=0.8, zorder=0)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(say("layer of the reference"))
    axes.set_ylabel(say("layer of this model"))


def _caption(data: LayerTable) -> Text:
    del data
    return Text(
        "Every layer of the model against every layer of the reference: the mean cosine of"
        " equally numbered rows of one kind of matrix, centred. A copy is a dark line,"
        " with steps where layers were dropped, repeated or moved; blank cells are below"
        " 0.05, as strangers' are. A copy whose neurons were renumbered or whose basis was"
        " turned leaves the table blank too, and is not seen here but by other"
        " tests."
    )


def _alt(data: LayerTable) -> Text:
    rows = cells(data.rows)
    values = [value for row in rows for value in row if value is not None]
    return Text(
        "{ours} by {theirs} layers: the highest cosine is {high}, and {n} of {all} pairs of"
        " layers reach 0.05.",
        ours=len(rows),
        theirs=len(rows[0]),
        high=max(values, default=0) / 1000,
        n=sum(v >= SHADES[0][0] for v in values),
        all=len(values),
    )


LAYER_TABLE = Drawing(
    LayerTable, Text("Every layer against every layer"), _draw, _caption, _alt, (5.2, 3.4)
)
