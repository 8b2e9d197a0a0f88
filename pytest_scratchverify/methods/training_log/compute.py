"""Arithmetic of a training: tokens in the log, and operations against hardware and time.

Every number is somebody's statement and keeps its status; a test whose numbers are missing
or unverified is unavailable, never passed. Plausible arithmetic shows no origin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_scratchverify.catalog as catalog_package
from pytest_scratchverify.core.errors import Reason, Unavailable
from pytest_scratchverify.core.evidence import Finding, Null, Outcome, Statistic
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.training_log.thresholds import (
    TrainingLogThresholds,
    finding,
    number,
)

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


def tokens(
    model: str, log: TrainingLog, claimed: float | None = None, batch: float | None = None
) -> Finding:
    """Tokens per step times steps are the tokens that the model is said to have seen.

    `claimed` and `batch` (tokens per step) replace the shipped facts on the model.
    """
    facts = compute_facts().get(model, {})
    claimed = claimed or _value(facts, "tokens")
    batch = batch or _value(facts, "batch_tokens")
    logged = float(log.tokens[-1]) if log.tokens is not None else None
    if logged is None and batch is not None and not log.counted:
        logged = batch * (float(log.steps.max()) + 1)
    if logged is None or claimed is None:
        raise Unavailable(
            Reason.ABSENT,
            Text("Tokens of {model} cannot be compared: the log's total or the claim is unknown.",
                 model=model),
            Text("Give a log with a column of tokens; publish tokens per step and in all."),
        )  # fmt: skip
    ratio = logged / claimed
    agree = 0.9 <= ratio <= 1.1
    words = {"logged": logged, "claimed": claimed, "ratio": round(ratio, 3)}
    if agree:
        said = Text("the log's {logged} tokens are the {claimed} claimed (ratio {ratio})", **words)
    else:
        said = Text("the log's {logged} tokens are not the {claimed} claimed (ratio {ratio}):"
                    " another stage or model of the family, a cut log, or padding counted.",
                    **words)  # fmt: skip
    return finding(
        "tokens", model, log, Outcome.CONSISTENT if agree else Outcome.INDETERMINATE, said,
        Text("the log's steps make the tokens that are claimed"),
        statistic=number("logged_over_claimed", ratio, len(log)), null=_ARITHMETIC,
    )  # fmt: skip


def compute(model: str, limits: TrainingLogThresholds) -> Finding:
    """The arithmetic that a training takes fits the hardware and the time that are claimed.

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
    reported = _value(facts, "reported_flops")
    ends = [use]
    if reported is not None and budget.possible:
        ends.append(reported / budget.possible)
    alternative = _value(facts, "tokens_alternative")
    if alternative is not None:
        ends.append(use * alternative / total)
    upper = bool(facts.get("hours_cover_more"))
    impossible = min(ends) > limits["highest_utilisation"]
    words = {"needed": f"{budget.needed:.3g}", "low": f"{min(ends):.1%}",
             "high": f"{max(ends):.1%}",
             "limit": f"{limits['highest_utilisation']:.0%}"}  # fmt: skip
    if impossible:
        said = Text("{needed} operations would have used {low} of the hardware's peak, over the"
                    " {limit} that the best published trainings reach: tokens, parameters, hours"
                    " or hardware are misstated.", **words)  # fmt: skip
    elif upper:
        said = Text("{needed} operations used at least {low} to {high} of the hardware's peak; the"
                    " hours cover other trainings too. Plausible, which shows no origin.",
                    **words)  # fmt: skip
    else:
        said = Text("{needed} operations used {low} to {high} of the hardware's peak: plausible,"
                    " which shows no origin", **words)  # fmt: skip
    return finding(
        "compute", model, None, Outcome.INDETERMINATE if impossible else Outcome.CONSISTENT, said,
        Text("the claimed hardware and time suffice for the claimed training"),
        statistic=Statistic(name="utilisation", value=use, low=min(ends), high=max(ends)),
        effect=number("tokens_per_active_parameter", budget.tokens_per_parameter),
        null=_ARITHMETIC,
        details={"needed_flops": budget.needed, "possible_flops": budget.possible,
                 "facts": {name: dict(entry) for name, entry in facts.items()
                           if isinstance(entry, Mapping)},
                 "chinchilla_ratio": budget.tokens_per_parameter / 20},
    )  # fmt: skip


def _lacking(model: str, facts: Facts, lacking: list[str]) -> Unavailable:
    known = [f"{name}: {facts[name]['status']}" for name in lacking if name in facts]
    return Unavailable(
        Reason.ABSENT,
        Text("Compute of {model} cannot be checked: no verified {lacking} ({known}).", model=model,
             lacking=lacking, known=known or "nothing published"),
        Text("Publish parameters, tokens, GPU hours and the kind of GPU."),
    )  # fmt: skip
