"""Tables of cosines as shaded cells: what strangers show stays blank."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from pytest_scratchverify.methods.weights.figure_data import SHOWN
from pytest_scratchverify.report.figures.drawing import Say
from pytest_scratchverify.report.figures.style import FIRST, SOFT

MOST = 128  # layers each way
# Lower edges in thousandths, and how dark a cell is. Below the first lies what strangers show.
SHADES = ((SHOWN, 0.15), (100, 0.3), (200, 0.45), (400, 0.65), (600, 0.82), (800, 1.0))
UNREAD = -1
MOST_BOXES = 3_000  # of a foreign run: a page stays small

Cells = list[list[int | None]]


def cells(lines: Sequence[str]) -> Cells:
    """Return whole thousandths by line; None where nothing was read.

    Raises ValueError for what is no table of 2 to `MOST` lines of one length.
    """
    rows: Cells = [
        [None if value == "." else int(value) for value in line[: 8 * MOST].split()]
        for line in lines
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


def draw_cells(axes: Any, rows: Cells, say: Say) -> None:
    """Shade the cells of a table, the first line on top, with the legend beside it.

    Raises ValueError where more boxes would be drawn than a page should hold.
    """
    from matplotlib.patches import Patch, PathPatch  # noqa: PLC0415 - an extra
    from matplotlib.path import Path  # noqa: PLC0415

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
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False)
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
