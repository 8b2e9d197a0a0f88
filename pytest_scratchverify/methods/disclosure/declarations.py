"""Declared reuse: what the matrix records as stated, or as disputed, about one component."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Direction, Finding, Level, Outcome, Relation
from pytest_scratchverify.core.spec import Declaration, ModelSpec, Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.stores.declared_bases import declared_bases, is_named
from pytest_scratchverify.stores.store import ArtifactStore

HEADLINES: Mapping[Outcome, str] = {
    Outcome.DECLARED: "{by} states that the {component} comes from {origin} (state: {state})",
    Outcome.INDETERMINATE: "sources disagree: {dispute}",
}


def declared_component(model: ModelSpec, component: Component) -> Finding:
    """Declared reuse of one component, or a dispute about it, as the matrix records it.

    Of the component disclosure: a predecessor that is declared for no component in particular.
    """
    if component is Component.DISCLOSURE and model.predecessor is not None:
        return _declared_predecessor(model, model.predecessor)
    declaration = model.declares.get(component)
    tested = Hypothesis(
        method="disclosure.component",
        component=component,
        model=model.name,
        reference=declaration.origin if declaration else None,
        statement=Text("no reuse of another model's {component} is declared", component=component),
        level=Level.E1,
        dependence_group="disclosure",
    )
    if declaration is None:
        return tested.finding(
            Outcome.INDETERMINATE,
            Text(HEADLINES[Outcome.INDETERMINATE], dispute=model.disputed.get(component, "-")),
            relation=Relation.CONFLICTING,
        )
    # Without a name it is said by whoever runs the tests, who may be anybody.
    headline = Text(
        "Declared for this run ({source}): the {component} comes from {origin}; where the"
        " developer publishes this was not looked up",
        source=declaration.source,
        component=component,
        origin=declaration.origin,
    )
    if declaration.by:
        headline = Text(
            HEADLINES[Outcome.DECLARED],
            by=declaration.by,
            component=component,
            origin=declaration.origin,
            state=declaration.state,
        )
    return tested.finding(
        Outcome.DECLARED,
        headline,
        direction=Direction.TOWARD_REUSE,
        relation=Relation.DECLARED,
        details={"source": declaration.source, "state": declaration.state},
    )


def _declared_predecessor(model: ModelSpec, declaration: Declaration) -> Finding:
    return Hypothesis(
        method="disclosure.component",
        component=Component.DISCLOSURE,
        model=model.name,
        reference=declaration.origin,
        statement=Text("no earlier model of the same developer is declared as a start"),
        level=Level.E1,
        dependence_group="disclosure",
    ).finding(
        Outcome.DECLARED,
        Text(
            "Declared for this run ({source}): parts of the model start from {origin}, an earlier"
            " model of the same developer; where the developer publishes this was not looked up",
            source=declaration.source,
            origin=declaration.origin,
        )
        if not declaration.by
        else Text(
            "{by} states that parts of the model start from {origin}, an earlier model of the"
            " same developer",
            by=declaration.by,
            origin=declaration.origin,
        ),
        direction=Direction.TOWARD_REUSE,
        relation=Relation.DECLARED,
        details={"source": declaration.source},
    )


def names_base_model(
    pair: Pair, store: ArtifactStore, component: Component = Component.TEXT_DECODER
) -> bool:
    """Whether matrix or model card declare that `component` comes from the reference.

    Whoever names a base model, in card, adapter_config.json, the recipe of a merge or the
    matrix, declares all of it: weights, vocabulary, design.

    A card that cannot be read declares nothing: the innocent reading costs a declaration.
    """
    covering = (component, Component.TEXT_DECODER)
    if any(pair.model.declaration(part, pair.reference.name) is not None for part in covering):
        return True
    try:
        bases = declared_bases(store).names
    except Unavailable:
        return False
    return any(is_named(pair.reference.name, name) for name in bases)
