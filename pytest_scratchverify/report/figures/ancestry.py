"""Figures of descent: the order of two vocabularies, and a tree of answers."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.methods.behaviour.figure_data import AnswerTree
from pytest_scratchverify.methods.tokenizer.figure_data import RankScatter
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.style import FIRST, INK, SOFT

LEAVES = 60


def _draw_ranks(figure: Any, data: RankScatter, say: Say) -> None:
    axes = figure.subplots()
    _dots(axes, data.theirs, data.ours)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda rank, _: f"{rank:,.0f}")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(say("rank in the reference's vocabulary"))
    axes.set_ylabel(say("rank in this vocabulary"))


def _dots(axes: Any, across: Sequence[float], up: Sequence[float]) -> None:
    """Draw points as one path with round ends: a tenth of the file that markers make."""
    from matplotlib.patches import PathPatch  # noqa: PLC0415 - an extra
    from matplotlib.path import Path  # noqa: PLC0415

    corners = [corner for x, y in zip(across, up, strict=True) for corner in ((x, y), (x, y))]
    path = Path(corners, [Path.MOVETO, Path.LINETO] * len(across))
    path.should_simplify = False
    axes.add_patch(PathPatch(path, edgecolor=FIRST, fill=False, linewidth=2.8, capstyle="round"))
    axes.update_datalim(corners)
    axes.autoscale_view()


def _ranks_caption(data: RankScatter) -> Text:
    return Text(
        "{n} tokens that both vocabularies hold, drawn at random, each at the rank at which"
        " either learnt it. One line, or a few pieces of it, is a copied or extended"
        " vocabulary; a cloud that widens is two learnt apart, whose frequent tokens come"
        " early in both. It shows nothing about the weights.",
        n=len(data.ours),
    )


def _ranks_alt(data: RankScatter) -> Text:
    return Text(
        "Ranks of {n} shared tokens; neighbours stand in the same order in {share} % of cases.",
        n=len(data.ours),
        share=round(100 * data.in_order, 1),
    )


@dataclass
class _Node:
    name: str = ""
    length: float = 0.0
    children: list[_Node] = field(default_factory=list)


LONGEST = 200  # characters of a leaf's name
_TOKEN = re.compile(r"'(?:[^']|'')*'|[(),;]|[^(),;']+")


def parse_newick(text: str) -> _Node:
    """Return the root of a tree in Newick's format. Raises ValueError on anything else."""
    current = root = _Node()
    parents: list[_Node] = []
    for token in _TOKEN.findall(text[:20_000]):
        if token == "(":
            parents.append(current)
        if token in "(,":
            if not parents:
                raise ValueError("a comma outside of brackets")
            current = _Node()
            parents[-1].children.append(current)
        elif token == ")":
            if not parents:
                raise ValueError("a bracket too many")
            current = parents.pop()
        elif token != ";":
            _label(current, token)
    if parents or not root.children:
        raise ValueError("no whole tree")
    return root


def _label(node: _Node, token: str) -> None:
    if token.startswith("'"):
        node.name = visible(token[1:-1].replace("''", "'"), LONGEST)
        return
    name, colon, length = token.partition(":")
    node.name = node.name or visible(name.strip(), LONGEST)
    if colon:
        node.length = max(0.0, float(length))


def _placed(root: _Node) -> list[tuple[_Node, float, float, _Node | None]]:
    """Return every node with its depth, its height on the page and its parent; no recursion."""
    order: list[tuple[_Node, float, _Node | None]] = []
    waiting: list[tuple[_Node, float, _Node | None]] = [(root, 0.0, None)]
    while waiting:
        node, depth, parent = waiting.pop()
        order.append((node, depth, parent))
        waiting += [(child, depth + child.length, node) for child in reversed(node.children)]
    leaves = [node for node, _, _ in order if not node.children]
    if len(leaves) > LEAVES:
        raise ValueError("too many leaves for one figure")
    heights = {id(node): float(place) for place, node in enumerate(leaves)}
    for node, _, _ in reversed(order):
        if node.children:
            heights[id(node)] = sum(heights[id(c)] for c in node.children) / len(node.children)
    return [(node, depth, heights[id(node)], parent) for node, depth, parent in order]


def _draw_tree(figure: Any, data: AnswerTree, say: Say) -> None:
    draw_branches(figure, data.newick, {data.model})
    figure.axes[0].set_xlabel(say("distance between answers"))


def draw_branches(figure: Any, newick: str, ours: Container[str]) -> None:
    """Draw a tree from left to right, the leaves named in `ours` in bold."""
    axes = figure.subplots()
    placed = _placed(parse_newick(newick))
    at = {id(node): (depth, height) for node, depth, height, _ in placed}
    for node, depth, height, parent in placed:
        if parent is not None:
            start, level = at[id(parent)]
            axes.plot([start, start, depth], [level, height, height], color=SOFT, linewidth=1.2)
        if not node.children:
            tested = node.name in ours
            axes.annotate(
                node.name,
                (depth, height),
                xytext=(5, 0),
                va="center",
                textcoords="offset points",
                color=FIRST if tested else INK,
                weight="bold" if tested else "normal",
            )
        elif parent is not None and node.name:
            axes.annotate(
                _support(node.name),
                (depth, height),
                xytext=(3, 0),
                va="center",
                fontsize=8,
                textcoords="offset points",
                color=SOFT,
            )
    deepest = max(depth for _, depth, _, _ in placed) or 1.0
    axes.set_xlim(-0.02 * deepest, 1.55 * deepest)
    axes.invert_yaxis()
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)


def _support(label: str) -> str:
    """Return a share of resamples as a whole percentage; any other label of a branch as it is."""
    try:
        return f"{float(label):.0f}"
    except (ValueError, OverflowError):
        return label


def _tree_caption(data: AnswerTree) -> Text:
    if not any(node.children and node.name for node, *_ in _placed(parse_newick(data.newick))):
        return Text(
            "Models that answer alike stand together. Some model is always nearest. The"
            " tree shows likeness of answers, no descent of weights, and no order in"
            " time."
        )
    return Text(
        "Models that answer alike stand together; the small numbers are how often a branch"
        " came back when the probes were drawn again. Some model is always nearest. The"
        " tree shows likeness of answers, no descent of weights, and no order in"
        " time."
    )


def _tree_alt(data: AnswerTree) -> Text:
    placed = _placed(parse_newick(data.newick))
    leaves = [node.name for node, _, _, _ in placed if not node.children]
    return Text("A tree of {models} by the likeness of their answers.", models=leaves)


RANK_SCATTER = Drawing(
    RankScatter, Text("Order of shared tokens"), _draw_ranks, _ranks_caption, _ranks_alt, (5.2, 3.6)
)
TREE = Drawing(
    AnswerTree, Text("Tree of answers"), _draw_tree, _tree_caption, _tree_alt, (5.2, 3.2)
)
