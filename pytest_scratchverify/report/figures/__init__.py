"""Figures of a report, drawn later from what findings keep: text stays text, bytes stay bytes.

A method leaves numbers, never a picture, in ``finding.details["figures"][KIND]``: a few
hundred at most. The drawing of that KIND is one entry of `registry.DRAWINGS`. matplotlib is
an extra; without it a report says so and is otherwise the same.
"""

from pytest_scratchverify.report.figures.rendering import (
    Rendered,
    Shared,
    available,
    figures_of,
    run_figures,
    shared_figures,
)

__all__ = ["Rendered", "Shared", "available", "figures_of", "run_figures", "shared_figures"]
