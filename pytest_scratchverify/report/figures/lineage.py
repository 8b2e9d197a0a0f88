"""Figures of all models of a run: a tree of their weights, and the plane in which they differ most.

Both are drawn from the cosines that the weights tests of every pair left in their findings, and
only of models of which every pair was compared: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any, ClassVar

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.figure import FigureData, FigureDataError
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.methods.weights.figure_data import SimilarityByLayer
from pytest_scratchverify.report.figures.ancestry import draw_branches
from pytest_scratchverify.report.figures.drawing import Drawing, Say
from pytest_scratchverify.report.figures.style import FIRST, INK, SOFT

FEWEST, MOST = 3, 40  # models
SPANS = 1e-9  # the variance of a second axis from which on models span a plane
Pairs = Mapping[frozenset[str], float]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Models of which every pair was compared in place, and what was found.

    `cosines[i][j]` is the mean over layers of the centred cosine of two decoders' weights;
    `left_out` names the models that lack a comparison.
    """

    names: tuple[str, ...]
    cosines: tuple[tuple[float, ...], ...]
    left_out: tuple[str, ...]
    tested: tuple[str, ...]
    newick: str | None

    @property
    def pairs(self) -> list[tuple[str, str, float]]:
        """Return every pair of models with its cosine, the most alike first."""
        found = [
            (one, other, self.cosines[i][j])
            for i, one in enumerate(self.names)
            for j, other in enumerate(self.names[:i])
        ]
        return sorted(found, key=lambda pair: -pair[2])

    @property
    def figures(self) -> tuple[FigureData, ...]:
        """Return the data of the drawings: a tree, where Biopython joined one, and a plane."""
        plane = WeightPlane(self.names, self.tested, self.cosines)
        if self.newick is None:
            return (plane,)
        return WeightTree(self.names, self.tested, self.left_out, self.newick), plane


@dataclass(frozen=True, slots=True)
class WeightTree(FigureData):
    """The tree of all models of a run, as Newick, and the models that lack a comparison."""

    kind: ClassVar[str] = "lineage"

    models: tuple[str, ...]
    tested: tuple[str, ...]
    left_out: tuple[str, ...]
    newick: str


@dataclass(frozen=True, slots=True)
class WeightPlane(FigureData):
    """The cosines of all pairs of models of a run."""

    kind: ClassVar[str] = "weight_plane"

    models: tuple[str, ...]
    tested: tuple[str, ...]
    cosines: tuple[tuple[float, ...], ...]

    @property
    def drawable(self) -> bool:
        """Models that do not differ in two directions span no plane."""
        return bool(_coordinates(self)[0][1] > SPANS)


def lineage_of(findings: Iterable[Finding]) -> Lineage | None:
    """Gather the decoders' cosines of all pairs; None with fewer than three models of them."""
    pairs, tested = _pairs(findings)
    everyone = sorted({name for pair in pairs for name in pair})
    names = compared_with_all(everyone, pairs)
    if not FEWEST <= len(names) <= MOST:
        return None
    cosines = tuple(
        tuple(1.0 if a == b else pairs[frozenset((a, b))] for b in names) for a in names
    )
    return Lineage(
        names=tuple(names),
        cosines=cosines,
        left_out=tuple(name for name in everyone if name not in names),
        tested=tuple(name for name in names if name in tested),
        newick=_newick(names, cosines),
    )


def _pairs(findings: Iterable[Finding]) -> tuple[Pairs, set[str]]:
    found: dict[frozenset[str], list[float]] = {}
    tested = set()
    for finding in findings:
        if finding.method != "weights.origin" or finding.component is not Component.TEXT_DECODER:
            continue
        value = _in_place(finding)
        if value is not None and finding.reference and finding.reference != finding.model:
            model, reference = visible(finding.model), visible(finding.reference)
            tested.add(model)
            found.setdefault(frozenset((model, reference)), []).append(value)
    return {pair: fsum(values) / len(values) for pair, values in found.items()}, tested


def _in_place(finding: Finding) -> float | None:
    """Return the mean cosine over layers; whatever step decided, layers are compared in place."""
    try:
        given = next(f.data for f in finding.figures if f.kind == SimilarityByLayer.kind)
        values = SimilarityByLayer.from_json(given).values
    except (StopIteration, FigureDataError):
        return None  # what is not readable, the finding's own figure says
    mean = fsum(values) / len(values) if values else None
    return mean if mean is not None and -1.001 <= mean <= 1.001 else None


def compared_with_all(names: list[str], pairs: Container[frozenset[str]]) -> list[str]:
    """Leave out the model that lacks most comparisons until none is lacking."""
    kept = list(names)
    while kept:
        lacking = {a: sum(frozenset((a, b)) not in pairs for b in kept if b != a) for a in kept}
        worst = max(kept, key=lambda name: (lacking[name], name))
        if not lacking[worst]:
            break
        kept.remove(worst)
    return kept


def _newick(names: list[str], cosines: tuple[tuple[float, ...], ...]) -> str | None:
    """Join neighbours by one minus the cosine; None without Biopython."""
    import numpy as np  # noqa: PLC0415 - only where there is a tree

    from pytest_scratchverify.stats.behaviour.neighbour_joining import neighbour_joining  # noqa: PLC0415

    try:
        return neighbour_joining(names, 1 - np.array(cosines)).newick
    except ModuleNotFoundError:
        return None


def _draw_lineage(figure: Any, data: WeightTree, say: Say) -> None:
    draw_branches(figure, data.newick, set(data.tested))
    figure.axes[0].set_xlabel(say("distance between weights: one minus the centred cosine"))


def _lineage_caption(data: WeightTree) -> Text:
    if data.left_out:
        return Text(
            "Models whose weights are alike in place stand together, joined as neighbours;"
            " tested ones are bold. Strangers are long branches of their own: from one to"
            " the other it is about one. The place of the root means nothing, and the tree"
            " shows no order in time; a copy in another numbering or basis stands among"
            " the strangers. Not every pair was compared of {left_out}: they are left"
            " out.",
            left_out=data.left_out,
        )
    return Text(
        "Models whose weights are alike in place stand together, joined as neighbours;"
        " tested ones are bold. Strangers are long branches of their own: from one to the"
        " other it is about one. The place of the root means nothing, and the tree shows"
        " no order in time; a copy in another numbering or basis stands among the"
        " strangers."
    )


def _lineage_alt(data: WeightTree) -> Text:
    return Text("A tree of {models} by the likeness of their weights.", models=data.models)


def _coordinates(data: WeightPlane) -> tuple[Any, Any]:
    """Return variances of the principal axes, largest first, and the axes as columns."""
    import numpy as np  # noqa: PLC0415

    table = np.array(data.cosines, float)
    n = len(table)
    if table.shape != (n, n) or not FEWEST <= n <= MOST or not np.isfinite(table).all():
        raise ValueError("no table of cosines")
    middle = np.eye(n) - 1 / n
    values, vectors = np.linalg.eigh(middle @ ((table + table.T) / 2) @ middle)
    order = np.argsort(values)[::-1]
    return np.maximum(values[order], 0.0), vectors[:, order]


def _plane(data: WeightPlane) -> tuple[Any, list[float]]:
    """Return principal coordinates of the models and the shares of variance of the two axes."""
    import numpy as np  # noqa: PLC0415

    positive, axes = _coordinates(data)
    if positive[1] <= SPANS:
        raise ValueError("models that do not differ in a plane")
    points = axes[:, :2] * np.sqrt(positive[:2])
    points *= np.where(points[np.abs(points).argmax(axis=0), [0, 1]] < 0, -1, 1)
    return points, [float(value) for value in positive[:2] / positive.sum()]


def _draw_plane(figure: Any, data: WeightPlane, say: Say) -> None:
    axes = figure.subplots()
    points, shares = _plane(data)
    names, tested = data.models, set(data.tested)
    low, high = float(points[:, 1].min()), float(points[:, 1].max())
    room = 0.06 * (high - low) * max(1, len(names) - 1) - (high - low)
    low, high = low - max(0.0, room) / 2, high + max(0.0, room) / 2
    right = float(points[:, 0].max())
    column = right + 0.12 * (right - float(points[:, 0].min()))
    order = sorted(range(len(names)), key=lambda i: (float(points[i, 1]), names[i]))
    for place, i in enumerate(order):
        x, y = float(points[i, 0]), float(points[i, 1])
        level = low + (high - low) * place / (len(order) - 1)
        colour = FIRST if names[i] in tested else INK
        axes.plot([x, column], [y, level], color=SOFT, linewidth=0.7)
        axes.plot([x], [y], "o", color=colour, markersize=7)
        axes.annotate(
            names[i],
            (column, level),
            xytext=(4, 0),
            va="center",
            textcoords="offset points",
            color=colour,
        )
    left = float(points[:, 0].min())
    axes.set_xlim(left - 0.05 * (column - left), column + 0.75 * (column - left))
    axes.set_xlabel(
        say("first component: {share} % of the differences", share=round(100 * shares[0], 1))
    )
    axes.set_ylabel(say("second: {share} %", share=round(100 * shares[1], 1)))


def _plane_caption(data: WeightPlane) -> Text:
    _, shares = _plane(data)
    return Text(
        "Principal components of the decoders' weights, each centred and of length one,"
        " from the cosines of all pairs. A descendant lies by its origin. Both axes"
        " together show {share} % of what differs, so models that lie near each other here"
        " may be far apart: strangers are all equally far from one another, which no plane"
        " can show. A copy in another numbering or basis lies where a stranger would. No"
        " p-value, and no direction of descent.",
        share=round(100 * sum(shares), 1),
    )


def _plane_alt(data: WeightPlane) -> Text:
    points, _ = _plane(data)
    return Text(
        "{n} models in the plane of two principal components: {points}.",
        n=len(data.models),
        points=[
            f"{name} ({x:.2f}, {y:.2f})" for name, (x, y) in zip(data.models, points, strict=True)
        ],
    )


LINEAGE = Drawing(
    WeightTree, Text("Tree of weights"), _draw_lineage, _lineage_caption, _lineage_alt, (5.2, 3.2)
)
WEIGHT_PLANE = Drawing(
    WeightPlane,
    Text("Principal components of weights"),
    _draw_plane,
    _plane_caption,
    _plane_alt,
    (5.2, 3.4),
)
