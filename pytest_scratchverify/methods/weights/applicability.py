"""Applicability of the weights method: components that cannot be asked about, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum

from pytest_scratchverify.checkpoint.design import read_designs
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import Finding, Outcome, Relation
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.architecture.config import trained_components
from pytest_scratchverify.methods.weights.component_pair import ComponentPair
from pytest_scratchverify.methods.weights.hypothesis import ComponentHypothesis
from pytest_scratchverify.methods.weights.measure import Measured
from pytest_scratchverify.methods.weights.tensor_groups import GroupsLost
from pytest_scratchverify.methods.weights.thresholds import UNPLACED
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.inventory import Matrix, Slot, is_unnamed
from pytest_scratchverify.tensors.pairing import placed_names
from pytest_scratchverify.tensors.reading import open_checkpoint

LAYERED = (Component.TEXT_DECODER, Component.ROUTER_EXPERTS)
LISTED = 20  # names of tensors that a finding lists


class Obstacle(Enum):
    """Why a component cannot be compared."""

    NO_COMPONENT = "by config"
    NO_TENSOR = "by tensors"
    NO_COUNTERPART = "in the reference"
    TOO_FEW_TOKENS = "of tables"
    CONSTANT = "of placeholders"
    NO_SHAPE = "of matrices"
    SINGLE_MAP = "of a linear map"
    FORMULA = "of a formula"


HEADLINES: Mapping[Obstacle, str] = {
    Obstacle.NO_COMPONENT: "the model has no {component} of its own",
    Obstacle.NO_TENSOR: "no tensor of the model belongs to {component}",
    Obstacle.NO_COUNTERPART: "{reference} has no {component} to take one from",
    Obstacle.TOO_FEW_TOKENS: "{component} cannot be compared with {reference}: too few tokens in"
    " common whose rows could be laid side by side",
    Obstacle.CONSTANT: "{component} cannot be compared with {reference}: what was read holds one or"
    " two numbers throughout in one of them, as placeholders do",
    Obstacle.NO_SHAPE: "{component} cannot be compared with {reference}: no tensor of one shape in"
    " common ({ours} and {theirs})",
    Obstacle.SINGLE_MAP: "{component} cannot be compared with {reference} in place: it is a single"
    " linear map between two towers, and whoever fits one between the same towers finds the same",
    Obstacle.FORMULA: "{component} says nothing about {reference}: both start from one public"
    " formula ({formula}), which is no one's property",
}


def without_component(hypothesis: ComponentHypothesis, store: ArtifactStore) -> Finding | None:
    """Answer for a model that has no such component, by its config and by its tensors."""
    try:
        config = store.config()
    except Unavailable:
        return None  # the tensors will say
    designs = read_designs(config.value)
    component = hypothesis.component
    if not designs or component in trained_components(designs) or _has_tensors(store, component):
        return None
    headline = Text(HEADLINES[Obstacle.NO_COMPONENT], component=component.value)
    finding = hypothesis.unanswered(Outcome.NOT_APPLICABLE, headline)
    return replace(finding, artifacts=(config.record,))


def _has_tensors(store: ArtifactStore, component: Component) -> bool:
    """Whether tensors show a component: a config may be silent about a tower that is there."""
    try:
        return bool(open_checkpoint(store).inventory.parameters.get(component.value))
    except Unavailable:
        return False


def without_counterpart(hypothesis: ComponentHypothesis, pair: ComponentPair) -> Finding | None:
    """Answer where either side has no such component, nor what it may have been made of."""
    if pair.sibling is not None and pair.own_blocks[0] and pair.sibling.own_blocks[1]:
        return None  # experts may be made of a dense block, and the other way round
    ours, theirs = pair.parameters
    name, reference = pair.component.value, hypothesis.pair.reference.name
    if not ours:
        headline = Text(HEADLINES[Obstacle.NO_TENSOR], component=name)
    elif not theirs:
        headline = Text(HEADLINES[Obstacle.NO_COUNTERPART], reference=reference, component=name)
    else:
        return None
    lacking = _lacking(pair, ours=not ours) or _unnamed(pair, ours=not ours)
    if lacking is not None:  # what is not there was perhaps not brought along
        finding = hypothesis.unanswered(Outcome.INDETERMINATE, headline)
        return replace(_described(finding, pair), remedy=lacking)
    return _described(hypothesis.unanswered(Outcome.NOT_APPLICABLE, headline), pair)


def _lacking(pair: ComponentPair, *, ours: bool) -> Text | None:
    """Say what files a side lacks that has no tensor of a component."""
    side = pair.checkpoints.ours if ours else pair.checkpoints.theirs
    if side.gaps:
        return side.gaps[0]
    inventory = side.inventory
    if inventory.unsupported and inventory.unplaced.get(pair.component.value):
        return _undecoded(side.store.repo, inventory.unsupported)
    if inventory.empty:
        return Text("Its tensors have no element: {names}.", names=inventory.empty[:LISTED])
    return None


def _unnamed(pair: ComponentPair, *, ours: bool) -> Text | None:
    """Say what a side may hold under names that no table knows: absence is then not known."""
    inventory = (pair.checkpoints.ours if ours else pair.checkpoints.theirs).inventory
    if not pair.is_decoder:
        return None
    sizes = {
        matrix.info.name: matrix.rows * matrix.cols
        for part in LAYERED
        for slot, matrix in inventory.of(part).items()
        if is_unnamed(slot.kind)
    }
    if sum(sizes.values()) <= UNPLACED * max(1, sum(inventory.parameters.values())):
        return None
    return Text(
        "Its tensors have names that no table knows, and one of them may be of this component:"
        " {names}.",
        names=[*sizes][:LISTED],
    )


def _undecoded(repo: str, names: Sequence[str]) -> Text:
    return Text(
        "{n} tensors of {repo} are packed in a way that is not decoded here ({first}): give the"
        " weights unquantised, or in a format that is.",
        n=len(names),
        repo=repo,
        first=names[0],
    )


def not_comparable(hypothesis: ComponentHypothesis, pair: ComponentPair) -> Finding:
    """Answer where nothing of the two could be laid side by side."""
    headline = incomparable(pair, hypothesis.pair.reference.name)
    packed = _lacking(pair, ours=True) or _lacking(pair, ours=False)
    return replace(
        _described(hypothesis.unanswered(Outcome.INDETERMINATE, headline), pair),
        relation=Relation.NOT_COMPARABLE,
        remedy=packed
        or Text(
            "What cannot be laid side by side is not thereby different: ask for other"
            " references, or for activations."
        ),
    )


def partly_measured(
    hypothesis: ComponentHypothesis, pair: ComponentPair, lost: GroupsLost
) -> Finding:
    """Answer where the rest of a comparison is lost: what was found stays, and decides nothing."""
    found = _described(hypothesis.unanswered(Outcome.INDETERMINATE, lost.what), pair)
    return replace(
        found,
        artifacts=pair.checkpoints.records,
        remedy=lost.remedy,
        details={**found.details, "reason": lost.reason.value, "until_lost": lost.found},
    )


def without_common_draw(
    hypothesis: ComponentHypothesis, pair: ComponentPair, measured: Measured
) -> Finding | None:
    """Answer where both would be alike without a number drawn or learnt in common.

    Equal numbers are another matter: the caller looks at them first.
    """
    given = {"component": pair.component.value, "reference": hypothesis.pair.reference.name}
    if measured.formulas and not measured.elements:
        formulas = ", ".join(sorted(set(measured.formulas.values())))
        headline = Text(HEADLINES[Obstacle.FORMULA], **given, formula=formulas)
        remedy = None
    elif measured.elements and measured.is_single_map:
        headline = Text(HEADLINES[Obstacle.SINGLE_MAP], **given)
        remedy = Text(
            "What has an order of its own is compared in its hidden neurons: ask for projectors of"
            " two layers, or for references with other towers."
        )
    else:
        return None
    return replace(
        _described(hypothesis.unanswered(Outcome.INDETERMINATE, headline), pair),
        relation=Relation.NOT_COMPARABLE,
        remedy=remedy,
    )


def incomparable(pair: ComponentPair, reference: str) -> Text:
    """Say why nothing could be laid side by side."""
    given = {"component": pair.component.value, "reference": reference}
    rows = pair.token_rows if pair.is_token_table else None
    if rows and rows.same_numbers and pair.token_slot in pair.matrices:
        return Text(
            HEADLINES[Obstacle.CONSTANT], **given
        )  # rows lay side by side, and said nothing
    if pair.is_token_table and _widths(pair.ours) == _widths(pair.theirs):
        return Text(HEADLINES[Obstacle.TOO_FEW_TOKENS], **given)
    shapes = {"ours": _shapes(pair.ours), "theirs": _shapes(pair.theirs)}
    return Text(HEADLINES[Obstacle.NO_SHAPE], **given, **shapes)


def inventory_details(pair: ComponentPair) -> dict[str, Json]:
    """Return what the suspect's headers say, for the details of a finding."""
    ours = pair.checkpoints.ours
    placed = [*placed_names(ours.inventory, pair.component).items()]
    found: dict[str, Json] = {"placed_by_numbers_or_shape": dict(placed[:LISTED])} if placed else {}
    return found | {
        "unmapped": [*ours.inventory.unmapped[:LISTED]],
        "unsupported": [*ours.inventory.unsupported[:LISTED]],
    }


def _described(finding: Finding, pair: ComponentPair) -> Finding:
    """Add what was read to find out: the headers of both."""
    ours, theirs = pair.checkpoints.ours, pair.checkpoints.theirs
    records = (ours.index_record, theirs.index_record)
    return replace(
        finding,
        artifacts=records,
        weight_bytes=ours.total_bytes,
        details=inventory_details(pair),
    )


def _widths(matrices: Mapping[Slot, Matrix]) -> set[int]:
    return {m.cols for m in matrices.values() if m.rows > 1}


def _shapes(matrices: Mapping[Slot, Matrix]) -> str:
    shapes = sorted({(m.rows, m.cols) for m in matrices.values() if m.rows > 1}, reverse=True)
    return ", ".join(f"{rows} x {cols}" for rows, cols in shapes[:3]) or "-"
