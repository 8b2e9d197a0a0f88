"""Training trajectory of published checkpoints: whether they form one connected path.

Weights, not claims; yet they too are what the publisher chose to show, and nothing here dates
them. So the findings are circumstantial (E2): a contradiction is a lead with what else
explains it, and a path that holds says that the shown checkpoints belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from typing import Any

import numpy as np

from pytest_scratchverify.core.evidence import (
    Control,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Relation,
)
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.checkpoint_reading import (
    Array,
    CheckpointSeries,
    Slices,
)
from pytest_scratchverify.methods.training_log.decision import (
    CONTRADICTED,
    HOLDS,
    INCOMPLETE,
    NOT_ASKED,
    Decision,
    about_log,
    number,
)
from pytest_scratchverify.methods.training_log.figure_data import CheckpointPath
from pytest_scratchverify.methods.training_log.initialisation import (
    START,
    edges,
    series_details,
    worst_edge,
)
from pytest_scratchverify.methods.training_log.initialisation import STATEMENT as FRESHLY_DRAWN
from pytest_scratchverify.methods.training_log.thresholds import ALPHA, TrainingLogThresholds
from pytest_scratchverify.stats.training_log.checkpoint_trajectory import (
    Trajectory,
    trajectory,
)
from pytest_scratchverify.stats.weights.channel_permutation import (
    ChannelSimilarity,
    ChannelSums,
    chosen_channels,
)
from pytest_scratchverify.tensors.inventory import Slot

POWERLESS = 0.5  # an aligned cosine that would not even be noticed
PATH = "checkpoint_path"
STATEMENTS: Mapping[str, Text] = {
    START: FRESHLY_DRAWN,
    PATH: Text("the checkpoints are one run: each is related to the next, and lies on the way"),
}


def without_checkpoints(test: str, model: str) -> Finding:
    """Return the finding of a model that comes with no intermediate checkpoints."""
    headline = Text(
        "{model} comes with no intermediate checkpoints; a publisher who has them could show"
        " them as folders checkpoint-N or branches stepN",
        model=model,
    )
    tested = about_log(test, model, None, STATEMENTS[test], level=Level.E0)
    return NOT_ASKED.finding(tested, headline)


class PathShape(Enum):
    """Whether checkpoints form one path: the first of these that holds."""

    CONTROL_FAILED = auto()
    POWERLESS = auto()
    BROKEN = auto()
    ONE_UNRELATED = auto()
    DETOUR = auto()
    NO_GROWTH = auto()
    ONE_PATH = auto()


PATHS: Mapping[PathShape, Decision] = {
    PathShape.CONTROL_FAILED: INCOMPLETE,
    PathShape.POWERLESS: INCOMPLETE,
    PathShape.BROKEN: Decision(
        Outcome.INDETERMINATE, Relation.CONTRADICTED, Direction.TOWARD_REUSE
    ),
    PathShape.ONE_UNRELATED: CONTRADICTED,
    PathShape.DETOUR: CONTRADICTED,
    PathShape.NO_GROWTH: CONTRADICTED,
    PathShape.ONE_PATH: HOLDS,
}

PATH_HEADLINES: Mapping[PathShape, str] = {
    PathShape.CONTROL_FAILED: "a control of known truth failed",
    PathShape.POWERLESS: "the slices are too small to tell related checkpoints from strangers",
    PathShape.BROKEN: "between {a} and {b} the weights show no relation, as between models of"
    " independent initialisation: that what comes later descends from what is shown before is not"
    " to be seen. A new initialisation, another run under the same name or a foreign model looks"
    " like this.",
    PathShape.ONE_UNRELATED: "{b} shows no relation to its neighbours, which are related to one"
    " another: a checkpoint of another run or model, by mistake or not.",
    PathShape.DETOUR: "{name} lies off the way: {ratio} times as far from both neighbours as they"
    " are from one another. A wrong label, an average, or another run from the same initialisation"
    " looks like this.",
    PathShape.NO_GROWTH: "the distance from the first checkpoint does not grow with the steps:"
    " wrong labels, or several runs",
    PathShape.ONE_PATH: "{n} of {found} checkpoints form one path: each is related to the next"
    " (least z {z}) and lies on the way",
}


@dataclass(frozen=True, slots=True)
class _Break:
    """Where two neighbours share nothing, and whether what is around the place does."""

    before: str
    after: str | Text
    one_alone: bool


@dataclass(frozen=True, slots=True)
class PathMeasurements:
    """What was measured along a series.

    `links` compare neighbours, and the last checkpoint with the published model where it was
    read; `names` are those of the series and of that model.
    """

    names: tuple[str | Text, ...]
    links: tuple[ChannelSimilarity, ...]
    breaks: tuple[_Break, ...]
    path: Trajectory | None

    @property
    def weakest(self) -> ChannelSimilarity:
        """The link of the least standardised similarity."""
        return min(self.links, key=lambda link: link.statistic)


def checkpoint_path(
    model: str, series: CheckpointSeries, thresholds: TrainingLogThresholds
) -> Finding:
    """Neighbouring checkpoints of one run are related, and each lies on the way.

    Neighbours, and the last with the published model, are compared channel by channel against
    every permutation of the channels: the null of independent initialisation, which must be
    rejected each time. Then distances: away from the start, without a detour.
    """
    measured = measure_path(series)
    permuted = _related(series.slices[-1], _permuted(series.slices[-1]))
    control = Control(
        kind="self_permuted",
        pair=(model, series.names[-1]),
        passed=permuted.pvalue > ALPHA,
        value=permuted.statistic,
    )
    kind = _path(measured, thresholds) if control.passed else PathShape.CONTROL_FAILED
    path, weakest = measured.path, measured.weakest
    return PATHS[kind].finding(
        about_log(PATH, model, None, STATEMENTS[PATH], level=Level.E2),
        Text(PATH_HEADLINES[kind], **_values(kind, series, measured)),
        statistic=number("least_standardised_similarity", weakest.statistic, len(measured.links)),
        effect=number("least_aligned_cosine", weakest.effect),
        null=Null(
            kind="permutation",
            description=Text(
                "Joint permutation of the residual channels between neighbours: exact mean and"
                " variance; it must be rejected for each pair"
            ),
        ),
        controls=(control,),
        artifacts=series.records,
        figures=(_figure(series, measured.names, measured.links, path).to_json(),),
        details=series_details(series)
        | {
            "published_compared": series.published is not None,
            "breaks": [[b.before, str(b.after)] for b in measured.breaks],
            "detours": [round(d, 3) for d in path.detours] if path else [],
        },
    )


def measure_path(series: CheckpointSeries) -> PathMeasurements:
    """Compare neighbours of a series, and the last with the published model."""
    links = [_related(a, b) for a, b in pairwise(series.slices)]
    names: list[str | Text] = list(series.names)
    if series.published is not None:
        links.append(_related(series.slices[-1], series.published))
        names.append(Text("the published model"))
    return PathMeasurements(
        names=tuple(names),
        links=tuple(links),
        breaks=tuple(_breaks(series, names, links)),
        path=trajectory(series.as_vectors(), series.steps),
    )


def _path(measured: PathMeasurements, thresholds: TrainingLogThresholds) -> PathShape:
    breaks, path = measured.breaks, measured.path
    if measured.weakest.minimum_detectable_effect > POWERLESS:
        return PathShape.POWERLESS
    if breaks:
        return PathShape.ONE_UNRELATED if breaks[0].one_alone else PathShape.BROKEN
    if path and path.detours[path.farthest - 1] > thresholds.detour:
        return PathShape.DETOUR
    if path and path.growth < thresholds.path_growth:
        return PathShape.NO_GROWTH
    return PathShape.ONE_PATH


def _values(
    kind: PathShape, series: CheckpointSeries, measured: PathMeasurements
) -> dict[str, Any]:
    """Return what the headline names."""
    if kind is PathShape.BROKEN:
        return {"a": measured.breaks[0].before, "b": measured.breaks[0].after}
    if kind is PathShape.ONE_UNRELATED:
        return {"b": measured.breaks[0].after}
    if kind is PathShape.DETOUR and measured.path is not None:
        name = series.names[measured.path.farthest]
        return {"name": name, "ratio": round(max(measured.path.detours), 2)}
    if kind is PathShape.ONE_PATH:
        least = round(measured.weakest.statistic, 1)
        return {"n": len(series.names), "found": series.found, "z": least}
    return {}


def _related(a: Slices, b: Slices) -> ChannelSimilarity:
    width = min(w.shape[1] for w in a.values())
    sums = ChannelSums(chosen_channels(width))
    for slot in sorted(a):
        sums.add(a[slot], b[slot])
    found = sums.result()
    if found is None:  # matrices of one column: nothing can be told
        return ChannelSimilarity(0.0, 1.0, 0.0, 0, 0, 1.0, 1.0, 0)
    return found


def _permuted(slices: Slices) -> dict[Slot, Array]:
    """Return the same weights with permuted channels, as those of an unrelated model."""
    width = min(w.shape[1] for w in slices.values())
    order = np.random.default_rng(2026).permutation(width)
    return {slot: w[:, :width][:, order] for slot, w in slices.items()}


def _breaks(
    series: CheckpointSeries, names: Sequence[str | Text], links: Sequence[ChannelSimilarity]
) -> list[_Break]:
    every = [*series.slices, *([series.published] if series.published is not None else [])]
    found: list[_Break] = []
    for at, link in enumerate(links):
        if link.pvalue <= ALPHA or (found and found[-1].after == names[at]):
            continue
        beyond = at + 2 < len(every)
        alone = beyond and _related(every[at], every[at + 2]).pvalue <= ALPHA
        found.append(_Break(series.names[at], names[at + 1], alone))
    return sorted(found, key=lambda b: b.one_alone)


def _figure(
    series: CheckpointSeries,
    names: Sequence[str | Text],
    links: Sequence[ChannelSimilarity],
    path: Trajectory | None,
) -> CheckpointPath:
    return CheckpointPath(
        steps=tuple(series.steps),
        from_start=(0.0, *(round(d, 5) for d in path.from_start)) if path else (),
        edge=tuple(round(worst_edge(edges(s))[1].ratio, 4) for s in series.slices),
        z=tuple(round(link.statistic, 2) for link in links),
        to_published=len(names) > len(series.names),
    )
