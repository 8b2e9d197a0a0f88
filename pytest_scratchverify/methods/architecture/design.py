"""The architecture method: what a design shares with others, and what that does not show.

Design never decides origin. Equal shapes say that a tensor-by-tensor comparison of weights is
possible, and no more: OpenLLaMA has Llama's exact design and weights of its own. So no finding
of this module accuses and none clears; its level is E2 at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pytest_scratchverify.catalog.entries import Catalogue, Entry
from pytest_scratchverify.catalog.nearest import Comparison, compare, nearest
from pytest_scratchverify.checkpoint.design import Design, Tower, Value, read_designs
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import (
    ArtifactRecord,
    Finding,
    Level,
    Null,
    Outcome,
    Relation,
)
from pytest_scratchverify.core.evidence import Statistic as Measured
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text

NOT_EVIDENCE = Text("design says nothing about whose weights they are")
_WEIGHTS_NEXT = Text("compare the weights tensor by tensor: the shapes allow it")
_GROUP = "architecture"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Frozen numbers of suites/calibration/architecture.json."""

    near: float
    parameter_tolerance: float
    quantiles: tuple[tuple[float, float], ...]
    pairs: int

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Calibration:
        """Read the calibration file's content."""
        population = cast("dict[str, Json]", data["population"])
        quantiles = cast("dict[str, Json]", population["quantiles"])
        return cls(
            near=cast("float", data["near"]),
            parameter_tolerance=cast("float", data["parameter_tolerance"]),
            quantiles=tuple((float(q), cast("float", v)) for q, v in quantiles.items()),
            pairs=cast("int", population["pairs"]),
        )

    def share_as_near(self, distance: float) -> float:
        """Return the share of foreign pairs at most this far apart, as an upper bound."""
        return next((q for q, value in self.quantiles if value >= distance), 1.0)


@dataclass(frozen=True, slots=True)
class Config:
    """A config.json that was read, and the record of that reading."""

    value: Mapping[str, Json]
    record: ArtifactRecord

    @property
    def designs(self) -> Mapping[Tower, Design]:
        """Return the designs of the towers that it describes."""
        return read_designs(self.value)


def trained_components(designs: Mapping[Tower, Design]) -> list[Component]:
    """Return the components with weights of their own that a config implies."""
    found = []
    if Tower.TEXT in designs:
        found += [Component.EMBEDDINGS, Component.TEXT_DECODER]
        tied = designs[Tower.TEXT].fields.get("tie_word_embeddings") is True
        found += [] if tied else [Component.LM_HEAD]  # a tied head has no weights of its own
        found += [Component.ROUTER_EXPERTS] if designs[Tower.TEXT].is_moe else []
    if Tower.VISION in designs:
        found.append(Component.VISION_ENCODER)
    if Tower.AUDIO in designs:
        found.append(Component.AUDIO_ENCODER)
    if Tower.VISION in designs or Tower.AUDIO in designs:
        found.append(Component.PROJECTOR)
    return found


def nearest_design(
    model: ModelSpec, config: Config, tower: Tower, catalogue: Catalogue, calibration: Calibration
) -> Finding:
    """Say which published design a tower comes nearest to, and how common such nearness is.

    Outcomes: declared where a near design is the declared origin; indeterminate where an
    undeclared one is near (a reason to compare weights); consistent where none is; not
    applicable where the model has no such tower.
    """
    method = f"architecture.{tower.value}_design"
    hypothesis = Text("the design of the {tower} tower is nobody else's", tower=tower.value)
    design = config.designs.get(tower)
    if design is None:
        return plain_finding(
            method, model, config, hypothesis, Outcome.NOT_APPLICABLE,
            Text("{model} describes no {tower} tower", model=model.name, tower=tower.value),
        )  # fmt: skip
    found = nearest(design, catalogue, exclude=[model.name], k=5)
    if not found:
        return plain_finding(
            method, model, config, hypothesis, Outcome.INDETERMINATE,
            Text("the config states too few fields to compare with any catalogue entry"),
        )  # fmt: skip
    chosen = _declared_first(model, tower, found, calibration)
    outcome, headline = _design_outcome(model, tower, chosen, calibration)
    return Finding(
        method=method,
        component=Component.ARCHITECTURE,
        model=model.name,
        reference=chosen.entry.repo,
        outcome=outcome,
        headline=headline,
        hypothesis=hypothesis,
        level=Level.E2,
        relation=Relation.NEAR_DESIGN
        if chosen.distance <= calibration.near
        else Relation.OWN_DESIGN,
        statistic=Measured(name="gower_distance", value=chosen.distance, n=chosen.result.n),
        null=_population(calibration),
        dependence_group=_GROUP,
        artifacts=(config.record,),
        remedy=_WEIGHTS_NEXT if outcome is Outcome.INDETERMINATE else None,
        details={
            "components": [*trained_components(config.designs)],
            "design": dict(sorted(design.fields.items())),
            "special_modules": [*design.special_modules],
            "share_of_foreign_pairs_as_near": calibration.share_as_near(chosen.distance),
            "nearest": [_row(comparison) for comparison in found],
            "catalogue_entries": len(catalogue.with_tower(tower)),
            "chosen": chosen.entry.repo,
        },
    )


def _declared_first(
    model: ModelSpec, tower: Tower, found: list[Comparison], calibration: Calibration
) -> Comparison:
    """Pick the nearest, or the declared origin where that is near too."""
    for comparison in found:
        near = comparison.distance <= calibration.near
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


def _design_outcome(
    model: ModelSpec, tower: Tower, chosen: Comparison, calibration: Calibration
) -> tuple[Outcome, Text]:
    words = {
        "model": model.name,
        "tower": tower.value,
        "reference": chosen.entry.repo,
        "shared": len(chosen.result.shared),
        "n": chosen.result.n,
        "distance": round(chosen.distance, 3),
        "differing": list(chosen.result.differing),
    }
    if chosen.distance > calibration.near:
        return Outcome.CONSISTENT, Text(
            "no catalogued {tower} design is near {model}'s; the nearest is {reference} "
            "({shared} of {n} fields equal, distance {distance})",
            **words,
        )
    differences = ", ".join(chosen.result.differing)
    words["differing"] = differences or "-"
    if _declares(model, tower, chosen.entry.repo):
        return Outcome.DECLARED, Text(
            "{model}'s {tower} design is {reference}'s, as declared: {shared} of {n} fields equal; "
            "different: {differing}",
            **words,
        )
    return Outcome.INDETERMINATE, Text(
        "{model}'s {tower} design is near {reference}'s: {shared} of {n} fields equal; different: "
        "{differing}; design says nothing about whose weights they are",
        **words,
    )


def core_fields(pair: Pair, config: Config, reference: Config, catalogue: Catalogue) -> Finding:
    """Compare two designs field by field and apply the public project's 5-of-5 rule.

    The rule ("5 of 5: fine-tuning suspected") is reported as what it is. Independent models
    reach 5 of 5, and the finding names how many catalogue entries do.
    """
    hypothesis = Text("the five core fields do not all equal the reference's")
    design, other = config.designs.get(Tower.TEXT), reference.designs.get(Tower.TEXT)
    comparison = None
    if design is not None and other is not None:
        entry = Entry(pair.reference.name, "", (), reference.value)
        comparison = compare(design, entry)
    if design is None or comparison is None:
        return plain_finding(
            "architecture.core_fields", pair.model, config, hypothesis, Outcome.INDETERMINATE,
            Text("the two configs state too few fields in common"), pair.reference.name,
        )  # fmt: skip
    complete = comparison.core_compared == comparison.core_equal == 5
    declared = pair.model.declaration(Component.ARCHITECTURE, pair.reference.name) is not None
    same = [
        row
        for row in nearest(design, catalogue, exclude=[pair.model.name], k=None)
        if row.core_equal == 5
    ]
    details = _row(comparison)
    details["korea_2026_rule"] = _rule_of_five(comparison.core_equal)
    details["entries_with_the_same_core"] = [row.entry.repo for row in same]
    details["weights_comparable"] = [*_comparable_shapes(design, comparison)]
    return Finding(
        method="architecture.core_fields",
        component=Component.ARCHITECTURE,
        model=pair.model.name,
        reference=pair.reference.name,
        outcome=_core_outcome(complete=complete, declared=declared),
        headline=_core_headline(pair, comparison, len(same)),
        hypothesis=hypothesis,
        level=Level.E2,
        relation=Relation.SAME_CORE if complete else Relation.OTHER_CORE,
        statistic=Measured(name="core_fields_equal", value=comparison.core_equal, n=5),
        dependence_group=_GROUP,
        artifacts=(config.record, reference.record),
        remedy=_WEIGHTS_NEXT if complete and not declared else None,
        details=details,
    )


def _core_outcome(*, complete: bool, declared: bool) -> Outcome:
    if declared:
        return Outcome.DECLARED
    return Outcome.INDETERMINATE if complete else Outcome.CONSISTENT


def _core_headline(pair: Pair, comparison: Comparison, same: int) -> Text:
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


def _comparable_shapes(design: Design, comparison: Comparison) -> list[str]:
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


def plain_finding(  # noqa: PLR0913, PLR0917 - a short form for findings without numbers
    method: str,
    model: ModelSpec,
    config: Config,
    hypothesis: Text,
    outcome: Outcome,
    headline: Text,
    reference: str | None = None,
) -> Finding:
    """Return a finding of this method that carries no number."""
    components: list[Json] = [*trained_components(config.designs)]
    return Finding(
        method=method,
        component=Component.ARCHITECTURE,
        model=model.name,
        reference=reference,
        outcome=outcome,
        headline=headline,
        hypothesis=hypothesis,
        level=Level.E0,
        dependence_group=_GROUP,
        artifacts=(config.record,),
        details={"components": components},
    )


def _population(calibration: Calibration) -> Null:
    return Null(
        kind="reference_population",
        description=Text(
            "distances of {pairs} pairs of catalogued designs of different developers; no p-value: "
            "they are not independent designs",
            pairs=calibration.pairs,
        ),
    )


def _row(comparison: Comparison) -> dict[str, Json]:
    differences: dict[str, Json] = {
        name: [_json(a), _json(b)] for name, (a, b) in comparison.differences.items()
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


def _json(value: Value) -> Json:
    return value
