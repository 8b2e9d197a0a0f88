"""Explains a model as a merge of several references, with shares, layer by layer.

It names a kind: that the weights come from a reference at all is what `weights_origin` decides,
pair by pair, with a p-value and controls. So a merge that is found is a lead here, never an
accusation, and a merge that is not found clears nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_scratchverify.checkpoint.slices import (
    Block,
    Matrix,
    Slot,
    common,
    component_budget,
    plan_component,
)
from pytest_scratchverify.errors import Unavailable
from pytest_scratchverify.hub.store import ArtifactStore
from pytest_scratchverify.methods.weights_calibration import WeightsCalibration
from pytest_scratchverify.methods.weights_compare import Effort, total_budget
from pytest_scratchverify.methods.weights_reading import Checkpoint, Ledger
from pytest_scratchverify.model.builtins import Json
from pytest_scratchverify.model.component import Component
from pytest_scratchverify.model.evidence import (
    Direction,
    Finding,
    Level,
    Outcome,
    Statistic,
)
from pytest_scratchverify.model.spec import ModelSpec
from pytest_scratchverify.model.text import Text
from pytest_scratchverify.stats.centring import is_degenerate
from pytest_scratchverify.stats.merge_shares import MergeShares, Products, by_layer, merge_shares

METHOD = "weights.merge"
DECODER = Component.TEXT_DECODER
MERGE, MIXTURE = "merge", "merge, or trained on the second parent's data"
BATCH = 8  # blocks that are held in memory of every model at once


@dataclass(slots=True)
class _Measured:
    whole: Products
    layers: dict[int, Products] = field(default_factory=dict)

    def add(self, layer: int, model: Any, parents: Sequence[Any]) -> None:
        self.whole.add(model, parents)
        if layer >= 0:
            self.layers.setdefault(layer, Products(self.whole.parents)).add(model, parents)


def weights_merge(
    model: ModelSpec,
    ours: ArtifactStore,
    theirs: Mapping[str, ArtifactStore],
    calibration: Mapping[str, Any],
    effort: Effort | None = None,
) -> Finding:
    """Explain the model's decoder by several references at once.

    Parameters
    ----------
    theirs : mapping from a reference's name to its store
        Those that cannot be read are left out; fewer than two kin leave nothing to ask.

    Raises `Unavailable` where the model's own weights cannot be read.
    """
    numbers = WeightsCalibration.from_json(calibration)
    mine = Checkpoint(ours)
    others = _readable(theirs)
    slots = _shared(mine, others)
    names = [name for name in others if name in slots]
    if len(names) < 2:
        return _not_asked(model)
    matrices = {slot: mine.inventory.matrices[slot] for slot in set.intersection(*slots.values())}
    ledger = Ledger(ours)
    checkpoints = [others[name] for name in names]
    measured = _measure(mine, checkpoints, matrices, effort or Effort(), ledger)
    cosines = measured.whole.cosines()
    kin = [i for i, cosine in enumerate(cosines) if cosine >= numbers.merge_kin]
    if len(kin) < 2:
        return _not_asked(model)
    shares = merge_shares(measured.whole.of(kin))
    layers = by_layer(measured.layers, kin)
    found = _found(model, [names[i] for i in kin], shares, layers, numbers)
    return replace(found, artifacts=(mine.index_record, *ledger.as_records()))


def _readable(theirs: Mapping[str, ArtifactStore]) -> dict[str, Checkpoint]:
    found = {}
    for name, store in theirs.items():
        try:
            found[name] = Checkpoint(store)
        except Unavailable:
            continue
    return found


def _shared(mine: Checkpoint, others: Mapping[str, Checkpoint]) -> dict[str, set[Slot]]:
    """Return the decoder's slots that every comparable reference has in the same shape."""
    own = mine.inventory.of(DECODER)
    found = {n: set(common(own, c.inventory.of(DECODER))) for n, c in others.items()}
    largest = max(map(len, found.values()), default=0)
    return {n: slots for n, slots in found.items() if slots and len(slots) >= 0.9 * largest}


def _measure(
    mine: Checkpoint,
    others: Sequence[Checkpoint],
    matrices: Mapping[Slot, Matrix],
    effort: Effort,
    ledger: Ledger,
) -> _Measured:
    header = max(c.index_record.bytes_read for c in (mine, *others))
    budget = component_budget(total_budget(effort), mine.components, DECODER, header)
    blocks = [
        block
        for block in plan_component(matrices, budget).blocks
        if block.matrix.rows > 1 and _held(block, [mine, *others])
    ]
    measured = _Measured(Products(len(others)))
    for start in range(0, len(blocks), BATCH):
        part = blocks[start : start + BATCH]
        own = mine.read(part, ledger)
        read = [c.read(_placed(part, c), Ledger(c.store)) for c in others]
        for number, block in enumerate(part):
            values = [own[number], *(found[number] for found in read)]
            if not any(map(is_degenerate, values)):
                measured.add(block.matrix.slot.layer, values[0], values[1:])
    return measured


def _placed(blocks: Sequence[Block], checkpoint: Checkpoint) -> list[Block]:
    partner = checkpoint.inventory.matrices
    return [replace(block, matrix=partner[block.matrix.slot]) for block in blocks]


def _held(block: Block, checkpoints: Sequence[Checkpoint]) -> bool:
    return all(c.holds(_placed([block], c)[0]) for c in checkpoints)


def _found(
    model: ModelSpec,
    names: Sequence[str],
    shares: MergeShares,
    layers: Mapping[int, MergeShares],
    numbers: WeightsCalibration,
) -> Finding:
    kind = None
    if shares.effect >= numbers.merge_share and shares.explained >= numbers.merge_mixture:
        kind = MERGE if shares.explained >= numbers.merge_explained else MIXTURE
    mixed = [
        f"{name} {share:.2f} ± {2 * error:.2f}"
        for name, share, error in zip(names, shares.shares, shares.errors, strict=True)
        if share > 0.005
    ]
    headline = (
        Text("explained as {kind}: {shares} ({explained} of the distance to the nearest)",
             kind=kind, shares=", ".join(mixed), explained=shares.explained)
        if kind
        else Text("no mixture of {n} kin explains more than the nearest of them", n=len(names))
    )  # fmt: skip
    return Finding(
        method=METHOD,
        component=DECODER,
        model=model.name,
        reference=None,
        outcome=Outcome.INDETERMINATE if kind else Outcome.NOT_APPLICABLE,
        headline=headline,
        hypothesis=_hypothesis(),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if kind else Direction.NONE,
        relation="merge" if kind else None,
        kind=kind,
        statistic=Statistic(name="explained_distance", value=shares.explained),
        effect=Statistic(name="second_share", value=shares.effect),
        dependence_group="weights",
        remedy=Text("A kind and no accusation: see the findings on each parent.") if kind else None,
        details=_details(names, shares, layers),
    )


def _details(
    names: Sequence[str], shares: MergeShares, layers: Mapping[int, MergeShares]
) -> dict[str, Json]:
    return {
        "parents": [*names],
        "shares": [round(share, 4) for share in shares.shares],
        "errors": [round(error, 4) for error in shares.errors],
        "explained": round(shares.explained, 4),
        "by_layer": {
            str(layer): [round(share, 4) for share in found.shares]
            for layer, found in layers.items()
        },
    }


def _hypothesis() -> Text:
    return Text("the weights are no mixture of several references")


def _not_asked(model: ModelSpec) -> Finding:
    return Finding(
        method=METHOD,
        component=DECODER,
        model=model.name,
        reference=None,
        outcome=Outcome.NOT_APPLICABLE,
        headline=Text("fewer than two references are kin of this decoder, in its order"),
        hypothesis=_hypothesis(),
        dependence_group="weights",
    )
