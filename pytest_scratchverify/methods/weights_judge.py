"""From numbers to a relation and its kind. The thresholds are data; see the calibration file.

A p-value rejects independent initialisation and no more. Whether what is shared was learnt
(descent) or drawn (one seed) is told by size: how alike the weights are, and how alike the
norm gains, which all start at one, so that whatever they share was learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pytest_scratchverify.checkpoint.dtypes import is_packed, is_quantised
from pytest_scratchverify.methods.weights_alignment import Aligned
from pytest_scratchverify.methods.weights_calibration import WeightsCalibration
from pytest_scratchverify.methods.weights_measure import Measured
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.stats.layer_map import LayerMap
from pytest_scratchverify.stats.norm_gains import GainSimilarity


class Step(StrEnum):
    """The step of the escalation that decided, in the order of cost."""

    BYTES = "equal numbers"
    ALIGNED = "aligned numbering"
    MATCHING = "matching of neurons"
    LAYERS = "map of layers"
    ALIGNMENT = "alignment by shared embeddings"
    NONE = "all steps"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the measurement says of one component of one pair.

    `relation` is None (no relation), "verbatim", "derived", "shared_initialisation" or
    "unclear"; `kind` names it further where it can be told.
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
        return self.relation in ("verbatim", "derived", "shared_initialisation")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was measured of one component, as the judge wants it."""

    measured: Measured
    gains: GainSimilarity | None
    layers: LayerMap | None
    aligned: Aligned | None = None
    stored: tuple[str, ...] = ()  # dtypes of the suspect's slices


def judge(evidence: Evidence, numbers: WeightsCalibration) -> Judgement:
    """Apply the steps in their order; the first that decides ends it."""
    measured = evidence.measured
    effect = measured.similarity or 0.0
    pvalue = min(1.0, numbers.tests * measured.pvalue)
    identity = measured.identity
    if identity.statistic and identity.statistic >= min(2, identity.n):
        kind = "identical" if identity.statistic == identity.n else "partly identical"
        return Judgement("verbatim", Step.BYTES, identity.pvalue, identity.effect, kind)
    found = _aligned(evidence, numbers, pvalue, effect)
    if found is not None and found.accuses:
        mapped = _by_layers(evidence, numbers)
        explains_more = mapped is not None and len(mapped.layers) > len(found.layers)
        return mapped if mapped is not None and mapped.accuses and explains_more else found
    for step in (_matching, _by_layers, _by_alignment):
        other = step(evidence, numbers)
        if other is not None:
            return other
    if found is not None:
        return found
    return Judgement(None, Step.NONE, _least(evidence, numbers), effect)


def _aligned(
    evidence: Evidence, numbers: WeightsCalibration, pvalue: float, effect: float
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
        kind = _kind(evidence, numbers, inherited)
        return Judgement("derived", Step.ALIGNED, pvalue, strongest, kind, inherited)
    return Judgement("shared_initialisation", Step.ALIGNED, pvalue, effect, "shared initialisation")


def _learnt(evidence: Evidence, numbers: WeightsCalibration) -> bool:
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


def _inherited_layers(measured: Measured, numbers: WeightsCalibration) -> tuple[int, ...]:
    bar = numbers.derived_from(measured.component)
    layers = {layer: value for layer, value in measured.by_layer().items() if layer >= 0}
    return tuple(layer for layer, value in layers.items() if value >= bar)


def _kind(evidence: Evidence, numbers: WeightsCalibration, inherited: tuple[int, ...]) -> str:
    measured = evidence.measured
    layers = [layer for layer in measured.by_layer() if layer >= 0]
    if layers and inherited and len(inherited) <= numbers.layer_share * len(layers):
        return "partial reuse"
    # Rounding to few bits makes zeros by itself.
    rounded = any(map(is_packed, evidence.stored))
    if measured.zeros[0] - measured.zeros[1] >= numbers.pruned_zeros and not rounded:
        return "pruned copy"
    effect = measured.similarity or 0.0
    if any(map(is_quantised, evidence.stored)):
        return "quantised copy"
    return "fine-tune" if effect >= numbers.fine_tune else "continued pretraining"


def _matching(evidence: Evidence, numbers: WeightsCalibration) -> Judgement | None:
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


def _by_layers(evidence: Evidence, numbers: WeightsCalibration) -> Judgement | None:
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


def _by_alignment(evidence: Evidence, numbers: WeightsCalibration) -> Judgement | None:
    """Give a lead at most: what is alike after fitting has no p-value."""
    aligned = evidence.aligned
    if aligned is None:
        return None
    table = evidence.measured.component in (Component.EMBEDDINGS, Component.LM_HEAD)
    found = aligned.embeddings if table else aligned.agreement
    bar = numbers.aligned_table if table else numbers.aligned_agreement
    if found is None or found < bar:
        return None
    return Judgement(
        "unclear", Step.ALIGNMENT, _least(evidence, numbers), found, "renumbered channels"
    )


def _least(evidence: Evidence, numbers: WeightsCalibration) -> float:
    found = [evidence.measured.pvalue]
    if evidence.measured.agreement is not None:
        found.append(evidence.measured.agreement.pvalue)
    if evidence.layers is not None:
        found.append(evidence.layers.pvalue)
    return min(1.0, numbers.tests * min(found))
