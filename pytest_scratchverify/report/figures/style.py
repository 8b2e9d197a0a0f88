"""How figures look: the page's own colours, so that light and dark are the reader's choice.

matplotlib draws with placeholder colours, and `finished` puts the page's CSS variables in
their place. A figure outside of a page falls back to the light colours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
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
_FAMILY = re.compile(r"font-family: [^;\"]*")
_SHORTHAND = re.compile(r"font: ([0-9.]+px) [^;\"]*")
_TEXT = re.compile(r"(<text\b[^>]*>)([^<]*)(</text>)\n?")
_EMPTY = re.compile(r'<g id="[^"]*text_[0-9]+">\s*</g>\n?')


@dataclass(frozen=True, slots=True)
class Parted:
    """One figure for several languages: what is equal in all of them, and each one's own.

    `shapes` is a group with an id that stands once in a page, and `by_language` an element of
    each language that uses it.
    """

    shapes: str
    by_language: Mapping[str, str]


def finished(svg: str, *, name: str, alt: str) -> str:
    """Turn matplotlib's file into an element of a page: named, coloured, its ids its own."""
    box, body = _cleaned(svg, name)
    return _element(box, body, name=name, alt=alt)


def parted(
    svg: str,
    *,
    name: str,
    alts: Mapping[str, str],
    said: Mapping[str, Callable[[str], str]],
) -> Parted:
    """Part a figure drawn in English into its shapes and the words of each language.

    `said` holds, for every text that a language says in its own way, what says it; all other
    texts are numbers and names and stay with the shapes.
    """
    box, body = _cleaned(svg, name)
    texts = [match for match in _TEXT.finditer(body) if unescape(match[2]) in said]
    shapes = _EMPTY.sub("", _without(body, texts))
    elements = {}
    for language, alt in alts.items():
        words = [f"{m[1]}{escape(said[unescape(m[2])](language))}{m[3]}" for m in texts]
        own = "\n".join([f'<use href="#{name}"/>', *words])
        elements[language] = _element(box, own, name=f"{name}-{language}", alt=alt)
    return Parted(f'<g id="{name}">{shapes}</g>', elements)


def _without(body: str, matches: Sequence[re.Match[str]]) -> str:
    kept, start = [], 0
    for match in matches:
        kept.append(body[start : match.start()])
        start = match.end()
    return "".join([*kept, body[start:]])


def _cleaned(svg: str, name: str) -> tuple[str, str]:
    """Return the box and the content of matplotlib's file, with the page's colours and fonts."""
    body = svg[svg.index("<svg") :]
    head_end = body.index(">") + 1
    head, rest = body[:head_end], body[head_end:]
    box = re.search(r'viewBox="[^"]*"', head)
    rest = re.sub(r"\s*<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = re.sub(r'\bid="', f'id="{name}-', rest)
    rest = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", rest)
    rest = rest.replace("xlink:href", "href")
    rest = _SHORTHAND.sub(r"font-family: inherit; font-size: \1", rest)
    rest = _FAMILY.sub("font-family: inherit", rest)
    for placeholder, variable in _VARIABLES.items():
        rest = rest.replace(placeholder, variable)
    lines = [line.strip() for line in rest.splitlines() if line.strip()]
    return box[0] if box else "", "\n".join(lines).removesuffix("</svg>")


def _element(box: str, body: str, *, name: str, alt: str) -> str:
    title = f'<title id="{name}-title">{escape(alt)}</title>'
    width = float(box.split()[2]) if box else 0.0
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} width="100%" '
        f'style="max-width: {width / 12:.2f}rem" '  # letters of one size in every figure
        f'role="img" aria-labelledby="{name}-title">{title}{body}</svg>'
    )
