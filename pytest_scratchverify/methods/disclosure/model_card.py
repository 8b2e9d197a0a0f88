"""Declarations in the model card, and in the files that stand for one: base models."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec, same_name
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.stores.adapter import ADAPTER_CONFIG
from pytest_scratchverify.stores.declared_bases import declared_bases
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, ModelCard

NO_BASE_MODEL = Text("the developer declares no base model for the text decoder")
_KINDS = {"finetune": "fine-tune", "quantized": "quantised copy", "adapter": "adapter"}

BASE_MODEL_HEADLINES: Mapping[Outcome, str] = {
    Outcome.DECLARED: "the model card names {bases} as base model ({relation})",
    Outcome.CONSISTENT: "the model card names no base model; its silence proves nothing",
}
OTHER_HEADLINES = {
    "named": "{files} names {bases} as base model",
    "no card": "there is no model card, and no other file names a base model; silence says nothing",
}


def base_model(model: ModelSpec, card: Artifact[ModelCard]) -> Finding:
    """Base model of the text decoder, as the model card names it."""
    bases = [name for name in card.value.base_model if same_name(name) != same_name(model.name)]
    relation = card.value.base_model_relation
    tested = Hypothesis(
        method="disclosure.base_model",
        component=Component.TEXT_DECODER,
        model=model.name,
        reference=bases[0] if len(bases) == 1 else None,
        statement=NO_BASE_MODEL,
        level=Level.E1,
        dependence_group="disclosure",
        artifacts=(card.record,),
        details={"base_model": [*bases], "base_model_relation": relation},
    )
    outcome = Outcome.DECLARED if bases else Outcome.CONSISTENT
    values = {"bases": bases, "relation": relation or "-"} if bases else {}
    return tested.finding(
        outcome,
        Text(BASE_MODEL_HEADLINES[outcome], **values),
        direction=Direction.TOWARD_REUSE if bases else Direction.NONE,
        relation=Relation.DECLARED if bases else None,
        kinds=(_KINDS.get(relation, relation),) if relation else (),
    )


def declared_base(model: ModelSpec, store: ArtifactStore) -> Finding:
    """Base model of the text decoder, as card, adapter or recipe of a merge name it.

    A missing card is no missing measurement: where there is none, the test does not apply.

    Raises `Unavailable` where the card cannot be read and no other file names a base.
    """
    found = declared_bases(store)
    card = found.card.value.base_model if found.card else ()
    known = {same_name(name) for name in (model.name, *card)}
    others = [(file, name) for file, name in found.others if same_name(name) not in known]
    if found.card is not None and not others:
        return base_model(model, found.card)
    files = sorted({file for file, _ in others})
    tested = Hypothesis(
        method="disclosure.base_model",
        component=Component.TEXT_DECODER,
        model=model.name,
        statement=NO_BASE_MODEL,
        level=Level.E1,
        dependence_group="disclosure",
        artifacts=(found.card.record,) if found.card else (),
        details={"base_model": [*found.names], "files": [*files]},
    )
    if not others:
        return tested.finding(Outcome.NOT_APPLICABLE, Text(OTHER_HEADLINES["no card"]))
    adapter = ADAPTER_CONFIG in files
    return tested.finding(
        Outcome.DECLARED,
        Text(OTHER_HEADLINES["named"], files=files, bases=[name for _, name in others]),
        direction=Direction.TOWARD_REUSE,
        relation=Relation.DECLARED,
        kinds=(_KINDS["adapter"],) if adapter else (),
    )
