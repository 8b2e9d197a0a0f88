"""The figure of every role of every layer against its own place in the reference."""

from __future__ import annotations

from typing import Any

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.figure_data import RoleTable
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.shaded_cells import SHADES, Cells, cells, draw_cells

MOST_LABELS = 16


def _table(data: RoleTable) -> Cells:
    """Return the table; raises ValueError where its edges do not fit it."""
    rows = cells(data.rows)
    if len(data.roles) != len(rows) or len(data.layers) != len(rows[0]):
        raise ValueError("a table whose names do not fit it")
    return rows


def _draw(figure: Any, data: RoleTable, say: Say) -> None:
    axes = figure.subplots()
    rows = _table(data)
    draw_cells(axes, rows, say)
    axes.set_yticks(range(len(rows)), [str(role)[:16] for role in data.roles])
    step = -(-len(data.layers) // MOST_LABELS)
    shown = range(0, len(data.layers), step)
    axes.set_xticks(shown, [str(data.layers[at]) for at in shown])
    axes.set_xlabel(say("layer"))
    axes.set_ylabel(say("role"))


def _caption(data: RoleTable) -> Text:
    del data
    return Text(
        "Every role of every layer against its own place in the reference: the mean centred"
        " cosine of what was read. A role that was taken is a dark line, one that was drawn anew"
        " a blank one. It does not show what was moved to another layer, renumbered or turned: that"
        " is blank here, and other tests look for it."
    )


def _alt(data: RoleTable) -> Text:
    rows = _table(data)
    values = [value for row in rows for value in row if value is not None]
    return Text(
        "{roles} roles in {layers} layers: the highest cosine is {high}, and {n} of {all} places"
        " reach 0.05.",
        roles=len(rows),
        layers=len(rows[0]),
        high=max(values, default=0) / 1000,
        n=sum(value >= SHADES[0][0] for value in values),
        all=len(values),
    )


ROLE_TABLE = Drawing(
    RoleTable, Text("Every role of every layer"), _draw, _caption, _alt, (5.2, 3.2)
)
