"""Whether the checkpoints of a run, where they are published, form one path from a random start.

Weights, not claims; yet they too are what the publisher chose to show, and nothing here dates
them. So the findings are circumstantial (E2): a contradiction is a lead with what else
explains it, and a path that holds says that the shown checkpoints belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    Control,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
)
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.checkpoint_reading import Array, Slices, Walk
from pytest_scratchverify.methods.training_log.thresholds import ALPHA, Limits, finding, number
from pytest_scratchverify.methods.weights.measure import chosen_channels
from pytest_scratchverify.stats.training_log.checkpoint_trajectory import (
    RandomEdge,
    random_edge,
    trajectory,
)
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSimilarity, ChannelSums
from pytest_scratchverify.tensors.inventory import Slot

_OPEN = Outcome.INDETERMINATE
POWERLESS = 0.5  # an aligned cosine that would not even be noticed
START, PATH = "random_initialisation", "checkpoint_path"
STARTS = Text("the first checkpoint is freshly drawn, as that of a training from the start is")
LEADS_ON = Text("the checkpoints are one run: each is related to the next, and lies on the way")


def without_checkpoints(method: str, model: str) -> Finding:
    """Say that nothing was published to ask this of."""
    return finding(
        method, model, None, Outcome.NOT_APPLICABLE,
        Text("{model} comes with no intermediate checkpoints; a publisher who has them could show"
             " them as folders checkpoint-N or branches stepN", model=model),
        STARTS if method == START else LEADS_ON, level=Level.E0,
    )  # fmt: skip


def random_initialisation(model: str, walk: Walk) -> Finding:
    """The first checkpoint of a training from the start looks freshly drawn.

    Every slice's largest singular value against Tracy and Widom's law. Controls: the last
    checkpoint must not look fresh (else the test sees nothing here), and matrices of the same
    shapes drawn in this process must.
    """
    first, last = _edges(walk.slices[0]), _edges(walk.slices[-1])
    drawn = np.random.default_rng(2026)
    blank = _edges(
        {s: drawn.standard_normal(w.shape, np.float32) for s, w in walk.slices[0].items()}
    )
    p, worst = _worst(first)
    controls = (
        Control(kind="positive", pair=(model, walk.names[-1]), passed=_worst(last)[0] < ALPHA,
                value=_worst(last)[1].statistic),
        Control(kind="negative", pair=(model, "drawn at random"), passed=_worst(blank)[0] >= ALPHA,
                value=_worst(blank)[1].statistic),
    )  # fmt: skip
    words = {"name": walk.names[0], "step": walk.steps[0], "ratio": round(worst.ratio, 3)}
    outcome, relation, direction, kind = _OPEN, "incomplete", Direction.NONE, "unclear"
    if not controls[1].passed:
        said = Text("a control of known truth failed")
    elif p >= ALPHA and not controls[0].passed:
        said = Text("{name} looks freshly drawn, and so does the last checkpoint: the slices are"
                    " too small, or hardly trained, to tell", **words)  # fmt: skip
    elif p >= ALPHA:
        outcome, relation, kind = Outcome.CONSISTENT, "", "random start"
        said = Text("{name} looks freshly drawn: its largest singular value is {ratio} times the"
                    " edge of chance. Whoever chooses what to publish can draw one too.",
                    **words)  # fmt: skip
    elif walk.steps[0] > 0:
        kind = "truncated"
        said = Text("the first checkpoint is of step {step} and has been trained: how the run began"
                    " it does not show", **words)  # fmt: skip
    else:
        relation, direction, kind = "contradicted", Direction.TOWARD_REUSE, "warm start"
        said = Text("{name} is called step 0 and has been trained: a singular value is {ratio}"
                    " times the edge of chance. A warm start looks like this; so do steps counted"
                    " anew after a resume, a wrong label, and an initialisation that is not of"
                    " independent entries (from a smaller model, of low rank, of unequal"
                    " variances).", **words)  # fmt: skip
    return finding(
        START, model, None, outcome, said, STARTS, level=Level.E2,
        statistic=number("largest_singular_value_standardised", worst.statistic, len(first)),
        effect=number("over_marchenko_pastur_edge", worst.ratio), pvalue=p,
        null=Null(kind="exact", description=Text(
            "Largest singular value of matrices with independent entries (Tracy and Widom), the"
            " worst of all slices by Bonferroni")),
        direction=direction, relation=relation or None, kinds=(kind,), controls=controls,
        artifacts=walk.records, details=_details(walk),
    )  # fmt: skip


def _edges(slices: Slices) -> list[RandomEdge]:
    found = (random_edge(slices[slot]) for slot in sorted(slices))
    return [edge for edge in found if edge is not None]


def _worst(edges: Sequence[RandomEdge]) -> tuple[float, RandomEdge]:
    """Return the smallest p, adjusted for the number of slices, and its slice."""
    if not edges:
        return 1.0, RandomEdge(0.0, 0.0, 1.0)
    worst = min(edges, key=lambda edge: (edge.pvalue, -edge.statistic))
    return min(1.0, max(worst.pvalue, 1e-300) * len(edges)), worst


@dataclass(frozen=True, slots=True)
class _Break:
    """Where two neighbours share nothing, and whether what is around the place does."""

    before: str
    after: str | Text
    one_alone: bool


def checkpoint_path(model: str, walk: Walk, limits: Limits) -> Finding:
    """Checkpoints of one run are related from one to the next, and each lies on the way.

    Neighbours, and the last with the published model, are compared channel by channel against
    every renumbering of the channels: the null of independent initialisation, which must be
    rejected each time. Then distances: away from the start, without a detour.
    """
    links = [_related(a, b) for a, b in pairwise(walk.slices)]
    names: list[str | Text] = list(walk.names)
    if walk.published is not None:
        links.append(_related(walk.slices[-1], walk.published))
        names.append(Text("the published model"))
    control = _related(walk.slices[-1], _renumbered(walk.slices[-1]))
    check = Control(kind="self_permuted", pair=(model, walk.names[-1]),
                    passed=control.pvalue > ALPHA, value=control.statistic)  # fmt: skip
    breaks = _breaks(walk, names, links)
    path = trajectory(walk.flat(), walk.steps)
    away = bool(path and path.detours[path.farthest - 1] > limits["detour"])
    returns = bool(path and path.growth < limits["path_growth"])
    weakest = min(links, key=lambda link: link.statistic)
    outcome, relation, direction = _OPEN, "contradicted", Direction.NONE
    words: dict[str, Any] = {"n": len(walk.names), "found": walk.found}
    if not check.passed:
        relation, said = "incomplete", Text("a control of known truth failed")
    elif weakest.minimum_detectable_effect > POWERLESS:
        relation = "incomplete"
        said = Text("the slices are too small to tell related checkpoints from strangers")
    elif breaks and not breaks[0].one_alone:
        direction = Direction.TOWARD_REUSE
        said = Text("between {a} and {b} the weights show no relation, as between models of"
                    " independent initialisation: that what comes later descends from what is"
                    " shown before is not to be seen. A new initialisation, another run under the"
                    " same name or a foreign model looks like this.", a=breaks[0].before,
                    b=breaks[0].after)  # fmt: skip
    elif breaks:
        said = Text("{b} shows no relation to its neighbours, which are related to one another: a"
                    " checkpoint of another run or model, by mistake or not.",
                    b=breaks[0].after)  # fmt: skip
    elif away and path is not None:
        said = Text("{name} lies off the way: {ratio} times as far from both neighbours as they"
                    " are from one another. A wrong label, an average, or another run from the"
                    " same initialisation looks like this.", name=walk.names[path.farthest],
                    ratio=round(max(path.detours), 2))  # fmt: skip
    elif returns:
        said = Text("the distance from the first checkpoint does not grow with the steps: wrong"
                    " labels, or several runs")  # fmt: skip
    else:
        outcome, relation = Outcome.CONSISTENT, ""
        said = Text("{n} of {found} checkpoints form one path: each is related to the next (least"
                    " z {z}) and lies on the way", z=round(weakest.statistic, 1),
                    **words)  # fmt: skip
    return finding(
        PATH, model, None, outcome, said, LEADS_ON, level=Level.E2,
        statistic=number("least_standardised_similarity", weakest.statistic, len(links)),
        effect=number("least_aligned_cosine", weakest.effect),
        null=Null(kind="permutation", description=Text(
            "Joint permutation of the residual channels between neighbours: exact mean and"
            " variance; it must be rejected for each pair")),
        direction=direction, relation=relation or None, controls=(check,), artifacts=walk.records,
        details=_details(walk) | {
            "figures": {"checkpoint_path": _figure(walk, names, links, path)},
            "published_compared": walk.published is not None,
            "breaks": [[b.before, str(b.after)] for b in breaks],
            "detours": [round(d, 3) for d in path.detours] if path else [],
        },
    )  # fmt: skip


def _related(a: Slices, b: Slices) -> ChannelSimilarity:
    width = min(w.shape[1] for w in a.values())
    sums = ChannelSums(chosen_channels(width))
    for slot in sorted(a):
        sums.add(a[slot], b[slot])
    found = sums.result()
    if found is None:  # matrices of one column: nothing can be told
        return ChannelSimilarity(0.0, 1.0, 0.0, 0, 0, 1.0, 1.0, 0)
    return found


def _renumbered(slices: Slices) -> dict[Slot, Array]:
    """Return the same weights with their channels renumbered: what a stranger looks like."""
    width = min(w.shape[1] for w in slices.values())
    order = np.random.default_rng(2026).permutation(width)
    return {slot: w[:, :width][:, order] for slot, w in slices.items()}


def _breaks(
    walk: Walk, names: Sequence[str | Text], links: Sequence[ChannelSimilarity]
) -> list[_Break]:
    every = [*walk.slices, *([walk.published] if walk.published is not None else [])]
    found: list[_Break] = []
    for at, link in enumerate(links):
        if link.pvalue <= ALPHA or (found and found[-1].after == names[at]):
            continue
        beyond = at + 2 < len(every)
        alone = beyond and _related(every[at], every[at + 2]).pvalue <= ALPHA
        found.append(_Break(walk.names[at], names[at + 1], alone))
    return sorted(found, key=lambda b: b.one_alone)


def _figure(
    walk: Walk, names: Sequence[str | Text], links: Sequence[ChannelSimilarity], path: Any
) -> dict[str, Any]:
    return {
        "steps": list(walk.steps),
        "from_start": [0.0, *(round(d, 5) for d in path.from_start)] if path else [],
        "edge": [round(_worst(_edges(s))[1].ratio, 4) for s in walk.slices],
        "z": [round(link.statistic, 2) for link in links],
        "to_published": len(names) > len(walk.names),
    }


def _details(walk: Walk) -> dict[str, Any]:
    return {
        "checkpoints": [*walk.names],
        "found": walk.found,
        "not_read": [str(text) for text in walk.unread],
        "other_series": dict(walk.others),
        "slices": [str(slot) for slot in sorted(walk.slices[0])],
        "edges": {
            name: [round(edge.statistic, 2) for edge in _edges(part)]
            for name, part in zip(walk.names, walk.slices, strict=True)
        },
        "component_read": Component.TEXT_DECODER.value,
    }
