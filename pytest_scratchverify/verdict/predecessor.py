"""The chain behind a component that comes from an earlier model of the same developer.

That a component is the developer's own earlier model's says as much about its origin as is known
of that model. So its own verdict is looked up, in this run or in a stored one that was given, and
so on where it too was started from an earlier one. What was not judged stands for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pytest_scratchverify.core.component import SIBLINGS, Component
from pytest_scratchverify.core.spec import same_name
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.verdict.clearance import some_of
from pytest_scratchverify.verdict.verdict import ComponentVerdict, Generation, Standing

MOST_GENERATIONS = 16
NOT_JUDGED = Text("not judged")
LINEAGE_HEADLINES: Mapping[bool, str] = {
    True: "inherits from {model} of the same developer ({what}); apart from it: {others}; {itself}",
    False: "comes from {model}, of the same developer by name, which nobody declares and which is"
    " no proof of rights ({what}); apart from it: {others}; {itself}",
}  # by whether it is declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A model that was judged: in this run, or in the stored one that `source` names."""

    components: Mapping[Component, ComponentVerdict]
    revision: str | None = None
    source: str = ""


def with_earlier(
    components: Mapping[Component, ComponentVerdict],
    judged: Mapping[str, Judged],
    revisions: Mapping[str, str],
) -> dict[Component, ComponentVerdict]:
    """Add to every inherited component what was found of it in the models before.

    Parameters
    ----------
    judged : mapping
        By `same_name`.
    revisions : mapping
        The commits at which this run read the references, by `same_name`.
    """
    return {
        component: replace(
            verdict,
            inherits=replace(
                verdict.inherits,
                earlier=tuple(
                    _generations(component, verdict.inherits.reference, judged, revisions)
                ),
            ),
        )
        if verdict.inherits is not None
        else verdict
        for component, verdict in components.items()
    }


def _generations(
    component: Component, model: str, judged: Mapping[str, Judged], revisions: Mapping[str, str]
) -> Iterable[Generation]:
    seen: set[str] = set()
    while same_name(model) not in seen and len(seen) < MOST_GENERATIONS:
        seen.add(same_name(model))
        found = _generation(component, model, judged.get(same_name(model)), revisions)
        yield found
        if found.takes_from is None:
            return
        model = found.takes_from
    if same_name(model) in seen:
        yield Generation(model=model, why=Text("the chain of earlier models leads back to itself"))
    else:
        yield Generation(model=model, why=Text("the chain of earlier models is longer"))


def _generation(
    component: Component, model: str, known: Judged | None, revisions: Mapping[str, str]
) -> Generation:
    if known is None:
        return Generation(model=model, why=NOT_JUDGED)
    read = revisions.get(same_name(model))
    if known.revision and read and known.revision != read:
        why = Text("judged at commit {one}, and read here at {two}", one=known.revision, two=read)
        return Generation(model=model, why=why, judged_in=known.source)
    verdict = _verdict_on(component, known)
    if verdict is None:
        why = Text("nothing is said of its {component}", component=component)
        return Generation(model=model, why=why, judged_in=known.source)
    inherits = verdict.inherits
    return Generation(
        model=model,
        standing=verdict.standing,
        judged_in=known.source,
        takes_from=inherits.reference if inherits else None,
        declared=inherits.declared if inherits else False,
    )


def _verdict_on(component: Component, known: Judged) -> ComponentVerdict | None:
    """Return the verdict on a component, or on what it can only have been made of."""
    other = SIBLINGS.get(component)
    return known.components.get(component) or (known.components.get(other) if other else None)


def lineage(
    components: Mapping[Component, ComponentVerdict], sizes: Mapping[Component, int]
) -> tuple[Text, ...]:
    """Say what a model has of earlier models of its developer: a sentence for each of them.

    `sizes` are the numbers of parameters of all its components, as far as they are known.
    """
    origins: dict[str, list[ComponentVerdict]] = {}
    for verdict in components.values():
        # Statements and designs are no parts.
        if verdict.inherits is not None and verdict.component.is_part:
            origins.setdefault(verdict.inherits.reference, []).append(verdict)
    return tuple(_sentence(name, taken, components, sizes) for name, taken in origins.items())


def _sentence(
    model: str,
    taken: list[ComponentVerdict],
    components: Mapping[Component, ComponentVerdict],
    sizes: Mapping[Component, int],
) -> Text:
    declared = all(v.inherits is not None and v.inherits.declared for v in taken)
    return Text(
        LINEAGE_HEADLINES[declared],
        model=model,
        what=_what(taken, components, sizes),
        others=_each([(v.component, _standing(v.inherits.others)) for v in taken if v.inherits]),
        itself=_itself(taken),
    )


def _what(
    taken: list[ComponentVerdict],
    components: Mapping[Component, ComponentVerdict],
    sizes: Mapping[Component, int],
) -> Text | list[object]:
    """Say which parts, and how much of all parameters where every part was measured."""
    parts: list[object] = [_part(verdict) for verdict in taken]
    trained = [component for component in components if component.is_trained]
    shares = [
        v.inherits.share * sizes[v.component]
        for v in taken
        if v.inherits and v.inherits.share is not None and v.component in sizes
    ]
    weights = [v for v in taken if v.component.is_trained]
    if not weights or len(shares) < len(weights) or not set(trained) <= sizes.keys():
        return parts
    total = sum(sizes[component] for component in trained)
    percent = round(100 * sum(shares) / total, 1) if total else 0.0
    return Text("{percent} % of parameters: {parts}", percent=percent, parts=parts)


def _part(verdict: ComponentVerdict) -> object:
    inherits = verdict.inherits
    if inherits is None or not inherits.roles:
        return verdict.component
    return Text("{component}: {roles}", component=verdict.component, roles=[*inherits.roles])


def _itself(taken: list[ComponentVerdict]) -> Text | list[object]:
    """Say of every earlier model what was found of the parts that were taken from it."""
    found: dict[str, list[tuple[Component, Text]]] = {}
    for verdict in taken:
        for generation in verdict.inherits.earlier if verdict.inherits else ():
            found.setdefault(generation.model, []).append((verdict.component, _said(generation)))
    said: list[object] = [
        Text("{model} itself: {found}", model=model, found=_each(each))
        for model, each in found.items()
    ]
    return said


def _said(generation: Generation) -> Text:
    if generation.standing is None:
        return generation.why or NOT_JUDGED
    said = _standing(generation.standing)
    if generation.takes_from is not None:
        said = Text("{found}, and inherits from {model}", found=said, model=generation.takes_from)
    if generation.judged_in:
        said = Text("{found} (by {file})", found=said, file=generation.judged_in)
    return said


def _standing(standing: Standing) -> Text:
    if standing.cleared:
        names = some_of([*standing.cleared])
        return Text("{verdict} against {references}", verdict=standing.verdict, references=names)
    if standing.reference:
        return Text(
            "{verdict} ({reference})", verdict=standing.verdict, reference=standing.reference
        )
    return Text("{verdict}", verdict=standing.verdict)


def _each(said: Iterable[tuple[Component, Text]]) -> Text | list[object]:
    """Join what is said of several components; once where it is the same of all."""
    by_text: dict[Text, list[Component]] = {}
    for component, text in said:
        by_text.setdefault(text, []).append(component)
    if len(by_text) == 1:
        return next(iter(by_text))
    return [
        Text("{components}: {found}", components=parts, found=text)
        for text, parts in by_text.items()
    ]
