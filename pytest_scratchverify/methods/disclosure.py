"""What the developer states openly: base models, reused components, licence.

A declaration is a statement (level E1), not a measurement. It turns a reuse into a declared
one; its absence proves nothing, so these tests never clear a component.
"""

from __future__ import annotations

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Relation
from pytest_scratchverify.core.spec import ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, ModelCard

_KINDS = {"finetune": "fine-tune", "quantized": "quantised copy", "adapter": "adapter"}


def base_model(model: ModelSpec, card: Artifact[ModelCard]) -> Finding:
    """Say whether the model card itself names a base model that the decoder comes from."""
    bases = [name for name in card.value.base_model if name.lower() != model.name.lower()]
    relation = card.value.base_model_relation
    if bases:
        outcome, headline = (
            Outcome.DECLARED,
            Text(
                "the model card names {bases} as base model ({relation})",
                bases=bases,
                relation=relation or "-",
            ),
        )
    else:
        outcome, headline = (
            Outcome.CONSISTENT,
            Text("the model card names no base model; its silence proves nothing"),
        )
    return Finding(
        method="disclosure.base_model",
        component=Component.TEXT_DECODER,
        model=model.name,
        outcome=outcome,
        headline=headline,
        hypothesis=Text("the developer declares no base model for the text decoder"),
        level=Level.E1,
        direction=Direction.TOWARD_REUSE if bases else Direction.NONE,
        relation=Relation.DECLARED if bases else None,
        kind=_KINDS.get(relation or "", relation),
        dependence_group="disclosure",
        artifacts=(card.record,),
        details={"base_model": [*bases], "base_model_relation": relation},
    )


def licence(model: ModelSpec, card: Artifact[ModelCard]) -> Finding:
    """Say whether the model card states a licence."""
    stated = card.value.license_name or card.value.license
    return Finding(
        method="disclosure.licence",
        component=Component.DISCLOSURE,
        model=model.name,
        outcome=Outcome.CONSISTENT if stated else Outcome.INDETERMINATE,
        headline=Text("the model card states the licence {licence}", licence=stated)
        if stated
        else Text("the model card states no licence"),
        hypothesis=Text("the model card states a licence"),
        level=Level.E1,
        dependence_group="disclosure",
        artifacts=(card.record,),
        details={"license": card.value.license, "license_name": card.value.license_name},
    )


def declared_component(model: ModelSpec, component: Component) -> Finding:
    """Report what the matrix records as declared, or as disputed, about one component."""
    declaration = model.declares.get(component)
    if declaration is None:
        return _disputed(model, component)
    return Finding(
        method="disclosure.component",
        component=component,
        model=model.name,
        reference=declaration.origin,
        outcome=Outcome.DECLARED,
        headline=Text(
            "{by} states that the {component} comes from {origin} (state: {state})",
            by=declaration.by,
            component=component,
            origin=declaration.origin,
            state=declaration.state,
        ),
        hypothesis=Text("no reuse of another model's {component} is declared", component=component),
        level=Level.E1,
        direction=Direction.TOWARD_REUSE,
        relation=Relation.DECLARED,
        dependence_group="disclosure",
        details={"source": declaration.source, "state": declaration.state},
    )


def _disputed(model: ModelSpec, component: Component) -> Finding:
    return Finding(
        method="disclosure.component",
        component=component,
        model=model.name,
        outcome=Outcome.INDETERMINATE,
        headline=Text("sources disagree: {dispute}", dispute=model.disputed.get(component, "-")),
        hypothesis=Text("no reuse of another model's {component} is declared", component=component),
        level=Level.E1,
        relation=Relation.CONFLICTING,
        dependence_group="disclosure",
    )


def names_base_model(
    pair: Pair, store: ArtifactStore, component: Component = Component.TEXT_DECODER
) -> bool:
    """Whether matrix or model card declare that `component` comes from the reference.

    Whoever names a base model, in card or matrix, declares all of it: weights, vocabulary,
    design.

    A card that cannot be read declares nothing: the innocent reading costs a declaration.
    """
    covering = (component, Component.TEXT_DECODER)
    if any(pair.model.declaration(part, pair.reference.name) is not None for part in covering):
        return True
    try:
        bases = store.card().value.base_model
    except Unavailable:
        return False
    return pair.reference.name.lower() in {name.lower() for name in bases}
