"""From a comparison and its judgement to a finding: outcome, level, null, remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_scratchverify.core.component import TOKEN_TABLES, Component
from pytest_scratchverify.core.evidence import (
    Control,
    Coverage,
    Direction,
    Finding,
    Level,
    Null,
    Outcome,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.findings import Hypothesis
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.derivation_order import (
    DerivationOrder,
    dates_of,
    published_first,
)
from pytest_scratchverify.methods.weights.details import details_of
from pytest_scratchverify.methods.weights.earlier import Earlier, came_first, details_of_order
from pytest_scratchverify.methods.weights.figure_data import COSINE, origin_figures
from pytest_scratchverify.methods.weights.growth import Growth
from pytest_scratchverify.methods.weights.headlines import headline_of
from pytest_scratchverify.methods.weights.hypothesis import METHOD, ComponentHypothesis
from pytest_scratchverify.methods.weights.judgement import Judgement
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.power import PowerMeasured, power_of
from pytest_scratchverify.methods.weights.roles_in_place import inherited_share
from pytest_scratchverify.methods.weights.step import Step
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity, are_apart
from pytest_scratchverify.tensors.completeness import incomplete

# What the effect is, where the step that decided measures no cosine in place.
EFFECTS: Mapping[Step, str] = {
    Step.MATCHING: "share_of_neurons_matched",
    Step.BASIS: "share_of_neurons_recognised",
    Step.FRAMES: "share_of_neurons_recognised",
    Step.ANGLES: "correlation_of_angles",
    Step.ALIGNMENT: "fitted_likeness",
}
ACCUSED = (Outcome.DERIVED, Outcome.DECLARED)
HALF_ALIKE = 0.8  # of the whole table's cosine, that either half must have by itself
REPLICATED = 1e-3  # p-value at which a half of the layers says the same by itself


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of a comparison, before it is put into words.

    `missed` says why silence would be worth nothing; `replaced` that the suspect's own weights
    broke a control, which the reference's then stood in for; `growth` how a larger model was made
    of a smaller one; `earlier` which of the two came first, which decides nothing.
    """

    gains: GainSimilarity | None
    judgement: Judgement
    controls: tuple[Control, ...]
    power: PowerMeasured | None = None
    order: DerivationOrder | None = None
    earlier: Earlier | None = None
    missed: Text | None = None
    replaced: bool = False
    growth: Growth | None = None

    @property
    def powered(self) -> bool:
        """Whether anything would have been found."""
        return power_of(self.power) is not None

    @property
    def controlled(self) -> bool:
        """Whether every control did what is known of it."""
        return all(control.passed is True for control in self.controls)


def finding_of(
    hypothesis: ComponentHypothesis, pair: ComponentPair, compared: Compared, result: Result
) -> Finding:
    """Put the result of a comparison into a finding."""
    judgement, measured = result.judgement, compared.measured
    outcome = _outcome(hypothesis, compared, result)
    reference, relation = hypothesis.pair.reference.name, judgement.relation
    curve = result.power.curve if result.power else None
    effect = _effect(pair, judgement, measured.elements)
    accused = outcome in ACCUSED
    share = _inherited(pair, compared, result) if accused else None
    return Hypothesis(
        method=METHOD,
        component=hypothesis.component,
        model=hypothesis.pair.model.name,
        reference=reference,
        statement=hypothesis.claim,
        dependence_group="weights",
    ).finding(
        outcome,
        headline_of(
            reference, compared, judgement, outcome, share=share, grown=result.growth is not None
        ),
        level=_level(judgement, outcome),
        direction=_direction(judgement, outcome),
        relation=relation,
        kinds=judgement.kinds,
        statistic=_statistic(measured),
        effect=effect,
        pvalue=judgement.pvalue,
        null=_null(measured),
        power=power_of(result.power),
        controls=result.controls,
        coverage=Coverage(
            tensors=compared.tensors,
            parameters=_covered(pair, compared),
            size=pair.parameters[0] or None,
            inherited=None if share is None else round(share * pair.parameters[0]),
            roles=judgement.roles,
        ),
        replications=_replications(compared, judgement) if accused else 1,
        artifacts=pair.checkpoints.records,
        remedy=_remedy(hypothesis, compared, result, outcome),
        weight_bytes=pair.checkpoints.ours.total_bytes,
        figures=origin_figures(compared, judgement, effect, result.controls, reused=accused),
        details=details_of(pair, compared, result.gains, judgement, curve)
        | ({"inherited_share": round(share, 4)} if share is not None else {})
        | ({"growth": result.growth.table} if result.growth is not None else {})
        | _later(result.order)
        | details_of_order(result.earlier)
        | dates_of(hypothesis.pair, related=relation is not None),
    )


def _inherited(pair: ComponentPair, compared: Compared, result: Result) -> float | None:
    """Return the share of the component's parameters that is the reference's, where it was told.

    Of a table: the rows of tokens that both have. Of layers that were repeated: what is the
    reference's of those that are still in place, for all that were recognised.
    """
    judgement, growth = result.judgement, result.growth
    if pair.is_token_table:
        rows, others = (
            max((m.rows for m in side.values()), default=0) for side in (pair.ours, pair.theirs)
        )
        shared = others if pair.token_rows.same_numbers else pair.token_rows.shared
        return min(1.0, shared / rows) if rows and shared else None
    if not compared.roles or judgement.step in EFFECTS:  # recognised elsewhere than in place
        return None
    in_place = inherited_share(compared.roles, pair.matrices, pair.parameters[0])
    if growth is None:
        return in_place
    if pair.component is Component.ROUTER_EXPERTS:
        return max(in_place, growth.share_of_experts)
    still = sum(layer == origin for layer, origin in growth.layers.items())
    if still:
        return max(in_place, min(1.0, in_place * len(growth.layers) / still))
    inside = sum(m.rows * m.cols for m in pair.ours.values() if m.slot.layer >= 0)
    return growth.share_of_layers * min(1.0, inside / max(1, pair.parameters[0]))


def _covered(pair: ComponentPair, compared: Compared) -> float | None:
    """Return the share that was covered; of a component that is not all there, nobody knows."""
    return None if incomplete(pair.checkpoints.ours, pair.component) else compared.coverage


def _outcome(hypothesis: ComponentHypothesis, compared: Compared, result: Result) -> Outcome:
    judgement = result.judgement
    reused = Outcome.DECLARED if hypothesis.declared else Outcome.DERIVED
    if judgement.relation is Relation.VERBATIM:  # equal numbers need no calibration
        return reused
    if not result.controlled:
        return Outcome.INDETERMINATE
    if judgement.accuses:
        return reused
    if judgement.relation is not None or not compared.aligned_rows:
        return Outcome.INDETERMINATE
    if result.missed is not None:
        return Outcome.INDETERMINATE
    return Outcome.CONSISTENT if result.powered else Outcome.INDETERMINATE


def _level(judgement: Judgement, outcome: Outcome) -> Level:
    if judgement.relation is Relation.VERBATIM:
        return Level.E4
    decided = outcome in ACCUSED or outcome is Outcome.CONSISTENT
    return Level.E3 if decided else Level.E2


def _direction(judgement: Judgement, outcome: Outcome) -> Direction:
    if judgement.relation is not None:
        return Direction.TOWARD_REUSE
    if outcome is Outcome.CONSISTENT:
        return Direction.TOWARD_INDEPENDENCE
    return Direction.NONE


def _statistic(measured: Measured) -> Statistic:
    """Return the fixed points under the best permutation, of neurons or else of channels."""
    neurons, channels = measured.neurons, measured.channels
    if neurons is not None:
        return Statistic(
            name="neurons_that_keep_their_number", value=neurons.statistic, n=neurons.n
        )
    return Statistic(
        name="channels_that_keep_their_number",
        value=channels.fixed_points if channels else None,
        n=channels.n if channels else None,
    )


def _effect(pair: ComponentPair, judgement: Judgement, elements: int) -> Statistic:
    name = EFFECTS.get(judgement.step, COSINE)
    if pair.is_token_table and judgement.step is Step.BASIS:
        name = "cosine_in_the_recognised_basis"
    return Statistic(name=name, value=judgement.effect, n=elements)


def _null(measured: Measured) -> Null:
    """Name the null behind the p-value."""
    if measured.neurons is not None:
        return Null(
            kind="exact",
            description=Text(
                "independent initialisation: under it the best renumbering of neurons is a"
                " uniform permutation; fixed points in {groups} groups",
                groups=len(measured.neurons.sizes),
            ),
        )
    return Null(
        kind="permutation",
        description=Text(
            "independent initialisation: joint permutation of {n} residual channels, exact mean"
            " and variance, tail by fixed points",
            n=measured.channels.n if measured.channels else 0,
        ),
    )


def _replications(compared: Compared, judgement: Judgement) -> int:
    """Count the disjoint sets of tensors on which the deciding step found the same."""
    if judgement.step is Step.LAYERS and compared.layers is not None:
        return compared.layers.replications
    if judgement.step is Step.BASIS and compared.rotated is not None:
        return max(1, compared.rotated.match.replications(REPLICATED))
    if judgement.step is Step.FRAMES and compared.framed is not None:
        return max(1, compared.framed.match.replications(REPLICATED))
    measured = compared.measured
    if measured.component in TOKEN_TABLES and judgement.relation is not Relation.VERBATIM:
        return _halves_alike(compared, judgement)
    if judgement.relation in (Relation.DERIVED, Relation.SHARED_ANCESTRY):  # by whoever is later
        roles = _roles_alike(compared, judgement)
        return max(1, measured.replications, min(2, roles))
    return max(1, measured.replications)


def _roles_alike(compared: Compared, judgement: Judgement) -> int:
    """Count the roles that say the same by themselves, in the layers that were inherited.

    One copied layer has no other layer to be replicated in. Its queries, values and blocks are
    disjoint tensors: each must pass its own test, and be alike enough by its own size.
    """
    cost = len(compared.roles)
    tested = [role for role in compared.roles if cost * role.pvalue <= REPLICATED]
    return sum(role.mean_of(judgement.layers) >= HALF_ALIKE * judgement.effect for role in tested)


def _halves_alike(compared: Compared, judgement: Judgement) -> int:
    """Count what can disagree with a table: its halves, by their own size, and its decoder.

    Two halves of one table share whatever is wrong with its null, so that both are significant
    says nothing new. Each must be alike enough by itself; for a common draw the decoder decides.
    """
    if judgement.relation is Relation.SHARED_INITIALISATION:
        return 1 if judgement.explained else 2
    halves = [half for half in compared.measured.halves if half.pvalue <= REPLICATED]
    effects = [half.channels.effect for half in halves if half.channels is not None]
    return max(1, sum(effect >= HALF_ALIKE * judgement.effect for effect in effects))


def _remedy(
    hypothesis: ComponentHypothesis, compared: Compared, result: Result, outcome: Outcome
) -> Text | None:
    if outcome in ACCUSED:
        if result.judgement.third_party:
            return Text(
                "Nothing measured says who had it first: both may have it from a third party, such"
                " as a public tower or table. Ask either developer for its source."
            )
        return (
            published_first(hypothesis.pair) or _another_way(result) or came_first(result.earlier)
        )
    if outcome is not Outcome.INDETERMINATE:
        return None
    if not compared.aligned_rows:
        return Text(
            "Rows of {component} could not be aligned by token: give both tokenizers.",
            component=hypothesis.component.value,
        )
    if result.judgement.explained:
        return Text(
            "Channels are alike and no neuron is known to keep its number: a teacher of hidden"
            " states in common, or one being the other's teacher, explains this without a shared"
            " weight, and so does one seed for this table alone. Ask for teacher and seed."
        )
    if not result.controlled:
        return Text("A control of the test itself failed: nothing it says counts in this run.")
    if result.missed is not None:
        return result.missed
    if result.judgement.relation is None and not result.powered:
        return Text("Too little was read to find anything: raise --depth or the byte budget.")
    return Text("Raise --depth: more layers decide what a few leave open.")


def _another_way(result: Result) -> Text | None:
    """Say what else than a common start puts the same numbers into two files, where it shows."""
    judgement, gains = result.judgement, result.gains
    if judgement.relation is Relation.SHARED_INITIALISATION:
        return Text(
            "A common start explains this, and so does training one of the two towards the"
            " other's weights: ask for the seed and the code, and who held which file first."
        )
    if judgement.step is not Step.ALIGNED or gains is None or not are_apart(gains):
        return None
    return Text(
        "The matrices are alike and the norm gains, which training moves from one, are"
        " strangers': so are weights that were trained towards another's, and copies whose gains"
        " were rescaled. The numbers are in both files; who took them is told by dated copies"
        " alone."
    )


def _later(order: DerivationOrder | None) -> dict[str, Json]:
    if order is None:
        return {}
    return {
        "later": order.later,
        "later_because": order.because,
        "later_certain": order.certain,
    }
