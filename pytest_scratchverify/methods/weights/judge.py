"""From numbers to a relation and its kind. The thresholds are data; see the calibration file.

A p-value rejects independent initialisation and no more. Whether what is shared was learnt
(descent) or drawn (one seed) is told by size: how alike the weights are, and how alike the
norm gains, which all start at one, so that whatever they share was learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.methods.weights.alignment import Aligned
from pytest_scratchverify.methods.weights.any_basis import TABLES, InAnyBasis
from pytest_scratchverify.methods.weights.kinds import (
    CAST,
    joined,
    kind_in_place,
    kinds_in_any_basis,
    more_kinds,
)
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.step import Step
from pytest_scratchverify.methods.weights.thresholds import WeightsThresholds
from pytest_scratchverify.stats.weights.gram_permutation import GramNumbering
from pytest_scratchverify.stats.weights.layer_map import LayerMap
from pytest_scratchverify.stats.weights.norm_gains import GainSimilarity


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the measurement says of one component of one pair.

    `relation` is None (no relation), "verbatim", "derived", "shared_ancestry" (related, and the
    reference is the later one), "shared_initialisation" or "unclear"; `kind` names it further
    where it can be told.
    """

    relation: str | None
    step: Step
    pvalue: float
    effect: float
    kind: str | None = None
    layers: tuple[int, ...] = field(default=())

    @property
    def accuses(self) -> bool:
        """Whether the relation is one that refutes independence."""
        return self.relation in (
            "verbatim",
            "derived",
            "shared_ancestry",
            "shared_initialisation",
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was measured of one component, as the judge wants it."""

    measured: Measured
    gains: GainSimilarity | None
    layers: LayerMap | None
    aligned: Aligned | None = None
    stored: tuple[str, ...] = ()  # dtypes of the suspect's slices
    basis: InAnyBasis | None = None
    angles: GramNumbering | None = None
    table: float | None = None  # the cosine of embeddings in the basis that was recognised
    changes: tuple[str, ...] = ()  # of shape


def judge(evidence: Evidence, numbers: WeightsThresholds) -> Judgement:
    """Apply the steps in their order; the first that decides ends it."""
    measured = evidence.measured
    effect = measured.similarity or 0.0
    pvalue = min(1.0, numbers.tests * measured.pvalue)
    identity = measured.identity
    if identity.statistic and identity.statistic >= min(2, identity.n):
        kind = "identical" if identity.statistic == identity.n else "partly identical"
        kind = CAST if measured.cast else kind
        kind = joined([kind, *_more(evidence, numbers)])
        return Judgement("verbatim", Step.BYTES, identity.pvalue, identity.effect, kind)
    found = _aligned(evidence, numbers, pvalue, effect)
    if found is not None and found.relation == "shared_initialisation":
        # Twins share what was drawn, and in no layer the neurons that training made of it.
        recognised = _in_any_basis(evidence, numbers)
        if recognised is not None and recognised.relation == "derived":
            return recognised
    if found is not None and found.accuses:
        mapped = _by_layers(evidence, numbers)
        explains_more = mapped is not None and len(mapped.layers) > len(found.layers)
        return mapped if mapped is not None and mapped.accuses and explains_more else found
    for step in (_matching, _by_layers, _in_any_basis, _by_angles, _by_alignment):
        other = step(evidence, numbers)
        if other is not None:
            return other
    if found is not None:
        return found
    return Judgement(None, Step.NONE, _least(evidence, numbers), effect)


def _aligned(
    evidence: Evidence, numbers: WeightsThresholds, pvalue: float, effect: float
) -> Judgement | None:
    measured = evidence.measured
    component = measured.component
    if pvalue > numbers.undecided:
        return None
    inherited = _inherited_layers(measured, numbers)
    strongest = max([effect, *(measured.by_layer()[layer] for layer in inherited)])
    if pvalue > numbers.alpha or strongest < numbers.shared_from(component):
        return Judgement("unclear", Step.ALIGNED, pvalue, effect)
    learnt = _learnt(evidence, numbers)
    if strongest >= numbers.derived_from(component) or learnt:
        kind = kind_in_place(measured, evidence.stored, numbers, inherited)
        kind = joined([kind, *_more(evidence, numbers)])
        return Judgement("derived", Step.ALIGNED, pvalue, strongest, kind, inherited)
    return Judgement("shared_initialisation", Step.ALIGNED, pvalue, effect, "shared initialisation")


def _more(evidence: Evidence, numbers: WeightsThresholds) -> list[str]:
    return [*more_kinds(evidence.measured, evidence.basis, numbers), *evidence.changes]


def _learnt(evidence: Evidence, numbers: WeightsThresholds) -> bool:
    """Whether what is shared was learnt, by the gains: they share nothing that was drawn.

    Where the gains share nothing at all, the models as a whole have no seed in common, so a
    component that is alike was taken. In between, size alone decides.
    """
    gains = evidence.gains
    if gains is None:
        return False
    if gains.effect >= numbers.gains_learned and gains.pvalue <= numbers.gains_pvalue:
        return True
    alone = evidence.measured.component in (Component.EMBEDDINGS, Component.LM_HEAD)
    return alone and gains.vectors >= 4 and gains.pvalue > 10 * numbers.gains_pvalue


def _inherited_layers(measured: Measured, numbers: WeightsThresholds) -> tuple[int, ...]:
    bar = numbers.derived_from(measured.component)
    layers = {layer: value for layer, value in measured.by_layer().items() if layer >= 0}
    return tuple(layer for layer, value in layers.items() if value >= bar)


def _matching(evidence: Evidence, numbers: WeightsThresholds) -> Judgement | None:
    agreement = evidence.measured.agreement
    if agreement is None:
        return None
    pvalue = min(1.0, numbers.tests * agreement.pvalue)
    if pvalue > numbers.alpha or agreement.effect < numbers.agreement_none:
        return None
    inherited = agreement.effect >= numbers.agreement_inherited
    return Judgement(
        "derived" if inherited else "unclear",
        Step.MATCHING,
        pvalue,
        agreement.effect,
        "renumbered neurons" if agreement.identity < 0.5 else None,
    )


def _by_layers(evidence: Evidence, numbers: WeightsThresholds) -> Judgement | None:
    layers = evidence.layers
    if layers is None or not layers.effect:
        return None
    pvalue = min(1.0, numbers.tests * layers.pvalue)
    if pvalue > numbers.alpha:
        return None
    mapped = tuple(a for a, b in enumerate(layers.pairs) if b >= 0)
    kind = "layers moved" if not layers.is_identity else "partial reuse"
    bar = numbers.derived_from(evidence.measured.component)
    relation = "derived" if layers.statistic >= bar else "unclear"
    return Judgement(relation, Step.LAYERS, pvalue, layers.statistic, kind, mapped)


def _in_any_basis(evidence: Evidence, numbers: WeightsThresholds) -> Judgement | None:
    """Judge what was recognised without regard to basis, order and width.

    A table of embeddings is told from one that was learnt in the taken basis by nothing that
    has a null: for tables it is a lead.
    """
    found = evidence.basis
    if found is None:
        return None
    pvalue = min(1.0, numbers.tests * found.match.pvalue)
    effect = found.match.effect
    if pvalue > numbers.alpha or effect < numbers.agreement_none:
        return None
    kind = joined(kinds_in_any_basis(found, numbers, evidence.changes))
    inherited = tuple(layer.ours[0] for layer in found.match.inherited(numbers.agreement_inherited))
    relation = "derived" if effect >= numbers.agreement_inherited else "unclear"
    if evidence.measured.component in TABLES:
        if evidence.table is None or evidence.table < numbers.table_in_basis:
            return None
        return Judgement("unclear", Step.BASIS, pvalue, evidence.table, kind)
    if found.values is not None:
        agreed, size, tail = found.values
        pvalue, effect = min(1.0, numbers.tests * max(tail, found.match.pvalue)), agreed / size
        if pvalue > numbers.alpha or effect < numbers.agreement_none:
            return None
        relation = "derived" if effect >= numbers.agreement_inherited else "unclear"
    return Judgement(relation, Step.BASIS, pvalue, effect, kind, tuple(dict.fromkeys(inherited)))


def _by_angles(evidence: Evidence, numbers: WeightsThresholds) -> Judgement | None:
    found = evidence.angles
    if found is None:
        return None
    pvalue = min(1.0, numbers.tests * found.pvalue)
    if pvalue > numbers.alpha or found.effect < numbers.angles_shared:
        return None
    relation = "derived" if found.effect >= numbers.angles_derived else "unclear"
    kind = joined(["rotated or renumbered channels", *evidence.changes])
    return Judgement(relation, Step.ANGLES, pvalue, found.effect, kind)


def _by_alignment(evidence: Evidence, numbers: WeightsThresholds) -> Judgement | None:
    """Give a lead at most: what is alike after fitting has no p-value."""
    aligned = evidence.aligned
    if aligned is None:
        return None
    table = evidence.measured.component in (Component.EMBEDDINGS, Component.LM_HEAD)
    found = aligned.embeddings if table else aligned.agreement
    bar = numbers.aligned_table if table else numbers.aligned_agreement
    if not table and (found is None or found < bar):
        # Where the blocks were retrained, queries and keys may still tell.
        found, bar = aligned.attention, numbers.aligned_attention
        if (aligned.attention_null or 0.0) >= bar:
            return None
    if found is None or found < bar:
        return None
    return Judgement(
        "unclear", Step.ALIGNMENT, _least(evidence, numbers), found, "renumbered channels"
    )


def _least(evidence: Evidence, numbers: WeightsThresholds) -> float:
    found = [evidence.measured.pvalue]
    if evidence.measured.agreement is not None:
        found.append(evidence.measured.agreement.pvalue)
    if evidence.layers is not None:
        found.append(evidence.layers.pvalue)
    if evidence.basis is not None and evidence.measured.component not in TABLES:
        found.append(evidence.basis.match.pvalue)
    if evidence.angles is not None:
        found.append(evidence.angles.pvalue)
    return min(1.0, numbers.tests * min(found))
