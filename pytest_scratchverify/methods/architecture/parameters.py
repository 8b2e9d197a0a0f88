"""Parameter counts: those that a config implies, those declared and those stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from pytest_scratchverify.catalog.entries import Catalogue
from pytest_scratchverify.checkpoint.design import Design, Tower, read_designs
from pytest_scratchverify.checkpoint.header import TensorIndex
from pytest_scratchverify.checkpoint.parameter_count import (
    ParameterCount,
    UncountableDesignError,
    UnknownLayerError,
    amount,
    count_parameters,
)
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Finding, Level, Outcome, Relation, Statistic
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.config import (
    Config,
    about_design,
    trained_components,
)
from pytest_scratchverify.methods.architecture.readings import (
    CountCheck,
    check_active,
    check_stored,
    check_total,
)
from pytest_scratchverify.methods.architecture.thresholds import ArchitectureThresholds
from pytest_scratchverify.stores.store import Artifact, ArtifactStore
from pytest_scratchverify.tensors.copies import copied_names
from pytest_scratchverify.tensors.reading import ReadLog, open_checkpoint
from pytest_scratchverify.tensors.uncounted import is_empty

# What a stated number counts, in a sentence: as published, or as the files hold it.
COUNTED: Mapping[str, Text] = {
    "total": Text("total"),
    "active": Text("active"),
    "stored": Text("in the files"),
}


class ParameterCheck(Enum):
    """How the parameters counted from a config compare with those stated."""

    UNCOUNTABLE = auto()
    UNSTATED = auto()
    UNKNOWN_LAYERS = auto()
    UNCERTAIN = auto()
    CONTRADICTED = auto()
    NOTHING_STATED = auto()
    AS_STATED = auto()
    INCOMPLETE = auto()


OUTCOMES: Mapping[ParameterCheck, Outcome] = {
    ParameterCheck.UNCOUNTABLE: Outcome.INDETERMINATE,
    ParameterCheck.UNSTATED: Outcome.NOT_APPLICABLE,
    ParameterCheck.UNKNOWN_LAYERS: Outcome.NOT_APPLICABLE,
    ParameterCheck.UNCERTAIN: Outcome.NOT_APPLICABLE,
    ParameterCheck.CONTRADICTED: Outcome.INDETERMINATE,
    ParameterCheck.NOTHING_STATED: Outcome.NOT_APPLICABLE,
    ParameterCheck.AS_STATED: Outcome.CONSISTENT,
    ParameterCheck.INCOMPLETE: Outcome.INDETERMINATE,
}

HEADLINES: Mapping[ParameterCheck, str] = {
    ParameterCheck.UNCOUNTABLE: "the config does not state {field}; parameters cannot be counted",
    ParameterCheck.UNSTATED: "not countable: the config does not state {field}, and its absence"
    " has more than one meaning",
    ParameterCheck.UNKNOWN_LAYERS: "not countable: no rule here knows what {key} of the config"
    " stands for, and a count without it would be wrong",
    ParameterCheck.UNCERTAIN: "{computed} parameters by what the config states, where {stated} are"
    " stated ({name}): what else the layers of this model type hold is not known here, so"
    " nothing follows",
    ParameterCheck.CONTRADICTED: "computed {computed} parameters where {stated} are stated"
    " ({name}): the config and the statement contradict each other",
    ParameterCheck.NOTHING_STATED: "{total} parameters, {active} active, computed from the config;"
    " nothing is declared to compare with",
    ParameterCheck.AS_STATED: "{total} parameters, {active} active, computed from the config, as"
    " stated ({names})",
    ParameterCheck.INCOMPLETE: "{computed} parameters computed from the config, {stated} in the"
    " files: {gap} No component is cleared by what is there (weights.origin).",
}


def parameter_count(
    model: ModelSpec,
    config: Config,
    declared: tuple[float | None, float | None],
    stored: Artifact[TensorIndex] | None,
    thresholds: ArchitectureThresholds,
) -> Finding:
    """Compare the parameters computed from the config with those declared and those stored.

    Parameters
    ----------
    declared
        Total and active parameters as published, where they are.
    stored
        The tensor index from the safetensors headers, where they were read.

    """
    statement = Text("the config accounts for the declared number of parameters")
    tested = about_design("parameter_count", model.name, config, statement)
    design = config.designs.get(Tower.TEXT, Design(Tower.TEXT, {}))
    try:
        count = count_parameters(design)
    except UncountableDesignError as error:
        if Tower.TEXT not in config.designs:
            why = Text(HEADLINES[ParameterCheck.UNCOUNTABLE], field=str(error))
            return tested.undecided(why, components=trained_components(config.designs))
        return tested.finding(
            Outcome.NOT_APPLICABLE,
            _refusal(error),
            level=Level.E0,
            components=trained_components(config.designs),
            details={"declared_total": declared[0], "declared_active": declared[1]},
        )
    # A file of a composite model holds its other towers too, which are not counted here.
    whole = stored is not None and not config.is_composite
    in_files = stored.value.total_parameters if stored is not None and whole else None
    others = config.towers if config.is_composite else None
    checks = _count_checks(count, declared, in_files, others)
    wrong = [check for check in checks if check.deviation > thresholds.parameter_tolerance]
    gap = _gap(stored.value) if stored is not None and whole else None
    result = _result(count, checks, wrong, gap)
    return tested.finding(
        OUTCOMES[result],
        Text(HEADLINES[result], **_values(result, count, checks, wrong), **_said(result, gap)),
        relation=Relation.CONTRADICTED if result is ParameterCheck.CONTRADICTED else None,
        statistic=Statistic(name="computed_parameters", value=float(count.total)),
        artifacts=(config.record, stored.record) if stored is not None else (config.record,),
        weight_bytes=stored.value.total_bytes if stored is not None else None,
        details={
            "computed_total": count.total,
            "computed_active": count.active,
            "embeddings": count.embeddings,
            "lm_head": count.lm_head,
            "attention": count.attention,
            "mlp": count.mlp,
            "norms": count.norms,
            "assumed": [*count.assumed],
            "untrained": count.untrained,
            "certain": count.certain,
            "declared_total": declared[0],
            "declared_active": declared[1],
            "stored": in_files,
        },
    )


def _refusal(error: UncountableDesignError) -> Text:
    """Say what a count would need, or what no rule counts."""
    if isinstance(error, UnknownLayerError):
        return Text(HEADLINES[ParameterCheck.UNKNOWN_LAYERS], key=str(error))
    return Text(HEADLINES[ParameterCheck.UNSTATED], field=str(error))


def _count_checks(
    count: ParameterCount,
    declared: tuple[float | None, float | None],
    stored: int | None,
    others: float | None,
) -> list[CountCheck]:
    total, active = declared
    checks = [check_total(total, count, others) if total else None]
    checks.append(check_active(active, count) if active else None)
    checks.append(check_stored(stored, count) if stored else None)
    return [check for check in checks if check is not None]


def _gap(index: TensorIndex) -> Text | None:
    """Say what the files lack, or hold in a way that nobody here counts."""
    if index.gaps:
        return index.gaps[0]
    empty = [name for name, info in index.tensors.items() if is_empty(name, info)]
    if empty:
        return Text("{n} tensors have no element ({first}, ...).", n=len(empty), first=empty[0])
    return None


def _said(result: ParameterCheck, gap: Text | None) -> dict[str, Text]:
    return {"gap": gap} if result is ParameterCheck.INCOMPLETE and gap is not None else {}


def _result(
    count: ParameterCount,
    checks: list[CountCheck],
    wrong: list[CountCheck],
    gap: Text | None,
) -> ParameterCheck:
    if gap is not None and any(check.name == "stored" for check in wrong):
        return ParameterCheck.INCOMPLETE  # files that are not all there contradict nothing
    if wrong:
        return ParameterCheck.CONTRADICTED if count.certain else ParameterCheck.UNCERTAIN
    return ParameterCheck.AS_STATED if checks else ParameterCheck.NOTHING_STATED


def _values(
    result: ParameterCheck,
    count: ParameterCount,
    checks: list[CountCheck],
    wrong: list[CountCheck],
) -> dict[str, Any]:
    """Return what the headline names."""
    if result is ParameterCheck.INCOMPLETE:
        first = next(check for check in wrong if check.name == "stored")
        return {"computed": amount(first.computed), "stated": amount(first.stated)}
    if result in (ParameterCheck.CONTRADICTED, ParameterCheck.UNCERTAIN):
        first = wrong[0]
        stated, computed = amount(first.stated), amount(first.computed)
        return {"computed": computed, "stated": stated, "name": COUNTED[first.name]}
    unstated = count.active is None  # of a mixture whose config does not say how many work
    counted = {
        "total": amount(count.total),
        "active": Text("an unstated number") if unstated else amount(count.active or 0),
    }
    if result is ParameterCheck.AS_STATED:
        return {**counted, "names": [COUNTED[check.name] for check in checks]}
    return counted


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

    Packed weights count as what they decode to: eight of GPTQ's stand in one stored number. What
    is stored under two names, and equal, counts once, as in the weights method.
    """
    try:
        record = store.tensor_index().record
        checkpoint = open_checkpoint(store)
    except Unavailable:
        return None
    index = checkpoint.index
    try:
        copies = copied_names(checkpoint, ReadLog(), tied=_is_tied(store))
    except Unavailable:  # of rows: everything counts
        copies = frozenset()
    kept = {name: info for name, info in index.tensors.items() if name not in copies}
    beside = index.beside + sum(index.tensors[name].nbytes for name in copies)
    return Artifact(replace(index, tensors=kept, beside=beside), record)


def _is_tied(store: ArtifactStore) -> bool:
    """Whether the config says that the head is the table of embeddings."""
    try:
        design = read_designs(store.config().value).get(Tower.TEXT)
    except Unavailable:
        return False
    return design is not None and design.fields.get("tie_word_embeddings") is True
