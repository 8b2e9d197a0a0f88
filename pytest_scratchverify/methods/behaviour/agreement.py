"""Output agreement: the share of equal continuations of two models, beside unrelated models'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Direction, Finding, Outcome, Relation
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour import similarity
from pytest_scratchverify.methods.behaviour.next_tokens import (
    HYPOTHESIS,
    OUTCOMES,
    asked_next_tokens_only,
    next_token_agreement,
)
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
    from pytest_scratchverify.stats.behaviour.round_robin import Float

    Codes = NDArray[np.int64]
    Mask = NDArray[np.bool_]

SEED = 11  # which half of the answers the positive control takes over
SHOWN = 16  # models in the table: a report is read by people

HEADLINES: Mapping[PairSimilarity, str] = {
    PairSimilarity.CONTROL_FAILED: "a control of known truth failed ({pair}): nothing is concluded"
    " from the agreement with {reference}.",
    PairSimilarity.OTHER_KIND: "{share} of the continuations begin as {reference}'s do; both models"
    " resemble the unrelated ones less than half as much as these resemble one another (another"
    " language, another template), so nothing follows: give unrelated models of the pair's kind.",
    PairSimilarity.MANNER: "{share} of the continuations begin as {reference}'s do, {expected}"
    " expected, and much of it in set phrases that the two models also give to different probes:"
    " a shared template does this.",
    PairSimilarity.SPECIAL: "{share} of the continuations begin as {reference}'s do, where"
    " unrelated models lead to expect {expected} (give or take {spread}). {caveat}",
    PairSimilarity.ELEVATED: "{share} of the continuations begin as {reference}'s do, {expected}"
    " expected (give or take {spread}): more than strangers, less than descendants. One data set"
    " or one tokenizer that the controls do not share does this.",
    PairSimilarity.UNDERPOWERED: "{share} of the continuations begin as {reference}'s do,"
    " {expected} expected; the unrelated models are too few or too unlike each other to find a"
    " descendant.",
    PairSimilarity.EXPECTED: "{share} of the continuations begin as {reference}'s do, as unrelated"
    " models lead to expect ({expected}, give or take {spread}); {taken} of answers taken over"
    " would have been found",
}


def output_agreement(
    paired: PairedAnswers, thresholds: BehaviourThresholds, *, declared: bool = False
) -> Finding:
    """Test the agreement with the reference against agreement with and among unrelated models.

    A lead at most, and a test that does not fail: the null holds for pairs that share nothing which
    the unrelated models do not share too, and no answer tells whether that is so. Two things are
    looked at: whether the pair is of the others' kind, and whether it agrees beyond set phrases.

    Nikolic et al. 2025 (arXiv 2502.00706) test over prompts; the more prompts, the surer two
    unrelated models of one recipe are then called derived. Here the null is the spread between
    pairs of unrelated models on the same probes (`stats.behaviour.round_robin`).

    Where only the hundred single tokens were asked, `next_token_agreement` answers.
    """
    from pytest_scratchverify.methods.behaviour import features  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.binomial_rate import exact_rate  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.round_robin import (  # noqa: PLC0415
        share_by_manner,
        share_equal,
    )

    if asked_next_tokens_only(paired):
        return next_token_agreement(paired, thresholds, declared=declared)
    probes, reference = probes_of(shipped_probes(), Kind.CONTINUATION), paired.theirs.model
    given = comparable_answers(paired, probes, thresholds)
    tested = hypothesis("output_agreement", HYPOTHESIS, *given.answers, reference=reference)
    if given.reason is not None:
        return tested.undecided(given.reason)
    codes, usable = features.openings([openings(answers, probes) for answers in given.answers])
    shares = share_equal(codes, usable)
    robin = RoundRobin(
        names=given.models,
        similarity=shares,
        planted=lambda: share_equal(*_half_taken_over(codes, usable)),
        perfect=1.0,
        least=thresholds.least_excess,
        family=paired.family,
    )
    judged = judge_pair(robin, thresholds.alpha)
    if judged is None:
        return tested.undecided(TOO_FEW_SHARED)
    manner = share_by_manner(codes, usable)
    found = similarity.kind_of(judged, robin, manner, thresholds)
    reused = found is PairSimilarity.SPECIAL
    together = usable[0] & usable[1]
    rate = exact_rate(int((codes[0] == codes[1])[together].sum()), int(together.sum()))
    return tested.finding(
        Outcome.DECLARED if reused and declared else OUTCOMES.get(found, Outcome.INDETERMINATE),
        Text(HEADLINES[found], **_values(found, judged, reference)),
        direction=Direction.TOWARD_REUSE if reused else Direction.NONE,
        relation=Relation.SHARED_ANSWERS if reused else None,
        statistic=statistic(
            "share_of_equal_openings", rate.value, rate.n, low=rate.low, high=rate.high
        ),
        effect=statistic("excess_agreement", judged.excess.effect),
        pvalue=judged.pvalue,
        null=similarity.null(len(given.answers)),
        controls=judged.controls,
        power=judged.power,
        replications=_halves(codes, usable, thresholds.alpha, paired.family),
        details={
            **similarity.details(judged),
            "controls_not_used": [*given.dropped],
            "family": paired.family,
            "equal_at_different_probes": round(float(manner[0, 1]), 4),
            "agreement": _table(given.models, shares),
            "beats": _beats(codes, usable, given.models),
            "dependence": _dependence(codes, together),
        },
    )


def _values(found: PairSimilarity, judged: Judged, reference: str) -> dict[str, object]:
    """The parameters of a headline."""
    if judged.failed is not None:
        return {"pair": " / ".join(judged.failed.pair), "reference": reference}
    excess = judged.excess
    values: dict[str, object] = {
        "reference": reference,
        "share": f"{excess.observed:.1%}",
        "expected": f"{excess.expected:.1%}",
        "spread": f"{excess.spread:.1%}",
    }
    if found is PairSimilarity.SPECIAL:
        values["caveat"] = CAVEAT
    if found is PairSimilarity.EXPECTED:
        values["taken"] = f"{judged.detectable:.0%}"
    return values


def openings(answers: Answers, probes: Sequence[Probe]) -> list[str | None]:
    """Return the opening of each probe's answer; None where there is none to compare."""
    from pytest_scratchverify.methods.behaviour.features import opening  # noqa: PLC0415

    found = (answers.by_probe.get(probe.id) for probe in probes)
    return [opening(a.text) if a is not None and a.text else None for a in found]


def _half_taken_over(codes: Codes, usable: Mask) -> tuple[Codes, Mask]:
    """Return the answers had the model taken a random half of them from the reference."""
    import numpy as np  # noqa: PLC0415

    taken = np.random.default_rng(SEED).random(codes.shape[1]) < 0.5
    mixed, there = codes.copy(), usable.copy()
    mixed[0], there[0] = np.where(taken, codes[1], codes[0]), np.where(taken, *usable[[1, 0]])
    return mixed, there


def _halves(codes: Codes, usable: Mask, alpha: float, family: int) -> int:
    """Count the disjoint halves of the probes, even and odd, that alone say the same."""
    from pytest_scratchverify.stats.behaviour.round_robin import excess, share_equal  # noqa: PLC0415

    found = [excess(share_equal(codes[:, s::2], usable[:, s::2]), 0, 1) for s in (0, 1)]
    return max(1, sum(f is not None and f.pvalue * family < alpha for f in found))


def _beats(codes: Codes, usable: Mask, names: list[str]) -> dict[str, Json]:
    """The exact sign test against each unrelated model: shown, never decisive."""
    from pytest_scratchverify.stats.behaviour.round_robin import sign_test  # noqa: PLC0415

    out: dict[str, Json] = {}
    for row, name in enumerate(names[2:], 2):
        there = usable[0] & usable[1] & usable[row]
        with_two = codes[0, there] == codes[1, there]
        out[name] = sign_test(with_two, codes[0, there] == codes[row, there])
    return out


def _dependence(codes: Codes, together: Mask) -> dict[str, Json] | None:
    """On how few probes the agreement hangs, by replacing one answer at a time."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.behaviour.probe_dependence import concentration  # noqa: PLC0415

    a, b = codes[0, together], codes[1, together]
    moved = np.abs((np.roll(a, len(a) // 2) == b).astype(float) - (a == b)) / max(1, len(a))
    found = concentration(moved)
    return {"top_two": found.top, "effective_probes": found.effective} if found else None


def _table(names: list[str], shares: Float) -> dict[str, Json]:
    rows: list[Json] = [[round(float(v), 4) for v in row[:SHOWN]] for row in shares[:SHOWN]]
    return {"models": [*names[:SHOWN]], "share_equal": rows}
