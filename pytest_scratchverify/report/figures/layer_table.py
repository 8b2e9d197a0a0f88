"""The figure of every layer of one model against every layer of the other."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.figure_data import LayerTable
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.style import FIRST, LINE, SOFT

MOST = 128  # layers each way
# Lower edges in thousandths, and how dark a cell is. Below the first lies what strangers show.
SHADES = ((50, 0.15), (100, 0.3), (200, 0.45), (400, 0.65), (600, 0.82), (800, 1.0))
UNREAD = -1
MOST_BOXES = 3_000  # of a foreign run: a page stays small


def _rows(data: LayerTable) -> list[list[int | None]]:
    """Return whole thousandths by layer; None where a layer was not read."""
    rows: list[list[int | None]] = [
        [None if value == "." else int(value) for value in row[: 8 * MOST].split()]
        for row in data.rows
    ]
    if not 1 < len(rows) <= MOST or not 1 < len(rows[0]) <= MOST:
        raise ValueError("no table of layers")
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("rows of different length")
    return rows


def _shade(value: int | None) -> int | None:
    """Return the number of the shade, None for a cell that stays blank."""
    if value is None:
        return UNREAD
    reached = [at for at, (edge, _) in enumerate(SHADES) if value >= edge]
    return reached[-1] if reached else None


def _draw(figure: Any, data: LayerTable, say: Say) -> None:
    from matplotlib.patches import Patch, PathPatch  # noqa: PLC0415 - an extra
    from matplotlib.path import Path  # noqa: PLC0415

    axes = figure.subplots()
    rows = _rows(data)
    boxes: dict[int, list[Any]] = {}
    for at, row in enumerate(rows):
        start = 0
        for shade, run in groupby(map(_shade, row)):  # neighbours of one shade are one box
            stop = start + len(list(run))
            if shade is not None:
                left, right, top = start - 0.5, stop - 0.5, at - 0.5
                corners = ((left, top), (right, top), (right, top + 1), (left, top + 1))
                boxes.setdefault(shade, []).append(Path([*corners, corners[0]], closed=True))
            start = stop
    if sum(map(len, boxes.values())) > MOST_BOXES:
        raise ValueError("too many cells for one figure")
    for shade, paths in sorted(boxes.items()):
        alpha = 0.5 if shade == UNREAD else SHADES[shade][1]
        colour = SOFT if shade == UNREAD else FIRST
        whole = Path.make_compound_path(*paths)
        axes.add_patch(PathPatch(whole, facecolor=colour, alpha=alpha, linewidth=0))
    columns = len(rows[0])
    if not boxes:
        axes.text(
            (columns - 1) / 2,
            (len(rows) - 1) / 2,
            say("no pair reaches 0.05"),
            ha="center",
            va="center",
            color=SOFT,
            fontsize=9,
        )
    top = min(len(rows), columns) - 1
    axes.plot([0, top], [0, top], color=LINE, linewidth=0.8, zorder=0)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(say("layer of the reference"))
    axes.set_ylabel(say("layer of this model"))
    edges = [*(edge / 1000 for edge, _ in SHADES), 1]
    named = zip(edges, edges[1:], SHADES, strict=False)
    legend = [
        Patch(facecolor=FIRST, alpha=alpha, linewidth=0, label=f"{low:g}\u2013{high:g}")
        for low, high, (_, alpha) in named
    ]
    if UNREAD in boxes:
        legend.append(Patch(facecolor=SOFT, alpha=0.5, linewidth=0, label=say("not read")))
    axes.legend(
        handles=legend[::-1],
        loc="upper left",
        bbox_to_anchor=(1.02, 1),
        title=say("centred cosine"),
        title_fontsize=9,
    )


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
    rows = _rows(data)
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
    LayerTable, Text("Every layer against every layer"), _draw, _caption, _alt, (6.4, 3.6)
)
