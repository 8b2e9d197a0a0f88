"""Decision rules of the weights method: from what was compared to a relation and its kinds.

A p-value rejects independent initialisation and no more. Whether what is shared was learnt
(descent) or drawn (one seed) is told by size: how alike the weights are, and how alike the
norm gains, which all start at one, so that whatever they share was learnt. The thresholds are
data; see the calibration file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from pytest_scratchverify.core.component import TOKEN_TABLES
from pytest_scratchverify.core.evidence import MOST, Relation
from pytest_scratchverify.methods.weights.compare import Compared
from pytest_scratchverify.methods.weights.judgement import Judgement
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.roles_in_place import SharedRoles, shared_roles
from pytest_scratchverify.methods.weights.step import Step
from pytest_scratchverify.methods.weights.thresholds import FRAMES_INHERITED, WeightsThresholds
from pytest_scratchverify.methods.weights.transformations import (
    BLOCKS,
    HEADS,
    aligned_kind,
    distinct,
    framed_kinds,
    further_kinds,
    identity_kinds,
    rotation_invariant_kinds,
)
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity

MOVED = 2.0**-7  # standard deviation of gains: the distance of two BF16 numbers from one on


@dataclass(frozen=True)
class _Case:
    """What was compared, with the answers that several rules ask for."""

    compared: Compared
    gains: GainSimilarity | None
    thresholds: WeightsThresholds

    @property
    def measured(self) -> Measured:
        return self.compared.measured

    @property
    def effect(self) -> float:
        return self.measured.similarity or 0.0

    def corrected(self, pvalue: float) -> float:
        """Correct a p-value for the tests of one question (Bonferroni)."""
        return min(1.0, self.thresholds.tests * pvalue)

    @property
    def learnt(self) -> bool:
        """Whether the gains are as alike as only descendants' are."""
        gains, thresholds = self.gains, self.thresholds
        if gains is None:
            return False
        return gains.effect >= thresholds.gains_learned and gains.pvalue <= thresholds.gains_pvalue

    @cached_property
    def hardly_trained(self) -> bool:
        """Whether the gains of *both* models have moved by less than BF16 can tell."""
        gains = self.compared.gains
        spreads = [max(float(a.std()), float(b.std())) for a, b in gains]
        return bool(spreads) and 0 < sum(spreads) / len(spreads) < MOVED

    @cached_property
    def aligned(self) -> Judgement | None:
        """What is alike in its place says, in either direction."""
        return _aligned(self)

    @cached_property
    def roles(self) -> SharedRoles | None:
        """Which roles are the reference's, beside roles that were drawn anew."""
        component, thresholds = self.measured.component, self.thresholds
        alone = thresholds.derived_alone  # what is alike without gains that were learnt in common
        found = shared_roles(
            self.compared.roles,
            derived=max(thresholds.derived_from(component), 0 if self.learnt else alone),
            shared=thresholds.shared_from(component),
            alpha=thresholds.alpha / thresholds.tests,
            undecided=thresholds.undecided,
        )
        return None if found is None or _only_disguised(self, found) else found

    @cached_property
    def mapped(self) -> Judgement | None:
        """What the map of layers says."""
        return _by_layers(self)

    @cached_property
    def rotated(self) -> Judgement | None:
        """What was recognised in any basis says."""
        return _rotated(self)

    @property
    def further(self) -> tuple[Kind, ...]:
        """What else was done to a copy that is recognised in its place."""
        kinds = further_kinds(self.measured, self.compared.rotated, self.thresholds)
        return (*kinds, *self.compared.changes)


def judge(
    compared: Compared, gains: GainSimilarity | None, thresholds: WeightsThresholds
) -> Judgement:
    """Apply the rules in their order; the first that accuses decides, or else the first lead.

    A lead never keeps a later step from saying what it knows: a copy whose experts were
    renumbered, but for some that kept their number, is a lead to one step and plain to another.
    Steps come in the order of their cost, with four exceptions, each a rule of its own in
    `RULES`: matching in any basis overrules a shared seed, a map of layers that explains more
    layers overrules what is alike in place, roles that were taken overrule a mean over all,
    and a lead in place is kept for last, since every other step may make more of it.
    """
    case = _Case(compared, gains, thresholds)
    lead: Judgement | None = None
    for rule in RULES:
        found = rule(case)
        if found is not None and found.accuses:
            return found
        lead = lead or found
    return lead or Judgement(None, Step.NONE, _least(case), case.effect)


def _identical(case: _Case) -> Judgement | None:
    """Equal numbers need no statistics.

    What a quantisation leaves as it is, is equal in every copy of its kind: where that is less
    than half, the rounded rest says what the copy is.
    """
    identity, missed = case.measured.identity, case.compared.unplaced
    if not identity.statistic or identity.statistic < min(2, identity.n):
        return None
    kinds = identity_kinds(case.measured, case.compared.stored, missed)
    share = identity.effect * (1 - missed)
    if Kind.QUANTISED in kinds and share < MOST and case.aligned and case.aligned.accuses:
        return None
    some = case.roles if Kind.PARTLY_IDENTICAL in kinds else None
    roles = some.named(learnt=case.learnt) if some else ()
    kinds = distinct(*kinds, *((Kind.SOME_ROLES,) if roles else ()), *case.further)
    return Judgement(Relation.VERBATIM, Step.BYTES, identity.pvalue, share, kinds, roles=roles)


def _learnt_beyond_the_seed(case: _Case) -> Judgement | None:
    """Let matching in any basis overrule one seed in common.

    Models of the same seed share what was drawn, and in no layer the neurons that training made
    of it.
    """
    found = case.aligned
    if found is None or found.relation is not Relation.SHARED_INITIALISATION:
        return None
    derived = case.rotated is not None and case.rotated.relation is Relation.DERIVED
    return case.rotated if derived else None


def _more_layers_than_in_place(case: _Case) -> Judgement | None:
    """Let the map of layers overrule what is alike in place, where it explains more layers."""
    found, mapped = case.aligned, case.mapped
    if found is None or not found.accuses or mapped is None or not mapped.accuses:
        return None
    return mapped if len(mapped.layers) > len(found.layers) else None


def _some_roles(case: _Case) -> Judgement | None:
    """Let roles that were taken overrule a mean over these and roles that were not."""
    found, elsewhere = case.roles, (case.mapped, case.rotated)
    if found is None:
        return None
    if any(j and j.accuses and not {*j.layers} <= {*found.layers} for j in elsewhere):
        return None  # layers that moved too explain more
    return Judgement(
        Relation.DERIVED,
        Step.ROLES,
        case.corrected(found.pvalue),
        found.similarity,
        distinct(Kind.SOME_ROLES, *case.compared.changes),
        found.layers,
        found.named(learnt=case.learnt),
    )


def _only_disguised(case: _Case, found: SharedRoles) -> bool:
    """Whether roles that are not in place are there after all: heads or blocks, changed whole."""
    if found.fresh & BLOCKS and any(j and j.accuses for j in (case.rotated, _matched(case))):
        return True
    descent = case.aligned is not None and case.aligned.relation is Relation.DERIVED
    heads = HEADS.isdisjoint(role.kind for role in found.inherited) and found.fresh <= HEADS
    return descent and heads


def _aligned(case: _Case) -> Judgement | None:
    measured, thresholds = case.measured, case.thresholds
    if measured.is_single_map:
        return None
    component, effect, pvalue = measured.component, case.effect, case.corrected(measured.pvalue)
    if pvalue > thresholds.undecided:
        return None
    inherited = _inherited_layers(measured, thresholds)
    strongest = max([effect, *(measured.by_layer()[layer] for layer in inherited)])
    if pvalue > thresholds.alpha or strongest < thresholds.shared_from(component):
        return Judgement(Relation.UNCLEAR, Step.ALIGNED, pvalue, effect)
    if _is_descent(case, strongest):
        kind = aligned_kind(measured, case.compared.stored, thresholds, inherited)
        kinds = distinct(kind, *case.further)
        return Judgement(Relation.DERIVED, Step.ALIGNED, pvalue, strongest, kinds, inherited)
    return Judgement(
        Relation.SHARED_INITIALISATION,
        Step.ALIGNED,
        pvalue,
        effect,
        (Kind.SHARED_INITIALISATION,),
        explained=not _is_drawn(case),
    )


def _is_descent(case: _Case, strongest: float) -> bool:
    """Whether what is shared was learnt: by the gains, or else by its size alone.

    All gains start at one, so gains that are alike were learnt in common. Gains that are not
    show nothing: an accepted null is no evidence. Where neither model was trained far enough to
    move its gains, twins of one seed are as alike as parent and child. Rows of a table that
    training did not move are what the seed drew, and do not count towards size.
    """
    measured, thresholds = case.measured, case.thresholds
    if case.hardly_trained:
        return False
    if case.learnt:
        return True
    size = strongest if measured.moved is None else min(strongest, measured.moved)
    return size >= thresholds.derived_alone


def _is_drawn(case: _Case) -> bool:
    """Whether what is shared was drawn in common, and not given by a teacher.

    Hidden states of one teacher give the channels of its students a meaning, so that tables and
    readers are alike by channel between models of different seeds. The numbers of neurons get
    none. So a common draw is said where neurons keep their number, a table's decoder's for it.
    """
    measured, thresholds = case.measured, case.thresholds
    if measured.component in TOKEN_TABLES:
        return case.compared.is_corroborated(thresholds)
    neurons = measured.neurons
    return neurons is not None and case.corrected(neurons.pvalue) <= thresholds.alpha


def _inherited_layers(measured: Measured, thresholds: WeightsThresholds) -> tuple[int, ...]:
    bar = thresholds.derived_from(measured.component)
    layers = {layer: value for layer, value in measured.by_layer().items() if layer >= 0}
    return tuple(layer for layer, value in layers.items() if value >= bar)


def _matched(case: _Case) -> Judgement | None:
    """Neurons that two matchings agree on, whatever their numbers."""
    agreement, thresholds = case.measured.agreement, case.thresholds
    if agreement is None:
        return None
    pvalue = case.corrected(agreement.pvalue)
    if pvalue > thresholds.alpha or agreement.effect < thresholds.agreement_none:
        return None
    kinds = (Kind.PERMUTED_NEURONS,) if agreement.fixed_share < 0.5 else ()
    known = agreement.effect >= thresholds.agreement_inherited
    relation = Relation.DERIVED if known else Relation.UNCLEAR
    return Judgement(relation, Step.MATCHING, pvalue, agreement.effect, kinds)


def _by_layers(case: _Case) -> Judgement | None:
    layers, thresholds = case.compared.layers, case.thresholds
    if layers is None or not layers.effect:
        return None
    pvalue = case.corrected(layers.pvalue)
    if pvalue > thresholds.alpha:
        return None
    mapped = tuple(a for a, b in enumerate(layers.pairs) if b >= 0)
    kinds = (Kind.PARTIAL if layers.is_identity else Kind.LAYERS,)
    bar = thresholds.derived_from(case.measured.component)
    relation = Relation.DERIVED if layers.statistic >= bar else Relation.UNCLEAR
    return Judgement(relation, Step.LAYERS, pvalue, layers.statistic, kinds, mapped)


def _rotated(case: _Case) -> Judgement | None:
    """Judge what was recognised without regard to basis, order and width."""
    found, thresholds = case.compared.rotated, case.thresholds
    if found is None:
        return None
    pvalue, effect = case.corrected(found.match.pvalue), found.match.effect
    if pvalue > thresholds.alpha or effect < thresholds.agreement_none:
        return None
    kinds = rotation_invariant_kinds(found, thresholds, case.compared.changes)
    if case.measured.component in TOKEN_TABLES:
        return _table_in_basis(case, pvalue, kinds)
    if found.values is not None:
        agreed, size, tail = found.values
        pvalue, effect = case.corrected(max(tail, found.match.pvalue)), agreed / size
        if pvalue > thresholds.alpha or effect < thresholds.agreement_none:
            return None
    inherited = found.match.inherited(thresholds.agreement_inherited)
    layers = tuple(dict.fromkeys(layer.ours[0] for layer in inherited))
    if layers and len(layers) <= thresholds.layer_share * len(found.layers):
        kinds = distinct(Kind.PARTIAL, *(kind for kind in kinds if kind is not Kind.RESCALED))
    relation = Relation.DERIVED if effect >= thresholds.agreement_inherited else Relation.UNCLEAR
    return Judgement(relation, Step.BASIS, pvalue, effect, kinds, layers)


def _table_in_basis(case: _Case, pvalue: float, kinds: tuple[Kind, ...]) -> Judgement | None:
    """Give a lead: nothing tells a table that was taken along from one learnt in that basis."""
    table = case.compared.table or 0.0
    alike = table >= case.thresholds.table_in_basis
    return Judgement(Relation.UNCLEAR, Step.BASIS, pvalue, table, kinds) if alike else None


def _framed(case: _Case) -> Judgement | None:
    """Judge neurons and heads that were recognised by residual frames, in any basis and order."""
    found, thresholds = case.compared.framed, case.thresholds
    if found is None:
        return None
    match, pvalue = found.match, case.corrected(found.match.pvalue)
    if pvalue > thresholds.alpha or match.effect < FRAMES_INHERITED / 3:
        return None
    kinds = framed_kinds(found, thresholds, case.compared.changes)
    if case.measured.component in TOKEN_TABLES:
        return _table_in_basis(case, pvalue, kinds)
    enough = match.effect >= FRAMES_INHERITED and found.tells_of(case.measured.component)
    known = Relation.DERIVED if enough else Relation.UNCLEAR
    return Judgement(
        known, Step.FRAMES, pvalue, match.effect, kinds, match.layers(thresholds.alpha)
    )


def _by_angles(case: _Case) -> Judgement | None:
    """Give a lead at most: the order of neurons may be a convention."""
    found, thresholds = case.compared.angles, case.thresholds
    if found is None:
        return None
    pvalue = case.corrected(found.pvalue)
    if pvalue > thresholds.alpha or found.effect < thresholds.angles_shared:
        return None
    kinds = distinct(Kind.CHANGED_CHANNELS, *case.compared.changes)
    return Judgement(Relation.UNCLEAR, Step.ANGLES, pvalue, found.effect, kinds)


def _by_alignment(case: _Case) -> Judgement | None:
    """Give a lead at most: what is alike after fitting has no p-value."""
    aligned, thresholds = case.compared.aligned, case.thresholds
    if aligned is None:
        return None
    table = case.measured.component in TOKEN_TABLES
    found = aligned.table if table else aligned.agreement
    bar = thresholds.aligned_table if table else thresholds.aligned_agreement
    if not table and (found is None or found < bar):
        # Where the blocks were retrained, queries and keys may still tell.
        found, bar = aligned.attention, thresholds.aligned_attention
        if (aligned.attention_null or 0.0) >= bar:
            return None
    if found is None or found < bar:
        return None
    kinds = (Kind.PERMUTED_CHANNELS,)
    return Judgement(Relation.UNCLEAR, Step.ALIGNMENT, _least(case), found, kinds)


def _least(case: _Case) -> float:
    """Return the smallest p-value of all steps, corrected."""
    compared, measured = case.compared, case.measured
    found = [measured.pvalue]
    found += [
        step.pvalue
        for step in (measured.agreement, compared.layers, compared.angles)
        if step is not None
    ]
    if measured.is_single_map:
        return 1.0
    if compared.rotated is not None and measured.component not in TOKEN_TABLES:
        found.append(compared.rotated.match.pvalue)
    if compared.framed is not None and measured.component not in TOKEN_TABLES:
        found.append(compared.framed.match.pvalue)
    return case.corrected(min(found))


RULES: tuple[Callable[[_Case], Judgement | None], ...] = (
    _identical,
    _some_roles,  # before the steps that would call it a shared initialisation, or all of it taken
    _learnt_beyond_the_seed,  # before the step that would call it a shared initialisation
    _more_layers_than_in_place,  # before the step that would call it partial reuse
    lambda case: case.aligned if case.aligned and case.aligned.accuses else None,
    _matched,
    lambda case: case.mapped,
    lambda case: case.rotated,
    _framed,
    _by_angles,
    _by_alignment,
    lambda case: case.aligned,  # last: a lead that no other step made more of
)
