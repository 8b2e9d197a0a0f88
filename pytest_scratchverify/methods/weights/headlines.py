"""Headlines of the weights method: one sentence a case, with the numbers that decided it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from pytest_scratchverify.core.evidence import Outcome, Relation
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.judgement import Judgement
from pytest_scratchverify.methods.weights.step import Step


class Case(Enum):
    """What a headline says, decided before the sentence is looked up."""

    VERBATIM = auto()
    SHARED_INITIALISATION = auto()
    SHARED_CHANNELS = auto()
    SHARED_ANCESTRY = auto()
    HELD_BY_BOTH = auto()
    DERIVED = auto()
    DERIVED_IN_PART = auto()
    DERIVED_GROWN = auto()
    DERIVED_BY_MATCHING = auto()
    LEAD = auto()
    LEAD_AFTER_ALIGNMENT = auto()
    LEAD_IN_BASIS = auto()
    LEAD_BY_FRAMES = auto()
    NO_RELATION = auto()
    UNDECIDED = auto()


HEADLINES: Mapping[Case, str] = {
    Case.VERBATIM: "{same} of {n} sampled tensors are number for number {reference}'s",
    Case.SHARED_INITIALISATION: "the weights share an initialisation with {reference}: cosine"
    " {effect}, p {p}; more than strangers share, less than a descendant keeps",
    Case.SHARED_CHANNELS: "the channels are {reference}'s by number: cosine {effect}, p {p}; one"
    " seed or one teacher of hidden states explains it, descent would leave more",
    Case.HELD_BY_BOTH: "{reference} holds the same weights ({kind}): cosine {effect}, p {p}; who"
    " had them first was not measured, and a third party may be the source of both",
    Case.SHARED_ANCESTRY: "the weights are kin of {reference}'s ({kind}), which looks like the"
    " later of the two: cosine {effect}, p {p}",
    Case.DERIVED: "the weights come from {reference} ({kind}): cosine {effect}, p {p}, decided by"
    " {step}",
    Case.DERIVED_IN_PART: "{percent} % of the component's parameters are {reference}'s ({kind}):"
    " {roles} of {inherited} of {layers} layers; cosine {effect}, p {p}, decided by {step}",
    Case.DERIVED_GROWN: "{percent} % of the component's parameters are made of {reference}'s"
    " ({kind}): cosine {effect}, p {p}, decided by {step}",
    Case.DERIVED_BY_MATCHING: "the weights come from {reference} in another order or basis"
    " ({kind}): share of a layer's neurons that is recognised {effect}, p {p}, decided by {step}",
    Case.LEAD: "more alike than strangers and less than kin of {reference}: cosine {effect}, p {p}",
    Case.LEAD_AFTER_ALIGNMENT: "alike to {reference} once the channels are renumbered: {effect}"
    " after fitting, a lead without a p-value",
    Case.LEAD_IN_BASIS: "alike to {reference} in the basis in which its layers were recognised:"
    " cosine {effect}; taken along, or learnt in that basis",
    Case.LEAD_BY_FRAMES: "some neurons of {reference} are recognised in another order or basis:"
    " share {effect}, p {p}, fewer than of a copy",
    Case.NO_RELATION: "no relation to {reference}: cosine {effect}, p {p} over {tensors} tensors",
    Case.UNDECIDED: "nothing was found against {reference}, and the test could not have decided",
}

_OF_RELATION: Mapping[Relation, Case] = {
    Relation.VERBATIM: Case.VERBATIM,
    Relation.SHARED_INITIALISATION: Case.SHARED_INITIALISATION,
    Relation.SHARED_ANCESTRY: Case.SHARED_ANCESTRY,
    Relation.DERIVED: Case.DERIVED,
    Relation.UNCLEAR: Case.LEAD,
}
_OF_STEP: Mapping[tuple[Relation, Step], Case] = {
    (Relation.DERIVED, Step.ROLES): Case.DERIVED_IN_PART,
    (Relation.DERIVED, Step.BASIS): Case.DERIVED_BY_MATCHING,
    (Relation.DERIVED, Step.FRAMES): Case.DERIVED_BY_MATCHING,
    (Relation.UNCLEAR, Step.FRAMES): Case.LEAD_BY_FRAMES,
    (Relation.UNCLEAR, Step.ALIGNMENT): Case.LEAD_AFTER_ALIGNMENT,
    (Relation.UNCLEAR, Step.BASIS): Case.LEAD_IN_BASIS,
}


def case_of(judgement: Judgement, outcome: Outcome) -> Case:
    """Decide which sentence says what was found, and by which step."""
    relation = judgement.relation
    if relation is None:
        return Case.NO_RELATION if outcome is Outcome.CONSISTENT else Case.UNDECIDED
    if judgement.explained:
        return Case.SHARED_CHANNELS
    if judgement.third_party:
        return Case.HELD_BY_BOTH
    return _OF_STEP.get((relation, judgement.step), _OF_RELATION[relation])


def headline_of(  # noqa: PLR0913 - all that a sentence may name
    reference: str,
    compared: Compared,
    judgement: Judgement,
    outcome: Outcome,
    *,
    share: float | None = None,
    grown: bool = False,
) -> Text:
    """Say in one sentence what was found, by which step, with which numbers.

    `share` is how much of the component's parameters is the reference's, where that was told;
    `grown` says that it was recognised how a larger model was made of a smaller one.
    """
    case = case_of(judgement, outcome)
    if case is Case.DERIVED and grown and share is not None:
        case = Case.DERIVED_GROWN
    template = HEADLINES[case]
    identity = compared.measured.identity
    values: dict[str, object] = {
        "reference": reference,
        "same": identity.statistic,
        "n": identity.n,
        "effect": judgement.effect,
        "p": judgement.pvalue,
        "kind": [*judgement.kinds] or "kind unknown",
        "step": judgement.step.value,
        "tensors": compared.tensors,
        "percent": round(100 * (share or 0.0), 1),
        "roles": ", ".join(judgement.roles),
        "inherited": len(judgement.layers),
        "layers": len({layer for role in compared.roles for layer in role.layers if layer >= 0}),
    }
    return Text(template, **{name: v for name, v in values.items() if f"{{{name}}}" in template})
