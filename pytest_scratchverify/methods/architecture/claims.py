"""Published claims about a design, checked against its config and the whole catalogue.

A contradicted claim is a finding about the claim, never about the weights, and it is not the
developer's claim unless the source says so. Uniqueness is judged over every entry, with their
number stated: "not seen elsewhere" is worth as much as the places that were looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from pytest_scratchverify.catalog.claims import Claim
from pytest_scratchverify.catalog.entries import Catalogue, Entry
from pytest_scratchverify.catalog.nearest import nearest
from pytest_scratchverify.checkpoint.design import Design, Tower, Value
from pytest_scratchverify.checkpoint.parameter_count import UncountableDesignError, count_parameters
from pytest_scratchverify.core.evidence import Finding, Outcome, Relation, Source
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.config import Config, about_design
from pytest_scratchverify.methods.architecture.thresholds import ArchitectureThresholds


class ClaimCheck(Enum):
    """What came of checking one published claim."""

    NO_TEXT_TOWER = auto()
    ONLY_ITS_OWN_SOURCE = auto()
    NOT_STATED = auto()
    AS_PUBLISHED = auto()
    NOT_AS_PUBLISHED = auto()
    ACTIVE_AS_PUBLISHED = auto()
    ACTIVE_NOT_AS_PUBLISHED = auto()
    UNIQUE = auto()
    NOT_UNIQUE = auto()
    LARGEST = auto()
    NOT_LARGEST = auto()
    NO_MATCH = auto()
    MATCHES = auto()
    NONSTANDARD = auto()
    STANDARD = auto()


OUTCOMES: Mapping[ClaimCheck, Outcome] = {
    ClaimCheck.NO_TEXT_TOWER: Outcome.INDETERMINATE,
    ClaimCheck.ONLY_ITS_OWN_SOURCE: Outcome.UNAVAILABLE,
    ClaimCheck.NOT_STATED: Outcome.UNAVAILABLE,
    ClaimCheck.AS_PUBLISHED: Outcome.CONSISTENT,
    ClaimCheck.NOT_AS_PUBLISHED: Outcome.INDETERMINATE,
    ClaimCheck.ACTIVE_AS_PUBLISHED: Outcome.CONSISTENT,
    ClaimCheck.ACTIVE_NOT_AS_PUBLISHED: Outcome.INDETERMINATE,
    ClaimCheck.UNIQUE: Outcome.CONSISTENT,
    ClaimCheck.NOT_UNIQUE: Outcome.INDETERMINATE,
    ClaimCheck.LARGEST: Outcome.CONSISTENT,
    ClaimCheck.NOT_LARGEST: Outcome.INDETERMINATE,
    ClaimCheck.NO_MATCH: Outcome.CONSISTENT,
    ClaimCheck.MATCHES: Outcome.INDETERMINATE,
    ClaimCheck.NONSTANDARD: Outcome.CONSISTENT,
    ClaimCheck.STANDARD: Outcome.INDETERMINATE,
}

HEADLINES: Mapping[ClaimCheck, str] = {
    ClaimCheck.NO_TEXT_TOWER: "the config describes no text tower",
    ClaimCheck.ONLY_ITS_OWN_SOURCE: "{field} = {value} rests on the claim's own source; nothing"
    " else was reachable",
    ClaimCheck.NOT_STATED: "the config does not state {field}",
    ClaimCheck.AS_PUBLISHED: "{field} is {value}, as published",
    ClaimCheck.NOT_AS_PUBLISHED: "{field} is {value}, not {claimed} as published",
    ClaimCheck.ACTIVE_AS_PUBLISHED: "{computed}B active parameters computed, {claimed}B published",
    ClaimCheck.ACTIVE_NOT_AS_PUBLISHED: "{computed}B active parameters computed, not {claimed}B as"
    " published",
    ClaimCheck.UNIQUE: "{field} = {value} is in none of {n} other catalogue entries that state it",
    ClaimCheck.NOT_UNIQUE: "{field} = {value} is not unique: {same} have it too",
    ClaimCheck.LARGEST: "{field} = {value} is the largest of {n} catalogue entries that state it",
    ClaimCheck.NOT_LARGEST: "{field} = {value} is not the largest: {larger}",
    ClaimCheck.NO_MATCH: "none of {n} catalogue entries equals four or more core fields",
    ClaimCheck.MATCHES: "other models do match: {matches} of 5 core fields",
    ClaimCheck.NONSTANDARD: "{field} = {value} is not 1/sqrt(head_dim)",
    ClaimCheck.STANDARD: "{field} = {value} is {head_dim}^-0.5, the ordinary 1/sqrt(head_dim): no"
    " design choice of its own",
}


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """The result of one check, and the values that its headline names."""

    check: ClaimCheck
    values: Mapping[str, Any] = field(default_factory=dict)


def claim_holds(
    model: ModelSpec,
    claim: Claim,
    config: Config,
    catalogue: Catalogue,
    thresholds: ArchitectureThresholds,
) -> Finding:
    """Confirm or contradict one published claim about `model`'s design."""
    design = config.designs.get(Tower.TEXT)
    if design is None:
        checked = CheckedClaim(ClaimCheck.NO_TEXT_TOWER)
    elif claim.status == "unverified" and config.record.source is Source.CATALOGUE:
        checked = CheckedClaim(ClaimCheck.ONLY_ITS_OWN_SOURCE, _stated(claim))
    else:
        checked = _CHECKS[claim.kind](claim, design, catalogue, thresholds)
    outcome = OUTCOMES[checked.check]
    contradicted = outcome is Outcome.INDETERMINATE
    statement = Text("the published claim {claim} holds", claim=claim.id)
    return about_design(f"claim.{claim.id}", model.name, config, statement).finding(
        outcome,
        Text(HEADLINES[checked.check], **checked.values),
        relation=Relation.CONTRADICTED if contradicted else None,
        remedy=Text(
            "the claim is refuted; it says nothing about the weights ({source})",
            source=claim.source,
        )
        if contradicted
        else Text("read the model's own config.json: the hub has to be reachable"),
        details={
            "claim": claim.id,
            "kind": claim.kind,
            "field": claim.field,
            "claimed": claim.value,
            "source": claim.source,
        },
    )


def _stated(claim: Claim) -> dict[str, Any]:
    return {"field": claim.field, "value": claim.value}


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


def _check_value(
    claim: Claim, design: Design, _catalogue: Catalogue, thresholds: ArchitectureThresholds
) -> CheckedClaim:
    value = claimed_value(design, claim.field)
    if value is None:
        return CheckedClaim(ClaimCheck.NOT_STATED, {"field": claim.field})
    if claim.field == "active_parameters":
        return _check_active(claim, design, thresholds)
    values = {"field": claim.field, "value": value}
    if value == claim.value:
        return CheckedClaim(ClaimCheck.AS_PUBLISHED, values)
    return CheckedClaim(ClaimCheck.NOT_AS_PUBLISHED, values | {"claimed": claim.value})


def _check_active(claim: Claim, design: Design, thresholds: ArchitectureThresholds) -> CheckedClaim:
    readings = count_parameters(design).active_as_cards_count  # as `claimed_value`: there are some
    claimed = float(claim.value)
    values = {"computed": round(readings[0] / 1e9, 2), "claimed": claimed / 1e9}
    closest = min(readings, key=lambda value: abs(value - claimed))
    if abs(closest - claimed) / claimed <= thresholds.parameter_tolerance:
        return CheckedClaim(ClaimCheck.ACTIVE_AS_PUBLISHED, values)
    return CheckedClaim(ClaimCheck.ACTIVE_NOT_AS_PUBLISHED, values)


def _others(claim: Claim, catalogue: Catalogue) -> list[tuple[Entry, Value]]:
    found = []
    for entry in catalogue.with_tower(Tower.TEXT):
        value = claimed_value(entry.designs[Tower.TEXT], claim.field)
        if entry.repo.lower() != claim.model.lower() and value is not None:
            found.append((entry, value))
    return found


def _check_unique(
    claim: Claim, _design: Design, catalogue: Catalogue, _thresholds: ArchitectureThresholds
) -> CheckedClaim:
    others = _others(claim, catalogue)
    same = sorted(entry.repo for entry, value in others if value == claim.value)
    if same:
        return CheckedClaim(ClaimCheck.NOT_UNIQUE, _stated(claim) | {"same": same})
    return CheckedClaim(ClaimCheck.UNIQUE, _stated(claim) | {"n": len(others)})


def _check_largest(
    claim: Claim, _design: Design, catalogue: Catalogue, _thresholds: ArchitectureThresholds
) -> CheckedClaim:
    others = _others(claim, catalogue)
    larger = sorted(
        (-float(value), entry.repo, value)
        for entry, value in others
        if isinstance(value, (int, float)) and float(value) > float(claim.value)
    )
    if larger:
        first = [f"{repo} {value}" for _, repo, value in larger[:4]]
        return CheckedClaim(ClaimCheck.NOT_LARGEST, _stated(claim) | {"larger": first})
    return CheckedClaim(ClaimCheck.LARGEST, _stated(claim) | {"n": len(others) + 1})


def _check_no_match(
    claim: Claim, design: Design, catalogue: Catalogue, _thresholds: ArchitectureThresholds
) -> CheckedClaim:
    rows = nearest(design, catalogue, exclude=[claim.model], k=None)
    near = sorted((row for row in rows if row.core_equal >= 4), key=lambda row: -row.core_equal)
    if near:
        matches = [f"{row.entry.repo} {row.core_equal}" for row in near]
        return CheckedClaim(ClaimCheck.MATCHES, {"matches": matches})
    return CheckedClaim(ClaimCheck.NO_MATCH, {"n": len(rows)})


def _check_nonstandard(
    claim: Claim, design: Design, _catalogue: Catalogue, _thresholds: ArchitectureThresholds
) -> CheckedClaim:
    head_dim = design.size("head_dim")
    usual = None if not head_dim else head_dim**-0.5
    if usual is not None and abs(float(claim.value) - usual) < 1e-12:
        return CheckedClaim(ClaimCheck.STANDARD, _stated(claim) | {"head_dim": head_dim})
    return CheckedClaim(ClaimCheck.NONSTANDARD, _stated(claim))


_Check = Callable[[Claim, Design, Catalogue, ArchitectureThresholds], CheckedClaim]
_CHECKS: Mapping[str, _Check] = {
    "value": _check_value,
    "unique": _check_unique,
    "largest": _check_largest,
    "no_match": _check_no_match,
    "nonstandard": _check_nonstandard,
}
