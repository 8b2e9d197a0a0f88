"""Next-token agreement: a hundred single tokens of two models, beside unrelated models'.

After "One Token Is Enough" (arXiv 2607.10252): distributions over the next token, or the most
probable token where a server gives no log probabilities, at about a hundred queries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_scratchverify.core.evidence import Direction, Finding, Outcome, Relation
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
from pytest_scratchverify.methods.behaviour.usable import (
    FEWEST_UNRELATED,
    comparable_answers,
    probes_of,
)
from pytest_scratchverify.methods.findings import statistic

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answers, Kind, Probe
    from pytest_scratchverify.stats.behaviour.next_token import Float, NextTokens

HYPOTHESIS = Text("the model goes on no more like the reference than unrelated models do")
SEED = 12  # which half of the prompts the positive control takes over
MOST_RIVALS = 5  # of a first token, which every server gives that gives any
TOP, TOKEN = "top", "token"  # what is known of a next token: its rivals as well, or itself alone

OUTCOMES = {
    PairSimilarity.EXPECTED: Outcome.CONSISTENT,
}  # the others: indeterminate; a special one points toward reuse, and is a lead at most
HEADLINES: Mapping[PairSimilarity, str] = {
    PairSimilarity.CONTROL_FAILED: "a control of known truth failed ({pair}): nothing is concluded"
    " from the next tokens shared with {reference} ({cost}).",
    PairSimilarity.OTHER_KIND: "next tokens are {share} alike to {reference}'s at {n} prompts; both"
    " models resemble the unrelated ones less than half as much as these resemble one another, so"
    " nothing follows: give unrelated models of the pair's kind ({cost}).",
    PairSimilarity.MANNER: "next tokens are {share} alike to {reference}'s at {n} prompts,"
    " {expected} expected, and much of it at different prompts too: a shared template does this"
    " ({cost}).",
    PairSimilarity.SPECIAL: "next tokens are {share} alike to {reference}'s at {n} prompts, where"
    " unrelated models lead to expect {expected} (give or take {spread}; {cost}). {caveat}",
    PairSimilarity.ELEVATED: "next tokens are {share} alike to {reference}'s at {n} prompts,"
    " {expected} expected (give or take {spread}; {cost}): more than strangers, less than most"
    " descendants. One data set or one tokenizer that the controls do not share does this.",
    PairSimilarity.UNDERPOWERED: "next tokens are {share} alike to {reference}'s at {n} prompts,"
    " {expected} expected ({cost}); the unrelated models are too few or too unlike each other to"
    " find a descendant.",
    PairSimilarity.EXPECTED: "next tokens are {share} alike to {reference}'s at {n} prompts, as"
    " unrelated models lead to expect ({expected}, give or take {spread}; {cost}); {taken} of"
    " them taken over would have been found",
}


def asked_next_tokens_only(paired: PairedAnswers) -> bool:
    """Whether of a pair the single tokens are at hand, and the longer continuations are not."""
    from pytest_scratchverify.methods.behaviour.asking import Kind  # noqa: PLC0415

    both = (paired.mine, paired.theirs)
    longer = all(_has(answers, Kind.CONTINUATION) for answers in both)
    return not longer and all(_has(answers, Kind.NEXT_TOKEN) for answers in both)


def next_token_agreement(
    paired: PairedAnswers, thresholds: BehaviourThresholds, *, declared: bool = False
) -> Finding:
    """Test the likeness of next tokens against that with and among unrelated models.

    A lead at most, like `output_agreement`, whose hypothesis, null and controls it shares: likeness
    of behaviour is no descent. Prompts at which everybody says the same are left out.
    """
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour import next_token  # noqa: PLC0415

    probes, reference = probes_of(shipped_probes(), Kind.NEXT_TOKEN), paired.theirs.model
    given = comparable_answers(paired, probes, thresholds)
    tested = hypothesis("output_agreement", HYPOTHESIS, *given.answers, reference=reference)
    if given.reason is not None:
        return tested.undecided(given.reason)
    known, answers = _known(given.answers, probes, thresholds)
    dropped = [*given.dropped, *(a.model for a in given.answers if a not in answers)]
    tokens = next_tokens(known, answers, probes)
    each = next_token.affinity(tokens)
    telling = next_token.telling_prompts(each, thresholds.next_token_same)
    if int(telling.sum()) < thresholds.fewest_shared:
        return tested.undecided(
            Text(
                "only {n} of {total} prompts tell any two of the models apart",
                n=int(telling.sum()),
                total=len(probes),
            )
        )
    robin = RoundRobin(
        names=[a.model for a in answers],
        similarity=next_token.mean_affinity(each[:, :, telling]),
        planted=lambda: _half_taken_over(tokens.at(telling)),
        perfect=1.0,
        least=thresholds.least_excess_next_token[known],
        family=paired.family,
    )
    judged = judge_pair(robin, thresholds.alpha)
    if judged is None:
        return tested.undecided(TOO_FEW_SHARED)
    manner = next_token.affinity_by_manner(tokens.at(telling))
    found = similarity.kind_of(judged, robin, manner, thresholds)
    reused = found is PairSimilarity.SPECIAL
    return tested.finding(
        Outcome.DECLARED if reused and declared else OUTCOMES.get(found, Outcome.INDETERMINATE),
        Text(HEADLINES[found], **_values(found, judged, paired, int(telling.sum()), probes)),
        direction=Direction.TOWARD_REUSE if reused else Direction.NONE,
        relation=Relation.SHARED_ANSWERS if reused else None,
        statistic=statistic("likeness_of_next_tokens", judged.excess.observed, int(telling.sum())),
        effect=statistic("excess_likeness", judged.excess.effect),
        pvalue=judged.pvalue,
        null=similarity.null(len(answers)),
        controls=judged.controls,
        power=judged.power,
        replications=_halves(each[:, :, telling], thresholds.alpha, paired.family),
        details={
            **similarity.details(judged),
            "known": known,
            "prompts_that_tell_nothing": len(probes) - int(telling.sum()),
            "controls_not_used": [*dropped],
            "family": paired.family,
            "alike_at_different_prompts": round(float(manner[0, 1]), 4),
            **_cost(paired.mine, probes),
        },
    )


def next_tokens(known: str, answers: Sequence[Answers], probes: Sequence[Probe]) -> NextTokens:
    """Return what each model says at each probe; of rivals as many as all the models gave."""
    from pytest_scratchverify.stats.behaviour.next_token import (  # noqa: PLC0415
        from_tokens,
        from_top,
    )

    rows = [[a.by_probe.get(probe.id) for probe in probes] for a in answers]
    if known == TOKEN:
        said = [[None if one is None else one.text for one in row] for row in rows]
        return from_tokens([[None if t is None else beginning(t) for t in row] for row in said])
    # Rivals that look alike (parts of one character) are one: a prompt may have fewer than asked.
    given = [max((len(one.top) for one in row if one and one.top), default=1) for row in rows]
    k = min(MOST_RIVALS, *given)
    return from_top(
        [
            [None if one is None or one.top is None else _probabilities(one.top) for one in row]
            for row in rows
        ],
        k,
    )


def beginning(token: str) -> str:
    """Return how a token begins: the first of its leading white space, and its first letter.

    Whole tokens are units of a tokenizer: compared as they are, two strangers that alone share one
    are alike beyond all others (on the zoo by .30, p 1e-11). How a text goes on is nobody's unit.
    """
    rest = token.lstrip()
    return token[: len(token) - len(rest)][:1] + rest[:1]


def _probabilities(top: Mapping[str, float]) -> dict[str, float]:
    """Return the probabilities of what a model's likeliest tokens begin with."""
    found: dict[str, float] = {}
    for token, value in top.items():
        found[beginning(token)] = found.get(beginning(token), 0.0) + math.exp(value)
    return found


def _known(
    answers: Sequence[Answers], probes: Sequence[Probe], thresholds: BehaviourThresholds
) -> tuple[str, tuple[Answers, ...]]:
    """Return what is known of next tokens, and the models of which it is.

    Rivals count where the pair and three unrelated models have them; else everybody's token.
    """
    share = thresholds.usable_share

    def has_rivals(one: Answers) -> bool:
        found = (one.by_probe.get(probe.id) for probe in probes)
        return sum(a is not None and a.top is not None for a in found) >= share * len(probes)

    with_rivals = tuple(one for one in answers if has_rivals(one))
    if with_rivals[:2] == tuple(answers[:2]) and len(with_rivals) >= FEWEST_UNRELATED + 2:
        return TOP, with_rivals
    return TOKEN, tuple(answers)


def _half_taken_over(tokens: NextTokens) -> Float:
    """Return the likeness had the model a random half of its next tokens from the reference."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.stats.behaviour.next_token import (  # noqa: PLC0415
        affinity,
        mean_affinity,
    )

    drawn = np.random.default_rng(SEED).random(tokens.codes.shape[1])
    taken = np.asarray(drawn < 0.5)
    return mean_affinity(affinity(tokens.taken_over(taken)))


def _halves(each: Float, alpha: float, family: int) -> int:
    """Count the disjoint halves of the prompts, even and odd, that alone say the same."""
    from pytest_scratchverify.stats.behaviour.next_token import mean_affinity  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.round_robin import excess  # noqa: PLC0415

    found = [excess(mean_affinity(each[:, :, start::2]), 0, 1) for start in (0, 1)]
    return max(1, sum(f is not None and f.pvalue * family < alpha for f in found))


def _cost(answers: Answers, probes: Sequence[Probe]) -> dict[str, int]:
    """Return what the model was asked: queries, and the tokens that they took."""
    asked = [answers.by_probe[probe.id] for probe in probes if probe.id in answers.by_probe]
    return {
        "queries": len(asked),
        "prompt_tokens": sum(one.prompt_tokens or 0 for one in asked),
        "completion_tokens": sum(one.completion_tokens or 0 for one in asked),
    }


def _values(
    found: PairSimilarity,
    judged: Judged,
    paired: PairedAnswers,
    n: int,
    probes: Sequence[Probe],
) -> dict[str, object]:
    """The parameters of a headline."""
    spent = _cost(paired.mine, probes)
    cost = Text(
        "{queries} queries, {tokens} tokens",
        queries=spent["queries"],
        tokens=spent["prompt_tokens"] + spent["completion_tokens"],
    )
    values: dict[str, object] = {"reference": paired.theirs.model, "cost": cost}
    if judged.failed is not None:
        return {**values, "pair": " / ".join(judged.failed.pair)}
    excess = judged.excess
    values |= {"n": n, "share": f"{excess.observed:.1%}", "expected": f"{excess.expected:.1%}"}
    if found not in (PairSimilarity.MANNER, PairSimilarity.UNDERPOWERED):
        values["spread"] = f"{excess.spread:.1%}"
    if found is PairSimilarity.SPECIAL:
        values["caveat"] = CAVEAT
    if found is PairSimilarity.EXPECTED:
        values["taken"] = f"{judged.detectable:.0%}"
    return values


def _has(answers: Answers, kind: Kind) -> bool:
    from pytest_scratchverify.methods.behaviour.asking import shipped_probes  # noqa: PLC0415

    return any(probe.id in answers.by_probe for probe in probes_of(shipped_probes(), kind))
