"""Finding of a merge decomposition: shares, their intervals, the kind, and the sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    Direction,
    Finding,
    Level,
    Outcome,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.figure import Figure
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.weights.figure_data import merge_figures, shares_moved
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.merge_shares import MergeShares
from pytest_scratchverify.stats.weights.untouched_rows import UntouchedRows

METHOD = "weights.merge"
PRECISE = 0.05  # shares that are known less well are given as intervals
SHOWN = 0.005  # parents of smaller shares are not named


class Case(Enum):
    """What a headline says, decided before the sentence is looked up."""

    TOO_FEW = auto()
    NO_MIXTURE = auto()
    BY_ROWS = auto()
    BY_INTERVALS = auto()
    BY_WEIGHTS = auto()


HEADLINES: Mapping[Case, str] = {
    Case.TOO_FEW: "fewer than two references are kin of this decoder, in its order",
    Case.NO_MIXTURE: "no mixture of {n} kin explains more than the nearest of them",
    Case.BY_ROWS: "explained as {kind}: {shares} (from {n} rows of the embedding table that"
    " later training, if any, left alone)",
    Case.BY_INTERVALS: "explained as {kind}: shares of {shares}, no closer since training moves"
    " weights along what parents differ in ({explained} of the distance to the nearest)",
    Case.BY_WEIGHTS: "explained as {kind}: {shares} ({explained} of the distance to the nearest)",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """What candidate parents make of a model: by all weights, and by untouched rows.

    `unrelated` are the p-values of parents that are not related to the nearest one.
    """

    names: Sequence[str]
    decoder: MergeShares
    margins: tuple[float, ...]
    layers: Mapping[int, MergeShares]
    unrelated: Mapping[str, float]
    rows: UntouchedRows | None

    @property
    def taken(self) -> UntouchedRows | None:
        """The rows, unless the decoder contradicts them: then the table has its own history."""
        if self.rows is None:
            return None
        pairs = zip(self.rows.shares, self.decoder.shares, self.margins, strict=True)
        return self.rows if all(abs(a - b) <= m + PRECISE for a, b, m in pairs) else None

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of every parent: by untouched rows where there are any."""
        return self.taken.shares if self.taken else self.decoder.shares

    @property
    def intervals(self) -> list[tuple[float, float]]:
        """What later training can have moved the shares within."""
        margins = self.taken.margins if self.taken else self.margins
        pairs = zip(self.shares, margins, strict=True)
        return [(max(0.0, share - m), min(1.0, share + m)) for share, m in pairs]

    @property
    def second(self) -> float:
        """The second largest share."""
        return sorted(self.shares)[-2]

    def kind(self, thresholds: WeightsThresholds) -> Kind | None:
        """Name the kind: training on another model's data looks like that model's share."""
        if self.second < thresholds.merge_share:
            return None
        if self.taken is not None:
            return Kind.MERGE
        if self.decoder.explained < thresholds.merge_mixture:
            return None
        by_unrelated = any(
            name in self.unrelated and share >= thresholds.merge_share
            for name, share in zip(self.names, self.shares, strict=True)
        )
        sure = sum(low > 0 for low, _ in self.intervals) > 1
        return Kind.MERGE if by_unrelated or sure else Kind.MIXTURE


def merge_finding(model: ModelSpec, explained: Explained, thresholds: WeightsThresholds) -> Finding:
    """Put a decomposition into a finding: a lead where it names a merge."""
    kind = explained.kind(thresholds)
    return Hypothesis(
        method=METHOD,
        component=Component.TEXT_DECODER,
        model=model.name,
        statement=_claim(),
        dependence_group="weights",
    ).finding(
        Outcome.INDETERMINATE if kind else Outcome.NOT_APPLICABLE,
        _headline(explained, kind),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if kind else Direction.NONE,
        relation=Relation.MERGE if kind else None,
        kinds=(kind,) if kind else (),
        statistic=Statistic(name="explained_distance", value=explained.decoder.explained),
        effect=Statistic(name="second_share", value=explained.second),
        figures=_figures(explained) if kind else (),
        remedy=Text("A kind and no accusation: see the findings on each parent.") if kind else None,
        details=_details(explained),
    )


def _figures(found: Explained) -> tuple[Figure, ...]:
    layers = {layer: shares.shares for layer, shares in found.layers.items()}
    moved = found.taken is not None and shares_moved(found.shares, found.decoder.shares)
    return merge_figures(found.names, layers, found.decoder.explained, trained_on=moved)


def no_candidates(model: ModelSpec) -> Finding:
    """Answer where fewer than two references are related to the model."""
    return Hypothesis(
        method=METHOD,
        component=Component.TEXT_DECODER,
        model=model.name,
        statement=_claim(),
        dependence_group="weights",
    ).finding(Outcome.NOT_APPLICABLE, Text(HEADLINES[Case.TOO_FEW]))


def _claim() -> Text:
    return Text("the weights are no mixture of several references")


def _case_of(found: Explained, kind: Kind | None) -> Case:
    if kind is None:
        return Case.NO_MIXTURE
    if found.taken is not None:
        return Case.BY_ROWS
    wide = any(high - low > 2 * PRECISE for _, _, (low, high) in _named(found))
    return Case.BY_INTERVALS if wide else Case.BY_WEIGHTS


def _named(found: Explained) -> list[tuple[str, float, tuple[float, float]]]:
    parts = zip(found.names, found.shares, found.intervals, strict=True)
    return [part for part in parts if part[1] > SHOWN]


def _headline(found: Explained, kind: Kind | None) -> Text:
    case, parts = _case_of(found, kind), _named(found)
    if case is Case.NO_MIXTURE:
        return Text(HEADLINES[case], n=len(found.names))
    given: dict[str, object] = {"kind": kind, "explained": found.decoder.explained}
    if case is Case.BY_INTERVALS:
        spans = ", ".join(f"{name} {low:.2f}-{high:.2f}" for name, _, (low, high) in parts)
        return Text(HEADLINES[case], shares=spans, **given)
    mixed = ", ".join(
        f"{name} {share:.2f} ± {max(share - low, high - share):.2f}"
        for name, share, (low, high) in parts
    )
    if case is Case.BY_WEIGHTS or found.taken is None:
        return Text(HEADLINES[case], shares=mixed, **given)
    return Text(HEADLINES[case], kind=kind, shares=mixed, n=found.taken.rows)


def _details(found: Explained) -> dict[str, Json]:
    return {
        "parents": [*found.names],
        "shares": [round(share, 4) for share in found.shares],
        "intervals": [[round(low, 4), round(high, 4)] for low, high in found.intervals],
        "shares_of_all_weights": [round(share, 4) for share in found.decoder.shares],
        "explained": round(found.decoder.explained, 4),
        "pvalues_of_strangers": dict(found.unrelated),
        "rows_left_alone": _rows_details(found),
        "by_layer": {
            str(layer): [round(share, 4) for share in shares.shares]
            for layer, shares in found.layers.items()
        },
    }


def _rows_details(found: Explained) -> dict[str, Json] | None:
    rows = found.rows
    if rows is None:
        return None
    return {
        "rows": rows.rows,
        "taken": found.taken is not None,
        "mixed": "entry by entry" if rows.entrywise else "row by row",
        "scale": round(rows.scale, 4),
        "shares": [round(share, 4) for share in rows.shares],
        "margins": [round(margin, 4) for margin in rows.margins],
    }
