"""Phrasing of refusals, manner of writing, wording of answers: likeness beyond strangers'.

Three measures, one test (`behaviour_likeness`). None ever accuses: post-training decides all
three, so the most that a special likeness is here is a lead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import Direction, Finding, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.agreement import too_few
from pytest_scratchverify.methods.behaviour.similarity import (
    NEEDED,
    Tournament,
    judge_pair,
    null,
    numbers,
)
from pytest_scratchverify.methods.behaviour.thresholds import (
    CAVEAT,
    BehaviourThresholds,
    Panel,
    chosen,
    comparable,
    finding,
    flaw,
    interface,
    number,
    open_finding,
    same_recording,
)

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    import numpy as np
    from numpy.typing import NDArray

    from pytest_scratchverify.methods.behaviour.asking import Answers, Probe
    from pytest_scratchverify.methods.behaviour.similarity import Judged
    from pytest_scratchverify.stats.behaviour.probe_dependence import Dependence

    Float = NDArray[np.float64]
    Rows = NDArray[np.float64]  # (models, probes, dimensions); NaN where nothing may be compared

REFUSALS = Text("the model declines in words of its own")
MANNER = Text("the model writes in a manner of its own")
WORDING = Text("the model's answers are no nearer to the reference's than strangers' are")


def refusal_phrasing(panel: Panel, limits: BehaviourThresholds) -> Finding:
    """Do both decline in the same words? First sentences of refusals, by letter groups."""
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.features import letter_groups  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.grading import first_sentence, is_refusal  # noqa: PLC0415

    def declined(text: str) -> Float | None:
        return letter_groups(first_sentence(text)) if is_refusal(text) else None

    probes = chosen(shipped_probes(), Kind.REFUSAL)
    return _compared("refusal_phrasing", panel, probes, declined, limits, REFUSALS)


def style(panel: Panel, limits: BehaviourThresholds) -> Finding:
    """Do both write in one manner? Length, lists, marks, endings, on open questions."""
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.features import manner  # noqa: PLC0415

    probes = chosen(shipped_probes(), Kind.STYLE)
    return _compared("style", panel, probes, manner, limits, MANNER)


def response_distance(panel: Panel, limits: BehaviourThresholds) -> Finding:
    """Are the answers near each other? Hashed letter groups of whole answers, probe by probe."""
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.features import letter_groups  # noqa: PLC0415

    probes = chosen(shipped_probes(), Kind.CONTINUATION, Kind.STYLE)
    return _compared("response_distance", panel, probes, letter_groups, limits, WORDING)


def _compared(  # noqa: PLR0913, PLR0917
    method: str,
    panel: Panel,
    probes: tuple[Probe, ...],
    embed: Callable[[str], Float | None],
    limits: BehaviourThresholds,
    hypothesis: Text,
) -> Finding:
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.behaviour.probe_dependence import concentration  # noqa: PLC0415

    model, reference = panel.mine.model, panel.theirs.model
    both = (panel.mine, panel.theirs)

    def left_open(why: Text, *answers: Answers) -> Finding:
        return open_finding(method, model, why, hypothesis, *answers, reference=reference)

    for answers in both:
        if (why := flaw(answers, probes, limits)) is not None:
            return left_open(why, *both)
    if interface(panel.mine) != interface(panel.theirs):
        return left_open(Text("the two models were asked through different interfaces"), *both)
    if (why := same_recording(panel, probes)) is not None:
        return left_open(why, *both)
    panel, dropped = comparable(panel, probes, limits)
    everyone = (*both, *panel.others)
    if len(panel.others) < NEEDED:
        return left_open(too_few(panel, dropped), *everyone)
    rows = embedded(everyone, probes, embed)
    shared = int(np.isfinite(rows[:2, :, 0]).all(0).sum())
    if shared < limits.fewest_shared:
        why = Text("only {n} probes got a comparable answer of both models", n=shared)
        return left_open(why, *everyone)
    per_probe = distances(rows)
    likeness = -np.nanmean(per_probe, 0)
    least = limits.least_excess_distance[method]

    def planted() -> Float:
        taken = np.random.default_rng(11).random(rows.shape[1]) < 0.5
        mixed = rows.copy()
        mixed[0, taken] = rows[1, taken]
        found: Float = -np.nanmean(distances(mixed), 0)
        return found

    names = [answers.model for answers in everyone]
    judged = judge_pair(Tournament(names, likeness, planted, 0.0, least, panel.family), limits)
    if judged is None:
        return left_open(Text("the models have too few answered probes in common"), *everyone)
    depends = concentration(_influence(rows, per_probe))
    outcome, direction, said = _said(judged, depends, reference, least, limits)
    return finding(
        method, model, outcome, said, hypothesis, *everyone, reference=reference,
        direction=direction, statistic=number("mean_distance", -judged.excess.observed, shared),
        effect=number("nearer_than_expected", judged.excess.effect), pvalue=judged.pvalue,
        null=null(len(names)), controls=judged.controls, power=judged.power,
        details={**numbers(judged), "controls_not_used": dropped, "family": panel.family,
                 "dependence": None if depends is None else {
                     "top_two": depends.top, "silent": depends.silent,
                     "effective_probes": depends.effective}},
    )  # fmt: skip


def _said(
    judged: Judged,
    depends: Dependence | None,
    reference: str,
    least: float,
    limits: BehaviourThresholds,
) -> tuple[Outcome, Direction, Text]:
    found = judged.excess
    words = {"reference": reference, "distance": -found.observed, "expected": -found.expected,
             "spread": found.spread}  # fmt: skip
    undecided, nowhere = Outcome.INDETERMINATE, Direction.NONE
    if depends is not None and depends.top > limits.top_two_share:
        return undecided, nowhere, Text(
            "two of {n} probes make {share} of the distance to {reference}: nothing is concluded"
            " from it.", n=len(depends.influence), share=f"{depends.top:.0%}",
            reference=reference)  # fmt: skip
    if not judged.sound:
        failed = next(c for c in judged.controls if not c.passed)
        return undecided, nowhere, Text(
            "a control of known truth failed ({pair}): nothing is concluded from the likeness to"
            " {reference}.", pair=" / ".join(failed.pair), reference=reference)  # fmt: skip
    if judged.pvalue < limits.alpha and found.effect >= least:
        return undecided, Direction.TOWARD_REUSE, Text(
            "distance {distance} to {reference}, where unrelated models lead to expect {expected}"
            " (give or take {spread}). {caveat}", caveat=CAVEAT, **words)  # fmt: skip
    if judged.detectable is None:
        return undecided, nowhere, Text(
            "distance {distance} to {reference}, {expected} expected; the unrelated models are too"
            " few or too unlike each other to find a descendant.", **words)  # fmt: skip
    return Outcome.CONSISTENT, nowhere, Text(
        "distance {distance} to {reference}, as unrelated models lead to expect ({expected}, give"
        " or take {spread})", **words)  # fmt: skip


def embedded(
    everyone: tuple[Answers, ...],
    probes: tuple[Probe, ...],
    embed: Callable[[str], Float | None],
) -> Rows:
    """Return answers as numbers, shape (m, n, d); NaN where an answer may not be compared."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.methods.behaviour.grading import is_usable  # noqa: PLC0415

    table: list[list[Any]] = []
    width = 1
    for answers in everyone:
        row: list[Any] = []
        for probe in probes:
            answer = answers.by_probe.get(probe.id)
            usable = answer is not None and is_usable(probe.kind, answer)
            vector = embed(answer.text or "") if usable and answer is not None else None
            width = width if vector is None else len(vector)
            row.append(vector)
        table.append(row)
    out = np.full((len(everyone), len(probes), width), np.nan)
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


def _influence(rows: Rows, per_probe: Float) -> Float:
    """What replacing one answer of the model by its answer to another probe does to the mean."""
    import numpy as np  # noqa: PLC0415

    there = np.isfinite(rows[:2, :, 0]).all(0)
    one, two, base = rows[0, there], rows[1, there], per_probe[there, 0, 1]
    swapped = np.roll(one, len(one) // 2, axis=0)
    moved = ((swapped - two) ** 2).sum(1) / 2
    found: Float = np.abs(moved - base) / max(1, len(base))
    return found
