"""Licence and its lineage: what the card states, which notices are kept, which duties are met.

Facts, with the files they stand in. They accuse nobody of descent: what a licence asks is owed
where something was taken, and whether it was, other tests measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Finding, Level, Outcome
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import ModelSpec, same_name
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.disclosure.notices import Notices, read_notices, words_of
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.stores.declared_bases import declared_bases
from pytest_scratchverify.stores.store import Artifact, ArtifactStore, ModelCard

LICENCE_HEADLINES: Mapping[Outcome, str] = {
    Outcome.CONSISTENT: "the model card states the licence {licence}",
    Outcome.INDETERMINATE: "the model card states no licence",
}
FACT_HEADLINES: Mapping[str, str] = {
    "no file": "no licence file stands in the repository",
    "kept": "{reference}: its copyright lines are kept ({lines})",
    "lost": "{reference} is named as origin, and of its copyright lines these are not kept:"
    " {lines}",
    "shared": "a copyright line of {reference} stands here too ({lines}), which code brings along"
    " as weights do",
    "unmet": "{reference} is named as origin, and its licence asks for what is not found here:"
    " {duties}",
    "duties": "the licence of {reference} asks whoever builds on it: {duties}",
}
MOST_SAID = 4  # facts in one sentence; the details hold all


@dataclass(frozen=True, slots=True)
class _Beside:
    """One reference's notices beside the model's own."""

    reference: str
    named: bool
    kept: tuple[str, ...]
    lost: tuple[str, ...]
    met: tuple[str, ...]
    unmet: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether a named origin's notices or duties are not found."""
        return self.named and bool(self.lost or self.unmet)


def licence(
    model: ModelSpec,
    card: Artifact[ModelCard],
    store: ArtifactStore | None = None,
    references: Mapping[str, ArtifactStore] | None = None,
) -> Finding:
    """Licence as the card states it and, with stores, the files and notices beside it.

    Parameters
    ----------
    store : ArtifactStore, optional
        The model's own; without it, or where its files cannot be listed, the card is all.
    references : mapping, optional
        Stores by name. Of those that card or matrix name as origin, lines that are not kept and
        duties that are not met leave the finding open; of the others, facts are listed.
    """
    stated = card.value.license_name or card.value.license
    mine = _notices(store) if store is not None else None
    beside = _all_beside(model, card, store, mine, references or {}) if store and mine else []
    facts = _facts(mine, beside)
    tested = Hypothesis(
        method="disclosure.licence",
        component=Component.DISCLOSURE,
        model=model.name,
        statement=Text("the model card states a licence"),
        level=Level.E1,
        dependence_group="disclosure",
        artifacts=(card.record, *(mine.records if mine else ())),
        details={
            "license": card.value.license,
            "license_name": card.value.license_name,
            **_details(mine, beside),
        },
    )
    outcome = Outcome.CONSISTENT if stated else Outcome.INDETERMINATE
    headline = Text.filled(LICENCE_HEADLINES[outcome], {"licence": stated})
    if facts:
        headline = Text("{stated}; {facts}", stated=headline, facts=facts[:MOST_SAID])
    if any(one.is_open for one in beside):
        outcome = Outcome.INDETERMINATE
    remedy = None
    if outcome is Outcome.INDETERMINATE and beside:
        remedy = Text(
            "Ask the developer for licence, notices and attribution; they show no descent."
        )
    return tested.finding(outcome, headline, remedy=remedy)


def _notices(store: ArtifactStore) -> Notices | None:
    try:
        return read_notices(store)
    except Unavailable:
        return None


def _all_beside(
    model: ModelSpec,
    card: Artifact[ModelCard],
    store: ArtifactStore,
    mine: Notices,
    references: Mapping[str, ArtifactStore],
) -> list[_Beside]:
    try:
        bases = {same_name(name) for name in declared_bases(store).names}
    except Unavailable:
        bases = set()
    bases |= {same_name(declared.origin) for declared in model.declares.values()}
    if model.predecessor is not None:
        bases.add(same_name(model.predecessor.origin))
    shown = words_of(card.value.text)
    found = []
    for name in sorted(references):
        try:
            theirs = read_notices(references[name])  # opened one by one: a damaged one is left out
        except Unavailable:
            continue
        found.append(_beside(name, model, shown, mine, theirs, named=same_name(name) in bases))
    return found


def _beside(  # noqa: PLR0913 - both sides
    name: str, model: ModelSpec, shown: str, mine: Notices, theirs: Notices, *, named: bool
) -> _Beside:
    # A line counts as kept wherever it stands: a README that credits the source keeps it too.
    text = mine.words + shown
    kept = [line for key, line in theirs.holders.items() if words_of(key) in text]
    lost = [line for line in theirs.holders.values() if line not in kept]
    met: list[str] = []
    unmet: list[str] = []
    own = shown + _own_words(mine, theirs)
    for phrase in theirs.shown:
        seen = words_of(phrase) in own
        (met if seen else unmet).append(phrase)
    if theirs.name is not None:
        title = model.name.rstrip("/").rsplit("/", 1)[-1]
        duty = f"name: {theirs.name}..."
        begins = title.casefold().startswith(theirs.name.casefold())
        (met if begins else unmet).append(duty)
    if not mine.is_whole:  # what was not read is not lacking
        lost, unmet = [], []
    return _Beside(name, named, tuple(kept), tuple(lost), tuple(met), tuple(unmet))


def _own_words(mine: Notices, theirs: Notices) -> str:
    """Return the model's notices, unless they are the licence itself, which states the duty."""
    return "" if set(theirs.shown) & set(mine.shown) else mine.words


def _facts(mine: Notices | None, beside: list[_Beside]) -> list[Text]:
    found = []
    if mine is not None and not mine.files:
        found.append(Text(FACT_HEADLINES["no file"]))
    for one in beside:
        values = {"reference": one.reference}
        if one.named and one.lost:
            found.append(Text(FACT_HEADLINES["lost"], **values, lines=[*one.lost]))
        elif one.kept:
            kind = "kept" if one.named else "shared"
            found.append(Text(FACT_HEADLINES[kind], **values, lines=[*one.kept]))
        if one.named and one.unmet:
            found.append(Text(FACT_HEADLINES["unmet"], **values, duties=[*one.unmet]))
        elif one.named and one.met:
            found.append(Text(FACT_HEADLINES["duties"], **values, duties=[*one.met]))
    return found


def _details(mine: Notices | None, beside: list[_Beside]) -> dict[str, Json]:
    if mine is None:
        return {}
    table: dict[str, Json] = {
        one.reference: {
            "named": one.named,
            "kept": [*one.kept],
            "not_kept": [*one.lost],
            "duties_met": [*one.met],
            "duties_not_met": [*one.unmet],
        }
        for one in beside
    }
    return {
        "files": [*mine.files],
        "copyright": [*mine.holders.values()],
        "notices": table,
    }
