"""Weight provenance: whether a component of this model comes from the reference's.

Escalates in the order of cost and stops when the question is decided: equal numbers, the
aligned numbering of neurons and channels, matchings that see through permuted neurons, the
map of layers, and layers recognised in any basis and width. Controls run with every question;
one that fails or says nothing voids it. Not comparable is never support, and "nothing found"
counts only with the power that is printed.

It cannot see distillation, which copies answers and no weights, and not every disguise at every
depth (docs/methods/weights.md): the sentence on power says which would have been found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.evidence import Control, Finding, Relation
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.applicability import (
    not_comparable,
    partly_measured,
    without_common_draw,
    without_component,
    without_counterpart,
)
from pytest_scratchverify.methods.weights.compare import Compared, Effort, compare
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.confirmation import sustained
from pytest_scratchverify.methods.weights.controls import (
    deranged,
    known_pairs,
    known_rotated,
    self_permuted,
)
from pytest_scratchverify.methods.weights.derivation_order import (
    MODEL,
    REFERENCE,
    derivation_order,
)
from pytest_scratchverify.methods.weights.earlier import earlier_of
from pytest_scratchverify.methods.weights.finding import Result, finding_of
from pytest_scratchverify.methods.weights.framed_power import known_framed
from pytest_scratchverify.methods.weights.growth import Growth, grown, grown_kinds
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.judge import judge
from pytest_scratchverify.methods.weights.judgement import Judgement
from pytest_scratchverify.methods.weights.kinds import Kind
from pytest_scratchverify.methods.weights.power import measure_power
from pytest_scratchverify.methods.weights.readings import judge_readings
from pytest_scratchverify.methods.weights.tensor_groups import GroupsLost
from pytest_scratchverify.methods.weights.thresholds import FRAMES_INHERITED, WeightsThresholds
from pytest_scratchverify.methods.weights.uncompared import uncompared_reason
from pytest_scratchverify.stats.weights.norm_gains import (
    GainSimilarity,
    are_apart,
    gain_similarity,
)
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.adapted import AdaptedStore
from pytest_scratchverify.tensors.reading import CheckpointPair
from pytest_scratchverify.tensors.side_by_side import side_by_side
from pytest_scratchverify.verdict.clearance import JUDGED

Gains = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]

DRAWS = 999
SMALLEST_P = 1e-300  # what a float of 0 stands for: no test shows an impossibility


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # bytes may be anything
def weights_origin(
    hypothesis: ComponentHypothesis,
    ours: ArtifactStore,
    theirs: ArtifactStore,
    calibration: Mapping[str, Any],
) -> Finding:
    """Compare one component of two models by their weights, in every save that either holds.

    Raises `Unavailable` where the weights of either cannot be read, or both are one repository at
    one commit: never a verdict.
    """
    commit = ours.revision
    if commit is not None and (ours.repo, commit) == (theirs.repo, theirs.revision):
        raise hypothesis.pair.same_model()

    def judge_one(mine: ArtifactStore, other: ArtifactStore) -> Finding:
        return _one_reading(hypothesis, mine, other, calibration)

    finding = _with_adapter(judge_readings(judge_one, ours, theirs), ours)
    return _with_scope(finding, ours, theirs)


def _with_scope(finding: Finding, ours: ArtifactStore, theirs: ArtifactStore) -> Finding:
    """Say which folder below the one that was given was judged; `verdict` says it of clearances."""
    scopes = [scope for scope in map(_scope_of, (ours, theirs)) if scope is not None]
    if not scopes:
        return finding
    judged: list[Json] = [str(scope) for scope in scopes]
    details = {**finding.details, JUDGED: judged}
    return replace(finding, details=details, remedy=finding.remedy or scopes[0])


def _scope_of(store: ArtifactStore) -> Text | None:
    store = store.adapter if isinstance(store, AdaptedStore) else store
    return store.scope if isinstance(store, FolderStore) else None


def _with_adapter(finding: Finding, ours: ArtifactStore) -> Finding:
    """Say of base and adapter together that they are, and how much the adapter adds."""
    if not isinstance(ours, AdaptedStore):
        return finding
    share = f"{100 * ours.share:.2g}"
    headline = Text(
        "{base} with the adapter of {repo} ({added} parameters in {modules} modules, rank {rank}:"
        " {share} % of the base's): {said}",
        base=ours.base.repo,
        repo=ours.repo,
        share=share,
        said=finding.headline,
        **ours.tensors.said,
    )
    found: dict[str, Json] = {"base": ours.base.repo, "share": share, **ours.tensors.said}
    return replace(finding, headline=headline, details={**finding.details, "adapter": found})


def _one_reading(
    hypothesis: ComponentHypothesis,
    ours: ArtifactStore,
    theirs: ArtifactStore,
    calibration: Mapping[str, Any],
) -> Finding:
    """Compare one save of either model."""
    absent = without_component(hypothesis, ours)
    if absent is not None:
        return absent
    checkpoints = side_by_side(ours, theirs)
    pair = ComponentPair(checkpoints, hypothesis.component)
    absent = without_counterpart(hypothesis, pair)
    if absent is not None:
        return absent
    thresholds = WeightsThresholds.from_json(calibration)
    try:
        compared = compare(pair, _effort(hypothesis, thresholds))
    except GroupsLost as lost:
        return partly_measured(hypothesis, pair, lost)
    if compared is None:
        return not_comparable(hypothesis, pair)
    gains = _gain_similarity(checkpoints, compared.gains)
    judgement = judge(compared, gains, thresholds)
    incomparable = without_common_draw(hypothesis, pair, compared.measured)
    if incomparable is not None and judgement.relation is not Relation.VERBATIM:
        return incomparable
    if judgement.relation is None and not compared.measured.elements:
        return not_comparable(hypothesis, pair)
    growth = _growth(pair, judgement, limited=hypothesis.depth != "full")
    kinds = grown_kinds(judgement.kinds, growth, pair.component)
    judgement = replace(judgement, kinds=kinds, pvalue=max(judgement.pvalue, SMALLEST_P))
    controls = _controls(hypothesis, compared, thresholds)
    own = hypothesis.pair.model.name
    replaced = any(c.kind == "self_permuted" and c.pair[0] != own for c in controls)
    result = Result(gains, judgement, controls, replaced=replaced, growth=growth)
    if judgement.relation is None:
        result = _with_power(result, pair, compared, thresholds)
    else:
        result = _with_order(result, pair, compared, thresholds)
    finding = finding_of(hypothesis, pair, compared, result)
    identity = compared.measured.identity
    return sustained(finding, checkpoints, differing=identity.statistic < identity.n)


def _gain_similarity(checkpoints: CheckpointPair, gains: Gains) -> GainSimilarity | None:
    """Compare norm gains once for two checkpoints: those beside tables and experts are the same."""
    digest = hashlib.sha256()
    for pair in gains:
        for side in pair:
            digest.update(f"{side.shape}{side.dtype}".encode() + side.tobytes())
    return checkpoints.once(
        ("norm gains", digest.digest()),
        lambda: gain_similarity(gains, np.random.default_rng(2026), DRAWS),
    )


def _growth(pair: ComponentPair, judgement: Judgement, *, limited: bool) -> Growth | None:
    """Ask how a larger model was made of a smaller one, where it is accused and larger."""
    larger = {Kind.LAYERS, Kind.MORE_EXPERTS} & {*pair.shape_changes}
    if not (judgement.accuses and larger and pair.is_decoder):
        return None
    checkpoints = pair.checkpoints
    return checkpoints.once("growth", lambda: grown(checkpoints, limited=limited))


def _effort(hypothesis: ComponentHypothesis, thresholds: WeightsThresholds) -> Effort:
    return Effort(
        depth=hypothesis.depth,
        limit=hypothesis.limit,
        layer_threshold=thresholds.shared_from(hypothesis.component),
        derived_threshold=thresholds.derived_from(hypothesis.component),
    )


def _controls(
    hypothesis: ComponentHypothesis, compared: Compared, thresholds: WeightsThresholds
) -> tuple[Control, ...]:
    """Measure pairs of known truth by the code that measured the pair under test."""
    component = hypothesis.component
    names = hypothesis.pair.model.name, hypothesis.pair.reference.name
    controls: tuple[Control, ...] = (
        *known_pairs(component, thresholds.alpha),
        self_permuted(component, names, compared.sample, thresholds),
        deranged(component, hypothesis.pair.reference.name, compared.sample, thresholds),
    )
    if compared.rotated is not None:
        controls += known_rotated(thresholds.alpha, thresholds.agreement_inherited)
    if compared.framed is not None:
        controls += known_framed(thresholds.alpha, FRAMES_INHERITED)
    return controls


def _with_order(
    result: Result, pair: ComponentPair, compared: Compared, thresholds: WeightsThresholds
) -> Result:
    """Add to a relation which of the two is the later one, where it is descent."""
    judgement = result.judgement
    # Gains that did not grow out of one another tell no order: nor does how anything else grew.
    if result.gains is None or not are_apart(result.gains):
        result = replace(result, earlier=earlier_of(compared, thresholds.direction))
    if judgement.relation is not Relation.DERIVED:
        return result
    order = derivation_order(compared.measured, pair.dtypes, thresholds, result.gains)
    if order.later == REFERENCE:
        judgement = replace(judgement, relation=Relation.SHARED_ANCESTRY)
    elif order.later != MODEL and _third_party(pair, compared, thresholds):
        judgement = replace(judgement, relation=Relation.SHARED_ANCESTRY, third_party=True)
    return replace(result, judgement=judgement, order=order)


def _third_party(pair: ComponentPair, compared: Compared, thresholds: WeightsThresholds) -> bool:
    """Whether both may have this from elsewhere: a table or tower, beside unrelated decoders."""
    return not pair.is_decoder and not compared.is_corroborated(thresholds)


def _with_power(
    result: Result, pair: ComponentPair, compared: Compared, thresholds: WeightsThresholds
) -> Result:
    """Add to silence what would have been found, and what was not compared."""
    power = measure_power(pair.component, compared, thresholds)
    # Frames ask layers under their own numbers: they stand in for no search in every place.
    recognisable = power.rotation_invariant is not None
    followed = compared.measured.followed
    formulas = {s: name for s, name in compared.measured.formulas.items() if s in followed}
    missed = uncompared_reason(pair, rotation_invariant=recognisable, formulas=formulas)
    if missed is None and result.replaced:
        missed = Text(
            "The model's own weights, renumbered, break the control of the test (neurons that are"
            " there several times do): silence about them clears nothing."
        )
    return replace(result, power=power, missed=missed)
