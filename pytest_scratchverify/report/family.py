"""Families of a run's models with their direction: who came first, who was made of whom.

From what the weights tests of every pair left in their findings. Nothing here accuses: only models
that other tests found related are joined, and only where every pair of them was compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Relation
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.report.figures.family_tree import FamilyTree
from pytest_scratchverify.report.figures.lineage import compared_with_all
from pytest_scratchverify.verdict.run import Run

FEWEST, MOST = 3, 40  # models
LARGEST = 4 * MOST  # of which some may lack a comparison
EQUAL = 1e-9  # relative squared difference: the same weights
SAME = 0.001  # by which a model's own squares may differ where every pair has the same numbers
ALIKE = 0.25  # the same, where other rows were read of what is stored in another precision
RELATED = (Relation.VERBATIM, Relation.DERIVED, Relation.SHARED_ANCESTRY)
GRAPHML = "http://graphml.graphdrawing.org/xmlns"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of descent; `share` is what a merge has of this parent."""

    parent: str
    child: str
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """Related models of which every pair was compared.

    `root` is the one that came before all others, None where none does; then there are no steps.
    `merges` have two parents. `equal` names models whose weights are another's.
    """

    names: tuple[str, ...]
    root: str | None
    steps: tuple[Step, ...]
    merges: Mapping[str, tuple[str, str]]
    equal: Mapping[str, str]
    tested: tuple[str, ...] = ()
    wrong: float = 0.0  # the share of such statements that were wrong on models of known order

    @property
    def newick(self) -> str | None:
        """The tree as Newick; a merge stands below either parent, as ``#H1`` (extended Newick)."""
        if self.root is None:
            return None
        numbers = {name: f"#H{i}" for i, name in enumerate(sorted(self.merges), 1)}
        return f"{_below(self, self.root, numbers, set())};"

    @property
    def graphml(self) -> str:
        """The graph as GraphML: directed where the order is known."""
        return _graphml([self])

    @property
    def figure(self) -> FamilyTree | None:
        """Return the data of the drawing, where steps are told."""
        if self.root is None:
            return None
        parents: dict[str, list[str]] = {name: [] for name in self.names}
        for step in self.steps:
            parents[step.child].append(step.parent)
        return FamilyTree(self.names, tuple(map(tuple, parents.values())), self.tested)

    def sentences(self) -> Iterator[Text]:
        """Say who came first, and what is a merge."""
        if self.root is None:
            yield Text(
                "Which of {models} came first is not told: none of them lies before all others by"
                " enough, as siblings do not.",
                models=self.names,
            )
        else:
            yield Text(
                "The earliest of {models} is {root}: by how weights grow, all others lie farther"
                " on. An estimate, and no accusation: of such statements {wrong} % were wrong on"
                " models of known order. A model from which the earliest itself was made may be"
                " missing here.",
                models=self.names,
                root=self.root,
                wrong=round(100 * self.wrong, 1),
            )
        for model, (one, other) in sorted(self.merges.items()):
            yield Text(
                "{model} lies on the line between {one} and {other}: a merge of the two.",
                model=model,
                one=one,
                other=other,
            )
        for model, first in sorted(self.equal.items()):
            yield Text("{model} has the weights of {first}.", model=model, first=first)


@dataclass(frozen=True, slots=True)
class _PairOrder:
    """What one finding says of a pair: log odds that `second` came before `first`."""

    first: str
    second: str
    odds: float
    squares: tuple[float, float, float]
    bar: float
    wrong: float

    @property
    def is_equal(self) -> bool:
        """Whether both have the same weights."""
        first, second, product = self.squares
        return first + second - 2 * product <= EQUAL * max(first, second)

    def between(self, first: float, second: float) -> float:
        """Return the squared difference of models whose own squares are given, by the cosine."""
        cosine = self.squares[2] / math.sqrt(self.squares[0] * self.squares[1])
        return max(0.0, first + second - 2 * cosine * math.sqrt(first * second))


def families_of(findings: Iterable[Finding]) -> tuple[ModelFamily, ...]:
    """Return the families of a run, the largest first."""
    pairs: dict[frozenset[str], _PairOrder] = {}
    for finding in findings:
        found = _order_of(finding)
        if found is not None:
            pairs[frozenset((found.first, found.second))] = found
    related = [group for group in _groups(pairs) if FEWEST <= len(group) <= LARGEST]
    groups = [compared_with_all(group, pairs) for group in related]
    made = [_family(group, pairs) for group in groups if FEWEST <= len(group) <= MOST]
    found_all = [family for family in made if family is not None]
    return tuple(sorted(found_all, key=lambda family: (-len(family.names), family.names)))


def _order_of(finding: Finding) -> _PairOrder | None:
    if finding.method != "weights.origin" or finding.component is not Component.TEXT_DECODER:
        return None
    order, reference = finding.details.get("order"), finding.reference
    if not isinstance(order, Mapping) or not reference or reference == finding.model:
        return None
    numbers = _numbers(order.get("squares"))
    odds, bar, wrong = (_number(order.get(k)) for k in ("log_odds", "bar_of_root", "wrong_roots"))
    if odds is None or bar is None or wrong is None or len(numbers) != 3:
        return None
    if finding.relation not in RELATED:
        return None
    first, second, product = numbers
    if min(first, second) <= 0:
        return None
    names = visible(finding.model), visible(reference)
    return _PairOrder(*names, odds, (first, second, product), bar, wrong)


def _number(value: Json) -> float | None:
    """Return a finite number of a foreign run, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _numbers(value: Json) -> list[float]:
    items = value if isinstance(value, list | tuple) else ()
    return [number for number in map(_number, items[:3]) if number is not None]


def _groups(pairs: Mapping[frozenset[str], _PairOrder]) -> list[list[str]]:
    """Return the names that related pairs join, directly or by others."""
    group = {name: {name} for pair in pairs for name in pair}
    for pair in pairs:
        one, other = sorted(pair)
        if group[one] is not group[other]:
            group[one] |= group[other]
            for name in group[other]:
                group[name] = group[one]
    return [sorted(names) for names in {id(names): names for names in group.values()}.values()]


def _family(names: list[str], pairs: Mapping[frozenset[str], _PairOrder]) -> ModelFamily | None:
    """Join one group; None where its pairs were measured on numbers too unlike."""
    import numpy as np  # noqa: PLC0415 - only where there is a family

    from pytest_scratchverify.stats.weights.family import family_of  # noqa: PLC0415

    own: dict[str, list[float]] = {name: [] for name in names}
    equal: dict[str, str] = {}
    for one in names:
        for other in names:
            if one < other:
                pair = pairs[frozenset((one, other))]
                own[pair.first].append(pair.squares[0])
                own[pair.second].append(pair.squares[1])
                if pair.is_equal and other not in equal:
                    equal[other] = equal.get(one, one)
    apart = max(max(found) / min(found) - 1 for found in own.values())
    if apart > ALIKE:
        return None
    size = {name: math.fsum(found) / len(found) for name, found in own.items()}
    kept = [name for name in names if name not in equal]
    distances, odds = np.zeros((len(kept), len(kept))), np.zeros((len(kept), len(kept)))
    for i, one in enumerate(kept):
        for j, other in enumerate(kept):
            if i != j:
                pair = pairs[frozenset((one, other))]
                distances[i, j] = pair.between(size[one], size[other])
                odds[i, j] = pair.odds if pair.second == one else -pair.odds
    found = family_of(
        distances, odds, bar=max(pair.bar for pair in pairs.values()), with_merges=apart <= SAME
    )
    return ModelFamily(
        names=tuple(kept),
        root=None if found.root is None else kept[found.root],
        steps=tuple(Step(kept[e.parent], kept[e.child], round(e.share, 3)) for e in found.edges),
        merges={kept[m]: (kept[a], kept[b]) for m, (a, b) in found.merges.items()},
        equal=equal,
        wrong=max(pair.wrong for pair in pairs.values()),
        tested=tuple(name for name in kept if name in {pair.first for pair in pairs.values()}),
    )


def _below(family: ModelFamily, name: str, numbers: Mapping[str, str], written: set[str]) -> str:
    """Return a model and all below it; of a merge, what is below it stands once."""
    label = f"'{name.replace(chr(39), chr(39) * 2)}'" + numbers.get(name, "")
    if name in written:
        return label
    written.add(name)
    children = sorted({step.child for step in family.steps if step.parent == name})
    inner = ",".join(_below(family, child, numbers, written) for child in children)
    return f"({inner}){label}" if inner else label


def render_newick(run: Run, _language: str) -> str:
    """Return the trees of a run's families as Newick, one a line; none where no root is told."""
    trees = [family.newick for family in families_of(run.findings)]
    return "".join(f"{tree}\n" for tree in trees if tree is not None)


def render_graphml(run: Run, _language: str) -> str:
    """Return the families of a run as GraphML, one graph each."""
    return _graphml(families_of(run.findings))


def _graphml(families: Iterable[ModelFamily]) -> str:
    root = ET.Element("graphml", xmlns=GRAPHML)
    keys = {"earliest": ("node", "boolean"), "merge": ("node", "boolean")}
    keys |= {"equal_to": ("node", "string"), "share": ("edge", "double")}
    for key, (of, kind) in keys.items():
        ET.SubElement(root, "key", {"id": key, "for": of, "attr.name": key, "attr.type": kind})
    for number, family in enumerate(families, 1):
        graph = ET.SubElement(root, "graph", id=f"family{number}", edgedefault="directed")
        for name in (*family.names, *sorted(family.equal)):
            node = ET.SubElement(graph, "node", id=name)
            _data(node, "earliest", str(name == family.root).lower())
            _data(node, "merge", str(name in family.merges).lower())
            if name in family.equal:
                _data(node, "equal_to", family.equal[name])
        for step in family.steps:
            edge = ET.SubElement(graph, "edge", source=step.parent, target=step.child)
            _data(edge, "share", f"{step.share:g}")
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _data(parent: ET.Element, key: str, value: str) -> None:
    ET.SubElement(parent, "data", key=key).text = value
