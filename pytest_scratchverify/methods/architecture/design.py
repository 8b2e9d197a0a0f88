"""Designs side by side: the nearest in the catalogue, and the five core fields of a reference.

Design never decides origin. Equal shapes say that a tensor-by-tensor comparison of weights is
possible, and no more: OpenLLaMA has Llama's exact design and weights of its own. So no finding
of this module accuses and none clears; its level is E2 at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from pytest_scratchverify.catalog.entries import Catalogue, Entry
from pytest_scratchverify.catalog.nearest import DesignComparison, compare, nearest
from pytest_scratchverify.checkpoint.design import Design, Tower
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Finding, Level, Null, Outcome, Relation, Statistic
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.config import (
    Config,
    about_design,
    trained_components,
)
from pytest_scratchverify.methods.architecture.thresholds import ArchitectureThresholds

_WEIGHTS_NEXT = Text(
    "Whether weights came along is what weights.origin asks, where both can be read."
)


class Nearness(Enum):
    """How near the catalogue's nearest design is to a tower's."""

    NO_TOWER = auto()
    TOO_FEW_FIELDS = auto()
    FAR = auto()
    NEAR = auto()
    NEAR_AS_DECLARED = auto()


OUTCOMES: Mapping[Nearness, Outcome] = {
    Nearness.NO_TOWER: Outcome.NOT_APPLICABLE,
    Nearness.TOO_FEW_FIELDS: Outcome.INDETERMINATE,
    Nearness.FAR: Outcome.CONSISTENT,
    Nearness.NEAR: Outcome.INDETERMINATE,
    Nearness.NEAR_AS_DECLARED: Outcome.DECLARED,
}

HEADLINES: Mapping[Nearness, str] = {
    Nearness.NO_TOWER: "{model} describes no {tower} tower",
    Nearness.TOO_FEW_FIELDS: "the config states too few fields to compare with any catalogue entry",
    Nearness.FAR: "no catalogued {tower} design is near {model}'s; the nearest is {reference} "
    "({shared} of {n} fields equal, distance {distance})",
    Nearness.NEAR: "{model}'s {tower} design is near {reference}'s: {shared} of {n} fields equal;"
    " different: {differing}; design says nothing about whose weights they are",
    Nearness.NEAR_AS_DECLARED: "{model}'s {tower} design is {reference}'s, as declared: {shared} of"
    " {n} fields equal; different: {differing}",
}


def nearest_design(
    model: ModelSpec,
    config: Config,
    tower: Tower,
    catalogue: Catalogue,
    thresholds: ArchitectureThresholds,
) -> Finding:
    """Find the published design nearest to a tower's, and how common such a distance is.

    Outcomes: declared where a near design is the declared origin; indeterminate where an
    undeclared one is near (a reason to compare weights); consistent where none is; not
    applicable where the model has no such tower.
    """
    statement = Text("the design of the {tower} tower is nobody else's", tower=tower.value)
    test = f"{tower.value}_design"
    design = config.designs.get(tower)
    found = nearest(design, catalogue, exclude=[model.name], k=5) if design is not None else []
    if design is None or not found:
        nearness = Nearness.NO_TOWER if design is None else Nearness.TOO_FEW_FIELDS
        values = {"model": model.name, "tower": tower.value} if design is None else {}
        return about_design(test, model.name, config, statement).finding(
            OUTCOMES[nearness],
            Text(HEADLINES[nearness], **values),
            level=Level.E0,
            components=trained_components(config.designs),
        )
    chosen = _declared_first(model, tower, found, thresholds)
    nearness = _nearness(model, tower, chosen, thresholds)
    near = nearness is not Nearness.FAR
    tested = about_design(test, model.name, config, statement, reference=chosen.entry.repo)
    return tested.finding(
        OUTCOMES[nearness],
        Text(HEADLINES[nearness], **_values(model, tower, chosen, near=near)),
        relation=Relation.NEAR_DESIGN if near else Relation.OWN_DESIGN,
        statistic=Statistic(name="gower_distance", value=chosen.distance, n=chosen.result.n),
        null=_population(thresholds),
        remedy=_WEIGHTS_NEXT if nearness is Nearness.NEAR else None,
        components=trained_components(config.designs),
        details={
            "design": dict(sorted(design.fields.items())),
            "special_modules": [*design.special_modules],
            "share_of_foreign_pairs_as_near": thresholds.share_as_near(chosen.distance),
            "nearest": [_row(comparison) for comparison in found],
            "catalogue_entries": len(catalogue.with_tower(tower)),
            "chosen": chosen.entry.repo,
        },
    )


def _declared_first(
    model: ModelSpec,
    tower: Tower,
    found: list[DesignComparison],
    thresholds: ArchitectureThresholds,
) -> DesignComparison:
    """Pick the nearest, or the declared origin where that is near too."""
    for comparison in found:
        near = comparison.distance <= thresholds.near
        if near and _declares(model, tower, comparison.entry.repo):
            return comparison
    return found[0]


def _declares(model: ModelSpec, tower: Tower, repo: str) -> bool:
    components = [Component.ARCHITECTURE]
    if tower is Tower.VISION:
        components.append(Component.VISION_ENCODER)
    elif tower is Tower.AUDIO:
        components.append(Component.AUDIO_ENCODER)
    elif tower is Tower.PROJECTOR:
        components.append(Component.PROJECTOR)
    return any(model.declaration(component, repo) is not None for component in components)


def _nearness(
    model: ModelSpec, tower: Tower, chosen: DesignComparison, thresholds: ArchitectureThresholds
) -> Nearness:
    if chosen.distance > thresholds.near:
        return Nearness.FAR
    declared = _declares(model, tower, chosen.entry.repo)
    return Nearness.NEAR_AS_DECLARED if declared else Nearness.NEAR


def _values(
    model: ModelSpec, tower: Tower, chosen: DesignComparison, *, near: bool
) -> dict[str, Any]:
    """Return what the headline names."""
    differing = list(chosen.result.differing)
    return {
        "model": model.name,
        "tower": tower.value,
        "reference": chosen.entry.repo,
        "shared": len(chosen.result.shared),
        "n": chosen.result.n,
        "distance": round(chosen.distance, 3),
        "differing": (", ".join(differing) or "-") if near else differing,
    }


def core_fields(pair: Pair, config: Config, reference: Config, catalogue: Catalogue) -> Finding:
    """Compare two designs field by field and apply the public project's 5-of-5 rule.

    The rule ("5 of 5: fine-tuning suspected") is reported as what it is. Independent models
    reach 5 of 5, and the finding names how many catalogue entries do.
    """
    statement = Text("the five core fields do not all equal the reference's")
    tested = about_design(
        "core_fields", pair.model.name, config, statement, reference=pair.reference.name
    )
    design, other = config.designs.get(Tower.TEXT), reference.designs.get(Tower.TEXT)
    comparison = None
    if design is not None and other is not None:
        entry = Entry(pair.reference.name, "", (), reference.value)
        comparison = compare(design, entry)
    if design is None or comparison is None:
        why = Text("the two configs state too few fields in common")
        return tested.undecided(why, components=trained_components(config.designs))
    complete = comparison.core_compared == comparison.core_equal == 5
    declared = pair.model.declaration(Component.ARCHITECTURE, pair.reference.name) is not None
    same = [
        row
        for row in nearest(design, catalogue, exclude=[pair.model.name], k=None)
        if row.core_equal == 5
    ]
    return tested.finding(
        _core_outcome(complete=complete, declared=declared),
        _core_headline(pair, comparison, len(same)),
        relation=Relation.SAME_CORE if complete else Relation.OTHER_CORE,
        statistic=Statistic(name="core_fields_equal", value=comparison.core_equal, n=5),
        artifacts=(config.record, reference.record),
        remedy=_WEIGHTS_NEXT if complete and not declared else None,
        details={
            **_row(comparison),
            "korea_2026_rule": _rule_of_five(comparison.core_equal),
            "entries_with_the_same_core": [row.entry.repo for row in same],
            "weights_comparable": [*_comparable_shapes(design, comparison)],
        },
    )


def _core_outcome(*, complete: bool, declared: bool) -> Outcome:
    if declared:
        return Outcome.DECLARED
    return Outcome.INDETERMINATE if complete else Outcome.CONSISTENT


def _core_headline(pair: Pair, comparison: DesignComparison, same: int) -> Text:
    return Text(
        "{equal} of {compared} core fields equal {reference}'s ({shared} of {n} fields in all); "
        "catalogue entries with all five: {same}; design says nothing about whose weights they are",
        equal=comparison.core_equal,
        compared=comparison.core_compared,
        reference=pair.reference.name,
        shared=len(comparison.result.shared),
        n=comparison.result.n,
        same=same,
    )


def _rule_of_five(equal: int) -> str:
    """Return the reading that the public project's docs/03 gives to a count."""
    if equal == 5:
        return "same architecture, fine-tuning suspected"
    if equal >= 3:
        return "reference possible"
    return "probably independent" if equal >= 1 else "different"


_PROJECTIONS: Mapping[str, tuple[str, ...]] = {
    "embed_tokens": ("vocab_size", "hidden_size"),
    "q_a_proj": ("hidden_size", "q_lora_rank"),
    "q_b_proj": ("q_lora_rank", "num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim"),
    "kv_a_proj": ("hidden_size", "kv_lora_rank", "qk_rope_head_dim"),
    "kv_b_proj": ("kv_lora_rank", "num_attention_heads", "qk_nope_head_dim", "v_head_dim"),
    "q_proj": ("hidden_size", "num_attention_heads", "head_dim"),
    "k_proj, v_proj": ("hidden_size", "num_key_value_heads", "head_dim"),
    "o_proj": ("hidden_size", "num_attention_heads", "v_head_dim"),
    "dense mlp": ("hidden_size", "intermediate_size"),
    "expert mlp": ("hidden_size", "moe_intermediate_size"),
    "norms": ("hidden_size",),
}


def _comparable_shapes(design: Design, comparison: DesignComparison) -> list[str]:
    """Name the tensors whose shapes are equal, so that weights can be compared one to one."""
    other = comparison.entry.designs[design.tower]
    return [
        name
        for name, fields in _PROJECTIONS.items()
        if all(
            (size := design.size(field)) is not None and size == other.size(field)
            for field in fields
        )
    ]


def _population(thresholds: ArchitectureThresholds) -> Null:
    return Null(
        kind="reference_population",
        description=Text(
            "distances of {pairs} pairs of catalogued designs of different developers; no p-value: "
            "they are not independent designs",
            pairs=thresholds.pairs,
        ),
    )


def _row(comparison: DesignComparison) -> dict[str, Json]:
    differences: dict[str, Json] = {
        name: [ours, theirs] for name, (ours, theirs) in comparison.differences.items()
    }
    return {
        "repo": comparison.entry.repo,
        "status": comparison.entry.status,
        "distance": round(comparison.distance, 6),
        "compared": comparison.result.n,
        "equal": list(comparison.result.shared),
        "different": differences,
        "core_equal": comparison.core_equal,
        "core_compared": comparison.core_compared,
    }
