"""Stylometry: distances of refusals, style and wording of two models, beside unrelated models'.

Three measures, one test (`similarity`). None ever accuses: post-training decides all three, so
the most that a special similarity is here is a lead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import Direction, Finding, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour import similarity
from pytest_scratchverify.methods.behaviour.paired_answers import CAVEAT, PairedAnswers, hypothesis
from pytest_scratchverify.methods.behaviour.similarity import (
    TOO_FEW_SHARED,
    Judged,
    PairSimilarity,
    RoundRobin,
    judge_pair,
)
from pytest_scratchverify.methods.behaviour.thresholds import BehaviourThresholds
from pytest_scratchverify.methods.behaviour.usable import comparable_answers, probes_of
from pytest_scratchverify.methods.findings import statistic

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    import numpy as np
    from numpy.typing import NDArray

    from pytest_scratchverify.methods.behaviour.asking import Answers, Probe
    from pytest_scratchverify.stats.behaviour.probe_dependence import Dependence

    Float = NDArray[np.float64]
    Rows = NDArray[np.float64]  # (models, probes, dimensions); NaN where nothing may be compared

Embedding = Callable[[str], "Float | None"]  # an answer as a vector; None: not to be compared
SEED = 11  # which half of the answers the positive control takes over
REFUSALS = Text("the model declines in words of its own")
STYLE = Text("the model writes in a manner of its own")
WORDING = Text("the model's answers are no nearer to the reference's than strangers' are")

HEADLINES: Mapping[PairSimilarity, str] = {
    PairSimilarity.CONCENTRATED: "two of {n} probes make {share} of the distance to {reference}:"
    " nothing is concluded from it.",
    PairSimilarity.CONTROL_FAILED: "a control of known truth failed ({pair}): nothing is concluded"
    " from the likeness to {reference}.",
    PairSimilarity.OTHER_KIND: "distance {distance} to {reference}; both models resemble the"
    " unrelated ones less than half as much as these resemble one another (another language,"
    " another template), so nothing follows: give unrelated models of the pair's kind.",
    PairSimilarity.SPECIAL: "distance {distance} to {reference}, where unrelated models lead to"
    " expect {expected} (give or take {spread}). {caveat}",
    PairSimilarity.UNDERPOWERED: "distance {distance} to {reference}, {expected} expected; the"
    " unrelated models are too few or too unlike each other to find a descendant.",
    PairSimilarity.EXPECTED: "distance {distance} to {reference}, as unrelated models lead to"
    " expect ({expected}, give or take {spread})",
}


@dataclass(frozen=True)
class Measure:
    """What a test of distances compares: the answers to `probes`, each as a vector."""

    name: str
    statement: Text
    probes: tuple[Probe, ...]
    embed: Embedding


def refusal_phrasing(paired: PairedAnswers, thresholds: BehaviourThresholds) -> Finding:
    """Test the distance of refusals' first sentences, embedded by hashed letter groups."""
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.features import letter_groups  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.grading import first_sentence, is_refusal  # noqa: PLC0415

    def declined(text: str) -> Float | None:
        return letter_groups(first_sentence(text)) if is_refusal(text) else None

    probes = probes_of(shipped_probes(), Kind.REFUSAL)
    return _compared(Measure("refusal_phrasing", REFUSALS, probes, declined), paired, thresholds)


def style(paired: PairedAnswers, thresholds: BehaviourThresholds) -> Finding:
    """Test the distance of style features: length, lists, marks, endings, on open questions."""
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.features import style_features  # noqa: PLC0415

    probes = probes_of(shipped_probes(), Kind.STYLE)
    return _compared(Measure("style", STYLE, probes, style_features), paired, thresholds)


def response_distance(paired: PairedAnswers, thresholds: BehaviourThresholds) -> Finding:
    """Test the distance of whole answers, embedded by hashed letter groups, probe by probe."""
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.features import letter_groups  # noqa: PLC0415

    probes = probes_of(shipped_probes(), Kind.CONTINUATION, Kind.STYLE)
    measure = Measure("response_distance", WORDING, probes, letter_groups)
    return _compared(measure, paired, thresholds)


def _compared(measure: Measure, paired: PairedAnswers, thresholds: BehaviourThresholds) -> Finding:
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.behaviour.probe_dependence import concentration  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.round_robin import stands_apart  # noqa: PLC0415

    given = comparable_answers(paired, measure.probes, thresholds)
    reference = paired.theirs.model
    tested = hypothesis(measure.name, measure.statement, *given.answers, reference=reference)
    if given.reason is not None:
        return tested.undecided(given.reason)
    rows = embedded(given.answers, measure.probes, measure.embed)
    shared = int(np.isfinite(rows[:2, :, 0]).all(0).sum())
    if shared < thresholds.fewest_shared:
        return tested.undecided(
            Text("only {n} probes got a comparable answer of both models", n=shared)
        )
    per_probe = distances(rows)
    robin = RoundRobin(
        names=given.models,
        similarity=-np.nanmean(per_probe, 0),
        planted=lambda: -np.nanmean(distances(_half_taken_over(rows)), 0),
        perfect=0.0,
        least=thresholds.least_excess_distance[measure.name],
        family=paired.family,
    )
    judged = judge_pair(robin, thresholds.alpha)
    if judged is None:
        return tested.undecided(TOO_FEW_SHARED)
    depends = concentration(_influence(rows, per_probe))
    found = _decide(judged, depends, robin.least, thresholds)
    if found is PairSimilarity.SPECIAL and stands_apart(_closeness(measure, robin.similarity)):
        found = PairSimilarity.OTHER_KIND
    expected, lead = found is PairSimilarity.EXPECTED, found is PairSimilarity.SPECIAL
    return tested.finding(
        Outcome.CONSISTENT if expected else Outcome.INDETERMINATE,
        Text(HEADLINES[found], **_values(found, judged, depends, reference)),
        direction=Direction.TOWARD_REUSE if lead else Direction.NONE,
        statistic=statistic("mean_distance", -judged.excess.observed, shared),
        effect=statistic("nearer_than_expected", judged.excess.effect),
        pvalue=judged.pvalue,
        null=similarity.null(len(given.answers)),
        controls=judged.controls,
        power=judged.power,
        details={
            **similarity.details(judged),
            "controls_not_used": [*given.dropped],
            "family": paired.family,
            "dependence": None
            if depends is None
            else {
                "top_two": depends.top,
                "silent": depends.silent,
                "effective_probes": depends.effective,
            },
        },
    )


def _closeness(measure: Measure, similarity: Float) -> Float:
    """Return minus distances as numbers from zero on: twice as far is half as close."""
    unit = measure.name != "style"  # of letter groups, whose cosine is the closeness
    found: Float = 1.0 + similarity if unit else 1.0 / (1e-9 - similarity)
    return found


def _decide(
    judged: Judged, depends: Dependence | None, least: float, thresholds: BehaviourThresholds
) -> PairSimilarity:
    if depends is not None and depends.top > thresholds.top_two_share:
        return PairSimilarity.CONCENTRATED
    if judged.failed is not None:
        return PairSimilarity.CONTROL_FAILED
    if judged.pvalue < thresholds.alpha and judged.excess.effect >= least:
        return PairSimilarity.SPECIAL
    if judged.detectable is None:
        return PairSimilarity.UNDERPOWERED
    return PairSimilarity.EXPECTED


def _values(
    found: PairSimilarity, judged: Judged, depends: Dependence | None, reference: str
) -> dict[str, object]:
    """The parameters of a headline."""
    if found is PairSimilarity.CONCENTRATED and depends is not None:
        share = f"{depends.top:.0%}"
        return {"n": len(depends.influence), "share": share, "reference": reference}
    if judged.failed is not None:
        return {"pair": " / ".join(judged.failed.pair), "reference": reference}
    values: dict[str, object] = {
        "reference": reference,
        "distance": -judged.excess.observed,
        "expected": -judged.excess.expected,
        "spread": judged.excess.spread,
    }
    return values | ({"caveat": CAVEAT} if found is PairSimilarity.SPECIAL else {})


def embedded(answers: tuple[Answers, ...], probes: tuple[Probe, ...], embed: Embedding) -> Rows:
    """Return answers as vectors, shape (m, n, d); NaN where an answer may not be compared."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.methods.behaviour.grading import is_usable  # noqa: PLC0415

    table: list[list[Any]] = []
    width = 1
    for one in answers:
        row: list[Any] = []
        for probe in probes:
            answer = one.by_probe.get(probe.id)
            usable = answer is not None and is_usable(probe.kind, answer)
            vector = embed(answer.text or "") if usable and answer is not None else None
            width = width if vector is None else len(vector)
            row.append(vector)
        table.append(row)
    out = np.full((len(answers), len(probes), width), np.nan)
    for i, row in enumerate(table):
        for j, vector in enumerate(row):
            if vector is not None:
                out[i, j] = vector
    return out


def distances(rows: Rows) -> Float:
    """Return the distance of every two models on each probe, shape (n, m, m).

    Half the squared length of the difference: the cosine distance where vectors have unit length.
    """
    import numpy as np  # noqa: PLC0415

    by_probe = rows.transpose(1, 0, 2)
    square = (by_probe**2).sum(2)
    cross = by_probe @ by_probe.transpose(0, 2, 1)
    found: Float = np.maximum(0.0, (square[:, :, None] + square[:, None, :]) / 2 - cross)
    return found


def _half_taken_over(rows: Rows) -> Rows:
    """Return the answers had the model taken a random half of them from the reference."""
    import numpy as np  # noqa: PLC0415

    taken = np.random.default_rng(SEED).random(rows.shape[1]) < 0.5
    mixed = rows.copy()
    mixed[0, taken] = rows[1, taken]
    return mixed


def _influence(rows: Rows, per_probe: Float) -> Float:
    """What replacing one answer of the model by its answer to another probe does to the mean."""
    import numpy as np  # noqa: PLC0415

    there = np.isfinite(rows[:2, :, 0]).all(0)
    one, two, base = rows[0, there], rows[1, there], per_probe[there, 0, 1]
    swapped = np.roll(one, len(one) // 2, axis=0)
    moved = ((swapped - two) ** 2).sum(1) / 2
    found: Float = np.abs(moved - base) / max(1, len(base))
    return found
