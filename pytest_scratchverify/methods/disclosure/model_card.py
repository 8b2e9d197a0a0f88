"""Declarations in the model card: base model and licence."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.stores.bounds import is_absent
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, ModelCard

NO_BASE_MODEL = Text("the developer declares no base model for the text decoder")
_KINDS = {"finetune": "fine-tune", "quantized": "quantised copy", "adapter": "adapter"}

BASE_MODEL_HEADLINES: Mapping[Outcome, str] = {
    Outcome.DECLARED: "the model card names {bases} as base model ({relation})",
    Outcome.CONSISTENT: "the model card names no base model; its silence proves nothing",
}
LICENCE_HEADLINES: Mapping[Outcome, str] = {
    Outcome.CONSISTENT: "the model card states the licence {licence}",
    Outcome.INDETERMINATE: "the model card states no licence",
}


def card_of(store: ArtifactStore) -> Artifact[ModelCard] | None:
    """Model card of a store, None where it was read and holds no README.md.

    Raises
    ------
    Unavailable
        If whether there is a card cannot be known, or it cannot be read.
    """
    try:
        return store.card()
    except Unavailable as failure:
        if is_absent(failure, "README.md"):
            return None
        raise


def base_model(model: ModelSpec, card: Artifact[ModelCard] | None) -> Finding:
    """Base model of the text decoder, as the model card names it.

    A model without a card declares nothing: that is no open question on its decoder.
    """
    if card is None:
        return Hypothesis(
            method="disclosure.base_model",
            component=Component.TEXT_DECODER,
            model=model.name,
            statement=NO_BASE_MODEL,
            level=Level.E1,
            dependence_group="disclosure",
        ).finding(
            Outcome.NOT_APPLICABLE,
            Text("the model has no card: nothing is declared there"),
        )
    bases = [name for name in card.value.base_model if name.lower() != model.name.lower()]
    relation = card.value.base_model_relation
    tested = Hypothesis(
        method="disclosure.base_model",
        component=Component.TEXT_DECODER,
        model=model.name,
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


def licence(model: ModelSpec, card: Artifact[ModelCard]) -> Finding:
    """Licence, as the model card states it."""
    stated = card.value.license_name or card.value.license
    tested = Hypothesis(
        method="disclosure.licence",
        component=Component.DISCLOSURE,
        model=model.name,
        statement=Text("the model card states a licence"),
        level=Level.E1,
        dependence_group="disclosure",
        artifacts=(card.record,),
        details={"license": card.value.license, "license_name": card.value.license_name},
    )
    outcome = Outcome.CONSISTENT if stated else Outcome.INDETERMINATE
    values = {"licence": stated} if stated else {}
    return tested.finding(outcome, Text(LICENCE_HEADLINES[outcome], **values))
