"""What answers say of a model: leads at most, and nothing on weights.

Behaviour alone never decides a verdict: every finding here is circumstantial (E2), on the
component `behaviour`, and the fold lets such evidence make a `SUSPECTED` at most. Post-training
can change all of it; and where nothing is found, nothing is cleared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_scratchverify.core.evidence import Direction, Finding, Level, Null, Outcome
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.behaviour.thresholds import (
    CAVEAT,
    BehaviourThresholds,
    Panel,
    chosen,
    finding,
    interface,
    number,
    open_finding,
    same_to_all,
)

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.behaviour.asking import Answers
    from pytest_scratchverify.stats.behaviour.change_point import Step

_OK, _OPEN = Outcome.CONSISTENT, Outcome.INDETERMINATE
_ANSWERED = Text("the model answers, and not the same to everything")
_OWN_NAME = Text("the model does not call itself another vendor's")
_A_CUTOFF = Text("the model's knowledge of dated events ends at some month")
_OWN_CUTOFF = Text("the model's knowledge ends where the reference's does, or it cannot be told")
_STEP = Text("Right answers put in any order over the months")


def quality(
    answers: Answers, limits: BehaviourThresholds, price: tuple[float, float] | None = None
) -> Finding:
    """Are these answers at all? Counts of empty, cut and failed ones, tokens, cost."""
    from pytest_scratchverify.methods.behaviour.asking import shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.grading import shares  # noqa: PLC0415

    asked = [p for p in shipped_probes() if p.id in answers.by_probe]
    counts = shares(answers, asked)
    good = counts.get("answered", 0)
    came = good + counts.get("cut", 0)
    same = same_to_all(answers, limits)
    few = not asked or came < limits.usable_share * len(asked)
    got = answers.by_probe.values()
    prompt = sum(a.prompt_tokens or 0 for a in got)
    completion = sum(a.completion_tokens or 0 for a in got)
    cost = None if price is None else (prompt * price[0] + completion * price[1]) / 1e6
    words = {"n": came, "total": len(asked), "tokens": prompt + completion}
    if same is not None:
        outcome, said = _OPEN, same
    elif few:
        outcome = _OPEN
        said = Text("{n} of {total} probes were answered ({tokens} tokens): too few.", **words)
    elif cost is not None:
        outcome = _OK
        said = Text("{n} of {total} probes were answered: {tokens} tokens, {cost} by the given"
                    " price", cost=f"{cost:.4f}", **words)  # fmt: skip
    else:
        outcome, said = _OK, Text("{n} of {total} probes were answered: {tokens} tokens", **words)
    return finding(
        "answers", answers.model, outcome, said, _ANSWERED, answers,
        level=Level.E0 if outcome is _OPEN else Level.E2,
        statistic=number("share_answered", came / len(asked) if asked else None, len(asked)),
        details={"counts": counts, "not_asked": len(shipped_probes()) - len(asked),
                 "prompt_tokens": prompt, "completion_tokens": completion, "cost": cost,
                 "interface": interface(answers), "lines_of_other_requests": answers.foreign,
                 "lines_not_read": answers.broken,
                 "parameters_rejected": sorted({d for a in got for d in a.dropped}),
                 "versions": sorted({f"{p.kind.value} {p.version}" for p in asked})},
    )  # fmt: skip


def identity(answers: Answers, limits: BehaviourThresholds, own: tuple[str, ...] = ()) -> Finding:
    """Does it say it is somebody else's? `own` are repositories whose vendors it may name."""
    from pytest_scratchverify.methods.behaviour import claims  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.binomial_rate import above, exact_rate  # noqa: PLC0415

    model = answers.model
    if (why := same_to_all(answers, limits)) is not None:
        return open_finding("identity", model, why, _OWN_NAME, answers)
    mine = claims.own_vendors(model, *own)
    found = claims.identity_claims(answers, shipped_probes(), mine)
    if found.n < limits.fewest_identity:
        why = Text("{n} answers say who the model is or are complete: too few.", n=found.n)
        return open_finding("identity", model, why, _OWN_NAME, answers)
    rate = exact_rate(found.foreign, found.n)
    pvalue = above(found.foreign, found.n, limits.identity_allowed)
    names = {v.key: v.name for v in claims.vendors()}
    shown = ", ".join(f"{names[k]} ({n})" for k, n in found.by_vendor.items())
    words = {"n": found.foreign, "total": found.n, "low": f"{rate.low:.0%}",
             "high": f"{rate.high:.0%}", "vendors": shown or "-"}  # fmt: skip
    outcome, direction = _OK, Direction.NONE
    if pvalue < limits.alpha:
        outcome, direction = _OPEN, Direction.TOWARD_REUSE
        said = Text("{n} of {total} answers claim another vendor: {vendors} (rate {low} to"
                    " {high}). Answers of other models in the training data do this too."
                    " {caveat}", caveat=CAVEAT, **words)  # fmt: skip
    elif not mine:
        outcome = _OPEN
        said = Text("{n} of {total} answers claim a vendor: {vendors}; who made this model is not"
                    " in the table of vendors, so none can be called foreign.",
                    **words)  # fmt: skip
    else:
        said = Text("{n} of {total} answers claim another vendor: {vendors} (rate {low} to"
                    " {high})", **words)  # fmt: skip
    return finding(
        "identity", model, outcome, said, _OWN_NAME, answers, direction=direction,
        statistic=number("rate_of_foreign_claims", rate.value, rate.n, rate.low, rate.high),
        effect=number("rate_of_own_claims", found.own / found.n), pvalue=pvalue,
        null=Null(kind="exact", description=Text(
            "Binomial: a model of its own claims a foreign vendor in one answer of twenty at"
            " most (chosen, not measured)")),
        details={"by_vendor": found.by_vendor, "own_vendors": sorted(mine),
                 "examples": [list(example) for example in found.examples]},
    )  # fmt: skip


def cutoff(answers: Answers, limits: BehaviourThresholds) -> Finding:
    """Until which month does it know the world? A step in right answers, with an interval.

    A late cutoff says nothing of origin: continued pre-training moves it.
    """
    model = answers.model
    step, n, curve, why = _step(answers, limits)
    if step is None:
        return open_finding("cutoff", model, why or Text("-"), _A_CUTOFF, answers,
                            details={"curve": curve})  # fmt: skip
    words = {"month": month_name(step.at), "low": month_name(step.low),
             "high": month_name(step.high), "before": f"{step.before:.0%}",
             "after": f"{step.after:.0%}", "n": n}  # fmt: skip
    return finding(
        "cutoff", model, _OK,
        Text("knowledge ends after {month} ({low} to {high}): {before} right before, {after}"
             " after, {n} questions; a cutoff says nothing of origin", **words),
        _A_CUTOFF, answers, statistic=number("last_month_known", step.at, n, step.low, step.high),
        effect=number("fall_of_right_answers", step.fall), pvalue=step.pvalue,
        null=Null(kind="permutation", description=_STEP, draws=step.draws),
        details={"curve": curve, "month": month_name(step.at),
                 "interval": [month_name(step.low), month_name(step.high)]},
    )  # fmt: skip


def cutoff_difference(panel: Panel, limits: BehaviourThresholds) -> Finding:
    """Does the model know the world longer than the reference? Intervals side by side."""
    mine, theirs = panel.mine, panel.theirs
    found = [_step(answers, limits) for answers in (mine, theirs)]
    parts: dict[str, Any] = {"reference": theirs.model}
    for step, _, _, why in found:
        if step is None:
            return open_finding("cutoff_difference", mine.model, why or Text("-"), _OWN_CUTOFF,
                                mine, theirs, **parts)  # fmt: skip
    one, two = found[0][0], found[1][0]
    assert one is not None  # noqa: S101 - returned above
    assert two is not None  # noqa: S101
    apart = one.low > two.high or two.low > one.high
    words = {"mine": month_name(one.at), "theirs": month_name(two.at), "reference": theirs.model}
    if apart:
        said = Text("knowledge ends after {mine}, {reference}'s after {theirs}: not the same"
                    " cutoff, which continued pre-training explains as well as another origin",
                    **words)  # fmt: skip
    else:
        said = Text("knowledge ends after {mine}, {reference}'s after {theirs}: no difference"
                    " within their intervals; models of one season share a cutoff",
                    **words)  # fmt: skip
    return finding(
        "cutoff_difference", mine.model, _OK, said, _OWN_CUTOFF, mine, theirs,
        statistic=number("months_later", one.at - two.at, None, one.low - two.high,
                         one.high - two.low),
        relation=None, details={"intervals": [[one.low, one.high], [two.low, two.high]]}, **parts,
    )  # fmt: skip


def _step(
    answers: Answers, limits: BehaviourThresholds
) -> tuple[Step | None, int, list[list[object]], Text | None]:
    """Find the step, or the reason why there is none to speak of."""
    import numpy as np  # noqa: PLC0415

    from pytest_scratchverify.methods.behaviour import grading  # noqa: PLC0415
    from pytest_scratchverify.methods.behaviour.asking import Kind, shipped_probes  # noqa: PLC0415
    from pytest_scratchverify.stats.behaviour.change_point import change_point  # noqa: PLC0415

    probes = chosen(shipped_probes(), Kind.KNOWLEDGE)
    graded = [
        (month_number(probe.month or ""), right)
        for probe in probes
        if (answer := answers.by_probe.get(probe.id)) is not None
        and (right := grading.is_right(probe, answer)) is not None
    ]
    curve = _by_quarter(graded)
    if (why := same_to_all(answers, limits)) is not None:
        return None, len(graded), curve, why
    if len(graded) < limits.usable_share * len(probes):
        return None, len(graded), curve, Text(
            "{model} gave {n} gradable answers to {total} dated questions: too few to see where"
            " knowledge ends.", model=answers.model, n=len(graded), total=len(probes))  # fmt: skip
    months, hits = np.array([m for m, _ in graded]), np.array([r for _, r in graded])
    found = change_point(months, hits)
    if found is None or found.pvalue > limits.cutoff_alpha or found.fall < limits.cutoff_fall:
        return None, len(graded), curve, Text(
            "{model} answers {share} of dated questions rightly, without a clear step: it knows"
            " too little, or past the last question.", model=answers.model,
            share=f"{hits.mean():.0%}")  # fmt: skip
    return found, len(graded), curve, None


def _by_quarter(graded: list[tuple[int, bool]]) -> list[list[object]]:
    rows: dict[int, list[int]] = {}
    for month, right in graded:
        row = rows.setdefault(month // 3, [0, 0])
        row[0] += right
        row[1] += 1
    return [[f"{q // 4}-Q{q % 4 + 1}", *rows[q]] for q in sorted(rows)]


def month_number(month: str) -> int:
    """Return ``2024-03`` as a count of months."""
    year, number_ = month.split("-")
    return int(year) * 12 + int(number_) - 1


def month_name(number_: int) -> str:
    """Return a count of months as ``2024-03``."""
    return f"{number_ // 12}-{number_ % 12 + 1:02}"
