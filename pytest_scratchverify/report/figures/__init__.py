"""Figures of a report, drawn later from what findings keep: text stays text, bytes stay bytes.

A method leaves numbers, never a picture, as an object of a class below `core.figure.FigureData`,
which travels in ``finding.figures``: a few hundred numbers at most. `registry.DRAWINGS` holds the
drawing of each class. matplotlib is an extra; without it a report says so and is otherwise the
same.
"""

from pytest_scratchverify.report.figures.rendering import (
    Rendered,
    Shared,
    Undrawn,
    available,
    figures_of,
    run_figures,
    shared_figures,
)

__all__ = [
    "Rendered",
    "Shared",
    "Undrawn",
    "available",
    "figures_of",
    "run_figures",
    "shared_figures",
]
