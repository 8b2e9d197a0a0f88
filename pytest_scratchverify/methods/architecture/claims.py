"""Check published claims about a design against its config and the whole catalogue.

A contradicted claim is a finding about the claim, never about the weights, and it is not the
developer's claim unless the source says so. Uniqueness is judged over every entry, with their
number stated: "not seen elsewhere" is worth as much as the places that were looked at.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_scratchverify.catalog.claims import Claim
from pytest_scratchverify.catalog.entries import Catalogue, Entry
from pytest_scratchverify.catalog.nearest import nearest
from pytest_scratchverify.checkpoint.design import Design, Tower, Value
from pytest_scratchverify.checkpoint.parameter_count import UncountableDesignError, count_parameters
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Level, Outcome, Relation, Source
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.design import Calibration, Config

Judgement = tuple[Outcome, Text]


def claim_holds(
    model: ModelSpec, claim: Claim, config: Config, catalogue: Catalogue, calibration: Calibration
) -> Finding:
    """Confirm or contradict one published claim about `model`'s design."""
    design = config.designs.get(Tower.TEXT)
    if design is None:
        outcome, headline = Outcome.INDETERMINATE, Text("the config describes no text tower")
    elif claim.status == "unverified" and config.record.source is Source.CATALOGUE:
        outcome, headline = _unverifiable(claim)
    else:
        outcome, headline = _JUDGES[claim.kind](claim, design, catalogue, calibration)
    return Finding(
        method=f"architecture.claim.{claim.id}",
        component=Component.ARCHITECTURE,
        model=model.name,
        outcome=outcome,
        headline=headline,
        hypothesis=Text("the published claim {claim} holds", claim=claim.id),
        level=Level.E2,
        relation=Relation.CONTRADICTED if outcome is Outcome.INDETERMINATE else None,
        dependence_group="architecture",
        artifacts=(config.record,),
        remedy=Text(
            "the claim is refuted; it says nothing about the weights ({source})",
            source=claim.source,
        )
        if outcome is Outcome.INDETERMINATE
        else Text("read the model's own config.json: the hub has to be reachable"),
        details={
            "claim": claim.id,
            "kind": claim.kind,
            "field": claim.field,
            "claimed": claim.value,
            "source": claim.source,
        },
    )


def _unverifiable(claim: Claim) -> Judgement:
    return Outcome.UNAVAILABLE, Text(
        "{field} = {value} rests on the claim's own source; nothing else was reachable",
        field=claim.field,
        value=claim.value,
    )


def claimed_value(design: Design, field: str) -> Value | None:
    """Return what a design states for a claim's field, derived ones included."""
    if field == "n_experts":
        routed = design.size("n_routed_experts")
        return None if routed is None else routed + (design.size("n_shared_experts") or 0)
    if field == "qk_head_dim":
        nope, rope = design.size("qk_nope_head_dim"), design.size("qk_rope_head_dim")
        return nope + rope if nope is not None and rope is not None else design.size("head_dim")
    if field == "active_parameters":
        try:
            return count_parameters(design).active
        except UncountableDesignError:
            return None
    return design.fields.get(field)


def _judge_value(
    claim: Claim, design: Design, _catalogue: Catalogue, calibration: Calibration
) -> Judgement:
    value = claimed_value(design, claim.field)
    if value is None:
        return Outcome.UNAVAILABLE, Text("the config does not state {field}", field=claim.field)
    if claim.field == "active_parameters":
        return _judge_active(claim, design, calibration)
    if value == claim.value:
        return Outcome.CONSISTENT, Text(
            "{field} is {value}, as published", field=claim.field, value=value
        )
    return Outcome.INDETERMINATE, Text(
        "{field} is {value}, not {claimed} as published",
        field=claim.field,
        value=value,
        claimed=claim.value,
    )


def _judge_active(claim: Claim, design: Design, calibration: Calibration) -> Judgement:
    count = count_parameters(design)
    claimed = float(claim.value)
    shown = {"computed": round(count.active / 1e9, 2), "claimed": claimed / 1e9}
    nearest_value = min(count.active_as_cards_count, key=lambda value: abs(value - claimed))
    if abs(nearest_value - claimed) / claimed <= calibration.parameter_tolerance:
        return Outcome.CONSISTENT, Text(
            "{computed}B active parameters computed, {claimed}B published", **shown
        )
    return Outcome.INDETERMINATE, Text(
        "{computed}B active parameters computed, not {claimed}B as published", **shown
    )


def _others(claim: Claim, catalogue: Catalogue) -> list[tuple[Entry, Value]]:
    found = []
    for entry in catalogue.with_tower(Tower.TEXT):
        value = claimed_value(entry.designs[Tower.TEXT], claim.field)
        if entry.repo.lower() != claim.model.lower() and value is not None:
            found.append((entry, value))
    return found


def _judge_unique(
    claim: Claim, _design: Design, catalogue: Catalogue, _calibration: Calibration
) -> Judgement:
    others = _others(claim, catalogue)
    same = sorted(entry.repo for entry, value in others if value == claim.value)
    if same:
        return Outcome.INDETERMINATE, Text(
            "{field} = {value} is not unique: {same} have it too",
            field=claim.field,
            value=claim.value,
            same=same,
        )
    return Outcome.CONSISTENT, Text(
        "{field} = {value} is in none of {n} other catalogue entries that state it",
        field=claim.field,
        value=claim.value,
        n=len(others),
    )


def _judge_largest(
    claim: Claim, _design: Design, catalogue: Catalogue, _calibration: Calibration
) -> Judgement:
    others = _others(claim, catalogue)
    larger = sorted(
        (-float(value), entry.repo, value)
        for entry, value in others
        if isinstance(value, (int, float)) and float(value) > float(claim.value)
    )
    if larger:
        return Outcome.INDETERMINATE, Text(
            "{field} = {value} is not the largest: {larger}",
            field=claim.field,
            value=claim.value,
            larger=[f"{repo} {value}" for _, repo, value in larger[:4]],
        )
    return Outcome.CONSISTENT, Text(
        "{field} = {value} is the largest of {n} catalogue entries that state it",
        field=claim.field,
        value=claim.value,
        n=len(others) + 1,
    )


def _judge_no_match(
    claim: Claim, design: Design, catalogue: Catalogue, _calibration: Calibration
) -> Judgement:
    rows = nearest(design, catalogue, exclude=[claim.model], k=None)
    near = sorted((row for row in rows if row.core_equal >= 4), key=lambda row: -row.core_equal)
    if near:
        return Outcome.INDETERMINATE, Text(
            "other models do match: {matches} of 5 core fields",
            matches=[f"{row.entry.repo} {row.core_equal}" for row in near],
        )
    return Outcome.CONSISTENT, Text(
        "none of {n} catalogue entries equals four or more core fields", n=len(rows)
    )


def _judge_nonstandard(
    claim: Claim, design: Design, _catalogue: Catalogue, _calibration: Calibration
) -> Judgement:
    head_dim = design.size("head_dim")
    usual = None if not head_dim else head_dim**-0.5
    if usual is not None and abs(float(claim.value) - usual) < 1e-12:
        return Outcome.INDETERMINATE, Text(
            "{field} = {value} is {head_dim}^-0.5, the ordinary 1/sqrt(head_dim): no design "
            "choice of its own",
            field=claim.field,
            value=claim.value,
            head_dim=head_dim,
        )
    return Outcome.CONSISTENT, Text(
        "{field} = {value} is not 1/sqrt(head_dim)", field=claim.field, value=claim.value
    )


_JUDGES: dict[str, Callable[[Claim, Design, Catalogue, Calibration], Judgement]] = {
    "value": _judge_value,
    "unique": _judge_unique,
    "largest": _judge_largest,
    "no_match": _judge_no_match,
    "nonstandard": _judge_nonstandard,
}
