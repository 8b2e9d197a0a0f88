"""Arithmetic of a training: tokens in the log, and operations against hardware and time.

Every number is somebody's statement and keeps its status; a test whose numbers are missing
or unverified is unavailable, never passed. Plausible arithmetic shows no origin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_scratchverify.catalog as catalog_package
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Finding, Null, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.decision import (
    CONTRADICTED,
    HOLDS,
    Decision,
    about_log,
    number,
)
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds

if TYPE_CHECKING:  # numpy comes with it; collection stays light
    from pytest_scratchverify.methods.training_log.readers import TrainingLog

USABLE = frozenset({"read", "read in a secondary source", "computed"})
_ARITHMETIC = Null(kind="exact", description=Text("Arithmetic of published numbers"))

Facts = Mapping[str, Any]


@cache
def compute_facts() -> Mapping[str, Facts]:
    """Return the shipped compute facts: per model, numbers with source and status."""
    path = Path(catalog_package.__file__).parent / "data" / "compute.json"
    models: Mapping[str, Facts] = json.loads(path.read_text("utf-8"))["models"]
    return models


def batch_tokens(model: str) -> float | None:
    """Return the tokens per step that were published for a model, if any."""
    return _value(compute_facts().get(model, {}), "batch_tokens")


def _value(facts: Facts, name: str) -> float | None:
    entry = facts.get(name)
    if entry is None or entry["status"] not in USABLE or entry["value"] is None:
        return None
    return float(entry["value"])


TOKEN_HEADLINES: Mapping[Outcome, str] = {
    Outcome.CONSISTENT: "the log's {logged} tokens are the {claimed} claimed (ratio {ratio})",
    Outcome.INDETERMINATE: "the log's {logged} tokens are not the {claimed} claimed (ratio"
    " {ratio}): another stage or model of the family, a cut log, or padding counted.",
}


def tokens(
    model: str, log: TrainingLog, claimed: float | None = None, batch: float | None = None
) -> Finding:
    """Tokens per step times steps are the tokens that the model is said to have seen.

    `claimed` and `batch` (tokens per step) replace the shipped facts on the model.
    """
    facts = compute_facts().get(model, {})
    claimed = claimed or _value(facts, "tokens")
    logged = _logged_tokens(log, batch or _value(facts, "batch_tokens"))
    if logged is None or claimed is None:
        raise _incomparable_tokens(model)
    ratio = logged / claimed
    decision = HOLDS if 0.9 <= ratio <= 1.1 else CONTRADICTED
    values = {"logged": logged, "claimed": claimed, "ratio": round(ratio, 3)}
    hypothesis = Text("the log's steps make the tokens that are claimed")
    return decision.finding(
        about_log("tokens", model, log, hypothesis),
        Text(TOKEN_HEADLINES[decision.outcome], **values),
        statistic=number("logged_over_claimed", ratio, len(log)),
        null=_ARITHMETIC,
    )


def _logged_tokens(log: TrainingLog, batch: float | None) -> float | None:
    """Return the tokens of the whole log, as it states them or by its steps."""
    if log.tokens is not None:
        return float(log.tokens[-1])
    if batch is None or log.counted:
        return None
    return batch * (float(log.steps.max()) + 1)


def _incomparable_tokens(model: str) -> Unavailable:
    return Unavailable(
        Reason.ABSENT,
        Text(
            "Tokens of {model} cannot be compared: the log's total or the claim is unknown.",
            model=model,
        ),
        Text("Give a log with a column of tokens; publish tokens per step and in all."),
    )


class Utilisation(Enum):
    """What the hardware utilisation that follows from the claims says of them."""

    IMPOSSIBLE = auto()
    PLAUSIBLE_AT_LEAST = auto()  # the hours cover other trainings too
    PLAUSIBLE = auto()


UTILISATIONS: Mapping[Utilisation, Decision] = {
    Utilisation.IMPOSSIBLE: CONTRADICTED,
    Utilisation.PLAUSIBLE_AT_LEAST: HOLDS,
    Utilisation.PLAUSIBLE: HOLDS,
}

UTILISATION_HEADLINES: Mapping[Utilisation, str] = {
    Utilisation.IMPOSSIBLE: "{needed} operations would have used {low} of the hardware's peak, over"
    " the {limit} that the best published trainings reach: tokens, parameters, hours or hardware"
    " are misstated.",
    Utilisation.PLAUSIBLE_AT_LEAST: "{needed} operations used at least {low} to {high} of the"
    " hardware's peak; the hours cover other trainings too. Plausible, which shows no origin.",
    Utilisation.PLAUSIBLE: "{needed} operations used {low} to {high} of the hardware's peak:"
    " plausible, which shows no origin",
}


def compute(model: str, thresholds: TrainingLogThresholds) -> Finding:
    """Training FLOPs fit the hardware and the time that are claimed.

    Utilisation = 6 N D / (GPU hours x peak), N the active parameters. Raises `Unavailable`
    where a number is missing or only remembered.
    """
    from pytest_scratchverify.stats.training_log.training_compute import compute_budget  # noqa: PLC0415

    facts = compute_facts().get(model, {})
    needed = ("active_parameters", "tokens", "gpu_hours", "peak_flops")
    known = {name: _value(facts, name) for name in needed}
    parameters, total = known["active_parameters"], known["tokens"]
    lacking = [name for name in needed if known[name] is None]
    if parameters is None or total is None or lacking:
        raise _lacking(model, facts, lacking)
    budget = compute_budget(parameters, total, known["gpu_hours"], known["peak_flops"])
    use = budget.utilisation or 0.0
    low, high = _utilisations(facts, use, budget.possible, total)
    if low > thresholds.highest_utilisation:
        judged = Utilisation.IMPOSSIBLE
    else:
        upper = facts.get("hours_cover_more")
        judged = Utilisation.PLAUSIBLE_AT_LEAST if upper else Utilisation.PLAUSIBLE
    headline = Text(
        UTILISATION_HEADLINES[judged],
        needed=f"{budget.needed:.3g}",
        low=f"{low:.1%}",
        high=f"{high:.1%}",
        limit=f"{thresholds.highest_utilisation:.0%}",
    )
    hypothesis = Text("the claimed hardware and time suffice for the claimed training")
    return UTILISATIONS[judged].finding(
        about_log("compute", model, None, hypothesis),
        headline,
        statistic=Statistic(name="utilisation", value=use, low=low, high=high),
        effect=number("tokens_per_active_parameter", budget.tokens_per_parameter),
        null=_ARITHMETIC,
        details={
            "needed_flops": budget.needed,
            "possible_flops": budget.possible,
            "facts": {
                name: dict(entry) for name, entry in facts.items() if isinstance(entry, Mapping)
            },
            "chinchilla_ratio": budget.tokens_per_parameter / 20,
        },
    )


def _utilisations(
    facts: Facts, use: float, possible: float | None, total: float
) -> tuple[float, float]:
    """Return the lowest and highest utilisation by all the figures that were published."""
    ends = [use]
    reported = _value(facts, "reported_flops")
    if reported is not None and possible:
        ends.append(reported / possible)
    alternative = _value(facts, "tokens_alternative")
    if alternative is not None:
        ends.append(use * alternative / total)
    return min(ends), max(ends)


STATUSES: Mapping[str, Text] = {  # of a fact that decides nothing
    "missing": Text("missing"),
    "unverified memory": Text("not verified"),
}


def _lacking(model: str, facts: Facts, lacking: list[str]) -> Unavailable:
    known = [
        Text("{name}: {status}", name=name, status=STATUSES.get(status) or status)
        for name in lacking
        if name in facts and (status := str(facts[name]["status"]))
    ]
    return Unavailable(
        Reason.ABSENT,
        Text(
            "Compute of {model} cannot be checked: no verified {lacking} ({known}).",
            model=model,
            lacking=lacking,
            known=known or Text("nothing published"),
        ),
        Text("Publish parameters, tokens, GPU hours and the kind of GPU."),
    )
