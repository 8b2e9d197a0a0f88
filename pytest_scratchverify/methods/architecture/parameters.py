"""Compare the parameters that a config implies with those declared and those stored."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_scratchverify.catalog.entries import Catalogue
from pytest_scratchverify.checkpoint.design import Design, Tower
from pytest_scratchverify.checkpoint.header import TensorIndex
from pytest_scratchverify.checkpoint.parameter_count import (
    ParameterCount,
    UncountableDesignError,
    count_parameters,
)
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Finding, Level, Outcome, Relation, Statistic
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.design import Calibration, Config, plain_finding
from pytest_scratchverify.stores.store import Artifact, ArtifactStore
from pytest_scratchverify.tensors.packed import open_packed


def parameter_count(
    model: ModelSpec,
    config: Config,
    declared: tuple[float | None, float | None],
    stored: Artifact[TensorIndex] | None,
    calibration: Calibration,
) -> Finding:
    """Compare the parameters computed from the config with those declared and those stored.

    Parameters
    ----------
    declared
        Total and active parameters as published, where they are.
    stored
        The tensor index from the safetensors headers, where they were read.

    """
    hypothesis = Text("the config accounts for the declared number of parameters")
    design = config.designs.get(Tower.TEXT, Design(Tower.TEXT, {}))
    try:
        count = count_parameters(design)
    except UncountableDesignError as error:
        return plain_finding(
            "architecture.parameter_count", model, config, hypothesis, Outcome.INDETERMINATE,
            Text(
                "the config does not state {field}; parameters cannot be counted",
                field=str(error),
            ),
        )  # fmt: skip
    # A file of a composite model holds its other towers too, which are not counted here.
    whole = stored is not None and set(config.designs) == {Tower.TEXT}
    in_files = stored.value.total_parameters if stored is not None and whole else None
    checks = _count_checks(count, declared, in_files)
    wrong = [check for check in checks if check.deviation > calibration.parameter_tolerance]
    outcome = Outcome.CONSISTENT if checks else Outcome.NOT_APPLICABLE
    return Finding(
        method="architecture.parameter_count",
        component=Component.ARCHITECTURE,
        model=model.name,
        outcome=Outcome.INDETERMINATE if wrong else outcome,
        headline=_count_headline(count, checks, wrong),
        hypothesis=hypothesis,
        level=Level.E2,
        relation=Relation.CONTRADICTED if wrong else None,
        statistic=Statistic(name="computed_parameters", value=float(count.total)),
        dependence_group="architecture",
        artifacts=(config.record, stored.record) if stored is not None else (config.record,),
        details={
            "computed_total": count.total,
            "computed_active": count.active,
            "embeddings": count.embeddings,
            "lm_head": count.lm_head,
            "attention": count.attention,
            "mlp": count.mlp,
            "norms": count.norms,
            "assumed": [*count.assumed],
            "declared_total": declared[0],
            "declared_active": declared[1],
            "stored": in_files,
            **({"weight_bytes": stored.value.total_bytes} if stored is not None else {}),
        },
    )


@dataclass(frozen=True, slots=True)
class _CountCheck:
    name: str
    computed: float
    stated: float
    deviation: float


def _count_checks(
    count: ParameterCount, declared: tuple[float | None, float | None], stored: int | None
) -> list[_CountCheck]:
    total, active = declared
    checks = []
    if total:
        checks.append(_check("total", total, count.total))
    if active:
        checks.append(_check("active", active, *count.active_as_cards_count))
    if stored:
        checks.append(_check("stored", stored, count.total))
    return checks


def _check(name: str, stated: float, *computed: int) -> _CountCheck:
    best = min(computed, key=lambda value: abs(value - stated))
    return _CountCheck(name, best, stated, abs(best - stated) / stated)


def _count_headline(
    count: ParameterCount, checks: list[_CountCheck], wrong: list[_CountCheck]
) -> Text:
    if wrong:
        return Text(
            "computed {computed} parameters where {stated} are stated ({name}): the config and the "
            "statement contradict each other",
            computed=amount(wrong[0].computed),
            stated=amount(wrong[0].stated),
            name=wrong[0].name,
        )
    counted = {"total": amount(count.total), "active": amount(count.active)}
    if not checks:
        return Text(
            "{total} parameters, {active} active, computed from the config; nothing is declared to "
            "compare with",
            **counted,
        )
    return Text(
        "{total} parameters, {active} active, computed from the config, as stated ({names})",
        **counted,
        names=[check.name for check in checks],
    )


def amount(parameters: float) -> str:
    """Return a parameter count as model cards write it: 518.98B, 6.7M, 270k."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.2f}".rstrip("0").rstrip(".") + unit
    return f"{parameters:.0f}"


def declared_parameters(
    model: ModelSpec, catalogue: Catalogue
) -> tuple[float | None, float | None]:
    """Return the total and active parameters that were published, where the catalogue has them."""
    entry = catalogue.get(model.name)
    declared = entry.facts.get("declared_parameters") if entry is not None else None
    if not isinstance(declared, dict):
        return None, None
    total, active = declared.get("total"), declared.get("active")
    return (
        float(total) if isinstance(total, (int, float)) else None,
        float(active) if isinstance(active, (int, float)) else None,
    )


def stored_parameters(store: ArtifactStore) -> Artifact[TensorIndex] | None:
    """Return the tensor index where headers can be read; a catalogue has none.

    Packed weights count as what they decode to: eight of GPTQ's stand in one stored number.
    """
    try:
        stored = store.tensor_index()
        return Artifact(open_packed(store, stored.value).unpacked.index, stored.record)
    except Unavailable:
        return None
