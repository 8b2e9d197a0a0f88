"""Figure of a family of models with its direction, the earliest on the left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pytest_scratchverify.core.figure import FigureData
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.style import FIRST, INK, SOFT

MOST = 40  # models


@dataclass(frozen=True, slots=True)
class FamilyTree(FigureData):
    """Models, and of each what it was made from: nothing, one model, or two that were merged."""

    kind: ClassVar[str] = "family_tree"

    models: tuple[str, ...]
    parents: tuple[tuple[str, ...], ...]
    tested: tuple[str, ...]


def _places(data: FamilyTree) -> dict[str, tuple[int, float]]:
    """Return every model's generation and row; ValueError for what is no family."""
    if not 2 <= len(data.models) == len(data.parents) == len(set(data.models)) <= MOST:
        raise ValueError("no family that fits a figure")
    parents = dict(zip(data.models, data.parents, strict=True))
    generation: dict[str, int] = {}
    while len(generation) < len(parents):
        ready = [
            name
            for name, above in parents.items()
            if name not in generation and all(parent in generation for parent in above)
        ]
        if not ready:
            raise ValueError("a family in which somebody descends from itself, or from nobody")
        for name in ready:
            generation[name] = max((generation[p] + 1 for p in parents[name]), default=0)
    rows = _rows(parents, [name for name in data.models if not parents[name]])
    return {name: (generation[name], float(rows.index(name))) for name in data.models}


def _rows(parents: Mapping[str, Sequence[str]], roots: list[str]) -> list[str]:
    """Return the models in the order of a walk down each branch, merges by their first parent."""
    rows, waiting = [], roots[::-1]
    while waiting:
        name = waiting.pop()
        rows.append(name)
        waiting += [child for child, above in parents.items() if above[:1] == (name,)][::-1]
    return rows


def _draw(figure: Any, data: FamilyTree, say: Say) -> None:
    axes = figure.subplots()
    at = _places(data)
    for name, above in zip(data.models, data.parents, strict=True):
        across, down = at[name]
        for parent in above:
            start, level = at[parent]
            style = "--" if len(above) > 1 else "-"
            axes.plot([start, start, across], [level, down, down], style, color=SOFT, linewidth=1.2)
    for name, (across, down) in at.items():
        tested = name in data.tested
        colour = FIRST if tested else INK
        axes.plot([across], [down], "o", color=colour, markersize=5)
        weight = "bold" if tested else "normal"
        place = {"xytext": (6, 4), "textcoords": "offset points", "va": "bottom"}
        axes.annotate(name, (across, down), color=colour, weight=weight, **place)
    last = max(across for across, _ in at.values())
    axes.set_xlim(-0.1, last + 0.9)
    axes.set_ylim(len(at) - 0.5, -0.9)
    axes.set_yticks([])
    axes.set_xticks(range(last + 1))
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel(say("steps from the earliest model"))


def _caption(data: FamilyTree) -> Text:
    _places(data)
    return Text(
        "Who was made of whom, the earliest on the left; broken lines lead from both parents of"
        " a merge, tested models are bold. The order is an estimate from how weights grow, and"
        " accuses nobody. A parent that was not compared is missing, and its children then"
        " stand below their nearest sibling."
    )


def _alt(data: FamilyTree) -> Text:
    pairs = zip(data.models, data.parents, strict=True)
    return Text(
        "A family of models: {steps}.",
        steps=[f"{' + '.join(above)} > {name}" for name, above in pairs if above],
    )


FAMILY_TREE = Drawing(FamilyTree, Text("Family of models"), _draw, _caption, _alt, (5.2, 3.2))
