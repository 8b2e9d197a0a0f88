"""Pairs of known truth beside several components of one pair: one figure, a row each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding
from pytest_scratchverify.core.figure import FigureData, FigureDataError
from pytest_scratchverify.core.known_pairs import KnownPairs
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.core.visible import visible
from pytest_scratchverify.report.figures.drawing import Drawing, Say, legend_above, number_above
from pytest_scratchverify.report.figures.style import FIRST, GOOD, INK, SECOND, SOFT
from pytest_scratchverify.report.terms import statistic_name
from pytest_scratchverify.report.wording import COMPONENT_NAMES

Read = tuple[Finding, KnownPairs]


@dataclass(frozen=True, slots=True)
class KnownRows(FigureData):
    """What several components of a pair measured, each beside its controls.

    `descendants` and `strangers` name the pairs of known truth.
    """

    kind: ClassVar[str] = "known_rows"

    components: tuple[str, ...]
    pairs: tuple[KnownPairs, ...]
    descendants: tuple[str, ...]
    strangers: tuple[str, ...]


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, with the pairs of known truth of one comparison in one figure.

    They move to the first finding of each comparison: of one model, reference, method, statistic.
    """
    found = list(findings)
    groups: dict[tuple[object, ...], list[Read]] = {}
    for finding in found:
        data = _pairs_of(finding)
        if data is not None:
            key = (finding.model, finding.reference, finding.method, data.name)
            groups.setdefault(key, []).append((finding, data))
    moved = {member.id for group in groups.values() for member, _ in group}
    first = {group[0][0].id: _rows(group).to_json() for group in groups.values()}
    return [
        replace(
            finding,
            figures=(
                *(figure for figure in finding.figures if figure.kind != KnownPairs.kind),
                *([first[finding.id]] if finding.id in first else []),
            ),
        )
        if finding.id in moved
        else finding
        for finding in found
    ]


def _pairs_of(finding: Finding) -> KnownPairs | None:
    """Return the data; None without any, and for what cannot be read, which drawing it says."""
    try:
        given = next(figure.data for figure in finding.figures if figure.kind == KnownPairs.kind)
        return KnownPairs.from_json(given)
    except (StopIteration, FigureDataError):
        return None


def _rows(group: Sequence[Read]) -> KnownRows:
    def names(kind: str) -> tuple[str, ...]:
        pairs = [c.shown_pair for f, _ in group for c in f.controls if c.kind == kind]
        return tuple(dict.fromkeys(f"{visible(a)} / {visible(b)}" for a, b in pairs))

    return KnownRows(
        tuple(finding.component.value for finding, _ in group),
        tuple(data for _, data in group),
        names("positive"),
        names("negative"),
    )


def _draw(figure: Any, data: KnownRows, say: Say) -> None:
    axes = figure.subplots()
    rows = list(zip(data.components, data.pairs, strict=True))[::-1]
    marks: tuple[tuple[str, str, float, str], ...] = (
        ("positive", SECOND, 8, say("known descendant")),
        ("negative", GOOD, 8, say("known stranger")),
        ("self_permuted", SOFT, 6, say("this model, renumbered")),
    )
    for kind, colour, size, label in marks:
        points = [(v, at) for at, (_, pairs) in enumerate(rows) for v in getattr(pairs, kind)]
        if points:
            across, up = zip(*points, strict=True)
            axes.plot(across, up, "D", color=colour, markersize=size, label=label, alpha=0.75)
    every = [v for _, p in rows for v in (p.observed, *p.positive, *p.negative, *p.self_permuted)]
    axes.set_xlim(min(-0.05, *every) - 0.05, max(0.1, *every) + 0.09)
    for at, (_, pairs) in enumerate(rows):
        axes.hlines(at, 0, pairs.observed, color=FIRST, linewidth=1.5)
        if pairs.interval:
            axes.plot(pairs.interval, [at] * 2, color=FIRST, linewidth=6, alpha=0.3)
        number_above(axes, pairs.observed, at, f"{pairs.observed:.4g}", FIRST)
    observed = [pairs.observed for _, pairs in rows]
    axes.plot(observed, range(len(rows)), "o", color=FIRST, markersize=6, label=say("this pair"))
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(rows)), [_component(name, say) for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.2)
    axes.grid(visible=False, axis="y")
    name = data.pairs[0].name
    axes.set_xlabel(say(statistic_name(name).template, kind=name.replace("_", " ")))
    legend_above(axes, 2)


def _component(name: str, say: Say) -> str:
    known = name in {component.value for component in Component}
    return say(COMPONENT_NAMES[Component(name)].template) if known else name


def _caption(data: KnownRows) -> Text:
    return Text(
        "The same number, by the same code, on pairs whose truth is known: {kin} descends,"
        " {strangers} do not. What descends lies near the orange mark, what is unrelated near the"
        " green one. The position between them is no probability.",
        kin=[*data.descendants] or "-",
        strangers=[*data.strangers] or "-",
    )


def _alt(data: KnownRows) -> Text:
    return Text(
        "{observed} of this pair, by component; a known descendant {kin}; a known stranger"
        " {stranger}.",
        observed=[pairs.observed for pairs in data.pairs],
        kin=[pairs.positive[0] for pairs in data.pairs],
        stranger=[pairs.negative[0] for pairs in data.pairs],
    )


KNOWN_ROWS = Drawing(
    KnownRows, Text("Beside pairs of known truth"), _draw, _caption, _alt, (5.2, 2.7)
)
