"""Explains a model as a merge of several references, with shares, layer by layer.

It names a kind: that the weights come from a reference at all is what `weights_origin` decides,
pair by pair, with a p-value and controls. So a merge that is found is a lead here, never an
accusation, and a merge that is not found clears nobody. Shares of a merge that was trained on
come from rows of the embedding table that the later training left alone; where there are none,
they are given as the interval that training can have moved them within.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.core.evidence import (
    Direction,
    Finding,
    Level,
    Outcome,
    Relation,
    Statistic,
)
from pytest_scratchverify.core.json_values import Json
from pytest_scratchverify.core.spec import ModelSpec
from pytest_scratchverify.core.text import Text
from pytest_scratchverify.methods.weights.calibration import WeightsCalibration
from pytest_scratchverify.methods.weights.compare import Effort, total_budget
from pytest_scratchverify.methods.weights.measure import channel_pvalue
from pytest_scratchverify.stats.weights.centring import is_degenerate
from pytest_scratchverify.stats.weights.channel_permutation import ChannelSums
from pytest_scratchverify.stats.weights.merge_shares import (
    MergeShares,
    Products,
    by_layer,
    merge_shares,
)
from pytest_scratchverify.stats.weights.untouched_rows import LeftAlone, rows_left_alone
from pytest_scratchverify.stores.store import ArtifactStore
from pytest_scratchverify.tensors.reading import Checkpoint, Ledger
from pytest_scratchverify.tensors.slices import (
    RESIDUAL_COLUMNS,
    Block,
    Matrix,
    Slot,
    block_of,
    common,
    component_budget,
    plan_component,
)

METHOD = "weights.merge"
DECODER, TABLE = Component.TEXT_DECODER, Component.EMBEDDINGS
MERGE, MIXTURE = "merge", "merge, or trained on the second parent's data"
BATCH = 8  # blocks that are held in memory of every model at once
TABLE_PART = 0.8  # of the bytes that the embedding table may cost
TABLE_ELEMENTS = 2**23  # of each table that are held in memory
PRECISE = 0.05  # shares that are known less well are given as intervals

Array = NDArray[np.float32]


@dataclass(slots=True)
class _Measured:
    whole: Products
    layers: dict[int, Products] = field(default_factory=dict)

    def add(self, layer: int, model: Any, parents: Sequence[Any]) -> None:
        self.whole.add(model, parents)
        if layer >= 0:
            self.layers.setdefault(layer, Products(self.whole.parents)).add(model, parents)


@dataclass(frozen=True, slots=True)
class _Explained:
    """What the kin make of a model: by all weights, and by rows that were left alone."""

    names: Sequence[str]
    decoder: MergeShares
    margins: tuple[float, ...]
    layers: Mapping[int, MergeShares]
    strangers: Mapping[str, float]  # p-values of parents that are no kin of the nearest
    rows: LeftAlone | None

    @property
    def taken(self) -> LeftAlone | None:
        """The rows, unless the decoder contradicts them: then the table has its own history."""
        if self.rows is None:
            return None
        pairs = zip(self.rows.shares, self.decoder.shares, self.margins, strict=True)
        return self.rows if all(abs(a - b) <= m + PRECISE for a, b, m in pairs) else None

    @property
    def shares(self) -> tuple[float, ...]:
        return self.taken.shares if self.taken else self.decoder.shares

    @property
    def intervals(self) -> list[tuple[float, float]]:
        margins = self.taken.margins if self.taken else self.margins
        pairs = zip(self.shares, margins, strict=True)
        return [(max(0.0, share - m), min(1.0, share + m)) for share, m in pairs]

    @property
    def second(self) -> float:
        return sorted(self.shares)[-2]

    def kind(self, numbers: WeightsCalibration) -> str | None:
        """Name the kind: training on another model's data looks like that model's share."""
        if self.second < numbers.merge_share:
            return None
        if self.taken is not None:
            return MERGE
        if self.decoder.explained < numbers.merge_mixture:
            return None
        strange = any(
            name in self.strangers and share >= numbers.merge_share
            for name, share in zip(self.names, self.shares, strict=True)
        )
        sure = sum(low > 0 for low, _ in self.intervals) > 1
        return MERGE if strange or sure else MIXTURE


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
    reading = _Reading(mine, [others[name] for name in names], effort or Effort())
    measured = reading.measure(matrices)
    cosines = measured.whole.cosines()
    kin = [i for i, cosine in enumerate(cosines) if cosine >= numbers.merge_kin]
    if not kin:
        return _not_asked(model)
    strangers = _strangers(reading, matrices, measured, kin, numbers)
    kin = sorted([*kin, *strangers])
    if len(kin) < 2:
        return _not_asked(model)
    decoder = merge_shares(measured.whole.of(kin))
    explained = _Explained(
        [names[i] for i in kin],
        decoder,
        decoder.margins(numbers.merge_drift),
        by_layer(measured.layers, kin),
        {names[i]: p for i, p in strangers.items()},
        _left_alone(reading, kin, numbers),
    )
    found = _found(model, explained, numbers)
    return replace(found, artifacts=(mine.index_record, *reading.ledger.as_records()))


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


class _Reading:
    """Reads the same blocks of the model and of several references."""

    def __init__(self, mine: Checkpoint, others: Sequence[Checkpoint], effort: Effort) -> None:
        self.mine, self.others, self.effort = mine, others, effort
        self.ledger = Ledger(mine.store)

    def budget(self, component: Component) -> int | None:
        header = max(c.index_record.bytes_read for c in (self.mine, *self.others))
        return component_budget(total_budget(self.effort), self.mine.components, component, header)

    def measure(self, matrices: Mapping[Slot, Matrix]) -> _Measured:
        measured = _Measured(Products(len(self.others)))
        for slot, values in self.blocks(matrices, range(len(self.others))):
            measured.add(slot.layer, values[0], values[1:])
        return measured

    def blocks(
        self, matrices: Mapping[Slot, Matrix], chosen: Sequence[int]
    ) -> Iterator[tuple[Slot, list[Array]]]:
        """Yield the model's values and the chosen references', block by block."""
        plan = plan_component(matrices, self.budget(DECODER)).blocks
        checkpoints = [self.mine, *self.others]
        blocks = [b for b in plan if b.matrix.rows > 1 and _held(b, checkpoints)]
        for start in range(0, len(blocks), BATCH):
            part = blocks[start : start + BATCH]
            for number, values in enumerate(zip(*self.read(part, chosen), strict=True)):
                if not any(map(is_degenerate, values)):
                    yield part[number].matrix.slot, list(values)

    def read(self, blocks: Sequence[Block], chosen: Sequence[int]) -> list[list[Array]]:
        own = self.mine.read(blocks, self.ledger)
        others = [self.others[i] for i in chosen]
        return [own, *(c.read(_placed(blocks, c), Ledger(c.store)) for c in others)]

    def table(self, chosen: Sequence[int]) -> list[Array] | None:
        """Return the same rows of every embedding table; None if these are not alike."""
        checkpoints = [self.mine, *(self.others[i] for i in chosen)]
        found = [c.inventory.of(TABLE) for c in checkpoints]
        alike = [s for s in found[0] if all(s in common(found[0], f) for f in found[1:])]
        slots = [slot for slot in alike if slot.kind == "embed"]
        if len(slots) != 1:
            return None
        block = block_of(found[0][slots[0]])
        budget = self.budget(TABLE)
        matrix = block.matrix
        affordable = TABLE_ELEMENTS // matrix.cols
        if budget is not None:
            affordable = min(affordable, int(TABLE_PART * budget / matrix.row_bytes))
        block = replace(block, stop=min(matrix.rows, max(block.stop, block.start + affordable)))
        if block.nbytes > (budget or block.nbytes) or not _held(block, checkpoints):
            return None
        return [values[0] for values in self.read([block], chosen)]


def _strangers(
    reading: _Reading,
    matrices: Mapping[Slot, Matrix],
    measured: _Measured,
    kin: Sequence[int],
    numbers: WeightsCalibration,
) -> dict[int, float]:
    """Return further parents with p-values: of what the nearest does not explain, part is theirs.

    The null is that of `stats.channel_permutation`: training cannot bring a model nearer to the
    numbering of another's channels, whatever text it is trained on. A merge has both in every
    layer; a model that took some layers, and shares a first draw in others, is none.
    """
    products = measured.whole
    nearest = int(np.argmax(products.cosines()))
    asked = [
        i
        for i in range(products.parents)
        if i not in kin
        and min(merge_shares(products.of([nearest, i])).shares) >= numbers.merge_share
        and abs(_cosine(products, nearest, i)) < numbers.shared_from(DECODER)
        and all(
            _both(layer.of([nearest, i])) >= numbers.merge_share
            for layer in measured.layers.values()
        )
    ]
    sums: dict[int, ChannelSums] = {}
    residual = {slot: m for slot, m in matrices.items() if slot.kind in RESIDUAL_COLUMNS}
    for _, values in reading.blocks(residual, [nearest, *asked]) if asked else ():
        own, base, *others = values
        part = float(np.vdot(own, base)) / float(np.vdot(base, base))
        for i, other in zip(asked, others, strict=True):
            every = np.arange(own.shape[1], dtype=np.intp)
            sums.setdefault(i, ChannelSums(every)).add(own - np.float32(part) * base, other)
    results = {i: found.result() for i, found in sums.items()}
    return {
        i: p
        for i, result in results.items()
        if result is not None
        and (p := min(1.0, len(asked) * channel_pvalue(result))) <= numbers.alpha
    }


def _both(pair: Products) -> float:
    """Return the smaller coefficient of two parents, of whatever sum: either may be absent."""
    return float(np.linalg.lstsq(pair.gram, pair.cross, rcond=None)[0].min())


def _cosine(products: Products, one: int, two: int) -> float:
    gram = products.gram
    return float(gram[one, two] / np.sqrt(gram[one, one] * gram[two, two]))


def _left_alone(
    reading: _Reading, kin: Sequence[int], numbers: WeightsCalibration
) -> LeftAlone | None:
    rows = reading.table(kin)
    if rows is None or not all(np.isfinite(values).all() for values in rows):
        return None
    return rows_left_alone(rows[0], rows[1:], numbers.merge_drift)


def _placed(blocks: Sequence[Block], checkpoint: Checkpoint) -> list[Block]:
    partner = checkpoint.inventory.matrices
    return [replace(block, matrix=partner[block.matrix.slot]) for block in blocks]


def _held(block: Block, checkpoints: Sequence[Checkpoint]) -> bool:
    return all(c.holds(_placed([block], c)[0]) for c in checkpoints)


def _found(model: ModelSpec, found: _Explained, numbers: WeightsCalibration) -> Finding:
    kind = found.kind(numbers)
    return Finding(
        method=METHOD,
        component=DECODER,
        model=model.name,
        reference=None,
        outcome=Outcome.INDETERMINATE if kind else Outcome.NOT_APPLICABLE,
        headline=_headline(found, kind),
        hypothesis=_hypothesis(),
        level=Level.E2,
        direction=Direction.TOWARD_REUSE if kind else Direction.NONE,
        relation=Relation.MERGE if kind else None,
        kind=kind,
        statistic=Statistic(name="explained_distance", value=found.decoder.explained),
        effect=Statistic(name="second_share", value=found.second),
        dependence_group="weights",
        remedy=Text("A kind and no accusation: see the findings on each parent.") if kind else None,
        details=_details(found),
    )


def _headline(found: _Explained, kind: str | None) -> Text:
    if kind is None:
        return Text(
            "no mixture of {n} kin explains more than the nearest of them", n=len(found.names)
        )
    named = zip(found.names, found.shares, found.intervals, strict=True)
    parts = [part for part in named if part[1] > 0.005]
    mixed = ", ".join(
        f"{name} {share:.2f} ± {max(share - low, high - share):.2f}"
        for name, share, (low, high) in parts
    )
    if found.taken is not None:
        return Text("explained as {kind}: {shares} (from {n} rows of the embedding table that"
                    " later training, if any, left alone)",
                    kind=kind, shares=mixed, n=found.taken.rows)  # fmt: skip
    explained = found.decoder.explained
    if any(high - low > 2 * PRECISE for _, _, (low, high) in parts):
        spans = ", ".join(f"{name} {low:.2f}-{high:.2f}" for name, _, (low, high) in parts)
        return Text("explained as {kind}: shares of {shares}, no closer since training moves"
                    " weights along what parents differ in ({explained} of the distance to the"
                    " nearest)", kind=kind, shares=spans, explained=explained)  # fmt: skip
    return Text("explained as {kind}: {shares} ({explained} of the distance to the nearest)",
                kind=kind, shares=mixed, explained=explained)  # fmt: skip


def _details(found: _Explained) -> dict[str, Json]:
    rows = found.rows
    return {
        "parents": [*found.names],
        "shares": [round(share, 4) for share in found.shares],
        "intervals": [[round(low, 4), round(high, 4)] for low, high in found.intervals],
        "shares_of_all_weights": [round(share, 4) for share in found.decoder.shares],
        "explained": round(found.decoder.explained, 4),
        "pvalues_of_strangers": dict(found.strangers),
        "rows_left_alone": None
        if rows is None
        else {
            "rows": rows.rows,
            "taken": found.taken is not None,
            "mixed": "entry by entry" if rows.entrywise else "row by row",
            "scale": round(rows.scale, 4),
            "shares": [round(share, 4) for share in rows.shares],
            "margins": [round(margin, 4) for margin in rows.margins],
        },
        "by_layer": {
            str(layer): [round(share, 4) for share in shares.shares]
            for layer, shares in found.layers.items()
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
