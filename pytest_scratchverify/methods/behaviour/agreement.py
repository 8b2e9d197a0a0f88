"""Output agreement: whether two models go on alike, more than strangers of their kind do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Direction, Finding, Outcome, Relation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.similarity import (
    NEEDED,
    Judged,
    Tournament,
    judge_pair,
    null,
    numbers,
)
from pytest_scratchverify.methods.behaviour.thresholds import (
    CAVEAT,
    Limits,
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
    from pytest_scratchverify.stats.behaviour.round_robin import Float

    Codes = NDArray[np.int64]
    Mask = NDArray[np.bool_]

METHOD = "output_agreement"
HYPOTHESIS = Text("the model goes on no more like the reference than unrelated models do")
SEED = 11  # which half of the answers the positive control takes over


def output_agreement(panel: Panel, limits: Limits, *, declared: bool = False) -> Finding:
    """Agreement with the reference, against agreement with and among unrelated models.

    Nikolic et al. 2025 (arXiv 2502.00706) test over prompts; the more prompts, the surer two
    strangers of one recipe are then called kin. Here the null is the spread between pairs of
    unrelated models on the same probes (`stats.round_robin`).
    """
    from pytest_scratchverify.methods.behaviour import features  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.round_robin import share_equal  # noqa: PLC0415

    probes = chosen(shipped_probes(), Kind.CONTINUATION)
    model, reference = panel.mine.model, panel.theirs.model
    both = (panel.mine, panel.theirs)
    for answers in both:
        if (why := flaw(answers, probes, limits)) is not None:
            return open_finding(METHOD, model, why, HYPOTHESIS, *both, reference=reference)
    if interface(panel.mine) != interface(panel.theirs):
        why = Text("the two models were asked through different interfaces")
        return open_finding(METHOD, model, why, HYPOTHESIS, *both, reference=reference)
    if (why := same_recording(panel, probes)) is not None:
        return open_finding(METHOD, model, why, HYPOTHESIS, *both, reference=reference)
    panel, dropped = comparable(panel, probes, limits)
    everyone = (panel.mine, panel.theirs, *panel.others)
    if len(panel.others) < NEEDED:
        why = too_few(panel, dropped)
        return open_finding(METHOD, model, why, HYPOTHESIS, *everyone, reference=reference)
    codes, usable = features.openings([_openings(answers, probes) for answers in everyone])
    likeness = share_equal(codes, usable)

    def planted() -> Float:
        import numpy as np  # noqa: PLC0415

        taken = np.random.default_rng(SEED).random(codes.shape[1]) < 0.5
        mixed, there = codes.copy(), usable.copy()
        mixed[0], there[0] = np.where(taken, codes[1], codes[0]), np.where(taken, *usable[[1, 0]])
        return share_equal(mixed, there)

    names = [answers.model for answers in everyone]
    cup = Tournament(names, likeness, planted, 1.0, limits["least_excess"], panel.family)
    judged = judge_pair(cup, limits)
    if judged is None:
        why = Text("the models have too few answered probes in common")
        return open_finding(METHOD, model, why, HYPOTHESIS, *everyone, reference=reference)
    outcome, said = _said(judged, reference, limits, declared=declared)
    together = usable[0] & usable[1]
    equal = codes[0, together] == codes[1, together]
    from pytest_scratchverify.stats.behaviour.binomial_rate import exact_rate  # noqa: PLC0415

    rate = exact_rate(int(equal.sum()), int(together.sum()))
    return finding(
        METHOD, model, outcome, said, HYPOTHESIS, *everyone, reference=reference,
        direction=Direction.TOWARD_REUSE if outcome in _ACCUSING else Direction.NONE,
        relation=Relation.SHARED_ANSWERS if outcome in _ACCUSING else None,
        statistic=number("share_of_equal_openings", rate.value, rate.n, rate.low, rate.high),
        effect=number("excess_agreement", judged.excess.effect),
        pvalue=judged.pvalue, null=null(len(names)), controls=judged.controls,
        power=judged.power, replications=_halves(codes, usable, limits, panel.family),
        details={**numbers(judged), "controls_not_used": dropped, "family": panel.family,
                 "agreement": _table(names, likeness), "beats": _beats(codes, usable, names),
                 "dependence": _dependence(codes, together)},
    )  # fmt: skip


_ACCUSING = (Outcome.DERIVED, Outcome.DECLARED)


def _said(
    judged: Judged, reference: str, limits: Limits, *, declared: bool
) -> tuple[Outcome, Text]:
    found = judged.excess
    words = {
        "reference": reference,
        "share": f"{found.observed:.1%}",
        "expected": f"{found.expected:.1%}",
        "spread": f"{found.spread:.1%}",
    }
    special = judged.pvalue < limits["alpha"]
    if not judged.sound:
        failed = next(c for c in judged.controls if not c.passed)
        return Outcome.INDETERMINATE, Text(
            "a control of known truth failed ({pair}): nothing is concluded from the agreement"
            " with {reference}.", pair=" / ".join(failed.pair), reference=reference)  # fmt: skip
    if special and found.effect >= limits["least_excess"]:
        outcome = Outcome.DECLARED if declared else Outcome.DERIVED
        return outcome, Text(
            "{share} of the continuations begin as {reference}'s do, where unrelated models lead"
            " to expect {expected} (give or take {spread}). {caveat}", caveat=CAVEAT,
            **words)  # fmt: skip
    if special:
        return Outcome.INDETERMINATE, Text(
            "{share} of the continuations begin as {reference}'s do, {expected} expected (give or"
            " take {spread}): more than strangers, less than descendants. One data set or one"
            " tokenizer that the controls do not share does this.", **words)  # fmt: skip
    if judged.detectable is None or judged.detectable > limits["power_share"]:
        return Outcome.INDETERMINATE, Text(
            "{share} of the continuations begin as {reference}'s do, {expected} expected; the"
            " unrelated models are too few or too unlike each other to find a descendant.",
            **words)  # fmt: skip
    return Outcome.CONSISTENT, Text(
        "{share} of the continuations begin as {reference}'s do, as unrelated models lead to"
        " expect ({expected}, give or take {spread}); {taken} of answers taken over would have"
        " been found", taken=f"{judged.detectable:.0%}", **words)  # fmt: skip


def too_few(panel: Panel, dropped: list[str]) -> Text:
    """Return the sentence for a pair without enough unrelated models."""
    return Text(
        "{n} unrelated models have answers beside {reference}'s ({dropped} not usable); likeness"
        " means nothing without three: give more with --answers NAME=FILE.",
        n=len(panel.others),
        reference=panel.theirs.model,
        dropped=dropped or "-",
    )


def _openings(answers: Answers, probes: tuple[Probe, ...]) -> list[str | None]:
    from pytest_scratchverify.methods.behaviour.features import opening  # noqa: PLC0415

    found = (answers.by_probe.get(probe.id) for probe in probes)
    return [opening(a.text) if a is not None and a.text else None for a in found]


def _halves(codes: Codes, usable: Mask, limits: Limits, family: int) -> int:
    """Count the disjoint halves of the probes, even and odd, that alone say the same."""
    from pytest_scratchverify.stats.behaviour.round_robin import excess, share_equal  # noqa: PLC0415

    found = [excess(share_equal(codes[:, s::2], usable[:, s::2]), 0, 1) for s in (0, 1)]
    alpha = float(limits["alpha"])
    return max(1, sum(f is not None and f.pvalue * family < alpha for f in found))


def _beats(codes: Codes, usable: Mask, names: list[str]) -> dict[str, float]:
    """The exact sign test against each unrelated model: shown, never decisive."""
    from pytest_scratchverify.stats.behaviour.round_robin import sign_test  # noqa: PLC0415

    out = {}
    for row, name in enumerate(names[2:], 2):
        there = usable[0] & usable[1] & usable[row]
        with_two = codes[0, there] == codes[1, there]
        out[name] = sign_test(with_two, codes[0, there] == codes[row, there])
    return out


def _dependence(codes: Codes, together: Mask) -> dict[str, float] | None:
    """On how few probes the agreement hangs, by replacing one answer at a time."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.behaviour.probe_dependence import concentration  # noqa: PLC0415

    a, b = codes[0, together], codes[1, together]
    moved = np.abs((np.roll(a, len(a) // 2) == b).astype(float) - (a == b)) / max(1, len(a))
    found = concentration(moved)
    return {"top_two": found.top, "effective_probes": found.effective} if found else None


def _table(names: list[str], likeness: Float) -> dict[str, object]:
    kept = min(len(names), 16)  # a report is read by people
    rows = [[round(float(value), 4) for value in row[:kept]] for row in likeness[:kept]]
    return {"models": names[:kept], "share_equal": rows}
