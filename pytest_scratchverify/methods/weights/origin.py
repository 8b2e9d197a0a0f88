"""The weights method: whether a component of this model comes from the reference's.

Escalates in the order of cost and stops when the question is decided: equal numbers, the
aligned numbering of neurons and channels, matchings that see through renumbered neurons, the
map of layers, and layers recognised in any basis and width. Controls run with every question;
one that fails or says nothing voids it. Not comparable is never support, and "nothing found"
counts only with the power that is printed.

It cannot see distillation, which copies answers and no weights, and not every disguise at every
depth (docs/methods/weights.md): the sentence on power says which would have been found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_scratchverify.checkpoint.design import read_designs
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import (
    Control,
    Coverage,
    Finding,
    Level,
    Outcome,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.evidence import (
    Direction as Pointing,
)
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import Pair
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.design import trained_components
from pytest_scratchverify.methods.weights.any_basis import SIBLINGS, TABLES, groups_of
from pytest_scratchverify.methods.weights.calibration import WeightsCalibration
from pytest_scratchverify.methods.weights.compare import Compared, Effort, compare
from pytest_scratchverify.methods.weights.controls import (
    known_in_any_basis,
    known_pairs,
    self_permuted,
)
from pytest_scratchverify.methods.weights.direction import (
    REFERENCE,
    Direction,
    dates_of,
    direction_of,
    published_first,
)
from pytest_scratchverify.methods.weights.finding import (
    details_of,
    hypothesis_of,
    incomparable,
    null_of,
    shown_headline,
)
from pytest_scratchverify.methods.weights.judge import Evidence, Judgement, Step, judge
from pytest_scratchverify.methods.weights.power import (
    PowerMeasured,
    by_angles,
    curve,
    in_any_basis,
    power_of,
)
from pytest_scratchverify.methods.weights.uncompared import unmet
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity, gain_similarity
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.reading import Checkpoint, Sides

METHOD = "weights.origin"
DRAWS = 999
# What the effect is, where the step that decided measures no cosine in place.
EFFECTS = {
    Step.MATCHING: "share_of_neurons_matched",
    Step.BASIS: "share_of_neurons_recognised",
    Step.ANGLES: "correlation_of_angles",
    Step.ALIGNMENT: "fitted_likeness",
}
SMALLEST_P = 1e-300  # what a float of 0 stands for: no test shows an impossibility


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One hypothesis: this component of the model does not come from the reference.

    `declared` says that the developer names the reference as the origin; `limit` is the
    user's budget of bytes, where it is smaller than the depth's.
    """

    pair: Pair
    component: Component
    depth: str = "quick"
    limit: int | None = None
    declared: bool = False


def weights_origin(
    question: Question,
    ours: ArtifactStore,
    theirs: ArtifactStore,
    calibration: Mapping[str, Any],
) -> Finding:
    """Compare one component of two models by their weights.

    Raises `Unavailable` where the weights of either cannot be read: never a verdict.
    """
    absent = _not_asked(question, ours)
    if absent is not None:
        return absent
    sides = Sides(Checkpoint(ours), Checkpoint(theirs))
    absent = _without_counterpart(question, sides)
    if absent is not None:
        return absent
    numbers = WeightsCalibration.from_json(calibration)
    component = question.component
    effort = Effort(
        depth=question.depth,
        limit=question.limit,
        layer_threshold=numbers.shared_from(component),
        derived_threshold=numbers.derived_from(component),
    )
    compared = compare(sides, component, effort)
    if compared is None:
        return _not_comparable(question, sides)
    gains = gain_similarity(compared.gains, np.random.default_rng(2026), DRAWS)
    evidence = Evidence(
        compared.measured,
        gains,
        compared.layers,
        compared.aligned,
        compared.stored,
        compared.basis,
        compared.angles,
        compared.table,
        compared.changes,
    )
    controls: tuple[Control, ...] = (
        *known_pairs(component, numbers.alpha),
        self_permuted(component, question.pair.model.name, compared.probe, numbers),
    )
    if compared.basis is not None:
        controls += known_in_any_basis(numbers.alpha, numbers.agreement_inherited)
    judgement = judge(evidence, numbers)
    if judgement.relation is None and not compared.measured.elements:
        return _not_comparable(question, sides)
    judgement = replace(judgement, pvalue=max(judgement.pvalue, SMALLEST_P))
    direction = None
    if judgement.relation == "derived":
        stored = compared.stored, compared.stored_by_reference
        direction = direction_of(compared.measured, stored, numbers)
        if direction.later == REFERENCE:
            judgement = replace(judgement, relation="shared_ancestry")
    power = None if judgement.relation else _power(component, compared, numbers)
    missed = unmet(sides, component, any_basis=power.any_basis is not None) if power else None
    result = Result(gains, judgement, controls, power, direction, missed)
    return _finding(question, compared, result)


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of a comparison, before it is put into words."""

    gains: GainSimilarity | None
    judgement: Judgement
    controls: tuple[Control, ...]
    power: PowerMeasured | None
    direction: Direction | None = None
    missed: Text | None = None  # why silence would be worth nothing

    @property
    def powered(self) -> bool:
        """Whether anything would have been found."""
        return power_of(self.power) is not None


def _power(component: Component, compared: Compared, numbers: WeightsCalibration) -> PowerMeasured:
    return PowerMeasured(
        curve(component, compared.probe, numbers),
        None if component in TABLES else in_any_basis(compared.basis, numbers),
        by_angles(component, compared.probe, numbers),
    )


def _finding(question: Question, compared: Compared, result: Result) -> Finding:
    judgement, power = result.judgement, result.power
    outcome = _outcome(question, compared, result)
    measured = compared.measured
    accused = outcome in (Outcome.DERIVED, Outcome.DECLARED)
    decided = accused or outcome is Outcome.CONSISTENT
    relation = judgement.relation
    return Finding(
        method=METHOD,
        component=question.component,
        model=question.pair.model.name,
        reference=question.pair.reference.name,
        outcome=outcome,
        headline=shown_headline(question.pair.reference.name, compared, judgement, outcome),
        hypothesis=hypothesis_of(question.component),
        level=Level.E4 if relation == "verbatim" else Level.E3 if decided else Level.E2,
        direction=_pointing(outcome, relation),
        relation=Relation(relation) if relation else None,
        kind=judgement.kind,
        statistic=_statistic(compared),
        effect=Statistic(
            name=_effect_name(question.component, judgement.step),
            value=judgement.effect,
            n=measured.elements,
        ),
        pvalue=judgement.pvalue,
        null=null_of(measured),
        power=power_of(power),
        controls=result.controls,
        coverage=Coverage(tensors=compared.tensors, parameters=compared.coverage),
        dependence_group="weights",
        replications=_replications(compared, judgement) if accused else 1,
        artifacts=(
            compared.sides.ours.index_record,
            *compared.sides.ledgers[0].as_records(),
            compared.sides.theirs.index_record,
            *compared.sides.ledgers[1].as_records(),
        ),
        remedy=_remedy(outcome, question, compared, result),
        details=details_of(compared, result.gains, judgement, power.curve if power else None)
        | _later(result.direction)
        | dates_of(question.pair, relation),
    )


def _later(direction: Direction | None) -> dict[str, Json]:
    if direction is None:
        return {}
    return {
        "later": direction.later,
        "later_because": direction.because,
        "later_certain": direction.certain,
    }


def _effect_name(component: Component, step: Step) -> str:
    if component in TABLES and step is Step.BASIS:
        return "cosine_in_the_recognised_basis"
    return EFFECTS.get(step, "aligned_centred_cosine")


def _replications(compared: Compared, judgement: Judgement) -> int:
    """Count the disjoint sets of tensors on which the deciding step found the same."""
    if judgement.step is Step.LAYERS and compared.layers is not None:
        return compared.layers.replications
    if judgement.step is Step.BASIS and compared.basis is not None:
        return max(1, sum(p <= 1e-3 for p in compared.basis.match.halves))
    if judgement.step is Step.ANGLES and compared.angles is not None:
        return max(1, compared.angles.statistic)
    return max(1, compared.measured.replications)


def _outcome(question: Question, compared: Compared, result: Result) -> Outcome:
    judgement = result.judgement
    reused = Outcome.DECLARED if question.declared else Outcome.DERIVED
    if judgement.relation == "verbatim":  # equal numbers need no calibration
        return reused
    if not all(control.passed is True for control in result.controls):
        return Outcome.INDETERMINATE
    if judgement.accuses:
        return reused
    if judgement.relation == "unclear" or not compared.aligned_rows:
        return Outcome.INDETERMINATE
    if result.missed is not None:
        return Outcome.INDETERMINATE
    return Outcome.CONSISTENT if result.powered else Outcome.INDETERMINATE


def _pointing(outcome: Outcome, relation: str | None) -> Pointing:
    if relation is not None:
        return Pointing.TOWARD_REUSE
    if outcome is Outcome.CONSISTENT:
        return Pointing.TOWARD_INDEPENDENCE
    return Pointing.NONE


def _statistic(compared: Compared) -> Statistic:
    measured = compared.measured
    if measured.neurons is not None:
        return Statistic(
            name="neurons_that_keep_their_number",
            value=measured.neurons.statistic,
            n=measured.neurons.n,
        )
    channels = measured.channels
    return Statistic(
        name="channels_that_keep_their_number",
        value=channels.kept if channels else None,
        n=channels.n if channels else None,
    )


def _remedy(
    outcome: Outcome, question: Question, compared: Compared, result: Result
) -> Text | None:
    if outcome in (Outcome.DERIVED, Outcome.DECLARED):
        return published_first(question.pair)
    if outcome is not Outcome.INDETERMINATE:
        return None
    if not compared.aligned_rows:
        return Text(
            "Rows of {component} could not be aligned by token: give both tokenizers.",
            component=question.component.value,
        )
    if not all(control.passed is True for control in result.controls):
        return Text("A control of the test itself failed: nothing it says counts in this run.")
    if result.missed is not None:
        return result.missed
    if result.judgement.relation is None and not result.powered:
        return Text("Too little was read to find anything: raise --depth or the byte budget.")
    return Text("Raise --depth: more layers decide what a few leave open.")


def _not_asked(question: Question, ours: ArtifactStore) -> Finding | None:
    """Answer for a model that has no such component, by its config and by its tensors."""
    try:
        config = ours.config()
    except Unavailable:
        return None  # the tensors will say
    designs = read_designs(config.value)
    if not designs or question.component in trained_components(designs):
        return None
    try:  # a config may be silent about a tower that is there
        if Checkpoint(ours).inventory.parameters.get(question.component.value):
            return None
    except Unavailable:
        pass
    return replace(
        _bare(question, Outcome.NOT_APPLICABLE),
        headline=Text("the model has no {component} of its own", component=question.component),
        artifacts=(config.record,),
    )


def _without_counterpart(question: Question, sides: Sides) -> Finding | None:
    component = question.component
    name = component.value
    sibling = SIBLINGS.get(component)
    if sibling and groups_of(sides.ours, component) and groups_of(sides.theirs, sibling):
        return None  # experts may be made of a dense block, and the other way round
    if not sides.ours.inventory.parameters.get(name):
        headline = Text("no tensor of the model belongs to {component}", component=name)
    elif not sides.theirs.inventory.parameters.get(name):
        headline = Text(
            "{reference} has no {component} to take one from",
            reference=question.pair.reference.name,
            component=name,
        )
    else:
        return None
    return replace(
        _bare(question, Outcome.NOT_APPLICABLE),
        headline=headline,
        artifacts=(sides.ours.index_record, sides.theirs.index_record),
        details=_inventory_details(sides),
    )


def _not_comparable(question: Question, sides: Sides) -> Finding:
    return replace(
        _bare(question, Outcome.INDETERMINATE),
        headline=incomparable(question.component, question.pair.reference.name, sides),
        relation=Relation.NOT_COMPARABLE,
        artifacts=(sides.ours.index_record, sides.theirs.index_record),
        remedy=Text("What cannot be laid side by side is not thereby different: ask for other"
                    " references, or for activations."),
        details=_inventory_details(sides),
    )  # fmt: skip


def _inventory_details(sides: Sides) -> dict[str, Json]:
    return {
        "unmapped": [*sides.ours.inventory.unmapped[:20]],
        "unsupported": [*sides.ours.inventory.unsupported[:20]],
        "weight_bytes": sides.ours.total_bytes,
    }


def _bare(question: Question, outcome: Outcome) -> Finding:
    return Finding(
        method=METHOD,
        component=question.component,
        model=question.pair.model.name,
        reference=question.pair.reference.name,
        outcome=outcome,
        headline=Text("the question does not arise"),
        hypothesis=hypothesis_of(question.component),
        dependence_group="weights",
    )
