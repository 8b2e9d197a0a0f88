"""How figures look: the page's own colours, so that light and dark are the reader's choice.

matplotlib draws with placeholder colours, and `finished` puts the page's CSS variables in
their place. A figure outside of a page falls back to the light colours.
"""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

INK, SOFT, LINE = "#010101", "#020202", "#030303"
FIRST, SECOND, GOOD, PAPER = "#040404", "#050505", "#060606", "#070707"
_VARIABLES = {
    INK: "var(--ink, #1d2330)",
    SOFT: "var(--soft, #5b6475)",
    LINE: "var(--line, #d9dee7)",
    FIRST: "var(--note, #1f5fa8)",  # blue and orange differ for every kind of colour vision
    SECOND: "var(--warm, #b85c00)",
    GOOD: "var(--pass, #14713d)",
    PAPER: "var(--paper, #ffffff)",
}
RC: Any = {  # what matplotlib calls each of them is a type of its own
    "svg.fonttype": "none",
    "text.parse_math": False,  # a file's name may hold a dollar
    "axes.unicode_minus": True,
    "font.size": 10,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.4,
    "axes.titlesize": 10,
}
_FAMILY = re.compile(r"font(?:-family)?: ([0-9.]+px) [^;\"]*")


def finished(svg: str, *, name: str, alt: str) -> str:
    """Turn matplotlib's file into an element of a page: named, coloured, its ids its own."""
    start = svg.index("<svg")
    body = svg[start:]
    head_end = body.index(">") + 1
    head, rest = body[:head_end], body[head_end:]
    box = re.search(r'viewBox="[^"]*"', head)
    rest = re.sub(r"\s*<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = re.sub(r'\bid="', f'id="{name}-', rest)
    rest = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", rest)
    rest = rest.replace("xlink:href", "href")
    rest = _FAMILY.sub(r"font-family: inherit; font-size: \1", rest)
    for placeholder, variable in _VARIABLES.items():
        rest = rest.replace(placeholder, variable)
    rest = "\n".join(line.strip() for line in rest.splitlines() if line.strip())
    title = f'<title id="{name}-title">{escape(alt)}</title>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box[0] if box else ""} width="100%" '
        f'role="img" aria-labelledby="{name}-title">{title}{rest}'
    )
